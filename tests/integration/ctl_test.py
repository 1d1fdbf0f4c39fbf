"""tributaryctl: stream files written here byte by byte, as docs/stream.md has them; configurations; and no gateway."""
import json
import os
import pty
import struct
import subprocess
import time

import pytest

from gateway import BIN

CTL = BIN / "tributaryctl"

OK, BAD, USAGE, UNREACHABLE, FAILED = range(5)


def crc32c(data):
    """Bit by bit, from the polynomial: shares nothing with ours."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def event(number, device="player-1", type_="playback.ping", **more):
    return {"id": f"{device}/00000000000000ab/{number}", "type": type_, "device": device, "stream": "00000000000000ab",
            "seq": number, "boot": 1, "ord": number, "time": f"2026-03-01T12:00:{number % 60:02}.000Z",
            "time_quality": "synced", "time_uncertainty_ms": 5, "received": "2026-03-01T12:01:00.000Z",
            "gateway": "0123456789abcdef", **more}


def record(number, payload):
    data = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode()
    rest = struct.pack("<IQQQII", len(data), number, 0xFEED, number, 0, 1) + data
    return struct.pack("<I", crc32c(rest)) + rest


def write_stream(data, events, per_file=1000):
    folder = data / "stream"
    folder.mkdir(exist_ok=True)
    for first in range(0, len(events), per_file):
        part = events[first:first + per_file]
        (folder / f"{first:020}.log").write_bytes(b"".join(record(first + i, e) for i, e in enumerate(part)))
    return folder


def ctl(*arguments, **options):
    environment = {k: v for k, v in os.environ.items() if k != "TRIBUTARY_DATA"} | options.pop("env", {})
    return subprocess.run([str(CTL), *map(str, arguments)], capture_output=True, text=True, timeout=30, env=environment,
                          check=False, **options)


@pytest.fixture(name="data")
def make_data(tmp_path):
    events = [event(i, device=f"player-{i % 3}", type_="favourite.add" if i % 10 == 0 else "playback.ping")
              for i in range(250)]
    write_stream(tmp_path, events, per_file=100)
    return tmp_path


def lines(result, code=OK):
    assert result.returncode == code, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_cat_gives_every_event_once_in_order(data):
    assert [e["seq"] for e in lines(ctl("stream", "cat", "--data", data))] == list(range(250))


def test_cat_selects(data):
    assert [e["seq"] for e in lines(ctl("--data", data, "stream", "cat", "--from", 98, "--limit", 4))] == [98, 99, 100, 101]
    chosen = lines(ctl("stream", "cat", "--type", "favourite.add", "--device", "player-0", "--data", data))
    assert [e["seq"] for e in chosen] == [i for i in range(0, 250, 10) if i % 3 == 0]
    assert lines(ctl("stream", "cat", "--device", "player", "--data", data)) == []
    numbered = lines(ctl("stream", "cat", "--from", 249, "--numbers", "--data", data))
    assert numbered[0]["number"] == 249 and numbered[0]["type"] == "playback.ping"
    assert len(lines(ctl("stream", "cat", "--limit", 1, env={"TRIBUTARY_DATA": str(data)}))) == 1


def test_tail_gives_the_last_events(data):
    assert [e["seq"] for e in lines(ctl("stream", "tail", "--data", data))] == list(range(240, 250))
    assert [e["seq"] for e in lines(ctl("stream", "tail", "-n", 3, "--data", data))] == [247, 248, 249]
    assert [e["seq"] for e in lines(ctl("stream", "tail", "-n", 3, "--type", "favourite.add", "--data", data))] == [220, 230, 240]
    assert len(lines(ctl("stream", "tail", "-n", 1000, "--data", data))) == 250
    assert lines(ctl("stream", "tail", "-n", 0, "--data", data)) == []


def test_tail_follows_what_is_appended(data):
    follower = subprocess.Popen([str(CTL), "stream", "tail", "-f", "-n", "1", "--data", str(data)],
                                stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(follower.stdout.readline())["seq"] == 249
        with open(data / "stream" / f"{200:020}.log", "ab") as file:
            whole = record(250, event(250))
            file.write(whole[:50])  # as a writer in the middle of its work
            file.flush()
            time.sleep(0.5)
            file.write(whole[50:])
        assert json.loads(follower.stdout.readline())["seq"] == 250
        (data / "stream" / f"{251:020}.log").write_bytes(record(251, event(251)))
        assert json.loads(follower.stdout.readline())["seq"] == 251
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()


def test_output_stops_when_nobody_reads_it(data):
    result = subprocess.run(f"'{CTL}' stream cat --data '{data}' | head -n 1", shell=True, capture_output=True, text=True,
                            timeout=30, check=True)
    assert json.loads(result.stdout)["seq"] == 0
    assert result.stderr == ""


def test_damage_costs_its_events_and_is_told(data):
    path = data / "stream" / f"{100:020}.log"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)
    result = ctl("stream", "cat", "--data", data)
    got = {e["seq"] for e in lines(result, BAD)}
    assert len(got) == 249 and set(range(100)) | set(range(200, 250)) <= got
    assert "1 damaged place in the stream stepped over" in result.stderr


def test_stats_add_up(data):
    stats = json.loads(ctl("--json", "stream", "stats", "--data", data).stdout)
    assert stats["events"] == 250 and stats["devices"] == 3 and stats["files"] == 3
    assert stats["types"] == {"playback.ping": 225, "favourite.add": 25}
    assert (stats["first_time"], stats["last_time"]) == ("2026-03-01T12:00:00.000Z", "2026-03-01T12:00:59.000Z")
    assert stats["file_bytes"] == sum(p.stat().st_size for p in (data / "stream").iterdir())
    text = ctl("stream", "stats", "--data", data).stdout
    assert "events     250 in 3 files" in text
    assert "playback.ping                           225   90.0%" in text


def in_terminal(*arguments):
    master, slave = pty.openpty()
    process = subprocess.Popen([str(CTL), *map(str, arguments)], stdout=slave, stderr=slave)
    os.close(slave)
    output = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        output += part
    os.close(master)
    return process.wait(timeout=30), output.decode()


def test_nothing_from_a_device_controls_the_terminal(tmp_path):
    """An escape sequence in a text must not reach a terminal, whether as a byte or escaped in the JSON."""
    evil = json.dumps(event(0, content="MOVIE"), separators=(",", ":")).encode().replace(b"MOVIE", b"a\x1b]0;owned\x07b")
    folder = tmp_path / "stream"
    folder.mkdir()
    (folder / f"{0:020}.log").write_bytes(record(0, evil))
    code, output = in_terminal("stream", "tail", "--data", tmp_path)
    assert code == OK
    assert "\x1b]0" not in output and "\x07" not in output
    assert "player-1" in output and "a?]0;owned?b" in output


def test_an_empty_or_wrong_folder_is_told(tmp_path):
    result = ctl("stream", "cat", "--data", tmp_path)
    assert result.returncode == FAILED and "there is no stream here yet" in result.stderr
    result = ctl("stream", "cat", "--data", tmp_path / "nothing")
    assert result.returncode == FAILED and "is this the gateway's data.folder?" in result.stderr
    result = ctl("stream", "cat")
    assert result.returncode == USAGE and "--data DIR" in result.stderr
    (tmp_path / "stream").mkdir()
    assert lines(ctl("stream", "cat", "--data", tmp_path)) == []
    assert lines(ctl("stream", "tail", "--data", tmp_path)) == []
    assert ctl("stream", "stats", "--data", tmp_path).returncode == OK


@pytest.mark.parametrize("arguments, word", [
    ((), "Commands:"), (("fly",), "there is no command `fly`"), (("--fly", "status"), "there is no option `--fly`"),
    (("stream",), "stream takes one of"), (("stream", "fly"), "stream takes one of"),
    (("stream", "cat", "--from", "x"), "--from needs a whole number"), (("stream", "cat", "--type"), "--type needs a value"),
    (("stream", "cat", "--fly"), "does not know --fly"), (("--data",), "--data needs a value"),
    (("reference",), "takes one topic"), (("journal",), "journal inspect"), (("check-config",), "takes one file"),
    (("status",), "which gateway?"),
])
def test_wrong_usage_is_told(arguments, word):
    result = ctl(*arguments)
    assert result.returncode == USAGE
    assert word in result.stdout + result.stderr


def test_help_covers_every_command():
    text = ctl("--help")
    assert text.returncode == OK
    for command in ("status", "stream", "journal", "check-config", "reference"):
        assert f"  {command} " in text.stdout
        for form in ((command, "--help"), ("help", command)):
            result = ctl(*form)
            assert result.returncode == OK and result.stdout.startswith(f"tributaryctl [OPTIONS] {command} ")
    assert ctl("--version").stdout.startswith("tributaryctl 0.")


def test_no_gateway_is_told(tmp_path):
    result = ctl("status", "--data", tmp_path)
    assert result.returncode == UNREACHABLE
    assert f"no gateway listens at {tmp_path}/run/admin.sock" in result.stderr
    assert result.stdout == ""


def test_journal_inspect_opens_nothing_that_is_no_journal(tmp_path):
    result = ctl("journal", "inspect", "--data", tmp_path)
    assert result.returncode == FAILED and "there is no journal" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_check_config(tmp_path):
    good = tmp_path / "good.yaml"
    for name in ("gw.crt", "gw.key", "ca.crt"):
        (tmp_path / name).write_text("x")
    good.write_text("listen: {certificate: gw.crt, key: gw.key}\nauth: {client_ca: ca.crt}\ndata: {folder: d}\n")
    result = ctl("check-config", good)
    assert result.returncode == OK, result.stdout
    assert f"certificate: {tmp_path}/gw.crt" in result.stdout
    assert "Memory, at worst:" in result.stdout and "events a second" in result.stdout
    (tmp_path / "gw.key").unlink()
    result = ctl("check-config", good)
    assert result.returncode == BAD and f"`listen.key`: {tmp_path}/gw.key cannot be read" in result.stdout
    bad = tmp_path / "bad.yaml"
    bad.write_text("listen: {prot: 1}\n")
    result = ctl("check-config", bad)
    assert result.returncode == BAD and result.stdout == ""
    assert f"{bad}:1: unknown key `listen.prot`: did you mean `listen.port`?" in result.stderr
    assert "`data.folder` is missing" in result.stderr
    result = ctl("status", "--config", good)
    assert result.returncode == UNREACHABLE and f"no gateway listens at {tmp_path}/d/run/admin.sock" in result.stderr
