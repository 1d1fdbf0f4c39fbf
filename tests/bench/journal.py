#!/usr/bin/python3
"""The journal: how fast it is filled and drained, over and over, and how long a start with a backlog takes.

The proofs journal-cycles and journal-backlog (tools/proofs), which judge, at sizes of your choice; here they get a plot.

  journal.py [--bytes 2000000000] [--cycles 10] [--backlog 10000000000] [--only cycles,backlog] [--folder DIR] [--json FILE]

--folder: where the journals lie while it runs (the system's folder for temporary files); a disk's moods are part of the figures.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import rig


def proof(name, folder, *arguments):
    """What one of the proofs says of its one part."""
    with tempfile.NamedTemporaryFile() as evidence:
        subprocess.run([rig.ROOT / "tools/proofs" / name, "--seed", "1", "--evidence", evidence.name, *map(str, arguments)],
                       check=False, env=dict(os.environ, TMPDIR=str(folder), TRIBUTARY_BIN=str(rig.BIN)))
        text = Path(evidence.name).read_text()
    if not text:
        raise SystemExit(f"bench: tools/proofs/{name} failed")
    return json.loads(text)


def mb_per_s(cycle, what):
    return cycle["stored_bytes"] / 1e6 / cycle[f"{what}_s"]


def measure(options):
    result, wanted = {}, options.only.split(",")
    if "cycles" in wanted:
        result["cycles"] = proof("journal-cycles", options.folder, "--bytes", options.bytes, "--cycles", options.cycles)
    if "backlog" in wanted:
        result["backlog"] = proof("journal-backlog", options.folder, "--bytes", options.backlog)
    return result


def report(result):
    if "cycles" in result:
        cycles = result["cycles"]["cycles"]
        rig.print_row("cycle", "fill, MB/s", "drain, MB/s", "CPU, s")
        for one in cycles:
            rig.print_row(one["cycle"], mb_per_s(one, "fill"), mb_per_s(one, "drain"), one["fill_cpu_s"] + one["drain_cpu_s"])
        print(f"the last cycle takes {result['cycles']['cpu_ratio']:.2f} times the first one's CPU; own memory at most "
              f"{max(one['rss_anon_kib'] for one in cycles) >> 10} MiB")
    for one in result.get("backlog", {}).get("starts", ()):
        print(f"{result['backlog']['stored_bytes'] / 1e9:.1f} GB, {one['start']}: ready in {one['ready_s'] * 1000:.0f} ms, at most "
              f"{one['peak_kib'] >> 10} MiB")
    return all(one["held"] for one in result.values())


def draw(figure, result):
    left, right = figure.subplots(1, 2)
    cycles = result.get("cycles", {}).get("cycles", ())
    for what, colour in (("fill", "#4c72b0"), ("drain", "#dd8452")):
        left.plot([one["cycle"] for one in cycles], [mb_per_s(one, what) for one in cycles], "o-", color=colour, label=what)
    left.set_ylim(bottom=0)
    left.set_xlabel("cycle")
    left.set_ylabel("MB/s")
    if cycles:
        left.set_title(f"Fill and drain {cycles[0]['stored_bytes'] / 1e9:.1f} GB")
        left.legend()
    starts = result.get("backlog", {}).get("starts", ())
    right.bar([one["start"].replace(", ", ",\n") for one in starts], [one["ready_s"] * 1000 for one in starts], color="#dd8452")
    right.set_ylabel("ms until ready")
    if starts:
        right.set_title(f"Start with {result['backlog']['stored_bytes'] / 1e9:.1f} GB of backlog")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, default=2_000_000_000)
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--backlog", type=int, default=10_000_000_000)
    parser.add_argument("--only", default="cycles,backlog")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = measure(options)
    held = report(result)
    result = rig.about() | result | {"held": held}
    rig.write("journal", result, options.json, lambda figure: draw(figure, result))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
