"""Stream and lake of a live gateway, read back with nothing but Python: each acked event is in both exactly once."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import cbor2
import pytest

import lake_reader
from device import BATCH, CUSTOM, FAVOURITE_ADD, FIELD_ITEM, FIELD_POSITION, FIELD_USER, PAUSE, Device
from gateway import BIN

PLANTED = "planted-user-id"


def wait_until(condition, what, wait=30):
    deadline = time.monotonic() + wait
    while not condition():
        assert time.monotonic() < deadline, f"no {what} within {wait} s"
        time.sleep(0.05)


def ids(events):
    return [event["id"] for event in events]


def expect_all(gateway, device, last):
    """The device's events 1 to last are in stream and lake, once each, in order in the stream."""
    wanted = [f"{device.name}/{device.stream:016x}/{seq}" for seq in range(1, last + 1)]
    wait_until(lambda: len(list(lake_reader.events(gateway.data))) >= last, "events in the lake")
    assert [one for one in ids(gateway.stream_events()) if one.startswith(device.name + "/")] == wanted
    assert sorted(one for one in ids(lake_reader.events(gateway.data)) if one.startswith(device.name + "/")) == sorted(wanted)


def test_each_event_is_in_stream_and_lake_once(gateway):
    device = Device(gateway, "dev-1").online()
    device.work(50)
    device.leave()
    expect_all(gateway, device, 50)
    by_id = {event["id"]: event for event in gateway.stream_events()}
    for event in lake_reader.events(gateway.data):
        assert event == by_id[event["id"]]


def test_what_waits_is_flushed_by_a_graceful_stop(make_gateway):
    gateway = make_gateway({"lake": {"flush_interval": "1h"}}).start()
    device = Device(gateway, "dev-1").online()
    device.work(20)
    device.leave()
    assert gateway.stop() == 0
    assert len(list(lake_reader.events(gateway.data))) == 20


def test_parts_name_ranges_that_never_overlap(gateway):
    device = Device(gateway, "dev-1").online()
    for _ in range(3):
        device.work(5)
        before = len(list(lake_reader.parts(gateway.data)))
        wait_until(lambda: len(list(lake_reader.parts(gateway.data))) > before, "flush")
    ranges = {}
    for _, schema, _, epoch, first, last in lake_reader.parts(gateway.data):
        ranges.setdefault(schema, []).append((epoch, first, last))
    for parts in ranges.values():
        for (_, _, last), (_, first, _) in zip(sorted(parts), sorted(parts)[1:]):
            assert first > last


@pytest.mark.slow
def test_kills_at_random_moments_neither_lose_nor_double(make_gateway):
    gateway = make_gateway({"lake": {"flush_interval": "1s", "flush_size": "4KiB"}}).start()
    device = Device(gateway, "dev-1")
    for life in range(12):
        device.online()
        for _ in range(10):
            device.work(10)
        time.sleep(0.11 * life % 0.7)
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait()
        device.connection.close()
        gateway.start()
    expect_all(gateway, device, 12 * 100)
    assert not list((gateway.data / "lake" / "_tmp").iterdir())


def test_a_stream_of_another_journal_is_left_alone_and_said(make_gateway):
    gateway = make_gateway().start()
    device = Device(gateway, "dev-1").online()
    device.work(5)
    wait_until(lambda: len(gateway.stream_events()) == 5, "events in the stream")
    device.leave()
    assert gateway.stop() == 0
    before = {path.name: path.read_bytes() for path in (gateway.data / "stream").iterdir()}
    kept = ("stream", "lake", "keys", "run")
    for path in gateway.data.iterdir(): # a fresh journal beside the old outputs
        if path.name not in kept:
            subprocess.run(["rm", "-rf", str(path)], check=True)
    gateway.start()
    other = Device(gateway, "dev-2").online()
    other.work(5) # the gateway itself works: a sink never stops it
    wait_until(lambda: len(gateway.log_lines("delivery.stopped")) == 2, "word of both sinks")
    assert all("another journal" in line["message"] for line in gateway.log_lines("delivery.stopped"))
    assert before == {path.name: path.read_bytes() for path in (gateway.data / "stream").iterdir()}


