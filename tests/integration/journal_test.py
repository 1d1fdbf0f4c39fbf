"""tributaryctl journal and damage, on the real gateway: reported, stepped over, salvaged; backups that serve again."""

import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from gateway import BIN
from load_test import arguments, broken, check, load, stream_file, wait_for_stream

OK, BAD, USAGE, UNREACHABLE, FAILED = range(5)
KEEP = {"data": {"segment_size": "1MiB"}, "journal": {"retention_size": "1GiB"}}
NO_SINKS = {**KEEP, "stream": {"enabled": False}, "lake": {"enabled": False}}


def ctl(gateway, *words, data=None):
    return subprocess.run([str(BIN / "tributaryctl"), "--data", str(data or gateway.data), "journal", *map(str, words)],
                          capture_output=True, text=True, timeout=60, check=False)


def summary(done, code=OK):
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


def segments(gateway):
    return sorted(path for path in (gateway.data / "segments").iterdir() if path.is_dir())


def flip_in_block(segment):
    """One bit within the entries of a block that has pages of its own: of small ones LMDB leaves old copies behind."""
    path = segment / "data.mdb"
    data = bytearray(path.read_bytes())
    at = data.index(b"TJB1")
    while int.from_bytes(data[at + 8:at + 12], "little") < 8192:
        at = data.index(b"TJB1", at + 1)
    data[at + 100] ^= 1
    path.write_bytes(data)


DEVICES, EVENTS = 20, 5000


def filled(make_gateway, tmp_path):
    """A stopped gateway whose journal has several segments, and what it acked."""
    gateway = make_gateway(NO_SINKS).start()
    load(gateway, "--devices", DEVICES, "--events", EVENTS, "--batch", 20, "--obligations", tmp_path / "acked")
    assert gateway.stop() == 0
    assert len(segments(gateway)) >= 3
    return gateway


def with_stream(gateway):
    gateway.settings["stream"] = {"enabled": True}
    return gateway.start()


