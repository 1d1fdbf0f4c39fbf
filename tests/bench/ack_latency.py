#!/usr/bin/python3
"""How long an ack takes, at 10, 50 and 90% of the ceiling, against bare LMDB commits in the same run.

The ceiling is what the devices reach as fast as it goes. Then they send at a part of it, evenly, and each batch's time from
its sending to its ack is counted (tributary-load). Right after that bare LMDB (tests/bench/floor/commits.c), alone on the machine,
is given batches of as many bytes, as often; each of its commits takes all that have come. Two times are had of it: of a commit, and of a batch from
when it came until it is synced, which is the least that an ack can take. Rounds alternate; what is reported are medians of the rounds.

  ack_latency.py [--devices 8] [--batch 100] [--parts 10,50,90] [--rounds 3] [--seconds 4] [--limit 2] [--json FILE]

It fails if at half load (or the first part given, without a 50) the ack's p50 is more than --limit times the bare commit's.
"""
import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import rig

NAMES = ("p50", "p90", "p99")


def gateway(bench, args):
    return rig.Gateway(bench, credit_events=args.batch * 64, credit_bytes=max(262144, args.batch * 64 * 100))


def find_ceiling(bench, args):
    server = gateway(bench, args)
    try:
        return max(bench.load(server.port, devices=args.devices, events=0, duration=args.seconds, batch=args.batch, window=4,
                              users=rig.UNIQUE)["events_per_second"] for _ in range(2))
    finally:
        server.stop()


def measure(bench, args, rate):
    server = gateway(bench, args)
    try:
        bench.load(server.port, devices=args.devices, events=2000, batch=args.batch, window=4, users=rig.UNIQUE)
        before = server.metric("tributary_commits_total")
        done = bench.load(server.port, devices=args.devices, events=0, duration=args.seconds, batch=args.batch, window=32,
                          users=rig.UNIQUE, rate=rate)
        commits = server.metric("tributary_commits_total") - before
    finally:
        server.stop()
    shown = subprocess.run([rig.BIN / "lmdb-commits", "--folder", bench.new_folder() / "bare", "--bytes",
                            str(round(done["message_bytes"] / done["batches"])), "--interval_us",
                            str(done["seconds"] / done["batches"] * 1e6), "--seconds", str(args.seconds)],
                           check=True, capture_output=True, text=True, timeout=120).stdout
    bare = json.loads(shown)
    return {"acks": done["ack_latency_ms"], "commit": {name: bare[f"{name}_us"] / 1000 for name in NAMES},
            "batch": {name: bare[f"batch_{name}_us"] / 1000 for name in NAMES}, "commits": commits,
            "batches_per_commit": done["batches"] / commits, "events_per_s": done["events_per_second"]}


def run(bench, args):
    ceiling = find_ceiling(bench, args)
    print(f"ceiling: {ceiling:.0f} events/s; ms")
    rig.print_row("% of it", "ack p50", "p90", "p99", "commit p50", "p90", "p99", "p50 ratio", "batch p50", "p50 ratio", "per commit")
    parts = []
    for part in [int(text) for text in args.parts.split(",")]:
        rounds = [measure(bench, args, ceiling * part / 100) for _ in range(args.rounds)]
        row = {"part": part, "rounds": rounds}
        for name in ("commit", "batch"):
            row[f"{name}_ratio"] = statistics.median(one["acks"]["p50"] / one[name]["p50"] for one in rounds)
        for name in ("acks", "commit", "batch"):
            row[name] = {p: statistics.median(one[name][p] for one in rounds) for p in NAMES}
        parts.append(row)
        rig.print_row(part, *row["acks"].values(), *row["commit"].values(), row["commit_ratio"], row["batch"]["p50"], row["batch_ratio"],
                      statistics.median(one["batches_per_commit"] for one in rounds))
    return {"ceiling": ceiling, "parts": parts}


def draw(figure, result):
    axes = figure.subplots()
    for i, row in enumerate(result["parts"]):
        for j, name in enumerate(NAMES):
            at = 4 * i + j
            axes.bar(at - 0.2, row["commit"][name], 0.4, color="#4c72b0", label=None if at else "bare LMDB commit")
            axes.bar(at + 0.2, row["acks"][name], 0.4, color="#dd8452", label=None if at else "ack")
    axes.set_xticks([4 * i + j for i in range(len(result["parts"])) for j in range(3)],
                    [f"{name}\n{row['part']}%" if name == "p90" else name for row in result["parts"] for name in NAMES])
    axes.set_yscale("log")
    axes.set_ylabel("ms (log)")
    axes.set_title("From sending a batch to its ack, at parts of the ceiling")
    axes.legend()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("devices", 8), ("batch", 100), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("seconds", 4), ("limit", 2)):
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--parts", default="10,50,90")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with rig.bench() as bench:
        result = rig.about() | {"limit": args.limit} | run(bench, args)
    judged = next((row for row in result["parts"] if row["part"] == 50), result["parts"][0])
    result["held"] = judged["commit_ratio"] <= args.limit
    print(f"at {judged['part']}% of the ceiling an ack takes {judged['commit_ratio']:.2f} times as long as a bare LMDB commit "
          f"(limit {args.limit:g}), and {judged['batch_ratio']:.2f} times as long as a batch in bare LMDB")
    rig.write("ack_latency", result, args.json, lambda figure: draw(figure, result))
    return 0 if result["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
