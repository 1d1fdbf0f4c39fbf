#!/usr/bin/python3
"""How long an ack takes, at 10, 50 and 90% of the ceiling, against bare LMDB commits in the same run.

The gateway first takes events until it writes over the file of a segment before, as it does ever after. A round is four runs: the
ceiling, which is what the devices reach as fast as it goes; bare LMDB (tests/bench/floor/commits.c), alone on the machine; then the devices
send at a part of that ceiling, evenly, and each batch's time from its sending to its ack is counted (tributary-load); bare LMDB again.
Bare LMDB is given batches of as many bytes, as often; each of its commits takes all that have come. Two times are had of it: of a commit,
and of a batch from when it came until it is synced, which is the least that an ack can take. The four lie next to one another, as this
machine's speed changes from second to second: a ceiling of a minute ago may be out of reach, and half of it no half load. Acks are
compared with the mean of the two runs of bare LMDB beside them; what is reported are medians of the rounds.

Where the disk's interrupts come to one CPU, as with most virtual disks, the gateway is configured as docs/operating.md says for that:
its committer there (journal.cpus), its ingest threads on the others (listen.cpus). --anywhere: as the kernel places them.

  ack_latency.py [--devices 8] [--batch 100] [--parts 10,50,90] [--rounds 9] [--seconds 2] [--threads 0] [--limit 2]
                 [--segment 256MiB] [--anywhere] [--json FILE]

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
WARM_RUNS_MAX = 30


class Rig:
    """One gateway, and bare LMDB beside it."""

    def __init__(self, bench, args):
        self.bench, self.args = bench, args
        self.message_bytes = 1  # of a batch; told by the first load
        self.placement = {} if args.anywhere else rig.placement(lambda: self.bare(1e6))
        self.server = rig.Gateway(bench, threads=args.threads, credit_events=args.batch * 64,
                                  credit_bytes=max(262144, args.batch * 64 * 100), segment=args.segment, **self.placement)

    def load(self, window, seconds, **more):
        done = self.bench.load(self.server.port, devices=self.args.devices, events=0, duration=seconds, batch=self.args.batch,
                               window=window, users=rig.UNIQUE, **more)
        self.message_bytes = done["message_bytes"] / done["batches"]
        return done

    def warm(self):
        spare = self.server.folder / "data/segments/spare.mdb"
        for _ in range(WARM_RUNS_MAX):
            self.load(4, self.args.seconds)
            if spare.exists():
                return
        raise SystemExit(f"bench: no segment went within {WARM_RUNS_MAX * self.args.seconds:g} s")

    def ceiling(self):
        return self.load(4, self.args.seconds)["events_per_second"]

    def acks(self, rate):
        before = self.server.metric("tributary_commits_total")
        done = self.load(32, self.args.seconds, rate=rate)
        commits = self.server.metric("tributary_commits_total") - before
        return done["ack_latency_ms"] | {"batches_per_commit": done["batches"] / commits,
                                         "events_per_s": done["events_per_second"]}

    def bare(self, rate):
        shown = subprocess.run([rig.BIN / "lmdb-commits", "--folder", self.bench.new_folder() / "bare", "--bytes",
                                str(round(self.message_bytes)), "--interval_us", str(self.args.batch / rate * 1e6), "--seconds",
                                str(self.args.seconds)], check=True, capture_output=True, text=True, timeout=120).stdout
        times = json.loads(shown)
        return {name: times[f"{name}_us"] / 1000 for name in NAMES} | {f"batch_{name}": times[f"batch_{name}_us"] / 1000
                                                                      for name in NAMES}

    def rounds(self, part):
        rounds = []
        for _ in range(self.args.rounds):
            ceiling = self.ceiling()
            rate = ceiling * part / 100
            before, acks, after = self.bare(rate), self.acks(rate), self.bare(rate)
            bare = {name: (before[name] + after[name]) / 2 for name in before}
            rounds.append({"ceiling": ceiling, "acks": acks, "bare": bare, "ratio": acks["p50"] / bare["p50"],
                           "batch_ratio": acks["p50"] / bare["batch_p50"]})
        return rounds


def summed_up(part, rounds):
    def middle(pick):
        return statistics.median(map(pick, rounds))
    return {"part": part, "rounds": rounds, "ceiling": middle(lambda one: one["ceiling"]), "ratio": middle(lambda one: one["ratio"]),
            "batch_ratio": middle(lambda one: one["batch_ratio"]),
            "batches_per_commit": middle(lambda one: one["acks"]["batches_per_commit"]),
            "acks": {name: middle(lambda one: one["acks"][name]) for name in NAMES},
            "commit": {name: middle(lambda one: one["bare"][name]) for name in NAMES},
            "batch_p50": middle(lambda one: one["bare"]["batch_p50"])}


def run(bench, args):
    tested = Rig(bench, args)
    try:
        tested.warm()
        print("Times in ms, ceiling in millions of events/s.")
        rig.print_row("% of ceiling", "ceiling", "ack p50", "p90", "p99", "commit p50", "p90", "p99", "p50 ratio", "batch p50", "p50 ratio",
                      "per commit")
        parts = []
        for part in [int(text) for text in args.parts.split(",")]:
            row = summed_up(part, tested.rounds(part))
            parts.append(row)
            rig.print_row(part, row["ceiling"] / 1e6, *row["acks"].values(), *row["commit"].values(), row["ratio"], row["batch_p50"],
                          row["batch_ratio"], row["batches_per_commit"])
        return {"threads": args.threads, "committer_cpu": tested.placement.get("journal_cpus"), "parts": parts}
    finally:
        tested.server.stop()


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
    for name, default in (("devices", 8), ("batch", 100), ("rounds", 9), ("threads", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("seconds", 2), ("limit", 2)):
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--parts", default="10,50,90")
    parser.add_argument("--segment", default="256MiB")
    parser.add_argument("--anywhere", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with rig.bench() as bench:
        result = rig.about() | {"limit": args.limit} | run(bench, args)
    judged = next((row for row in result["parts"] if row["part"] == 50), result["parts"][0])
    result["held"] = judged["ratio"] <= args.limit
    print(f"at {judged['part']}% of the ceiling an ack takes {judged['ratio']:.2f} times as long as a bare LMDB commit "
          f"(limit {args.limit:g}), and {judged['batch_ratio']:.2f} times as long as a batch in bare LMDB")
    rig.write("ack_latency", result, args.json, lambda figure: draw(figure, result))
    return 0 if result["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
