#!/usr/bin/python3
"""Many connections: memory of each against bare OpenSSL's, and what idle ones cost an active one.

Two tables, PNG plots and JSON in build/bench:
  memory    KB of each connection of tributaryd and of the floor (tests/bench/floor: epoll and OpenSSL, which gives its buffers
            back), under the same traffic: each device verifies and is verified by certificate, and sends 100 events in
            batches; then all are held. Own memory is RssAnon, beyond what the process had with 64 busy ones.
            What the kernel holds is apart: socket buffers, and its objects (slab), of both ends, halved; the same for both.
  idle      events/s of one device at full speed, alone and while the others are held; pairs alternate, the median counts

A process cannot have more connections than file descriptors (`ulimit -Hn`), and the gateway keeps a fifth of them free for
those who have not said who they are: "as many as the box can" follows from that.

  connections.py [--sizes 1000,10000,0] [--events 100] [--batch 10] [--idle 20000] [--pairs 3] [--seconds 4] [--only memory,idle]
                 [--memory 1GiB] [--memory-limit 1.35] [--loss-limit 0.2] [--json FILE]
"""
import argparse
import os
import resource
import select
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import rig

ADDRESSES = 250
SPARE_FILES, SPARE_SHARE = 800, 1.25  # the gateway keeps a quarter for those who have not said who they are
SPARE_CONNECTIONS, WARM = 200, 64


def most_connections():
    return int((resource.getrlimit(resource.RLIMIT_NOFILE)[1] - SPARE_FILES) / SPARE_SHARE) - SPARE_CONNECTIONS


