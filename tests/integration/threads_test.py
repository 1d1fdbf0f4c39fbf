"""Several ingest threads: what holds for one gateway holds over all of them, whichever thread the kernel chose."""

import json
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

import device as d
from device import Device, Refused
from gateway import BIN
from load_test import arguments, broken, load

THREADS = 4


@pytest.fixture
def four(make_gateway):
    return make_gateway({"listen": {"threads": THREADS}}).start()


def ingest_threads(gateway):
    """CPU time of each ingest thread, by its name."""
    times = {}
    for task in Path(f"/proc/{gateway.process.pid}/task").iterdir():
        name = (task / "comm").read_text().strip()
        if name.startswith("ingest-"):
            times[name] = int((task / "schedstat").read_text().split()[0])
    return times


def test_as_many_threads_as_configured_share_one_port(four):
    before = ingest_threads(four)
    assert sorted(before) == [f"ingest-{i}" for i in range(THREADS)]
    report = load(four, "--devices", 64, "--events", 400, "--batch", 20, "--users", 5)
    assert report["complete"] and report["events_acked"] == 25600 and not broken(report)
    after = ingest_threads(four)
    busy = [name for name in after if after[name] - before[name] > 2_000_000]  # handshakes alone take more than 2 ms
    assert len(busy) == THREADS, (before, after)
    assert four.metric("tributary_events_committed_total") == 25600
    assert four.metric("tributary_connects_total") == 64
    deadline = time.monotonic() + 10
    while four.metric("tributary_connections") > 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert four.metric("tributary_connections") == 0


def test_chaos_over_four_threads_loses_and_doubles_nothing(four, tmp_path):
    report = load(four, "--devices", 12, "--events", 2000, "--batch", 40, "--chaos", "--seed", 3, "--obligations",
                  tmp_path / "acked")
    assert report["complete"] and not broken(report), report
    assert report["reconnects"] > 5 and report["nacks"] == report["expected_nacks"]


def test_the_newer_connection_wins_on_whichever_thread(four):
    """24 connections in a row: the kernel spreads them, so most takeovers are from one thread by another."""
    device = Device(four, "dev-t", stream=77).online()
    for round_ in range(24):
        device.send_events(5)
        following = Device(four, "dev-t", stream=77)
        following.next_seq = device.next_seq
        following.online()
        device.expect_bye(d.BYE_REPLACED)
        device = following
        device.next_seq = device.acked + 1
    device.work(5)
    deadline = time.monotonic() + 20
    seqs = []
    while len(seqs) < device.acked and time.monotonic() < deadline:
        seqs = [int(event["seq"]) for event in four.stream_events() if event["device"] == "dev-t"]
        time.sleep(0.1)
    assert seqs == list(range(1, device.acked + 1))


def test_two_that_fight_for_one_device_leave_one_winner(four):
    """Both reconnect as fast as they can, from two clients at once."""
    problems = []

    def fight(name):
        for _ in range(15):
            try:
                one = Device(four, "dev-f", stream=5, token=four.pki.token("dev-f"))
                one.online()
                one.connection.close()
            except (d.Gone, AssertionError) as error:
                if "message 8" not in str(error) and not isinstance(error, d.Gone):
                    problems.append(f"{name}: {error}")

    fighters = [threading.Thread(target=fight, args=(name,)) for name in ("a", "b")]
    for one in fighters:
        one.start()
    for one in fighters:
        one.join()
    assert not problems
    last = Device(four, "dev-f", stream=5)
    last.online()
    last.next_seq = last.acked + 1
    last.work(3)


def test_the_limit_of_connections_is_of_all_threads(make_gateway):
    gateway = make_gateway({"listen": {"threads": THREADS}, "limits": {"connections": 6}}).start()
    devices = [Device(gateway, f"dev-{i}").online() for i in range(6)]
    for i in range(8):
        with pytest.raises(Refused) as refused:
            Device(gateway, f"late-{i}").connect()
        assert refused.value.status == 503
    for device in devices:
        device.work()


def test_silent_connections_over_four_threads_do_not_keep_devices_out(make_gateway):
    gateway = make_gateway({"listen": {"threads": THREADS}, "limits": {"connections": 3}}).start()
    silent = [socket.create_connection(("127.0.0.1", gateway.port), timeout=15) for _ in range(700)]
    began = time.monotonic()
    for i in range(12):  # whichever thread each falls to
        Device(gateway, f"dev-{i}").online().work().leave()
    assert time.monotonic() - began < 8
    for connection in silent:
        connection.close()


def test_the_memory_budget_is_of_all_threads(make_gateway, pki):
    gateway = make_gateway({"listen": {"threads": THREADS},
                            "limits": {"connections": 40, "memory": "1MiB", "credit_size": "128KiB"}}).start()
    devices = [Device(gateway, f"dev-{i}", token=pki.token(f"dev-{i}")).online() for i in range(40)]
    assert sum(device.credit[1] for device in devices) <= 1 << 20
    for device in devices:
        device.work(2)


def test_a_stop_drains_every_thread(four):
    devices = [Device(four, f"dev-{i}", token=four.pki.token(f"dev-{i}")).online() for i in range(24)]
    for device in devices:
        device.send_events(10)
    began = time.monotonic()
    stopper = threading.Thread(target=four.stop)
    stopper.start()
    for device in devices:
        device.expect_bye(d.BYE_DRAINING)
    stopper.join()
    assert four.process.returncode == 0, four.log()
    assert time.monotonic() - began < 5
    four.start()
    for device in devices:
        device.online()
        device.next_seq = device.acked + 1
        device.work(1)


def test_a_stop_under_load_keeps_what_was_acked(four, tmp_path):
    four.settings["listen"]["port"] = four.port
    run = subprocess.Popen(arguments(four, "--devices", 16, "--events", 5000, "--rate", 40000, "--batch", 50, "--obligations",
                                     tmp_path / "acked"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(2):
            time.sleep(0.5)
            four.restart()
        out, _ = run.communicate(timeout=60)
    finally:
        run.kill()
        run.wait()
    report = json.loads(out)
    assert report["complete"] and not broken(report), report
    assert report["reconnects"] > 0


def test_one_thread_is_enough(make_gateway):
    gateway = make_gateway({"listen": {"threads": 1}}).start()
    assert list(ingest_threads(gateway)) == ["ingest-0"]
    Device(gateway, "dev-1").online().work()


def test_unless_told_otherwise_there_is_a_thread_for_each_core(make_gateway):
    gateway = make_gateway(wrapper=["taskset", "-c", "0"]).start()
    assert list(ingest_threads(gateway)) == ["ingest-0"]
    done = subprocess.run([BIN / "tributaryd", "--check-config", "--config", gateway.write_config()],
                          capture_output=True, text=True, check=False)
    assert "threads: 0" in done.stdout