def files_with(folder, needle):
    found = []
    for path in Path(folder).rglob("*"):
        if path.is_file() and needle in path.read_bytes():
            found.append(str(path))
    return found


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_no_user_id_reaches_a_disk_in_the_clear(make_gateway, end):
    """In fields, contexts, rejected events, undeclared fields, custom data, as bytes, in broken batches, in logs."""
    gateway = make_gateway({"observe": {"http_port": 0, "log_level": "debug"}}).start()
    device = Device(gateway, "dev-1").online()
    planted = f"{PLANTED}-{os.urandom(4).hex()}"
    context = [2, 1, {0: 77, 1: "film-1", 2: planted}]
    good = [
        [PAUSE * 2, 1, 1, {FIELD_POSITION: 1}],                                # by way of its context
        [FAVOURITE_ADD * 2, 1, 0, {FIELD_ITEM: "item-1", FIELD_USER: planted}],  # in a field
        [PAUSE * 2, 1, 0, {FIELD_POSITION: 2, 99: planted}],                   # in a field nobody knows
        [PAUSE * 2, 1, 0, {FIELD_POSITION: 3, "email": planted}],              # under a name
        [PAUSE * 2, 1, 0, {FIELD_POSITION: 4, FIELD_ITEM: planted}],           # in a field of other events
    ]
    bad = [
        [PAUSE * 2, 1, 1, {FIELD_USER: planted.encode()}],               # as bytes
        [PAUSE * 2, 1, 1, {FIELD_USER: [planted]}],                      # in a list
        [PAUSE * 2, 1, 1, {FIELD_POSITION: planted}],                    # where a number belongs
        [200 * 2, 1, 1, {FIELD_USER: planted}],                          # in an event of no known type
        [CUSTOM * 2, 1, 0, {27: "com.example.x", 28: {"mail": planted}}],  # in custom data
        [FAVOURITE_ADD * 2, 1, 0, {FIELD_USER: planted}],                # in an event that lacks a field
        [PAUSE * 2, 1, 0, {FIELD_USER: planted * 9}],                    # too long
        [PAUSE * 2, 1, 0, {FIELD_USER: planted, FIELD_POSITION: -1}],
    ]
    items = [context] + good + bad
    device.connection.send(cbor2.dumps([BATCH, {1: [[device.stream, 1]], 2: [1, 1000, 1], 4: items}]))
    device.next_seq += len(good) + len(bad)
    device.settle()
    assert sorted(seq for _, seq, _ in device.rejected) == list(range(6, 14))
    wait_until(lambda: len(list(lake_reader.events(gateway.data))) == len(good), "events in the lake")
    stream = gateway.stream_events()
    assert len(stream) == len(good)
    pseudonyms = {event["user"] for event in stream if "user" in event}
    assert len(pseudonyms) == 1 and re.fullmatch(r"p1\.k1\.[0-9a-f]{32}", pseudonyms.pop())

    broken = cbor2.dumps([BATCH, {1: [[device.stream, device.next_seq]], 2: [1, 1000, 1], 4: [context, [7, 7, 7, planted]]}])
    device.connection.send(broken) # a batch that cannot be read ends the connection
    other = Device(gateway, "dev-2").online()
    other.work(1)
    if end == "stop":
        assert gateway.stop() == 0
    else:
        gateway.kill()
        gateway.start()
        assert gateway.stop() == 0
    assert files_with(gateway.folder, b"film-1"), "the search itself must be able to find"
    assert files_with(gateway.folder, planted.encode()) == []


def test_pseudonyms_survive_a_restart(gateway):
    device = Device(gateway, "dev-1").online()
    device.send_events(1, FAVOURITE_ADD, {FIELD_ITEM: "a", FIELD_USER: "ann"})
    device.settle()
    device.leave()
    gateway.restart()
    device = Device(gateway, "dev-2").online()
    device.send_events(1, FAVOURITE_ADD, {FIELD_ITEM: "a", FIELD_USER: "ann"})
    device.settle()
    wait_until(lambda: len(gateway.stream_events()) == 2, "events in the stream")
    assert len({event["user"] for event in gateway.stream_events()}) == 1


