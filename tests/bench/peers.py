#!/usr/bin/python3
"""The same workload on peers: server CPU an event, and what each syncs before it acks. Full runs only.

As many events a message (1, 10, 50) on as many TLS connections with as many messages in flight. Peers get messages of as many
bytes as tributary-load's batches, as text that they only store: they do not validate, walk, mask or deduplicate, as
tributaryd does here. Nothing is taken out of any queue while it is measured. CPU is the server process's own.
One table a tier: what was synced before its ack, as strace counts fsync, fdatasync and msync in a run of its own. A peer that
cannot be had (peer_servers.py) is left out, and named.

  peers.py [--batches 1,10,50] [--seconds 3] [--links 8] [--window 16] [--only tributaryd,rsyslog,RabbitMQ,OpenTelemetry]
           [--strace-seconds 2] [--json FILE]

It fails if tributaryd costs more CPU an event than any peer of its own tier.
"""
import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import peer_clients
import peer_servers
import rig

SYNCS = "fsync,fdatasync,msync,sync_file_range,syncfs"
WARM_SECONDS = 1


class Tributaryd:
    """As a peer, loaded by its own client."""

    name, synced = "tributaryd", True

    def __init__(self, bench):
        self.bench, self.server = bench, rig.Gateway(bench, credit_events=20000, credit_bytes=1 << 20)

    def pid(self):
        return self.server.process.pid

    def stop(self):
        self.server.stop()

    def load(self, args, batch):
        return TributaryLoad(self, args, batch)


class TributaryLoad:
    """tributary-load in the background; what is acked is the gateway's own count."""

    def __init__(self, peer, args, batch):
        self.peer, self.batch = peer, batch
        command = peer.bench.load_command(peer.server.port, devices=args.links, events=0, duration=3600, batch=batch,
                                          window=args.window, users=rig.UNIQUE)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def acked(self):
        return self.peer.server.metric("tributary_batches_total")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)


class PeerLoad:
    def __init__(self, bench, peer, args, batch, size):
        self.clients = peer_clients.Clients(peer.client, peer.port, bench.ca, batch, size, args.links, args.window)

    def acked(self):
        return self.clients.total()

    def stop(self):
        self.clients.stop()


def makers():
    return [Tributaryd, lambda bench: peer_servers.Rsyslog(bench, True), lambda bench: peer_servers.RabbitMq(bench, "quorum"),
            lambda bench: peer_servers.RabbitMq(bench, "classic"), lambda bench: peer_servers.Collector(bench, True),
            lambda bench: peer_servers.Rsyslog(bench, False), lambda bench: peer_servers.Collector(bench, False)]


NAMES = ["tributaryd", "rsyslog", "RabbitMQ", "RabbitMQ", "OpenTelemetry", "rsyslog", "OpenTelemetry"]


def event_bytes(bench, batch):
    """What an event of tributary-load takes in batches of so many."""
    server = rig.Gateway(bench)
    try:
        done = bench.load(server.port, devices=1, events=20 * batch, batch=batch, window=4, users=rig.UNIQUE)
        return max(1, round(done["bytes_per_event"]))
    finally:
        server.stop()


