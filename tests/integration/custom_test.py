"""Custom events on a live gateway: schemas registered by HTTP, events that wait in quarantine, and re-drive."""

import http.client
import json
import os
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

from device import CUSTOM, FIELD_USER, PAUSE, Device
from gateway import BIN

SCHEMA_FIELD, DATA_FIELD = 27, 28
MENU = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Menu", "type": "object",
        "properties": {"item": {"type": "string", "maxLength": 20}, "depth": {"type": "integer", "minimum": 0},
                       "mail": {"type": "string", "x-tributary": {"privacy": "personal"}}},
        "required": ["item"]}


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(gateway, method, path, body=None):
    """(status, answer) of the admin socket."""
    connection = Unix(gateway.data / "run" / "admin.sock")
    connection.request(method, path, json.dumps(body) if body is not None else None,
                       {"Content-Type": "application/vnd.schemaregistry.v1+json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, json.loads(text)


def register(gateway, subject, schema):
    status, answer = ask(gateway, "POST", f"/subjects/{subject}/versions",
                         {"schemaType": "JSON", "schema": json.dumps(schema)})
    assert status == 200, answer
    return answer


def ctl(gateway, *arguments, code=0):
    done = subprocess.run([str(BIN / "tributaryctl"), "--config", str(gateway.write_config()), "--json", *arguments],
                          capture_output=True, timeout=60, env=gateway.environment)
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout) if done.stdout.strip() else done.stderr.decode()


def quarantined(gateway):
    return ctl(gateway, "quarantine", "list", "--limit", "16384")["quarantine"]


def menu(item, **more):
    return (CUSTOM, {SCHEMA_FIELD: "menu.opened", DATA_FIELD: dict({"item": item}, **more)})


def send(device, events):
    message = device.batch(events)
    device.connection.send(message)
    device.next_seq += len(events)
    return device.settle()


def streamed(gateway, count, wait=20):
    """The custom events of the stream, once `count` events are there; each identity once."""
    deadline = time.monotonic() + wait
    while len(events := gateway.stream_events()) < count:
        assert time.monotonic() < deadline, f"{len(events)} of {count} events"
        time.sleep(0.05)
    time.sleep(0.3)
    events = gateway.stream_events()
    ids = [event["id"] for event in events]
    assert len(ids) == len(set(ids)) == count
    return [event for event in events if event["type"] == "custom"]


def test_an_unknown_schema_waits_and_is_redriven_after_registration(gateway):
    tv = Device(gateway, "tv-1").online()
    send(tv, [menu("settings", mail="ann@example.org"), (PAUSE, {}), menu("x" * 30)])
    assert [r[2] for r in tv.rejected] == [5, 5]
    first, second = quarantined(gateway)
    assert first["reason"] == "unknown schema" and first["device"] == "tv-1" and first["seq"] == 1
    assert ctl(gateway, "quarantine", "redrive", "--all") == \
        {"matched": 2, "redriven": 0, "still_rejected": 2, "gone": 0, "unreadable": 0, "last_reason": "unknown schema"}

    assert register(gateway, "menu.opened", MENU)["id"] == 1
    send(tv, [menu("home")])  # from now on let in at once
    shown = ctl(gateway, "quarantine", "show", f"tv-1/{second['stream']}/3")
    assert shown["schema"] == "menu.opened" and shown["valid_now"] is False
    assert [(f["instanceLocation"], f["keywordLocation"].split("/")[-1]) for f in shown["faults"]] == [("/item", "maxLength")]
    done = ctl(gateway, "quarantine", "redrive", "--schema", "menu.opened")
    assert done["redriven"] == 1 and done["still_rejected"] == 1 and done["last_keyword"] == "maxLength"
    home, settings = streamed(gateway, 3)
    assert "redriven" not in home and home["seq"] == 4
    assert settings["redriven"] is True and settings["seq"] == 1 and settings["stream"] == first["stream"]
    assert settings["schema"] == "menu.opened" and settings["schema_version"] == 1
    assert settings["data"]["item"] == "settings" and settings["data"]["mail"] != "ann@example.org"
    assert b"ann@example.org" not in b"".join(f.read_bytes() for f in gateway.data.rglob("*") if f.is_file())
    assert ctl(gateway, "quarantine", "drop", "--id", f"tv-1/{second['stream']}/3")["dropped"] == 1
    assert quarantined(gateway) == []
    assert gateway.metric("tributary_events_redriven_total") == 1
    deadline = time.monotonic() + 10
    while len(lake := list(gateway.data.glob("lake/events/schema=menu.opened/date=*/*.jsonl"))) < 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not list(gateway.data.glob("lake/events/schema=custom"))
    assert all(json.loads(line)["schema"] == "menu.opened" for file in lake for line in file.read_text().splitlines())
    assert gateway.metric('tributary_schema_valid_total{schema="menu.opened",version="1",id="1"}') == 1


def test_only_what_is_named_is_settled(gateway):
    for name in ("tv-1", "tv-2"):
        tv = Device(gateway, name).online()
        send(tv, [menu("a"), (CUSTOM, {SCHEMA_FIELD: "other@3", DATA_FIELD: {}}), (99, {})])
    assert len(quarantined(gateway)) == 6
    assert "say which" in ctl(gateway, "quarantine", "drop", code=2)
    assert ctl(gateway, "quarantine", "drop", "--schema", "other", "--device", "tv-2")["dropped"] == 1
    assert ctl(gateway, "quarantine", "drop", "--schema", "none")["matched"] == 0
    register(gateway, "menu.opened", MENU)
    assert ctl(gateway, "quarantine", "redrive", "--device", "tv-1")["redriven"] == 1
    left = {(item["device"], item["seq"]) for item in quarantined(gateway)}
    assert left == {("tv-1", 2), ("tv-1", 3), ("tv-2", 1), ("tv-2", 3)}
    assert [event["device"] for event in streamed(gateway, 1)] == ["tv-1"]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_what_waits_survives_a_restart_and_comes_once(make_gateway, how):
    gateway = make_gateway().start()
    tv = Device(gateway, "tv-1").online()
    for part in range(3):  # what one batch may put into quarantine is bounded by the segment's size
        send(tv, [menu(f"item-{100 * part + i}") for i in range(100)])
    if how == "kill":
        gateway.kill()
    else:
        gateway.stop()
    gateway.start()
    assert len(quarantined(gateway)) == 300
    register(gateway, "menu.opened", MENU)
    if how == "kill":  # what was registered is known after it
        gateway.kill()
        gateway.start()
    assert ask(gateway, "GET", "/subjects/menu.opened/versions") == (200, [1])
    assert ctl(gateway, "quarantine", "redrive", "--all")["redriven"] == 300
    if how == "kill":
        gateway.kill()
    else:
        gateway.stop()
    gateway.start()
    assert quarantined(gateway) == []
    events = streamed(gateway, 300)
    assert [event["data"]["item"] for event in events] == [f"item-{i}" for i in range(300)]
    assert all(event["redriven"] for event in events)


def test_a_long_redrive_goes_in_steps_and_brings_each_event_once(gateway):
    tv = Device(gateway, "tv-1").online()
    for part in range(13):
        send(tv, [menu(f"item-{100 * part + i}") for i in range(100)])
    register(gateway, "menu.opened", MENU)
    for wrong in ("7", "7-", "-7", "7-8-9", "a-b", "7-8" + 80 * "0"):
        status, answer = ask(gateway, "POST", f"/v1/quarantine/redrive?all=true&after={wrong}")
        assert status == 400 and "next" in answer["error"]
    status, first = ask(gateway, "POST", "/v1/quarantine/redrive?all=true")
    assert status == 200 and first["matched"] == first["redriven"] == 512 and 512 <= first["walked"] < 1024
    assert len(quarantined(gateway)) == 1300 - 512
    status, second = ask(gateway, "POST", f"/v1/quarantine/redrive?all=true&after={first['next']}")
    assert status == 200 and second["redriven"] == 512 and second["next"] != first["next"] and second["walked"] < 1024
    terminal, of_ctl = os.openpty()  # tributaryctl begins anew, and tells how far it is
    done = subprocess.run([str(BIN / "tributaryctl"), "--config", str(gateway.write_config()), "--json", "quarantine",
                           "drop", "--schema", "none"], stdout=subprocess.PIPE, stderr=of_ctl, timeout=60)
    assert done.returncode == 0 and json.loads(done.stdout) == {"matched": 0, "dropped": 0, "gone": 0, "unreadable": 0}
    for part in range(6):
        send(tv, [(CUSTOM, {SCHEMA_FIELD: "menu.opened", DATA_FIELD: {"item": 7}}) for i in range(100)])
    done = subprocess.run([str(BIN / "tributaryctl"), "--config", str(gateway.write_config()), "--json", "quarantine",
                           "redrive", "--all"], stdout=subprocess.PIPE, stderr=of_ctl, timeout=60)
    os.close(of_ctl)
    shown = os.read(terminal, 4096).decode()
    os.close(terminal)
    assert done.returncode == 0 and "512 events meant so far, 276 of them settled" in shown, shown
    assert json.loads(done.stdout) == {"matched": 876, "redriven": 276, "still_rejected": 600, "gone": 0, "unreadable": 0,
                                       "last_reason": "wrong type of a field", "last_keyword": "type"}
    assert {event["data"]["item"] for event in streamed(gateway, 1300)} == {f"item-{i}" for i in range(1300)}
    assert gateway.metric("tributary_events_redriven_total") == 1300


def stream_bytes(gateway):
    return sum(path.stat().st_size for path in (gateway.data / "stream").glob("*"))


def kill_during_redrive(gateway):
    """
    How many events a re-drive has left that was killed when the first of them were in the stream: it commits 128 at a time,
    and the stream follows at once.
    """
    before = stream_bytes(gateway)
    redrive = subprocess.Popen([str(BIN / "tributaryctl"), "--config", str(gateway.write_config()), "quarantine",
                                "redrive", "--all"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while redrive.poll() is None and stream_bytes(gateway) == before:
        time.sleep(0.0005)
    gateway.kill()
    redrive.wait(30)
    gateway.start()
    return len(quarantined(gateway))


def test_a_kill_in_the_middle_of_a_redrive_loses_and_doubles_nothing(make_gateway):
    gateway = make_gateway().start()
    wanted, kills = set(), 0
    for name in ("menu.opened", "menu.closed", "menu.moved"):  # more than one only where no kill hit
        tv = Device(gateway, f"tv-{name}").online()
        for part in range(20):
            send(tv, [(CUSTOM, {SCHEMA_FIELD: name, DATA_FIELD: {"item": f"{part}-{i}"}}) for i in range(100)])
        tv.connection.close()
        register(gateway, name, MENU)
        wanted |= {(name, f"{part}-{i}") for part in range(20) for i in range(100)}
        left = 2000
        while left > 0 and kills < 3:
            before, left = left, kill_during_redrive(gateway)
            kills += 0 < left < before
            streamed(gateway, len(wanted) - left)
        if kills > 0:
            break
    assert kills >= 1, "no kill came in the middle"
    ctl(gateway, "quarantine", "redrive", "--all")
    assert {(event["schema"], event["data"]["item"]) for event in streamed(gateway, len(wanted))} == wanted


def test_registering_and_redriving_under_traffic_loses_and_doubles_nothing(gateway):
    """Devices send while versions come and quarantine is emptied: each event is in the stream once."""
    rounds, devices = 12, 3
    early = Device(gateway, "tv-early").online()
    send(early, [menu(f"early-{i}") for i in range(20)])

    def work(number):
        tv = Device(gateway, f"tv-{number}").online()
        for part in range(rounds):
            send(tv, [menu(f"{part}-{i}") for i in range(20)] + [(PAUSE, {})])
        tv.leave()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(devices)]
    for thread in threads:
        thread.start()
    redriven = 0
    for version in range(8):
        schema = dict(MENU, properties=dict(MENU["properties"], **{f"new_{i}": {"type": "boolean"} for i in range(version)}))
        assert register(gateway, "menu.opened", schema)["version"] == version + 1
        redriven += ctl(gateway, "quarantine", "redrive", "--all")["redriven"]
    for thread in threads:
        thread.join()
    redriven += ctl(gateway, "quarantine", "redrive", "--all")["redriven"]
    events = streamed(gateway, rounds * devices * 21 + 20)
    assert len(events) == rounds * devices * 20 + 20
    assert sum(1 for event in events if event.get("redriven")) == redriven >= 20
    assert quarantined(gateway) == []
