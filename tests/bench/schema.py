#!/usr/bin/python3
"""
What judging events by their schema costs, in ns per event: from CBOR against a bare decode walk in the same run, and from
JSON bytes, parsing included, against public validators on the same documents.

    schema.py [--schema session.end] [--events 1000] [--seconds 2] [--walk-limit 2] [--no-peers] [--json FILE]

It fails if validation takes more than --walk-limit times the bare walk, or a peer is as fast.

The peers go into ~/.cache/tributary: Python's jsonschema-rs (with the standard json module and with orjson) and Node's ajv
(with the schema compiled to code, and JSON.parse). What cannot be had is left out.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import venv

import rig

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "tributary"
PYTHON_PEERS = {"jsonschema-rs": "0.60.3", "orjson": "3.11.9"}
AJV = "8.20.0"

PYTHON = r"""
import json, sys, time
import jsonschema_rs
try:
    import orjson
except ImportError:
    orjson = None
schema, lines, seconds = json.load(open(sys.argv[1])), open(sys.argv[2], "rb").read().splitlines(), float(sys.argv[3])
validator = jsonschema_rs.validator_for(schema)
def measure(parse):
    best, end = 1e9, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter_ns()
        for line in lines:
            if not validator.is_valid(parse(line)):
                sys.exit("an event is not valid")
        best = min(best, (time.perf_counter_ns() - start) / len(lines))
    return round(best, 1)
result = {"jsonschema-rs + json": measure(json.loads)}
if orjson:
    result["jsonschema-rs + orjson"] = measure(orjson.loads)
print(json.dumps(result))
"""

NODE = r"""
const fs = require("fs"), Ajv = require("ajv/dist/2020");
const schema = JSON.parse(fs.readFileSync(process.argv[2])), seconds = Number(process.argv[4]);
const lines = fs.readFileSync(process.argv[3]).toString("latin1").split("\n").filter(Boolean).map((l) => Buffer.from(l, "latin1"));
const validate = new Ajv({validateFormats: false, strict: false}).compile(schema);
let best = 1e9;
for (const end = Date.now() + seconds * 1000; Date.now() < end;) {
  const start = process.hrtime.bigint();
  for (const line of lines) if (!validate(JSON.parse(line.toString()))) process.exit(1);
  best = Math.min(best, Number(process.hrtime.bigint() - start) / lines.length);
}
console.log(JSON.stringify({"ajv + JSON.parse": Math.round(best * 10) / 10}));
"""


def event(kind, number, rng):
    """An event as the gateway delivers it."""
    stream = f"{rng.getrandbits(64):016x}"
    common = {"id": f"stb-{number:06d}/{stream}/{number + 1}", "type": kind, "device": f"stb-{number:06d}", "stream": stream,
              "seq": number + 1, "boot": 3, "ord": number + 7, "time": f"2026-11-20T19:{number % 60:02d}:07.123Z",
              "time_quality": "synced", "time_uncertainty_ms": 12, "received": "2026-11-20T19:30:01.000Z",
              "session": f"{rng.getrandbits(64):016x}", "content": "film-0123456789", "gateway": "gw-1",
              "user": f"p1.k1.{rng.getrandbits(128):032x}"}
    times = {name: rng.randrange(1, 7200000) for name in ("played_ms", "position_ms", "paused_ms", "buffering_ms")}
    ends = {"seeking_ms": 1200, "startup_ms": 800, "watched_ms": rng.randrange(7200000), "stall_count": 2,
            "duration_ms": 7200000, "reason": "ended", "seek_count": 3}
    return common | times | (ends if kind == "session.end" else {})


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        print(f"left out: {' '.join(map(str, command[:2]))}: {(done.stderr or done.stdout).strip()[-300:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout)


def python_peer(schema, lines, seconds):
    folder = CACHE / ("schema-bench-" + "-".join(PYTHON_PEERS.values()))
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        for name, version in PYTHON_PEERS.items():
            subprocess.run([python, "-m", "pip", "install", "-q", f"{name}=={version}"], check=False)
    return run([python, "-c", PYTHON, schema, lines, str(seconds)])


def node_peer(schema, lines, seconds):
    if not shutil.which("node") or not shutil.which("npm"):
        return None
    folder = CACHE / f"schema-bench-ajv-{AJV}"
    if not (folder / "node_modules" / "ajv").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-save", f"ajv@{AJV}"], cwd=folder, check=False)
    (folder / "bench.js").write_text(NODE)
    return run(["node", folder / "bench.js", schema, lines, str(seconds)])


def measure(options):
    schema = rig.ROOT / "docs" / "schemas" / f"{options.schema}.json"
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        lines = pathlib.Path(folder) / "events.jsonl"
        lines.write_text("".join(json.dumps(event(options.schema, n, rng), separators=(",", ":")) + "\n"
                                 for n in range(options.events)))
        ours = run([rig.BIN / "bench-schema", schema, lines, str(options.seconds)])
        peers = {}
        for peer in () if options.no_peers else (python_peer, node_peer):
            peers |= peer(schema, lines, options.seconds) or {}
    if not ours:
        raise SystemExit("bench: bench-schema failed")
    return {"schema": options.schema, "ours": ours, "peers": peers, "walk_ratio": ours["cbor"] / ours["cbor_decode"],
            "walk_limit": options.walk_limit}


def report(result):
    ours = result["ours"]
    print(f"{result['schema']}: {ours['json_bytes']} bytes of JSON, {ours['cbor_bytes']} of CBOR; program "
          f"{ours['program_bytes']} bytes, scratch {ours['scratch_bytes']} bytes")
    print(f"CBOR: validate {ours['cbor']} ns, bare decode walk {ours['cbor_decode']} ns: {result['walk_ratio']:.2f} times "
          f"(limit {result['walk_limit']:g})")
    print(f"JSON: validate {ours['json']} ns, stepping over it {ours['json_read']} ns")
    for name, ns in result["peers"].items():
        print(f"JSON: {name} {ns} ns: {ns / ours['json']:.2f} times ours (more than 1 is wanted)")
    return result["walk_ratio"] <= result["walk_limit"] and all(ns > ours["json"] for ns in result["peers"].values())


def draw(figure, result):
    axes = figure.subplots()
    bars = {"CBOR:\nbare walk": result["ours"]["cbor_decode"], "CBOR:\ntributaryd": result["ours"]["cbor"],
            "JSON:\ntributaryd": result["ours"]["json"]}
    bars |= {f"JSON:\n{name}".replace(" + ", "\n"): ns for name, ns in result["peers"].items()}
    axes.bar(list(bars), list(bars.values()), color=["#cccccc", "#dd8452", "#dd8452"] + ["#4c72b0"] * len(result["peers"]))
    axes.set_ylabel("ns an event")
    axes.set_title(f"Judging {result['schema']} by its schema, from bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schema", default="session.end", choices=["session.end", "ping"])
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--walk-limit", type=float, default=2)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    result = rig.about() | measure(options)
    result["held"] = report(result)
    rig.write("schema", result, options.json, lambda figure: draw(figure, result))
    return 0 if result["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