def count_syncs(pid, seconds, bench):
    """Calls that sync, as strace sees them, and whether a file is open with O_SYNC or O_DSYNC."""
    trace = bench.new_folder() / "trace"
    watched = subprocess.Popen(["strace", "-f", "-qq", "-o", trace, "-e", f"trace={SYNCS}", "-p", str(pid)], stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    watched.send_signal(signal.SIGINT)
    watched.wait(30)
    found = re.findall(r"\b(fsync|fdatasync|msync|sync_file_range|syncfs)\(", trace.read_text())
    flags = 0
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            flags |= int(re.search(r"flags:\s*(\d+)", info.read_text())[1], 8)
        except OSError:
            pass  # closed meanwhile
    return {name: found.count(name) for name in sorted(set(found))}, bool(flags & (os.O_SYNC | os.O_DSYNC))


def measure(bench, peer, load, args):
    time.sleep(WARM_SECONDS)
    acked, cpu, begin = load.acked(), rig.cpu_seconds(peer.pid()), time.monotonic()
    time.sleep(args.seconds)
    acked, cpu, took = load.acked() - acked, rig.cpu_seconds(peer.pid()) - cpu, time.monotonic() - begin
    if acked <= 0:
        raise SystemExit(f"peers: {peer.name} acked nothing")
    before = load.acked()
    syncs, open_synced = count_syncs(peer.pid(), args.strace_seconds, bench)
    traced = load.acked() - before
    return {"messages_per_s": acked / took, "cpu_us_a_message": cpu / acked * 1e6, "syncs": syncs, "o_sync": open_synced,
            "messages_while_traced": traced}


def run_one(bench, make, args, sizes):
    rows = []
    for batch in sizes:
        peer = make(bench)  # anew each time: a queue that has grown is slower
        try:
            load = peer.load(args, batch) if isinstance(peer, Tributaryd) else PeerLoad(bench, peer, args, batch, sizes[batch])
            row = measure(bench, peer, load, args)
            load.stop()
        finally:
            peer.stop()
        row |= {"name": peer.name, "synced": peer.synced, "batch": batch, "cpu_us": row["cpu_us_a_message"] / batch,
                "syncs_a_message": sum(row["syncs"].values()) / max(1, row["messages_while_traced"])}
        rows.append(row)
        print(f"{peer.name:40} {batch:>5} {row['cpu_us']:>10.2f} {row['messages_per_s'] * batch:>10.0f} {row['syncs_a_message']:>8.3f}  "
              f"{row['syncs']}{' and O_SYNC' if row['o_sync'] else ''}", flush=True)
    return rows


def run(bench, args):
    wanted, rows, missing = args.only.split(","), [], {}
    sizes = {int(text): event_bytes(bench, int(text)) for text in args.batches.split(",")}
    print("bytes an event: " + ", ".join(f"{size} in messages of {batch}" for batch, size in sizes.items()))
    print(f"{'server':40} {'batch':>5} {'µs/event':>10} {'events/s':>10} {'syncs/msg':>8}  calls that sync")
    for name, make in zip(NAMES, makers()):
        if name not in wanted:
            continue
        try:
            rows += run_one(bench, make, args, sizes)
        except peer_servers.Missing as reason:
            missing[name] = str(reason)
            print(f"{name} is left out: {reason}")
    return {"event_bytes": sizes, "rows": rows, "missing": missing}


def report(result):
    """Each tier's table; False if one of ours is missed."""
    held = True
    for synced in (True, False):
        rows = [row for row in result["rows"] if row["synced"] == synced]
        print(f"\n{'synced before the ack' if synced else 'written, not synced'}: µs of server CPU an event")
        for name in dict.fromkeys(row["name"] for row in rows):
            print(f"  {name:40}" + "".join(f"{row['cpu_us']:>10.2f}" for row in rows if row["name"] == name))
        for row in rows:
            if synced and not row["syncs"] and not row["o_sync"]:
                held = False
                print(f"  {row['name']}, messages of {row['batch']}: strace saw no sync")
    ours = {row["batch"]: row["cpu_us"] for row in result["rows"] if row["name"] == "tributaryd"}
    for row in result["rows"]:
        if row["synced"] and row["batch"] in ours and row["cpu_us"] < ours[row["batch"]]:
            held = False
            print(f"{row['name']} takes less CPU an event than tributaryd in messages of {row['batch']}")
    return held


def draw(figure, result):
    axes = figure.subplots()
    batches = sorted({row["batch"] for row in result["rows"]})
    names = list(dict.fromkeys((row["name"], row["synced"]) for row in result["rows"]))
    width = 0.8 / max(1, len(names))
    for i, (name, synced) in enumerate(names):
        costs = [row["cpu_us"] for row in result["rows"] if (row["name"], row["synced"]) == (name, synced)]
        axes.bar([at + i * width for at in range(len(costs))], costs, width, label=name + ("" if synced else ", not synced"),
                 hatch=None if synced else "//")
    axes.set_yscale("log")
    axes.set_xticks([at + 0.4 for at in range(len(batches))], batches)
    axes.set_xlabel("events a message")
    axes.set_ylabel("µs of server CPU an event (log)")
    axes.legend(fontsize="small")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", default="1,10,50")
    for name, default in (("links", 8), ("window", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("seconds", 3), ("strace-seconds", 2)):
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--only", default=",".join(dict.fromkeys(NAMES)))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with rig.bench() as bench:
        result = rig.about() | {"links": args.links, "window": args.window} | run(bench, args)
    result["held"] = report(result)
    rig.write("peers", result, args.json, lambda figure: draw(figure, result))
    return 0 if result["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