def own_kb(pid):
    """Memory that is its own, without files that it maps."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise SystemExit("connections: no RssAnon in /proc")


def kernel_kb():
    """Of all sockets: (buffers, objects)."""
    pages = 0
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            pages = int(line.split()[-1])
    slab = 0
    try:
        for line in Path("/proc/slabinfo").read_text().splitlines():
            name, _, count, size = (line.split() + [""] * 4)[:4]
            if name in ("TCP", "sock_inode_cache", "filp", "eventpoll_epi", "eventpoll_pwq", "request_sock_TCP", "tcp_bind_bucket"):
                slab += int(count) * int(size) // 1024
    except PermissionError:
        slab = None
    return pages * (os.sysconf("SC_PAGE_SIZE") // 1024), slab


class Held:
    """Devices that have sent their events and stay connected."""

    def __init__(self, bench, port, count, prefix, **options):
        command = bench.load_command(port, devices=count, users=rig.UNIQUE, hold=True, addresses=ADDRESSES, duration=3600,
                                     device_prefix=prefix, **options)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        ready, _, _ = select.select([self.process.stderr], [], [], 60 + count / 100)
        line = self.process.stderr.readline() if ready else "not all are online"
        if "holding" not in line:
            rig.stop(self.process)
            raise SystemExit(f"connections: {count} could not be held: {line}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.stderr.read()
        self.process.wait(120)


def measure_memory(bench, server, count, args):
    """What `count` more connections take, beside a few that have warmed up what there is once, and stay: pools (8 MiB of
    batches), caches, pages of code."""
    held = []
    try:
        held.append(Held(bench, server.port, WARM, "warm-", events=1600, batch=100, window=16))
        time.sleep(1)
        before, kernel_before = own_kb(server.process.pid), kernel_kb()
        held.append(Held(bench, server.port, count, "idle-", events=args.events, batch=args.batch, window=4))
        time.sleep(1)  # acks on their way, buffers given back
        after, kernel_after = own_kb(server.process.pid), kernel_kb()
    finally:
        for one in held:
            one.stop()
        server.stop()
    kernel = [None if x is None else (y - x) / count / 2 for x, y in zip(kernel_before, kernel_after)]
    return {"own_kb": (after - before) / count, "total_mb": after / 1024, "buffers_kb": kernel[0], "objects_kb": kernel[1]}


def run_memory(bench, args):
    rows = []
    rig.print_row("connections", "tributaryd", "floor", "ratio", "kernel bufs", "objects")
    for size in [int(text) for text in args.sizes.split(",")]:
        count = min(size, most_connections()) if size else most_connections()
        gateway = measure_memory(bench, rig.Gateway(bench, connections=count + SPARE_CONNECTIONS), count, args)
        floor = measure_memory(bench, rig.Floor(bench, verify=True), count, args)
        rows.append({"connections": count, "gateway": gateway, "floor": floor, "ratio": gateway["own_kb"] / floor["own_kb"]})
        rig.print_row(count, gateway["own_kb"], floor["own_kb"], rows[-1]["ratio"], gateway["buffers_kb"], gateway["objects_kb"] or 0.0)
    return rows


def full_speed(bench, server, seconds):
    before, start = rig.cpu_seconds(server.process.pid), time.monotonic()
    done = bench.load(server.port, devices=1, events=0, duration=seconds, batch=500, window=64, users=rig.UNIQUE,
                      device_prefix="active-")
    cpu = rig.cpu_seconds(server.process.pid) - before
    return {"events_per_s": done["events_per_second"], "cpu_us": cpu / done["events_acked"] * 1e6, "cpu_share": cpu / (time.monotonic() - start)}


def run_idle(bench, args):
    """Pairs: alone, then with the others. One gateway serves all of it, so that nothing else differs."""
    count, pairs = min(args.idle, most_connections() - 1), []
    server = rig.Gateway(bench, connections=count + SPARE_CONNECTIONS, credit_events=64000, credit_bytes=8 << 20,
                         memory=args.memory)
    rig.print_row("idle", "alone, ev/s", "with, ev/s", "loss", "alone, µs", "with, µs")
    try:
        full_speed(bench, server, 1)
        for _ in range(args.pairs):
            alone = full_speed(bench, server, args.seconds)
            held = Held(bench, server.port, count, "idle-", events=2, batch=2)
            try:
                time.sleep(1)
                among = full_speed(bench, server, args.seconds)
            finally:
                held.stop()
            rig.wait_for("end of the idle ones", lambda: server.metric("tributary_connections") == 0, 60)
            pairs.append({"alone": alone, "among": among, "loss": 1 - among["events_per_s"] / alone["events_per_s"]})
            rig.print_row(count, alone["events_per_s"], among["events_per_s"], pairs[-1]["loss"], alone["cpu_us"], among["cpu_us"])
    finally:
        server.stop()
    return {"connections": count, "loss": statistics.median(pair["loss"] for pair in pairs), "pairs": pairs}


def report(result):
    held = True
    for row in result.get("memory", ()):
        held = held and row["ratio"] <= result["memory_limit"]
        print(f"{row['connections']} connections: {row['gateway']['own_kb']:.1f} KB each, {row['ratio']:.2f} times bare OpenSSL's "
              f"(limit {result['memory_limit']})")
    if "idle" in result:
        held = held and result["idle"]["loss"] <= result["loss_limit"]
        print(f"one device at full speed beside {result['idle']['connections']} idle ones loses {result['idle']['loss']:.0%} "
              f"(limit {result['loss_limit']:.0%})")
    return held


def draw(figure, result):
    """Left: KB a connection. Right: speed of the active one."""
    axes, speeds = figure.subplots(1, 2)
    rows = result.get("memory", [])
    for shift, name, label, colour in ((-0.2, "floor", "bare OpenSSL", "#4c72b0"), (0.2, "gateway", "tributaryd", "#dd8452")):
        own = [row[name]["own_kb"] for row in rows]
        at = [i + shift for i in range(len(rows))]
        axes.bar(at, own, width=0.36, color=colour, label=label)
        kernel = [row[name]["buffers_kb"] + (row[name]["objects_kb"] or 0) for row in rows]
        axes.bar(at, kernel, bottom=own, width=0.36, color="#cccccc", label="kernel" if name == "gateway" else None)
    for i, row in enumerate(rows):
        axes.text(i + 0.2, row["gateway"]["own_kb"] / 2, f"{row['ratio']:.2f}×", ha="center")
    axes.set_xticks(range(len(rows)), [str(row["connections"]) for row in rows])
    axes.set_xlabel("connections, each after its events")
    axes.set_ylabel("KB a connection")
    axes.set_title("Memory of a TLS connection")
    axes.legend()
    for i, pair in enumerate(result.get("idle", {}).get("pairs", [])):
        speeds.bar(3 * i, pair["alone"]["events_per_s"], color="#4c72b0", label=None if i else "alone")
        speeds.bar(3 * i + 1, pair["among"]["events_per_s"], color="#dd8452", label=None if i else "among the idle")
    speeds.set_xticks([])
    speeds.set_title("One device at full speed, events/s")
    if "idle" in result:
        speeds.legend()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,10000,0", help="0: as many as the box can")
    for name, default in (("events", 100), ("batch", 10), ("idle", 20000), ("pairs", 3), ("seconds", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--memory", default="1GiB", help="limits.memory while the idle ones are held")
    parser.add_argument("--memory-limit", type=float, default=1.35)
    parser.add_argument("--loss-limit", type=float, default=0.2)
    parser.add_argument("--only", default="memory,idle")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    wanted, result = args.only.split(","), rig.about()
    result |= {"memory_limit": args.memory_limit, "loss_limit": args.loss_limit}
    with rig.bench() as bench:
        if "memory" in wanted:
            result["memory"] = run_memory(bench, args)
        if "idle" in wanted:
            result["idle"] = run_idle(bench, args)
    result["held"] = report(result)
    rig.write("connections", result, args.json, lambda figure: draw(figure, result))
    return 0 if result["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
