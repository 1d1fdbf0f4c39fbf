#!/usr/bin/python3
"""Cost as the work grows: server CPU an event.

  devices   10 to 10,000 that send as many events a second together, each event a message of its own
  batch     1 to 1,000 events a message, as many events a second

All are online before the clock starts. CPU is the server process's own; events are counted by the gateway.

  growth.py [--devices 10,100,1000,10000] [--rate 4000] [--batches 1,10,100,1000] [--batch-rate 40000] [--seconds 4]
            [--devices-limit 2] [--batch-limit 1] [--json FILE]

It fails if the most devices cost more than --devices-limit times what the fewest do, or if an event in the largest batch
costs more than --batch-limit times one in the smallest.
"""
import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path

import rig

ADDRESSES = 250


def measure(bench, devices, batch, rate, seconds):
    server = rig.Gateway(bench, connections=max(100, devices + devices // 4), credit_events=max(2000, 8 * batch))
    command = bench.load_command(server.port, devices=devices, events=0, duration=3600, batch=batch, window=8, users=rig.UNIQUE,
                                 rate=rate, addresses=ADDRESSES)
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        rig.wait_for("all devices online", lambda: server.metric("tributary_connections") >= devices, 60 + devices / 50,
                     lambda: load.poll() is None)
        time.sleep(2)  # what waited while they connected
        cpu, events, batches = rig.cpu_seconds(server.process.pid), server.metric("tributary_events_committed_total"), server.metric(
            "tributary_batches_total")
        time.sleep(seconds)
        cpu = rig.cpu_seconds(server.process.pid) - cpu
        events = server.metric("tributary_events_committed_total") - events
        batches = server.metric("tributary_batches_total") - batches
    finally:
        load.send_signal(signal.SIGTERM)
        load.communicate(timeout=120)
        server.stop()
    row = {"devices": devices, "batch": batch, "events_per_s": events / seconds, "cpu_us": cpu / max(1, events) * 1e6,
           "events_a_batch": events / max(1, batches)}
    rig.print_row(devices, batch, row["events_per_s"], row["events_a_batch"], row["cpu_us"])
    return row


def run(bench, args):
    rig.print_row("devices", "batch", "events/s", "a batch", "µs/event")
    by_devices = [measure(bench, int(text), 1, args.rate, args.seconds) for text in args.devices.split(",")]
    by_batch = [measure(bench, 10, int(text), args.batch_rate, args.seconds) for text in args.batches.split(",")]
    return {"by_devices": by_devices, "by_batch": by_batch}


def report(result):
    costs = [[row["cpu_us"] for row in result[name]] for name in ("by_devices", "by_batch")]
    ratios = [cost[-1] / cost[0] for cost in costs]
    print(f"{result['by_devices'][-1]['devices']} devices cost {ratios[0]:.2f} times what {result['by_devices'][0]['devices']} do, an "
          f"event (limit {result['devices_limit']:g})")
    print(f"batches of {result['by_batch'][-1]['batch']} cost {ratios[1]:.3f} times what those of {result['by_batch'][0]['batch']} do, an "
          f"event (limit {result['batch_limit']:g})")
    return ratios[0] <= result["devices_limit"] and ratios[1] <= result["batch_limit"]


def draw(figure, result):
    for axes, name, key in zip(figure.subplots(1, 2), ("by_devices", "by_batch"), ("devices", "batch")):
        axes.plot([row[key] for row in result[name]], [row["cpu_us"] for row in result[name]], marker="o", color="#dd8452")
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("devices, messages of one event" if key == "devices" else "events a message")
        axes.set_ylabel("µs of server CPU an event")
    figure.suptitle("Cost of an event at a constant rate")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", default="10,100,1000,10000")
    parser.add_argument("--batches", default="1,10,100,1000")
    for name, default in (("rate", 4000), ("batch-rate", 40000), ("seconds", 4), ("devices-limit", 2), ("batch-limit", 1)):
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with rig.bench() as bench:
        result = rig.about() | {"rate": args.rate, "batch_rate": args.batch_rate, "devices_limit": args.devices_limit,
                                "batch_limit": args.batch_limit} | run(bench, args)
    result["held"] = report(result)
    rig.write("growth", result, args.json, lambda figure: draw(figure, result))
    return 0 if result["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
