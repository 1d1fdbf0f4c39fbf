"""The Python bindings as a client of their own against the real gateway: what Python records is what the stream holds."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from custom_test import ctl, register
from gateway import BIN, ROOT

BINDING = ROOT / "sdk/bindings/python"
LIBRARY = BIN.parent / "lib/libtributary_py.so"
SECOND = """
import sys
from tributary import Busy, Client
try:
    Client("py-3", "localhost", 1, sys.argv[1], ca=sys.argv[2], token="x")
except Busy:
    sys.exit(17)
"""

# A device that is killed: it records offline, makes all of it durable, and dies without closing anything.
OFFLINE = """
import os, signal, sys
from tributary import Client
folder, ca, token = sys.argv[1:]
client = Client("py-offline", "127.0.0.1", 1, folder, ca=ca, token=token)
session = client.session("movie-7", duration_ms=60_000)
session.playing(0)
for i in range(40):
    client.add_favourite(f"item-{i}")
assert client.flush() and client.stats.waiting == 42, client.stats
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module", name="tributary")
def load():
    os.environ["TRIBUTARY_LIBRARY"] = str(LIBRARY)
    sys.path.insert(0, str(BINDING))
    import tributary  # pylint: disable=import-outside-toplevel
    yield tributary
    sys.path.remove(str(BINDING))


@pytest.fixture(name="client_of")
def make_client(tributary, pki, tmp_path):
    """client_of(gateway, device, ...) -> a Client; all are closed at the end."""
    made = []

    def make(gateway, device, **more):
        made.append(tributary.Client(device, "127.0.0.1", gateway.port, tmp_path / device, ca=pki.folder / "ca.crt",
                                     backoff_max_ms=200, linger_ms=20, **{"token": pki.token(device), **more}))
        return made[-1]

    yield make
    for client in made:
        client.close(0)


def events_of(gateway, device, wanted, seconds=15):
    """The device's events in the stream, without stream.start, as soon as there are so many."""
    end = time.monotonic() + seconds
    while True:
        there = (gateway.data / "stream").exists()  # it comes with the first event
        found = [e for e in (gateway.stream_events() if there else []) if e["device"] == device and e["type"] != "stream.start"]
        if len(found) >= wanted or time.monotonic() > end:
            return found
        time.sleep(0.05)


def test_enumerations_are_those_of_the_headers(tributary):
    vocabulary = (ROOT / "sdk/wire/vocabulary.def").read_text()
    header = (ROOT / "sdk/include/tributary/tributary.h").read_text()
    for python, prefix in ((tributary.Cause, "CAUSE"), (tributary.Reason, "REASON")):
        values = dict(re.findall(rf"TRIB_ENUM\({prefix}, (\d+), (\w+)", vocabulary))
        for member in python:
            assert values[str(member.value)] == member.name
    for python, name, prefix in ((tributary.Report, "trib_player_report", "TRIB_PLAYER_"),
                                 (tributary.State, "trib_state", "TRIB_STATE_")):
        body = re.search(rf"enum {name} {{(.*?)\n}};", header, re.S).group(1)
        assert [m.name for m in python] == re.findall(rf"^\s*{prefix}(\w+),", body, re.M)
    assert tributary.version() == "0.1.0"


def test_events_arrive_with_the_values_that_python_gave(gateway, client_of, tributary):
    states = []
    client = client_of(gateway, "py-1", on_state=lambda state, error: states.append(state))
    with client.session("movie-1", user_id="alice", duration_ms=90_000) as session:
        session.play(0)
        session.playing(1500)
        session.rate(1.25, 1600)
        session.seeking(50_000)
        session.seeked(50_000)
        session.paused(50_000, tributary.Cause.SYSTEM)
        session.error(-42, 50_000)
    client.add_favourite("movie-1", "evening")
    client.remove_favourite("movie-1", "evening")
    assert client.flush(10)
    events = events_of(gateway, "py-1", 12)
    kinds = [event["type"] for event in events]
    assert kinds == ["session.start", "play", "playing", "rate", "seek", "progress", "progress", "pause", "error",
                     "session.end", "favourite.add", "favourite.remove"]
    at = dict(zip(kinds, events))
    assert all(event["content"] == "movie-1" for event in events[:10])
    assert at["session.start"]["duration_ms"] == 90_000
    assert at["playing"]["position_ms"] == 1500 and at["rate"]["rate_milli"] == 1250
    assert at["seek"]["to_ms"] == 50_000
    assert at["pause"]["cause"] == "system" and at["error"]["code"] == -42
    assert at["session.end"]["reason"] == "quit"
    assert (at["favourite.add"]["item"], at["favourite.add"]["list"]) == ("movie-1", "evening")
    assert at["favourite.remove"]["item_version"] == at["favourite.add"]["item_version"] + 1
    assert "alice" not in json.dumps(events) and at["session.start"]["user"]
    stats = client.stats
    assert (stats.recorded, stats.refused, stats.waiting, stats.connects) == (12, 0, 0, 1)
    assert client.state == tributary.State.ONLINE and client.close()
    assert states[-1] == tributary.State.OFFLINE and tributary.State.ONLINE in states


