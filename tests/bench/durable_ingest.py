#!/usr/bin/python3
"""Durable ingest: CPU per acknowledged event of tributaryd, against the floor measured in the same run.

Three tables, a PNG plot and JSON in build/bench:
  ratio     batches of 10, 50 and 500, an HMAC on every event without repeats: tributaryd / floor
  floor     the floor (tests/bench/floor) / the sum of its steps, each measured apart: TLS and frames, walk, HMAC, LMDB
  memoised  users that repeat: tributaryd with privacy.pseudonym_cache 0 / with its default

The floor commits as many batches at once as tributaryd has just shown. Rounds alternate and each ratio is of one pair, so
that a machine whose speed drifts does not mislead; what is reported is the median. Sinks are off. CPU is the server
process's own, of all its threads, user and system: /proc/PID/task/*/schedstat, which is getrusage's sum in nanoseconds.

  durable_ingest.py [--events 400000] [--batches 10,50,500] [--rounds 5] [--threads 0] [--users 20] [--only ratio,memoised]
                    [--environment NAME=VALUE] [--json FILE]

--environment OPENSSL_ia32cap=:~0x20000000 shows a processor without SHA instructions: there an HMAC costs four times as much.
"""
import argparse
import json
import os
import platform
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
UNIQUE = 10**9
MEMO_BATCH = 100


def limit_for(batch):
    return 1.5 if batch <= 10 else 1.3


FLOOR_LIMIT, MEMO_LEAST = 1.1, 1.3


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
            process.wait(90)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def read_port(path):
    return path.exists() and path.read_text().strip()


