#!/usr/bin/python3
"""What devices that are online wait for an ack while crowds connect: all at once, with TLS and certificates on both sides.

Good devices send evenly, alone and then while one crowd after the other connects, sends an event each, and goes. The crowds stand
for other machines: they get the time of this one's cores that nobody else wants (SCHED_IDLE). Rounds alternate; medians are reported.

  crowds.py [--devices 20] [--rate 400] [--crowd 400] [--rounds 3] [--seconds 8] [--limit 25] [--json FILE]

It fails if the p99 beside the crowds is more than --limit times what it is alone.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import rig

NAMES = ("p50", "p90", "p99", "max")


def idle_only():
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def good_ones(bench, server, args, prefix):
    command = bench.load_command(server.port, devices=args.devices, events=0, duration=args.seconds, batch=10, window=8, users=100,
                                 rate=args.rate, device_prefix=prefix)
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def latency(process):
    report = json.loads(process.communicate(timeout=120)[0])
    return {name: report["ack_latency_ms"][name] for name in NAMES}


def one_crowd(bench, server, args, prefix, until):
    """Whether it came through before `until` had ended."""
    command = bench.load_command(server.port, devices=args.crowd, events=1, batch=1, window=1, users=100, device_prefix=prefix)
    crowd = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=idle_only)
    while crowd.poll() is None and until.poll() is None:
        time.sleep(0.02)
    through = crowd.poll() == 0
    rig.stop(crowd)
    return through


def one_round(bench, server, args, number):
    alone = latency(good_ones(bench, server, args, f"alone{number}-"))
    good, crowds = good_ones(bench, server, args, f"among{number}-"), 0
    while good.poll() is None:
        crowds += one_crowd(bench, server, args, f"crowd{number}-{crowds}-", good)
    return {"alone": alone, "among": latency(good), "crowds": crowds}


def run(bench, args):
    server, rounds = rig.Gateway(bench, connections=args.devices + 4 * args.crowd), []
    rig.print_row("crowds", "alone p50", "p90", "p99", "max", "among p50", "p90", "p99", "max")
    try:
        for number in range(args.rounds):
            rounds.append(one_round(bench, server, args, number))
            rig.print_row(rounds[-1]["crowds"], *rounds[-1]["alone"].values(), *rounds[-1]["among"].values())
    finally:
        server.stop()
    result = {side: {name: statistics.median(one[side][name] for one in rounds) for name in NAMES} for side in ("alone", "among")}
    return result | {"rounds": rounds, "ratio": result["among"]["p99"] / result["alone"]["p99"]}


def draw(figure, result):
    axes = figure.subplots()
    for i, (side, colour) in enumerate((("alone", "#4c72b0"), ("among", "#dd8452"))):
        axes.bar([at + 0.4 * i for at in range(len(NAMES))], [result[side][name] for name in NAMES], 0.4, color=colour, label=side)
    axes.set_xticks([at + 0.2 for at in range(len(NAMES))], NAMES)
    axes.set_yscale("log")
    axes.set_ylabel("ms (log)")
    axes.set_title("Acks of devices that are online, alone and while crowds connect")
    axes.legend()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("devices", 20), ("rate", 400), ("crowd", 400), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("seconds", 8), ("limit", 25)):
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with rig.bench() as bench:
        result = rig.about() | {"limit": args.limit} | run(bench, args)
    result["held"] = result["ratio"] <= args.limit
    print(f"beside crowds of {args.crowd} the p99 of an ack is {result['among']['p99']:.1f} ms, {result['ratio']:.1f} times what it is "
          f"alone (limit {args.limit:g})")
    rig.write("crowds", result, args.json, lambda figure: draw(figure, result))
    return 0 if result["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
