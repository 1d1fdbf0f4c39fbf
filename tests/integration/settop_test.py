"""The real player against the real gateway: what libmpv reported is what arrives, whatever happens to the gateway."""

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from settop_rig import BIN, Rig, make_movies

from accounts import compare
from accounts.events import of_device
from accounts.side import read_side

FILM = "short film"

SCRIPT = """
0   play "{0}" content=movie-1 user=alice@example.org
1   favourite add movie-1 list=evening
2   pause
2.5 play
3   seek 6.5
4   rate 1.5
4.5 mute on
5   next "{1}" content="{film}" user=alice@example.org
8   favourite remove movie-1 list=evening
9   quit
"""


@pytest.fixture(name="movies", scope="module")
def movies_for_all(tmp_path_factory):
    return make_movies(tmp_path_factory.mktemp("media"), "10:h264", "6:mpeg4")


@pytest.fixture(name="rig")
def make_rig(tmp_path):
    with Rig(tmp_path, ["living-room"]) as rig:
        yield rig


def script_of(movies):
    return SCRIPT.format(*movies, film=FILM)


def settop(*arguments):
    return subprocess.run([BIN / "settop", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.slow
def test_events_match_the_side_file(rig, movies):
    rig.start_gateway()
    player = rig.play("living-room", script_of(movies))
    assert player.wait(60) == 0, rig.log("living-room")
    rig.wait_arrived()
    assert rig.differences() == []
    stream, _ = rig.read_back()
    ends = [event for event in stream if event["type"] == "session.end"]
    assert [event["content"] for event in ends] == ["movie-1", FILM]
    assert "alice" not in json.dumps(stream)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sigkill_of_the_gateway_loses_and_doubles_nothing(rig, movies, seed):
    chance = random.Random(seed)
    rig.start_gateway()
    player = rig.play("living-room", script_of(movies))
    time.sleep(chance.uniform(0.5, 6))
    rig.gateway.kill()
    time.sleep(chance.uniform(0.2, 3))
    rig.start_gateway()
    assert player.wait(90) == 0, rig.log("living-room")
    rig.wait_arrived()
    assert rig.differences() == []


@pytest.mark.slow
def test_a_player_without_a_gateway_keeps_its_events_for_the_next_run(rig, movies):
    rig.start_gateway()
    rig.gateway.kill()
    player = rig.play("living-room", script_of(movies), stay=0)
    assert player.wait(60) == 3, rig.log("living-room")
    recorded = read_side(rig.side("living-room")).stats["recorded"]
    rig.start_gateway()
    assert rig.settop("living-room", "--drain-only", "--stay", 20).wait(60) == 0, rig.log("living-room")
    rig.wait_arrived()
    stream, lake = rig.read_back()
    assert recorded > 10
    assert len([event for event in stream if event["type"] != "stream.start"]) == recorded
    assert sorted(event["id"] for event in stream) == sorted(event["id"] for event in lake)
    assert rig.differences() == []


def matches(expected, event):
    kind, fields = expected
    return event["type"] == kind and all(event.get(name) == value for name, value in fields.items())


def is_subsequence(part, whole, equal):
    """Whether all of part is in whole, in its order."""
    rest = iter(whole)
    return all(any(equal(item, other) for other in rest) for item in part)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_sigkill_of_the_player_loses_only_what_was_not_yet_durable(rig, movies, seed):
    """Vital events are durable at the next poll, routine ones within a second; the next run sends what is left."""
    rig.start_gateway()
    rig.gateway.kill()
    player = rig.play("living-room", script_of(movies))
    time.sleep(random.Random(seed).uniform(4, 8))
    player.kill()
    player.wait(10)
    first = read_side(rig.side("living-room"))
    killed_ms = first.lines[-1]["t"]
    all_of_it = compare.expected_events(first.calls)
    surely = compare.expected_events([call for call in first.calls if call["t"] < killed_ms - 1500])
    rig.side("living-room").rename(rig.folder / "first.side.jsonl")
    rig.start_gateway()
    assert rig.play("living-room", script_of(movies)).wait(60) == 0, rig.log("living-room")
    rig.wait_arrived()
    stream, lake = rig.read_back()
    assert compare.compare_copies(stream, lake) == []
    assert compare.compare_identities("stream", "living-room", stream) == []
    boot = min(event["boot"] for event in stream)
    before = [event for event in of_device(stream, "living-room")
              if event["boot"] == boot and event["type"] not in compare.OF_THE_SDK]
    # What was open when the player died was ended by the next run, and by nothing else.
    made_up = [event for event in before if event.get("reason") == "power_loss"]
    before = [event for event in before if event not in made_up]
    kinds = [event["type"] for event in before]
    assert len(made_up) == kinds.count("session.start") - kinds.count("session.end")
    assert all(end["content"] == before[-1]["content"] for end in made_up)
    assert len(surely) >= 4
    assert is_subsequence(surely, before, matches), (surely, before)
    assert is_subsequence(before, all_of_it, lambda event, expected: matches(expected, event)), (before, all_of_it)
    again = [event for event in stream if event["boot"] != boot]
    assert compare.compare_calls("stream", read_side(rig.side("living-room")), of_device(again, "living-room")) == []


@pytest.mark.slow
def test_sigterm_ends_the_session_and_flushes(rig, movies):
    rig.start_gateway()
    player = rig.play("living-room", f'0 play "{movies[0]}" content=movie-1\n60 quit\n', stay=5)
    time.sleep(2)
    player.send_signal(signal.SIGTERM)
    assert player.wait(20) == 0, rig.log("living-room")
    rig.wait_arrived()
    stream, _ = rig.read_back()
    last = of_device(stream, "living-room")[-1]
    assert (last["type"], last["reason"]) == ("session.end", "quit")
    assert rig.differences() == []


@pytest.mark.slow
def test_a_rejected_event_is_told_and_holds_up_nothing(rig, movies):
    """The gateway knows no schema of this name: the event goes to quarantine, its lane goes on."""
    rig.start_gateway()
    player = rig.play("living-room", f'0 play "{movies[0]}" content=movie-1\n1 custom menu.opened item=settings\n'
                      "1.5 pause\n2 favourite add movie-1\n2.5 quit\n")
    assert player.wait(60) == 0, rig.log("living-room")
    rig.wait_arrived()
    side = read_side(rig.side("living-room"))
    assert side.stats["rejected"] == 1
    assert [line["code"] for line in side.lines if line["k"] == "rejected"] == [5]
    for events in rig.read_back():
        types = [event["type"] for event in of_device(events, "living-room")]
        assert "custom" not in types
        assert types[-3:] == ["pause", "favourite.add", "session.end"]


@pytest.mark.slow
def test_damaged_and_missing_files_are_reported_as_errors(rig, movies, tmp_path):
    data = bytearray(Path(movies[0]).read_bytes())
    chance = random.Random(7)
    for _ in range(300):
        data[chance.randrange(len(data) // 4, len(data))] ^= 0xFF
    (tmp_path / "damaged.mp4").write_bytes(data)
    (tmp_path / "garbage.mp4").write_bytes(chance.randbytes(50000))
    rig.start_gateway()
    player = rig.play("living-room", f"0 play {tmp_path}/missing.mp4 content=missing\n"
                              f"0.5 play {tmp_path}/garbage.mp4 content=garbage\n"
                              f"1 play {tmp_path}/damaged.mp4 content=damaged\n4 quit\n")
    assert player.wait(60) == 0, rig.log("living-room")
    rig.wait_arrived()
    assert rig.differences() == []
    events = of_device(rig.read_back()[0], "living-room")
    reasons = {event["content"]: event["reason"] for event in events if event["type"] == "session.end"}
    assert reasons == {"missing": "error", "garbage": "error", "damaged": "quit"}
    assert all(any(event["type"] == "error" and event["content"] == content for event in events) for content in reasons)


@pytest.mark.parametrize("script,complaint", [
    ("0 dance", "line 1: unknown action `dance`"),
    ("1 pause\n0.5 play", "line 2: time goes back"),
    ("soon pause", "line 1: expected SECONDS VERB"),
    ("0 play a.mp4", "line 1: `play FILE` needs content=ID"),
    ("0 seek", "line 1: `seek` needs one number"),
    ("0 rate 99", "line 1: `rate` needs one number from 0.1 to 16"),
    ('0 play "a.mp4 content=x', "line 1: a quote is open"),
    ("0 favourite like x", "line 1: `favourite` needs `add` or `remove`"),
    ("0 next a.mp4 content=x colour=red", "line 1: unknown option `colour`"),
    ("0 quit now", "line 1: `quit` stands alone"),
    ("0 mute maybe", "line 1: `mute` needs `on` or `off`"),
])
def test_a_wrong_script_is_named_by_its_line(tmp_path, script, complaint):
    path = tmp_path / "script"
    path.write_text(script)
    done = settop("--script", path, "--device", "d", "--ring-folder", tmp_path / "ring", "--ca", "x", "--token", "y",
                  "--port", 1)
    assert done.returncode == 1
    assert complaint in done.stderr


@pytest.mark.parametrize("arguments,complaint", [
    (["--device", "d"], "--device, --ring-folder, --ca and --port are needed"),
    (["--port", "70000"], "not a number in range: --port"),
    (["--bogus"], "unrecognized option"),
    (["--device", "d", "--ring-folder", "r", "--ca", "c", "--port", "1"], "either --cert and --key or --token"),
    (["--device", "d", "--ring-folder", "r", "--ca", "c", "--port", "1", "--cert", "x"], "--cert and --key go together"),
])
def test_wrong_usage_is_said(arguments, complaint):
    done = settop(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