def test_what_was_recorded_offline_survives_the_death_of_the_process(gateway, client_of, tributary, pki, tmp_path):
    environment = dict(os.environ, PYTHONPATH=str(BINDING), TRIBUTARY_LIBRARY=str(LIBRARY))
    done = subprocess.run([sys.executable, "-c", OFFLINE, tmp_path / "py-offline", pki.folder / "ca.crt", "x"],
                          env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert events_of(gateway, "py-offline", 1, seconds=0) == []
    with client_of(gateway, "py-offline") as client:
        assert client.flush(10)
        assert client.stats.waiting == 0 and client.stats.damaged == 0
    events = events_of(gateway, "py-offline", 43)
    assert [e["type"] for e in events[:2]] == ["session.start", "playing"]
    assert [e["item"] for e in events[2:-1]] == [f"item-{i}" for i in range(40)]
    assert (events[-1]["type"], events[-1]["reason"]) == ("session.end", "power_loss")
    assert events[-1]["session"] == events[0]["session"]
    assert len({e["id"] for e in events}) == 43 and {e["boot"] for e in events} == {1}


def test_a_custom_event_without_a_schema_is_told_and_holds_up_nothing(gateway, client_of):
    rejected = []
    client = client_of(gateway, "py-2", on_rejected=lambda stream, seq, code: rejected.append(code))
    client.custom("menu.opened", {"item": "settings", "depth": 2, "first": True, "most": 2**64 - 1, "raw": b"\0\1"})
    client.add_favourite("movie-2")
    assert client.flush(10)
    assert rejected == [5] and client.stats.rejected == 1
    assert [e["type"] for e in events_of(gateway, "py-2", 1)] == ["favourite.add"]


def test_custom_events_of_the_sdk_are_judged_by_their_schema(gateway, client_of):
    rejected = []
    client = client_of(gateway, "py-4", on_rejected=lambda stream, seq, code: rejected.append(code))
    values = {"item": "settings", "depth": -2, "first": True, "most": 2**64 - 1, "raw": b"\0\1"}
    client.custom("menu.opened", values)
    assert client.flush(10) and rejected == [5]
    types = {"item": {"type": "string"}, "depth": {"type": "integer", "minimum": -5}, "first": {"type": "boolean"},
             "most": {"const": 2**64 - 1}, "raw": {"type": "string", "pattern": "^[A-Za-z0-9_-]*$"}}
    register(gateway, "menu.opened", {"type": "object", "properties": types, "additionalProperties": False})
    client.custom("menu.opened", dict(values, depth=-6))
    client.custom("menu.opened@1", dict(values, more="dropped"))
    assert client.flush(10) and rejected == [5, 4]
    assert ctl(gateway, "quarantine", "redrive", "--all")["redriven"] == 1
    sent, redriven = events_of(gateway, "py-4", 2)
    assert sent["data"] == redriven["data"] == dict(values, raw="0001") and sent["ord"] > redriven["ord"]
    assert redriven["redriven"] is True and redriven["schema_version"] == sent["schema_version"] == 1


def test_errors_are_exceptions_and_a_closed_client_says_so(gateway, client_of, tributary, tmp_path):
    client = client_of(gateway, "py-3")
    for wrong in (lambda: client.session(""), lambda: client.session("a\0b"), lambda: client.add_favourite("x" * 129),
                  lambda: client.custom("s", {"n": 2**64}), lambda: client.custom("s", {str(i): 1 for i in range(17)})):
        with pytest.raises(tributary.InvalidArgument):
            wrong()
    with pytest.raises(tributary.InvalidArgument):
        client_of(gateway, "")
    environment = dict(os.environ, PYTHONPATH=str(BINDING), TRIBUTARY_LIBRARY=str(LIBRARY))
    done = subprocess.run([sys.executable, "-c", SECOND, tmp_path / "py-3", gateway.pki.folder / "ca.crt"],
                          env=environment, timeout=60, capture_output=True)
    assert done.returncode == 17, done.stderr
    session = client.session("movie-3")
    assert client.close(10) and client.close()
    for call in (lambda: session.playing(0), lambda: client.add_favourite("x"), client.flush):
        with pytest.raises(tributary.NotRecording):
            call()
    session.end()
    assert client.stats.recorded == 2 and client.state == tributary.State.OFFLINE
    assert [e["type"] for e in events_of(gateway, "py-3", 2)] == ["session.start", "session.end"]


def test_many_threads_record_at_once(gateway, client_of, tributary):
    client = client_of(gateway, "py-4")

    def add(name):
        for i in range(50):
            while True:
                try:
                    client.add_favourite(f"{name}-{i}")
                    break
                except tributary.Full:  # the disk is slower than six threads: what Full is for
                    time.sleep(0.01)

    threads = [threading.Thread(target=add, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert client.flush(20)
    events = events_of(gateway, "py-4", 300)
    assert sorted(e["item"] for e in events) == sorted(f"{n}-{i}" for n in range(6) for i in range(50))
    assert sorted(e["item_version"] for e in events) == list(range(1, 301))
