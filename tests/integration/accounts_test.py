"""The demo's comparison sees what it must see: each test damages one thing and names the complaint."""

import copy
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from accounts import compare, events as event_files, summary  # noqa: E402
from accounts.side import Session, oracle_sessions, read_side  # noqa: E402

DEVICE = "living-room"


def line(at, kind, name, **more):
    return {"t": at, "k": kind, "name": name, **more}


def side_lines():
    """A session of ten seconds: two played, one paused, a seek from 2 s to 10 s, seven more, four at twice the speed."""
    lines = [line(0, "run", "begin", device=DEVICE), line(0, "state", "online"),
             line(0, "action", "load", content="movie-1", user="alice"), line(0, "event", "start-file"),
             line(0, "sdk", "trib_session_start", content="movie-1", user="alice", rc=0),
             line(0, "sdk", "trib_session_report", report="play", position_ms=None, value=0, rc=0)]

    def report(at, what, position, value=0):
        lines.append(line(at, "sdk", "trib_session_report", report=what, position_ms=position, value=value, rc=0))

    def play(start, stop, position, speed=1.0):
        for at in range(start, stop, 40):
            lines.append(line(at, "mpv", "time-pos", value=position))
            position += 0.04 * speed
        return position

    lines += [line(10, "event", "playback-restart"), line(10, "mpv", "core-idle", value=False)]
    report(10, "playing", 0)
    play(10, 2010, 0.0)
    lines += [line(2010, "mpv", "pause", value=True), line(2010, "mpv", "core-idle", value=True)]
    report(2010, "paused", 1960)
    lines += [line(3010, "mpv", "pause", value=False), line(3010, "mpv", "core-idle", value=False)]
    report(3010, "play", 1960)
    report(3010, "playing", 1960)
    lines.append(line(3050, "event", "seek"))
    report(3050, "position", 2000)
    report(3050, "seeking", 10000)
    lines.append(line(3060, "event", "playback-restart"))
    lines.append(line(3060, "get", "time-pos", value=10.0))
    report(3060, "seeked", 10000)
    report(3060, "playing", 10000)
    position = play(3100, 6060, 10.04)
    lines.append(line(6060, "mpv", "speed", value=2.0))
    report(6060, "rate", 12960, 2000)
    play(6060, 10060, position, 2.0)
    lines.append(line(10060, "sdk", "trib_favourite_add", item="movie-1", list="evening", user="alice", rc=0))
    lines += [line(10060, "mpv", "core-idle", value=True), line(10060, "event", "end-file", reason="stopped")]
    report(10060, "position", 20920)
    lines.append(line(10060, "sdk", "trib_session_end", reason="quit", rc=0))
    lines.append(line(10100, "stats", "end", recorded=10, waiting=0, dropped=0, refused=0, rejected=0, damaged=0,
                      acked_vital=4,
                      acked_routine=9))
    lines.append(line(10100, "run", "end", waiting=0))
    return lines


def delivered():
    """What the gateway would deliver of it."""
    vital, routine, result = "00000000000000aa", "00000000000000bb", []
    numbers = {vital: 0, routine: 0}

    def add(kind, stream=routine, **fields):
        numbers[stream] += 1
        result.append({"id": f"{DEVICE}/{stream}/{numbers[stream]}", "type": kind, "device": DEVICE, "stream": stream,
                       "seq": numbers[stream], "boot": 1, "ord": len(result) + 1, **fields})

    movie = {"content": "movie-1", "user": "v1.k1.mac"}
    add("stream.start", vital)
    add("stream.start", routine)
    add("session.start", vital, **movie)
    add("play", **movie)
    add("playing", position_ms=0, **movie)
    add("pause", position_ms=1960, **movie)
    add("play", position_ms=1960, **movie)
    add("playing", position_ms=1960, **movie)
    add("seek", from_ms=2000, to_ms=10000, **movie)
    add("rate", rate_milli=2000, position_ms=12960, **movie)
    add("favourite.add", vital, item="movie-1", list="evening", user="v1.k1.mac")
    add("session.end", vital, reason="quit", played_ms=9050, watched_ms=12900, **movie)
    return result


class World:
    """A side file, a stream and a lake that agree until a test damages one of them."""

    def __init__(self, folder):
        self.path = folder / "side.jsonl"
        self.lines = side_lines()
        self.stream = delivered()
        self.lake = copy.deepcopy(self.stream)

    def problems(self):
        self.path.write_text("".join(json.dumps(line) + "\n" for line in self.lines))
        return compare.compare_all([read_side(self.path)], self.stream, self.lake)

    def both(self):
        return self.stream, self.lake


@pytest.fixture(name="world")
def make_world(tmp_path):
    return World(tmp_path)


def test_equal_accounts_have_no_complaint(world):
    assert world.problems() == []


@pytest.mark.parametrize("number", range(12))
def test_a_missing_event_is_seen(world, number):
    gone = world.stream[number]
    del world.stream[number]
    problems = world.problems()
    assert any(f"{gone['id']} ({gone['type']}) is missing" in problem for problem in problems)