def wait_for(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def caught_up(gateway):
    wait_for(lambda: gateway.metric("tributary_stream_offset") >= gateway.metric("tributary_journal_end_offset"),
             "the stream did not catch up")


def missing_of(gateway, tmp_path):
    status, found = check(tmp_path / "acked", stream_file(gateway, tmp_path / "stream"))
    return status, found


def test_a_flipped_bit_is_stepped_over_and_salvaged(make_gateway, tmp_path):
    gateway = filled(make_gateway, tmp_path)
    flip_in_block(segments(gateway)[1])
    found = summary(ctl(gateway, "verify", "--json"), BAD)
    assert found["bad"] == 1 and found["lost"] > 0
    assert "damaged: its digest does not match" in ctl(gateway, "verify").stdout
    with_stream(gateway)
    caught_up(gateway)
    wait_for(lambda: gateway.metric("tributary_journal_damaged_segments") == 1, "no alarm", 5)
    assert gateway.log_lines("journal.segment_damaged")
    status, before = missing_of(gateway, tmp_path)
    assert status != 0 and before["missing"] > 0
    load(gateway, "--devices", 2, "--events", 50)  # and it takes events as ever
    assert gateway.stop() == 0
    salvaged = summary(ctl(gateway, "salvage", "--json"))
    assert salvaged["segments"] == 1 and 0 < salvaged["entries"] < found["lost"]
    gateway.start()
    caught_up(gateway)
    _, after = missing_of(gateway, tmp_path)
    assert after["missing"] < before["missing"] / 4  # what the one block held
    assert gateway.stop() == 0
    assert summary(ctl(gateway, "salvage", "--json"))["segments"] == 0


def test_truncated_and_missing_segments_are_no_restart_loop(make_gateway, tmp_path):
    gateway = filled(make_gateway, tmp_path)
    first, second = segments(gateway)[:2]
    with open(first / "data.mdb", "r+b") as file:
        file.truncate(300000)
    shutil.rmtree(second)
    found = summary(ctl(gateway, "verify", "--json"), BAD)
    assert [line["found"] for line in found["report"] if not line["sound"]] == [
        "damaged: its digest does not match", "missing"]
    for _ in range(3):
        with_stream(gateway)
        caught_up(gateway)
        assert gateway.stop() == 0
    assert len(gateway.log_lines("journal.segment_damaged")) == 2  # told once each, not at each start
    shown = ctl(gateway, "inspect")
    assert shown.returncode == BAD and "damaged" in shown.stderr
    salvaged = summary(ctl(gateway, "salvage", "--json"))
    assert salvaged["entries"] > 0  # of the truncated one; nothing can be had of the other
    gateway.start()
    caught_up(gateway)


def test_a_lost_meta_is_made_anew(make_gateway, tmp_path):
    gateway = filled(make_gateway, tmp_path)
    shutil.rmtree(gateway.data / "meta")
    code, said = gateway.run_to_failure()
    assert code != 0 and "lost its meta folder" in said
    verified = ctl(gateway, "verify")
    assert verified.returncode == BAD and "journal salvage" in verified.stderr
    done = ctl(gateway, "salvage")
    assert done.returncode == OK and "meta" in done.stdout, done.stderr
    with_stream(gateway)
    caught_up(gateway)
    status, found = missing_of(gateway, tmp_path)
    assert (status, found["missing"], found["promised"]) == (0, 0, DEVICES * EVENTS), found
    report = load(gateway, "--devices", 4, "--events", 20)
    assert report["complete"] and not broken(report)


def test_a_backup_restored_serves_again(make_gateway, tmp_path):
    gateway = make_gateway(KEEP).start()
    load(gateway, "--devices", 4, "--events", 500, "--obligations", tmp_path / "acked")
    wait_for_stream(gateway, 2000)
    caught_up(gateway)
    assert gateway.stop() == 0
    backup = tmp_path / "backup"
    made = summary(ctl(gateway, "backup", backup, "--json"))
    assert made["bad"] == 0 and made["segments"] > 0
    assert summary(ctl(gateway, "verify", "--json", data=backup))["entries"] == made["entries"]
    refused = ctl(gateway, "restore", backup)
    assert refused.returncode == FAILED and "move its folders meta and segments away" in refused.stderr
    (gateway.data / "meta").rename(tmp_path / "old-meta")
    (gateway.data / "segments").rename(tmp_path / "old-segments")
    restored = summary(ctl(gateway, "restore", backup, "--json"))
    assert restored["bad"] == 0 and restored["end"] == made["end"] and restored["epoch"] != made["epoch"]
    gateway.start()
    report = load(gateway, "--devices", 4, "--events", 100)
    assert report["complete"] and not broken(report)
    caught_up(gateway)  # the stream goes on where it was, over the change of epochs
    events = [event["id"] for event in gateway.stream_events()]
    assert len(events) == len(set(events)) == 2400
    assert missing_of(gateway, tmp_path)[0] == 0


def schema(gateway, *words):
    return subprocess.run([str(BIN / "tributaryctl"), "--config", str(gateway.write_config()), "schema", *map(str, words)],
                          capture_output=True, text=True, timeout=30, check=False)


def promises(path):
    return path.read_text().count("\n") if path.exists() else 0


def test_a_backup_under_load_holds_all_that_was_acked_before_it(make_gateway, tmp_path):
    """Of a gateway at work, onto another file system; restored beside a fresh gateway, with the schemas."""
    gateway = make_gateway(NO_SINKS).start()
    order = tmp_path / "order.json"
    order.write_text(json.dumps({"type": "object", "properties": {"count": {"type": "integer"}}}))
    assert schema(gateway, "register", "orders", order).returncode == OK
    acked, before, elsewhere = tmp_path / "acked", tmp_path / "before", Path(tempfile.mkdtemp(dir="/dev/shm"))
    sending = subprocess.Popen(arguments(gateway, "--devices", 10, "--events", 100000, "--batch", 20, "--rate", 20000,
                                         "--obligations", acked), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: promises(acked) >= 200, "nothing is acked")
        whole = acked.read_text()
        before.write_text(whole[:whole.rindex("\n") + 1])
        made = summary(ctl(gateway, "backup", elsewhere / "backup", "--json"))
        at_work = promises(acked)
        wait_for(lambda: promises(acked) > at_work, "it does not go on")
        assert sending.poll() is None and made["bad"] == 0 and made["schemas"] == 1
        assert not (gateway.data / "backup.ready").exists()
        sending.kill()
        gateway.kill()
        fresh = make_gateway(NO_SINKS)
        fresh.data.mkdir()
        restored = summary(ctl(fresh, "restore", elsewhere / "backup", "--json"))
    finally:
        sending.kill()
        sending.wait()
        shutil.rmtree(elsewhere)
    assert (restored["bad"], restored["entries"], restored["schemas"]) == (0, made["entries"], 1)
    assert summary(ctl(fresh, "verify", "--json"))["bad"] == 0
    exported = ctl(fresh, "export")
    assert exported.returncode == OK, exported.stderr
    (tmp_path / "exported").write_text(exported.stdout)
    status, found = check(before, tmp_path / "exported")
    assert status == 0 and found["promised"] >= 200 and found["missing"] == found["duplicates"] == 0, found
    fresh.start()
    catalog = subprocess.run([str(BIN / "tributaryctl"), "--data", str(fresh.data), "catalog", "--json"],
                             capture_output=True, text=True, timeout=30, check=True)
    assert [row["id"] for row in json.loads(catalog.stdout) if row["name"] == "orders"] == [1]
    report = load(fresh, "--devices", 2, "--events", 50)
    assert report["complete"] and not broken(report)


def test_a_sink_ahead_of_a_restored_journal_stops_and_says_so(make_gateway, tmp_path):
    gateway = make_gateway(KEEP).start()
    load(gateway, "--devices", 2, "--events", 100)
    caught_up(gateway)
    gateway.stop()
    backup = tmp_path / "backup"
    summary(ctl(gateway, "backup", backup, "--json"))
    gateway.start()
    load(gateway, "--devices", 2, "--events", 100)
    caught_up(gateway)
    gateway.stop()
    shutil.rmtree(gateway.data / "meta")
    shutil.rmtree(gateway.data / "segments")
    summary(ctl(gateway, "restore", backup, "--json"))
    gateway.start()
    wait_for(lambda: "is ahead of the journal" in gateway.log(), "it did not say so", 10)


def test_export_gives_what_the_stream_got(make_gateway):
    gateway = make_gateway(KEEP).start()
    load(gateway, "--devices", 3, "--events", 200, "--users", 2)
    caught_up(gateway)
    gateway.stop()
    done = ctl(gateway, "export")
    assert done.returncode == OK, done.stderr
    exported = [json.loads(line) for line in done.stdout.splitlines()]
    offsets = [event.pop("offset") for event in exported]
    assert exported == gateway.stream_events() and offsets == sorted(offsets)
    some = ctl(gateway, "export", "--from", offsets[-1], "--limit", 1).stdout.splitlines()
    assert [json.loads(line)["id"] for line in some] == [e["id"] for e, o in zip(exported, offsets) if o == offsets[-1]]


def test_each_refusal_says_what_to_do(make_gateway, tmp_path):
    gateway = make_gateway(KEEP).start()
    load(gateway, "--devices", 1, "--events", 10)
    assert "lies in the data folder" in ctl(gateway, "backup", gateway.data / "inside").stderr
    for words in (["verify"], ["salvage"], ["export"]):
        done = ctl(gateway, *words)
        assert done.returncode in (FAILED, UNREACHABLE) and str(gateway.process.pid) in done.stderr + done.stdout \
            or "gateway has this journal open" in done.stderr, (words, done)
    gateway.stop()
    (tmp_path / "there").mkdir()
    for words, code, text in ((["backup", tmp_path / "there"], FAILED, "is there already"),
                              (["backup", gateway.data / "inside"], FAILED, "lies in the data folder"),
                              (["backup", tmp_path / "nowhere" / "backup"], FAILED, "must be there"),
                              (["backup"], USAGE, "journal backup FOLDER"),
                              (["restore", tmp_path / "there"], FAILED, "not a whole backup"),
                              (["polish"], USAGE, "inspect|verify")):
        done = ctl(gateway, *words)
        assert done.returncode == code and text in done.stderr, (words, done)
    assert "nothing to upgrade" in ctl(gateway, "upgrade").stdout
    (gateway.data / "FORMAT").write_text("tributary-journal\nread 9\nwrite 9\n")
    done = ctl(gateway, "upgrade")
    assert done.returncode == FAILED and "format 9" in done.stderr
    for word in ("verify", "salvage", "upgrade", "export"):
        assert "there is no journal" in ctl(gateway, word, data=tmp_path / "there").stderr


def test_a_least_interval_between_commits_spares_the_disk(make_gateway):
    gateway = make_gateway({"journal": {"min_commit_interval": "50ms"}}).start()
    begin = time.monotonic()
    report = load(gateway, "--devices", 10, "--events", 200, "--rate", 1000, "--batch", 1)
    seconds = time.monotonic() - begin
    assert report["complete"] and report["events_acked"] == 2000
    assert gateway.metric("tributary_commits_total") <= seconds * 20 + 2
    assert report["ack_latency_ms"]["max"] < 2000


def test_a_segment_is_written_over_the_file_of_one_that_went(make_gateway, tmp_path):
    gateway = make_gateway({"data": {"segment_size": "1MiB"}}).start()
    spare = gateway.data / "segments" / "spare.mdb"
    more = ("--devices", 4, "--batch", 50, "--obligations", tmp_path / "acked")
    load(gateway, *more, "--events", 20000)
    assert gateway.stop() == 0
    gateway.start()
    wait_for(lambda: spare.exists() and not segments(gateway), "what the stream has was not let go")
    file = spare.stat().st_ino
    report = load(gateway, *more, "--events", 20100)
    assert report["complete"] and broken(report) == {}
    assert file in [(segment / "data.mdb").stat().st_ino for segment in segments(gateway)]
    wait_for_stream(gateway, 4 * 20100)
    status, found = missing_of(gateway, tmp_path)
    assert status == 0, found
    assert gateway.stop() == 0
    gateway.settings["journal"] = {"recycle": False}
    gateway.start()
    assert not spare.exists()


def test_full_segments_get_their_digests_between_commits(make_gateway):
    gateway = make_gateway(NO_SINKS).start()
    load(gateway, "--devices", DEVICES, "--events", EVENTS, "--batch", 20)
    before = None
    while before != segments(gateway):  # the newest commit was not the one that filled a segment
        before = segments(gateway)
        load(gateway, "--devices", 1, "--events", 20, "--batch", 20)
    gateway.kill()
    found = [line["found"] for line in summary(ctl(gateway, "verify", "--json"))["report"]]
    assert len(found) >= 3
    assert found == ["sound"] * (len(found) - 1) + ["sound, not sealed: the last stop was not a clean one"]


def bench(*words):
    done = subprocess.run([str(BIN / "bench-journal"), *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_restart_with_a_backlog_is_quick_and_small(make_gateway):
    """A sample of what `tools/prove journal-backlog` shows with 10 GB."""
    gateway = make_gateway({"data": {"segment_size": "256MiB"}, "lake": {"enabled": False}})
    gateway.data.mkdir()
    bench("fill", gateway.data, 300_000_000)
    for end in (gateway.kill, gateway.stop):
        begin = time.monotonic()
        gateway.start()
        assert '"ready"' in gateway.http("/readyz")
        assert time.monotonic() - begin < 1
        wait_for(lambda: gateway.metric("tributary_stream_offset") > 0, "nothing is drained", 10)
        peak = next(line for line in open(f"/proc/{gateway.process.pid}/status", encoding="ascii") if "VmHWM" in line)
        assert int(peak.split()[1]) * 1024 < 200_000_000
        end()


def test_cycles_give_disk_and_memory_back(tmp_path):
    """A sample of what `tools/prove journal-cycles` shows with 2 GB: drained at memory's speed, and none of it is kept."""
    for cycle in bench("cycles", tmp_path, 300_000_000, 2):
        assert cycle["read_bytes"] == cycle["stored_bytes"] >= 300_000_000
        assert cycle["disk_full_bytes"] > 500_000_000 and cycle["disk_drained_bytes"] <= (256 + 32) << 20
        assert cycle["rss_peak_kib"] < 100 << 10
