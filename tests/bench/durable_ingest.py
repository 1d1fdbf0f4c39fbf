#!/usr/bin/env python3
"""Durable ingest: CPU per acknowledged event of tributaryd, against the floor measured in the same run.

The floor (tests/bench/floor) uses the same libwebsockets, OpenSSL and frames, one decode walk and one HMAC an event,
one put a batch, and as many batches a commit as tributaryd has just shown. Rounds alternate, and each ratio is of one
pair, so that a machine whose speed drifts does not mislead. Sinks are off in both; a last row shows tributaryd with
stream and lake on. CPU is the server process's own (all threads, user and system), from /proc/PID/task/*/schedstat.

  durable_ingest.py [--events 400000] [--batch 100] [--devices 8] [--window 4] [--rounds 5] [--json FILE]
"""
import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("TRIBUTARY_BIN", ROOT / "build/release/bin"))
LIMIT = 1.7


def cpu_seconds(pid):
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def wait_for(server, probe, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.process.poll() is None:
        value = probe()
        if value:
            return value
        time.sleep(0.02)
    said = (server.folder / "log").read_text()[-2000:]
    raise SystemExit(f"durable_ingest: the gateway did not come up within {seconds} s: {said}")


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def read_port(path):
    return path.exists() and path.read_text().strip()


class Gateway:
    """tributaryd on a fresh data folder."""

    def __init__(self, folder, ca, sinks, args):
        self.folder = folder
        config = folder / "tributaryd.yaml"
        config.write_text(
            f"""listen:
  port: 0
  certificate: {ca}/server.pem
  key: {ca}/server.key
auth:
  client_ca: ["{ca}/device-ca.pem"]
data:
  folder: {folder}/data
observe:
  http_port: 0
  log_level: warning
stream:
  enabled: {str(sinks).lower()}
lake:
  enabled: {str(sinks).lower()}
limits:
  credit_events: {args.batch * args.window * 2}
  credit_size: {max(65536, args.batch * args.window * 400)}
  connections: 100
""")
        (folder / "data").mkdir()
        self.log = open(folder / "log", "w")
        self.process = subprocess.Popen([BIN / "tributaryd", "--config", config], stderr=self.log, stdout=self.log)
        run = folder / "data/run"
        self.port = wait_for(self, lambda: read_port(run / "port"))
        self.http = wait_for(self, lambda: read_port(run / "http_port"))

    def metric(self, name):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=5).read().decode()
        for line in text.splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise SystemExit(f"durable_ingest: no metric {name}")


class Floor:
    def __init__(self, folder, ca, batches_per_commit):
        self.process = subprocess.Popen(
            [BIN / "ingest-floor", "--cert", f"{ca}/server.pem", "--key", f"{ca}/server.key", "--folder", folder / "floor",
             "--batches", str(batches_per_commit)], stdout=subprocess.PIPE, text=True)
        self.port = self.process.stdout.readline().split()[1]


def load(port, ca, args, events):
    """Runs tributary-load once and returns its JSON."""
    command = [BIN / "tributary-load", "--url", f"wss://127.0.0.1:{port}/v1", "--ca", f"{ca}/server-ca.pem",
               "--device-ca", f"{ca}/device-ca.pem", "--ca-key", f"{ca}/device-ca.key", "--quiet", "--devices", str(args.devices),
               "--events", str(events // args.devices), "--batch", str(args.batch), "--window", str(args.window),
               "--users", "1000000000", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise SystemExit(f"durable_ingest: tributary-load failed: {done.stderr}{done.stdout}")
    return json.loads(done.stdout)


def measure(server, ca, args):
    load(server.port, ca, args, args.events // 10)  # warm: handshakes done once, files created, caches filled
    before = cpu_seconds(server.process.pid)
    result = load(server.port, ca, args, args.events)
    return (cpu_seconds(server.process.pid) - before) / result["events_acked"] * 1e6, result


def gateway_round(folder, ca, args, sinks=False):
    folder.mkdir()
    gateway = Gateway(folder, ca, sinks, args)
    try:
        cost, result = measure(gateway, ca, args)
        per_commit = gateway.metric("tributary_batches_total") / gateway.metric("tributary_commits_total")
    finally:
        stop(gateway.process)
    return cost, per_commit, result


def floor_round(folder, ca, args, per_commit):
    folder.mkdir()
    floor = Floor(folder, ca, max(1, round(per_commit)))
    try:
        cost, _ = measure(floor, ca, args)
    finally:
        stop(floor.process)
        text = floor.process.stdout.read().strip().splitlines()
    shown = json.loads(text[-1]) if text else {}
    return cost, shown.get("batches", 0) / max(1, shown.get("commits", 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("events", 400000), ("batch", 100), ("devices", 8), ("window", 4), ("rounds", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    rows = []
    with tempfile.TemporaryDirectory(prefix="tributary-bench-", dir=ROOT / "build") as folder:
        folder = Path(folder)
        ca = folder / "ca"
        subprocess.run([ROOT / "tools/dev/dev-ca", "all", ca], check=True, stdout=subprocess.DEVNULL)
        print(f"{args.events} events in batches of {args.batch}, {args.devices} devices, window {args.window}; "
              "µs of server CPU an event")
        print(f"{'round':>5} {'tributaryd':>11} {'floor':>7} {'ratio':>6}  batches a commit (gateway, floor)")
        for i in range(args.rounds):
            gateway, per_commit, result = gateway_round(folder / f"g{i}", ca, args)
            floor, floor_per_commit = floor_round(folder / f"f{i}", ca, args, per_commit)
            rows.append({"gateway_us": gateway, "floor_us": floor, "ratio": gateway / floor,
                         "gateway_batches_per_commit": per_commit, "floor_batches_per_commit": floor_per_commit})
            print(f"{i + 1:>5} {gateway:>11.2f} {floor:>7.2f} {gateway / floor:>6.2f}  {per_commit:.1f}, {floor_per_commit:.1f}",
                  flush=True)
        with_sinks, _, _ = gateway_round(folder / "sinks", ca, args, sinks=True)
    median = statistics.median(row["ratio"] for row in rows)
    print(f"median ratio {median:.2f} (limit {LIMIT}); with stream and lake on: {with_sinks:.2f} µs an event")
    if args.json:
        args.json.write_text(json.dumps({"rows": rows, "median_ratio": median, "limit": LIMIT, "with_sinks_us": with_sinks,
                                         "events": args.events, "batch": args.batch}, indent=1) + "\n")
    return 0 if median <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
