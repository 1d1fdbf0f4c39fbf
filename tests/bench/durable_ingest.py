#!/usr/bin/python3
"""Durable ingest: CPU per acknowledged event of tributaryd, against the floor measured in the same run.

Three tables, a PNG plot and JSON in build/bench:
  ratio     batches of 10, 50 and 500, an HMAC on every event without repeats: tributaryd / floor
  floor     the floor (tests/bench/floor) / the sum of its steps, what each adds: TLS and frames, walk, HMAC, LMDB
  ceiling   what one CPU-second of tributaryd ingests, and which part of it bare TLS receive takes (the floor's first step)
  memoised  users that repeat: tributaryd with privacy.pseudonym_cache 0 / with its default, in batches of 100, where what a
            commit costs hides some of it, and of 500, where it is judged

The floor commits as many batches at once as tributaryd has just shown. Rounds alternate and each ratio is of one pair, so
that a machine whose speed drifts does not mislead; what is reported is the median. Sinks are off. CPU is the server
process's own, of all its threads, user and system: /proc/PID/task/*/schedstat, which is getrusage's sum in nanoseconds.

  durable_ingest.py [--events 400000] [--batches 10,50,500] [--rounds 5] [--threads 0] [--users 20] [--only ratio,memoised]
                    [--environment NAME=VALUE] [--json FILE]

--environment OPENSSL_ia32cap=:~0x20000000 shows a processor without SHA instructions: there an HMAC costs four times as much.
"""
import argparse
import statistics
import sys
from pathlib import Path

import rig
from rig import UNIQUE, print_row

MEMO_BATCHES = (100, 500)


def limit_for(batch):
    return 1.5 if batch <= 10 else 1.3


FLOOR_LIMIT, MEMO_LEAST = 1.1, 1.3


class Runs:
    def __init__(self, bench, args):
        self.bench, self.args = bench, args

    @staticmethod
    def window(batch):
        return 16 if batch <= 10 else 4

    def load(self, port, batch, users, events):
        devices = self.args.devices
        return self.bench.load(port, devices=devices, events=events // devices, batch=batch, window=self.window(batch), users=users)

    def measure(self, server, batch, users):
        """µs an event. First a warm-up: handshakes done once, files created, caches filled."""
        self.load(server.port, batch, users, self.args.events // 10)
        before = rig.cpu_seconds(server.process.pid)
        result = self.load(server.port, batch, users, self.args.events)
        return (rig.cpu_seconds(server.process.pid) - before) / result["events_acked"] * 1e6

    def gateway(self, batch, users=UNIQUE, cache=4096):
        server = rig.Gateway(self.bench, self.args.threads, cache, batch * self.window(batch) * 2,
                             max(262144, batch * self.window(batch) * 400))
        try:
            cost = self.measure(server, batch, users)
            return cost, server.metric("tributary_batches_total") / server.metric("tributary_commits_total")
        finally:
            server.stop()

    def floor(self, batch, per_commit):
        server = rig.Floor(self.bench, max(1, round(per_commit)))
        try:
            cost = self.measure(server, batch, UNIQUE)
        finally:
            shown = server.stop()
        return cost, shown[0]["batches"] / shown[0]["commits"], shown[1]


def run_ratio(runs, batch):
    rows = []
    for _ in range(runs.args.rounds):
        gateway, per_commit = runs.gateway(batch)
        floor, floor_per_commit, steps = runs.floor(batch, per_commit)
        rows.append({"gateway_us": gateway, "floor_us": floor, "ratio": gateway / floor, "gateway_batches_per_commit": per_commit,
                     "floor_batches_per_commit": floor_per_commit, "steps": steps, "floor_ratio": floor * 1000 / steps["sum_ns"]})
        print_row(batch, gateway, floor, gateway / floor, steps["sum_ns"] / 1000, rows[-1]["floor_ratio"], per_commit,
                  floor_per_commit)
    ratio = statistics.median(row["ratio"] for row in rows)
    return {"batch": batch, "limit": limit_for(batch), "ratio": ratio,
            "ceiling": 1e6 / statistics.median(row["gateway_us"] for row in rows),
            "of_bare": statistics.median(row["steps"]["receive_ns"] / 1000 / row["gateway_us"] for row in rows), "floor_ratio": statistics.median(
        row["floor_ratio"] for row in rows), "rows": rows}


def run_memoised(runs, batch):
    rows = []
    for _ in range(runs.args.rounds):
        anew, _ = runs.gateway(batch, runs.args.users, cache=0)
        memoised, _ = runs.gateway(batch, runs.args.users)
        rows.append({"anew_us": anew, "memoised_us": memoised, "ratio": anew / memoised})
        print_row(batch, anew, memoised, anew / memoised)
    return {"batch": batch, "users": runs.args.users, "limit": MEMO_LEAST if batch == MEMO_BATCHES[-1] else 1,
            "ratio": statistics.median(row["ratio"] for row in rows), "rows": rows}


def draw(figure, result):
    axes = figure.subplots()
    median = statistics.median
    names = []
    for at, one in enumerate(result.get("ratio", ())):
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
    if names:
        axes.legend()


def report(result):
    held = True
    for one in result.get("ratio", ()):
        good = one["ratio"] <= one["limit"]
        held = held and good and one["floor_ratio"] <= FLOOR_LIMIT
        print(f"batches of {one['batch']}: {one['ceiling'] / 1e6:.2f} million events a CPU-second, of which bare TLS receive takes {one['of_bare']:.0%}; "
              f"{one['ratio']:.2f} times the floor (limit {one['limit']}); the floor is "
              f"{one['floor_ratio']:.2f} times the sum of its steps (limit {FLOOR_LIMIT})")
    for one in result.get("memoised", ()):
        held = held and one["ratio"] >= one["limit"]
        print(f"{one['users']} users that repeat, batches of {one['batch']}: memoised {one['ratio']:.2f} times as fast "
              f"(at least {one['limit']})")
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
    result = rig.about() | {"events": args.events, "devices": args.devices, "threads": args.threads, "environment": args.environment}
    with rig.bench(args.environment) as bench:
        runs = Runs(bench, args)
        print(f"{args.events} events, {args.devices} devices; µs of server CPU an event")
        if "ratio" in wanted:
            print_row("batch", "tributaryd", "floor", "ratio", "steps", "floor/steps", "per commit", "floor's")
            result["ratio"] = [run_ratio(runs, int(batch)) for batch in args.batches.split(",")]
        if "memoised" in wanted:
            print_row("batch", "anew", "memoised", "ratio")
            result["memoised"] = [run_memoised(runs, batch) for batch in MEMO_BATCHES]
    result["held"] = report(result)
    rig.write("durable_ingest", result, args.json, lambda figure: draw(figure, result))
    return 0 if result["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
