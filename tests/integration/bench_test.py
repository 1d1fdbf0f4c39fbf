"""The benches of tests/bench at small sizes: they run, they measure something, and a limit that is missed fails them."""

import json
import os
import subprocess
import sys

import pytest
from gateway import BIN, ROOT

pytestmark = pytest.mark.slow


def bench(tmp_path, name, *arguments):
    """(exit status, its JSON)"""
    path = tmp_path / f"{name}.json"
    done = subprocess.run([sys.executable, str(ROOT / f"tests/bench/{name}.py"), "--json", str(path), *arguments], capture_output=True,
                          text=True, timeout=100, check=False, env=dict(os.environ, TRIBUTARY_BIN=str(BIN)))
    assert done.returncode in (0, 1), done.stdout + done.stderr
    result = json.loads(path.read_text())
    assert result["held"] == (done.returncode == 0)
    return done.returncode, result


def test_memory_of_connections_is_measured_and_limited(tmp_path):
    arguments = ["--only", "memory", "--sizes", "200", "--events", "20"]
    status, result = bench(tmp_path, "connections", *arguments, "--memory-limit", "100")
    row = result["memory"][0]
    assert status == 0 and row["connections"] == 200
    assert 5 < row["floor"]["own_kb"] < 60, "OpenSSL takes some 20 KB a connection"
    assert row["gateway"]["own_kb"] > 5
    status, _ = bench(tmp_path, "connections", *arguments, "--memory-limit", "0.1")
    assert status == 1


def test_what_idle_connections_cost_an_active_one_is_measured_and_limited(tmp_path):
    arguments = ["--only", "idle", "--idle", "50", "--pairs", "1", "--seconds", "1"]
    status, result = bench(tmp_path, "connections", *arguments, "--loss-limit", "1")
    assert status == 0 and result["idle"]["connections"] == 50
    assert all(pair[name]["events_per_s"] > 1000 for pair in result["idle"]["pairs"] for name in ("alone", "among"))
    status, _ = bench(tmp_path, "connections", *arguments, "--loss-limit", "-100")
    assert status == 1


@pytest.mark.peers
def test_peers_get_the_same_workload_and_their_syncs_are_counted(tmp_path):
    _, result = bench(tmp_path, "peers", "--batches", "10", "--seconds", "1", "--strace-seconds", "1", "--only", "tributaryd,rsyslog")
    if result["missing"]:
        pytest.skip(str(result["missing"]))
    rows = {(row["name"].split()[0], row["synced"]): row for row in result["rows"]}
    assert all(row["messages_per_s"] > 1 and row["cpu_us"] > 0 for row in rows.values())
    assert rows["tributaryd", True]["syncs"] and rows["rsyslog", True]["syncs"], "strace sees who syncs"
    assert rows["rsyslog", False]["syncs_a_message"] < 0.01, "and who does not"


def test_the_verdict_over_peers_can_be_against_us(capsys):
    sys.path.insert(0, str(ROOT / "tests/bench"))
    import peers

    ours = {"name": "tributaryd", "synced": True, "batch": 10, "cpu_us": 1.0, "syncs": {"fdatasync": 5}, "o_sync": False}
    assert peers.report({"rows": [ours, {**ours, "name": "peer", "cpu_us": 2.0}]})
    assert not peers.report({"rows": [ours, {**ours, "name": "peer", "cpu_us": 0.5}]})
    assert peers.report({"rows": [ours, {**ours, "name": "peer", "cpu_us": 0.5, "synced": False}]})
    assert not peers.report({"rows": [{**ours, "syncs": {}}]}), "a claim to sync that strace does not see"
    assert "takes less CPU" in capsys.readouterr().out