class Gateway:
    """tributaryd on a fresh data folder, without sinks."""

    def __init__(self, folder, bench, batch, cache):
        self.folder = folder
        config = folder / "tributaryd.yaml"
        config.write_text(
            f"""listen:
  port: 0
  threads: {bench.args.threads}
  certificate: {bench.ca}/server.pem
  key: {bench.ca}/server.key
auth:
  client_ca: ["{bench.ca}/device-ca.pem"]
data:
  folder: {folder}/data
privacy:
  pseudonym_cache: {cache}
observe:
  http_port: 0
  log_level: warning
stream:
  enabled: false
lake:
  enabled: false
limits:
  credit_events: {batch * bench.window(batch) * 2}
  credit_size: {max(262144, batch * bench.window(batch) * 400)}
  message_size: 256KiB
  connections: 100
""")
        (folder / "data").mkdir()
        with open(folder / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([BIN / "tributaryd", "--config", config], stderr=log, stdout=log,
                                            env=bench.environment)
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
    def __init__(self, folder, bench, batches_per_commit):
        self.process = subprocess.Popen(
            [BIN / "ingest-floor", "--cert", f"{bench.ca}/server.pem", "--key", f"{bench.ca}/server.key", "--folder",
             folder / "floor", "--batches", str(batches_per_commit)], stdout=subprocess.PIPE, text=True,
            env=bench.environment)
        self.port = self.process.stdout.readline().split()[1]

    def stop(self):
        """What it shows of its run, and its steps."""
        stop(self.process)
        return [json.loads(line) for line in self.process.stdout.read().splitlines()]


class Bench:
    def __init__(self, folder, args):
        self.folder, self.args, self.count = folder, args, 0
        self.environment = dict(os.environ, **dict(item.split("=", 1) for item in args.environment))
        self.ca = folder / "ca"
        subprocess.run([ROOT / "tools/dev/dev-ca", "all", self.ca], check=True, stdout=subprocess.DEVNULL)

    @staticmethod
    def window(batch):
        return 16 if batch <= 10 else 4

    def new_folder(self):
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        return folder

    def load(self, port, batch, users, events):
        """Runs tributary-load once and returns its JSON."""
        devices = self.args.devices
        command = [BIN / "tributary-load", "--url", f"wss://127.0.0.1:{port}/v1", "--ca", f"{self.ca}/server-ca.pem",
                   "--device-ca", f"{self.ca}/device-ca.pem", "--ca-key", f"{self.ca}/device-ca.key", "--quiet", "--devices",
                   str(devices), "--events", str(events // devices), "--batch", str(batch), "--window",
                   str(self.window(batch)), "--users", str(users), "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise SystemExit(f"durable_ingest: tributary-load failed: {done.stderr}{done.stdout}")
        return json.loads(done.stdout)

    def measure(self, server, batch, users):
        """µs an event. First a warm-up: handshakes done once, files created, caches filled."""
        self.load(server.port, batch, users, self.args.events // 10)
        before = cpu_seconds(server.process.pid)
        result = self.load(server.port, batch, users, self.args.events)
        return (cpu_seconds(server.process.pid) - before) / result["events_acked"] * 1e6

    def gateway(self, batch, users=UNIQUE, cache=4096):
        server = Gateway(self.new_folder(), self, batch, cache)
        try:
            cost = self.measure(server, batch, users)
            return cost, server.metric("tributary_batches_total") / server.metric("tributary_commits_total")
        finally:
            stop(server.process)

    def floor(self, batch, per_commit):
        server = Floor(self.new_folder(), self, max(1, round(per_commit)))
        try:
            cost = self.measure(server, batch, UNIQUE)
        finally:
            shown = server.stop()
        return cost, shown[0]["batches"] / shown[0]["commits"], shown[1]


def print_row(*cells):
    print("  ".join(f"{cell:>12.2f}" if isinstance(cell, float) else f"{cell:>12}" for cell in cells), flush=True)


def run_ratio(bench, batch):
    rows = []
    for _ in range(bench.args.rounds):
        gateway, per_commit = bench.gateway(batch)
        floor, floor_per_commit, steps = bench.floor(batch, per_commit)
        rows.append({"gateway_us": gateway, "floor_us": floor, "ratio": gateway / floor, "gateway_batches_per_commit": per_commit,
                     "floor_batches_per_commit": floor_per_commit, "steps": steps, "floor_ratio": floor * 1000 / steps["sum_ns"]})
        print_row(batch, gateway, floor, gateway / floor, steps["sum_ns"] / 1000, rows[-1]["floor_ratio"], per_commit,
                  floor_per_commit)
    ratio = statistics.median(row["ratio"] for row in rows)
    return {"batch": batch, "limit": limit_for(batch), "ratio": ratio, "floor_ratio": statistics.median(
        row["floor_ratio"] for row in rows), "rows": rows}


def run_memoised(bench):
    rows = []
    for _ in range(bench.args.rounds):
        anew, _ = bench.gateway(MEMO_BATCH, bench.args.users, cache=0)
        memoised, _ = bench.gateway(MEMO_BATCH, bench.args.users)
        rows.append({"anew_us": anew, "memoised_us": memoised, "ratio": anew / memoised})
        print_row(MEMO_BATCH, anew, memoised, anew / memoised)
    return {"batch": MEMO_BATCH, "users": bench.args.users, "limit": MEMO_LEAST,
            "ratio": statistics.median(row["ratio"] for row in rows), "rows": rows}


def plot(result, path):
    try:
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        print("no plot: python3-matplotlib is not installed")
        return
    figure, axes = pyplot.subplots(figsize=(9, 4.5))
    median = statistics.median
    names = []
    for at, one in enumerate(result["ratio"]):
        names += [f"floor\n{one['batch']}", f"tributaryd\n{one['batch']}"]
        base = 0
        for step, colour in (("receive", "#4c72b0"), ("walk", "#55a868"), ("hmac", "#c44e52"),
                             ("store", "#8172b2")):
            height = median(row["steps"][f"{step}_ns"] for row in one["rows"]) / 1000
            axes.bar(2 * at, height, bottom=base, color=colour, label=step if at == 0 else None)
            base += height
        floor = median(row["floor_us"] for row in one["rows"])
        axes.bar(2 * at, max(0, floor - base), bottom=base, color="#cccccc", label="floor beyond its steps" if at == 0 else None)
        cost = median(row["gateway_us"] for row in one["rows"])
        axes.bar(2 * at + 1, cost, color="#dd8452", label="tributaryd" if at == 0 else None)
        axes.text(2 * at + 1, cost, f"{one['ratio']:.2f}×", ha="center", va="bottom")
    axes.set_xticks(range(len(names)), names)
    axes.set_xlabel("events a batch")
    axes.set_ylabel("µs of server CPU an event")
    axes.set_title("Durable ingest: TLS, HMAC on every event, synced before the ack")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def report(result):
    held = True
    for one in result.get("ratio", ()):
        good = one["ratio"] <= one["limit"]
        held = held and good and one["floor_ratio"] <= FLOOR_LIMIT
        print(f"batches of {one['batch']}: {one['ratio']:.2f} times the floor (limit {one['limit']}); the floor is "
              f"{one['floor_ratio']:.2f} times the sum of its steps (limit {FLOOR_LIMIT})")
    if "memoised" in result:
        one = result["memoised"]
        held = held and one["ratio"] >= MEMO_LEAST
        print(f"{one['users']} users that repeat: memoised {one['ratio']:.2f} times as fast (at least {MEMO_LEAST})")
    return held


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("events", 400000), ("devices", 8), ("rounds", 5), ("threads", 0), ("users", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--batches", default="10,50,500")
    parser.add_argument("--only", default="ratio,memoised")
    parser.add_argument("--environment", action="append", default=[])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    wanted = args.only.split(",")
    out = ROOT / "build/bench"
    out.mkdir(parents=True, exist_ok=True)
    result = {"events": args.events, "devices": args.devices, "threads": args.threads, "cores": os.cpu_count(),
              "machine": platform.processor() or platform.machine(), "environment": args.environment,
              "date": time.strftime("%Y-%m-%d")}
    with tempfile.TemporaryDirectory(prefix="tributary-bench-", dir=ROOT / "build") as folder:
        bench = Bench(Path(folder), args)
        print(f"{args.events} events, {args.devices} devices; µs of server CPU an event")
        if "ratio" in wanted:
            print_row("batch", "tributaryd", "floor", "ratio", "steps", "floor/steps", "per commit", "floor's")
            result["ratio"] = [run_ratio(bench, int(batch)) for batch in args.batches.split(",")]
        if "memoised" in wanted:
            print_row("batch", "anew", "memoised", "ratio")
            result["memoised"] = run_memoised(bench)
    held = report(result)
    (args.json or out / "durable_ingest.json").write_text(json.dumps({**result, "held": held}, indent=1) + "\n")
    if "ratio" in result:
        plot(result, out / "durable_ingest.png")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