@pytest.mark.parametrize("number", range(2, 12))
def test_an_event_missing_in_both_is_seen(world, number):
    for events in world.both():
        del events[number]
    assert any("missing" in problem or "lacks" in problem for problem in world.problems())


def test_a_last_event_missing_in_both_is_seen_by_its_call(world):
    for events in world.both():
        del events[-1]
    assert "stream: 1 × session.end of living-room missing" in world.problems()


@pytest.mark.parametrize("where", [0, 1])
def test_a_duplicate_is_seen(world, where):
    events = world.both()[where]
    events.append(dict(events[5]))
    assert f"{['stream', 'lake'][where]}: {events[5]['id']} is there 2 times" in world.problems()


def test_an_event_under_a_new_identity_is_too_many(world):
    for events in world.both():
        events.append({**events[4], "id": f"{DEVICE}/00000000000000bb/9", "seq": 9, "ord": 99})
    assert "lake: 1 × playing of living-room too many" in world.problems()


def test_a_changed_value_is_seen(world):
    world.stream[8]["to_ms"] = 9000
    problems = world.problems()
    assert any("to_ms is 9000 and not 10000" in problem for problem in problems)
    assert any("differs between stream and lake" in problem for problem in problems)


def test_a_wrong_order_is_seen(world):
    for events in world.both():
        events[4]["ord"], events[5]["ord"] = events[5]["ord"], events[4]["ord"]
    assert any("should be" in problem for problem in world.problems())


def test_a_hole_in_a_stream_is_seen(world):
    for events in world.both():
        for event in events[8:10]:
            event["seq"] += 1
            event["id"] = f"{DEVICE}/{event['stream']}/{event['seq']}"
    assert any("lacks 1 events" in problem for problem in world.problems())


@pytest.mark.parametrize("field,value", [("played_ms", 9400), ("played_ms", 8700), ("watched_ms", 13400)])
def test_a_wrong_watched_time_is_seen(world, field, value):
    for events in world.both():
        events[-1][field] = value
    assert any("libmpv reported" in problem for problem in world.problems())


@pytest.mark.parametrize("count", ["waiting", "dropped", "refused", "rejected", "damaged"])
def test_a_bad_count_of_the_sdk_is_seen(world, count):
    world.lines[-2][count] = 1
    assert f"living-room: the SDK counts 1 events {count}" in world.problems()


def test_an_event_that_no_call_explains_is_seen_by_the_count(world):
    for events in world.both():
        events.append({**events[4], "type": "ping", "id": f"{DEVICE}/00000000000000bb/9", "seq": 9, "ord": 99})
    assert "lake: 11 events of living-room, but the SDK recorded 10" in world.problems()


def test_an_unknown_device_is_seen(world):
    world.stream.append({**world.stream[0], "device": "kitchen", "id": "kitchen/1/1"})
    assert "stream: events of an unknown device kitchen" in world.problems()


def test_a_damaged_side_file_is_no_oracle(world):
    world.problems()
    with open(world.path, "a", encoding="utf-8") as file:
        file.write('{"t":1,"k":"sdk","na')
    assert any("not a JSON line" in gap for gap in read_side(world.path).gaps)


def test_the_oracle_counts_content_played_twice_once():
    session = Session(intervals=[(0.0, 5.0), (2.0, 6.0), (10.0, 11.0)])
    assert session.watched_ms == 7000


def test_the_oracle_reads_only_what_libmpv_reported():
    (session,) = oracle_sessions([line for line in side_lines() if line["k"] != "sdk"])
    assert (session.content, session.reason) == ("movie-1", "stopped")
    assert session.paused_ms == 1000
    assert abs(session.played_ms - 9040) <= 10
    assert abs(session.advanced_ms - 8900) <= 10  # the last frame of each stretch has no successor to be seen by
    assert abs(session.watched_ms - 12840) <= 100


def test_broken_json_in_the_lake_is_an_error(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"id":"x","type":"y"}\n{"id"')
    with pytest.raises(event_files.Unreadable, match="a.jsonl:2"):
        event_files.read_lake(tmp_path)


def test_unfinished_lake_files_are_not_read(tmp_path):
    (tmp_path / "_tmp").mkdir()
    (tmp_path / "_tmp" / "a.jsonl").write_text('{"id"')
    (tmp_path / ".b.jsonl").write_text('{"id"')
    assert event_files.read_lake(tmp_path) == []


def test_the_summary_says_what_is_lost(world):
    for events in world.both():
        del events[10]
    problems = world.problems()
    text = "\n".join(summary.summary([read_side(world.path)], world.stream, world.lake, problems, 0))
    assert "DIFFERENT" in text
    row = next(row for row in text.splitlines() if row.startswith("  living-room ") and row.rstrip()[-1].isdigit())
    assert int(row.split()[-1]) >= 1