@pytest.mark.parametrize("how", ["mode", "content", "missing"])
def test_a_bad_key_file_is_a_clear_error(make_gateway, tmp_path, how):
    key = tmp_path / "pseudonym.key"
    if how != "missing":
        key.write_text("00" * (32 if how == "mode" else 31))
        key.chmod(0o644 if how == "mode" else 0o600)
    gateway = make_gateway({"privacy": {"pseudonym_key_file": str(key)}})
    gateway.data.mkdir()
    code, said = gateway.run_to_failure()
    assert code != 0
    assert str(key) in said
    assert {"mode": "chmod 600", "content": "64 hex digits", "missing": "cannot be opened"}[how] in said


def test_json_of_the_stream_is_what_the_docs_promise(gateway):
    device = Device(gateway, "dev-1").online()
    device.send_events(1)
    device.settle()
    wait_until(lambda: gateway.stream_events(), "events in the stream")
    done = subprocess.run([str(BIN / "tributaryctl"), "--config", str(gateway.write_config()), "stream", "cat"],
                          capture_output=True, timeout=60, check=True)
    event = json.loads(done.stdout)
    assert list(event) == ["id", "type", "device", "stream", "seq", "boot", "ord", "time", "time_quality",
                           "time_uncertainty_ms", "received", "gateway", "position_ms"]
    assert event["time_quality"] == "received" and event["time_uncertainty_ms"] is None


def inspect(gateway):
    done = subprocess.run([str(BIN / "tributaryctl"), "--config", str(gateway.write_config()), "journal", "inspect", "--json"],
                          capture_output=True, timeout=60, check=True)
    return json.loads(done.stdout)


def test_a_stream_that_cannot_be_written_is_left_behind_and_comes_back(make_gateway):
    """Its place is taken by a file: what only it held back goes, the range is told, and it goes on behind that."""
    gateway = make_gateway({"data": {"segment_size": "1MiB"}, "stream": {"detach_after": "1s"}}).start()
    device = Device(gateway, "dev-1").online().work(10)
    wait_until(lambda: len(gateway.stream_events()) == 10, "events in the stream")
    device.leave()
    gateway.stop()
    folder, away = gateway.data / "stream", gateway.folder / "away"
    folder.rename(away)
    folder.write_text("where the folder was")
    gateway.start()
    device.online()
    deadline = time.monotonic() + 60
    while gateway.metric("tributary_sinks_detached") == 0:
        assert time.monotonic() < deadline
        for _ in range(20):
            device.send_events(80, FAVOURITE_ADD, {FIELD_ITEM: "x" * 120})
            device.settle()
    assert gateway.http("/readyz")  # never for a sink
    folder.unlink()
    away.rename(folder)
    wait_until(lambda: gateway.metric("tributary_sinks_detached") == 0, "sink that is back", 60)
    device.work(10)
    last = device.acked
    device.leave()
    wait_until(lambda: gateway.stream_events()[-1]["seq"] == last, "events in the stream")
    wait_until(lambda: len(list(lake_reader.events(gateway.data))) == last, "events in the lake")
    for life in range(2):
        if life == 1:
            gateway.restart()
            wait_until(lambda: gateway.metric("tributary_sink_lost_entries"), "housekeeping")
        status = inspect(gateway)
        assert not any("detached" in sink for sink in status["sinks"])
        lost, = status["lost"]
        assert lost["sink"] == "stream" and lost["epoch"] == status["journal"]["epoch"]
        assert lost["to"] - lost["from"] == lost["entries"] == gateway.metric("tributary_sink_lost_entries")
        gone = lost["entries"] * 80  # events of a batch
        assert gone > 0 and lost["from"] == 1
        assert [event["seq"] for event in gateway.stream_events()] == [*range(1, 11), *range(11 + gone, last + 1)]
    assert gateway.log_lines("journal.sink_detached") and len(gateway.log_lines("journal.sink_back")) == 1
    gateway.stop()
    assert inspect(gateway)["lost"] == [lost]  # offline, too
