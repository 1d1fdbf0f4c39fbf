#!/usr/bin/python3
"""Power cuts of the real gateway: tributaryd under the shim, tributary-load over TLS, then N disks as they could look.

    gateway_cut.py --bin FOLDER [--gateway PROGRAM] [--cuts 100] [--seed N] [--restarts 3] [--mutant] [--json FILE]

Every ack that reached a device before the cut must be found in the stream once, in order, and in the lake. A few of
the disks are given to the real tributaryd as well. With --mutant the gateway lacks a rule: it passes if that shows.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

import gateway as gateway_module  # noqa: E402
from gateway import Gateway  # noqa: E402
from pki import Pki  # noqa: E402

SETTINGS = {"data": {"segment_size": "1MiB"}, "lake": {"flush_interval": "1s"}, "observe": {"log_level": "warning"}}


class Run:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, Path(folder)
        self.bin = Path(arguments.bin).resolve()
        self.trace, self.position = self.folder / "trace", self.folder / "position"
        self.obligations = self.folder / "obligations"
        self.chance = random.Random(arguments.seed)
        (self.folder / "pki").mkdir()
        self.pki = Pki(self.folder / "pki")
        gateway_module.BIN = self.make_bin(arguments.gateway)

    def make_bin(self, program):
        """A folder of programs in which tributaryd is the one under test."""
        programs = self.folder / "bin"
        programs.mkdir()
        for name in ("tributaryd", "tributaryctl", "tributary-load"):
            (programs / name).symlink_to(self.bin / name)
        if program:
            (programs / "tributaryd").unlink()
            (programs / "tributaryd").symlink_to(Path(program).resolve())
        return programs

    def traced_gateway(self):
        folder = self.folder / "gateway"
        (folder / "data").mkdir(parents=True, exist_ok=True)
        environment = {"LD_PRELOAD": str(self.bin.parent / "lib" / "libpowercut.so"),
                       "POWERCUT_FOLDER": str(folder / "data"), "POWERCUT_TRACE": str(self.trace),
                       "POWERCUT_POSITION": str(self.position), "POWERCUT_IGNORE": "run",
                       "ASAN_OPTIONS": "verify_asan_link_order=0"}
        return Gateway(folder, self.pki, {**SETTINGS, "data": {**SETTINGS["data"], "folder": str(folder / "data")}},
                       environment=environment)

    def load(self, gateway, devices, events, seed):
        (self.folder / "jwt.key").write_bytes(self.es256_pem())
        return [str(self.bin / "tributary-load"), "--url", f"wss://127.0.0.1:{gateway.port}/v1",
                "--ca", str(self.pki.folder / "ca.crt"), "--jwt-key", str(self.folder / "jwt.key"),
                "--jwt-kid", "k-es", "--jwt-audience", "tributary-test", "--device-prefix", f"cut-{seed % 100000}-",
                "--devices", str(devices), "--events", str(events), "--batch", "10", "--window", "2", "--users", "50",
                "--chaos", "--seed", str(seed), "--obligations", str(self.obligations),
                "--ack-position", str(self.position), "--patience", "20", "--quiet", "--format", "json"]

    def es256_pem(self):
        from cryptography.hazmat.primitives import serialization
        return self.pki.es256.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                            serialization.NoEncryption())

    def record(self):
        """Two lives of a gateway in one trace: the first ends by SIGKILL in mid-load, the second is stopped."""
        complaints = []
        for life in range(2):
            gateway = self.traced_gateway()
            gateway.start(60)
            command = self.load(gateway, 8, self.arguments.events, self.chance.randrange(1, 1 << 31))
            if life == 0:
                command.append("--no-reconnect")
            load = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                if life == 0:
                    time.sleep(self.chance.uniform(1.5, 3))
                    gateway.kill()
                out, err = load.communicate(timeout=self.arguments.patience)
            except subprocess.TimeoutExpired:
                load.kill()
                out, err = load.communicate()
                complaints.append("the load did not end")
            if life == 1 and load.returncode != 0:
                complaints.append(f"tributary-load: {err.decode()[-400:]} {out.decode()[-400:]}")
            if life == 1:
                gateway.stop()
            gateway.kill()
            if "powercut:" in gateway.log():
                raise RuntimeError(gateway.log()[-2000:])
        return complaints

    def check(self):
        scratch = self.folder / "scratch"
        scratch.mkdir()
        done = subprocess.run([str(self.bin / "gateway-cut-check"), str(self.trace), str(self.obligations),
                               str(self.bin / "tributary-load"), str(scratch), "--cuts", str(self.arguments.cuts),
                               "--seed", str(self.arguments.seed)], capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1) or not done.stdout:
            raise RuntimeError(f"gateway-cut-check ended with {done.returncode}: {done.stderr[-2000:]}")
        return json.loads(done.stdout), done.stderr.strip().splitlines()[-30:]

    def restart(self, number, last):
        """One disk for the real tributaryd: it must start, and bring its stream to the end."""
        at, seed = self.chance.randint(last // 3, last), self.chance.randrange(1 << 62)
        folder = self.folder / f"restart-{number}"
        folder.mkdir()
        subprocess.run([str(self.bin / "powercut-rebuild"), str(self.trace), "--at", str(at), "--seed", str(seed),
                        "--out", str(folder / "data")], check=True, capture_output=True)
        gateway = Gateway(folder, self.pki, {**SETTINGS, "data": {**SETTINGS["data"], "folder": str(folder / "data")}})
        try:
            gateway.start(60)
            deadline = time.monotonic() + 60
            while gateway.metric("tributary_stream_offset") != gateway.metric("tributary_journal_end_offset"):
                if time.monotonic() > deadline:
                    return [f"restart at {at}, disk seed {seed}: the stream does not reach the journal's end"]
                time.sleep(0.05)
            lines = "\n".join(json.dumps(event) for event in gateway.stream_events())
            if gateway.stop() != 0:
                return [f"restart at {at}, disk seed {seed}: tributaryd did not stop well"]
        except RuntimeError as error:
            return [f"restart at {at}, disk seed {seed}: {error}"]
        finally:
            gateway.kill()
        done = subprocess.run([str(self.bin / "tributary-load"), "check", "--obligations", str(self.obligations),
                               "--stream-json", "-", "--at", str(at)], input=lines, text=True, capture_output=True)
        shutil.rmtree(folder)
        return [] if done.returncode == 0 else [f"restart at {at}, disk seed {seed}: {done.stderr} {done.stdout}"]


def remove_at_end(folder):
    """A process of its own session removes the folder when this one has ended, however that was: a pipe's end tells it."""
    return subprocess.Popen(["setsid", "-f", "sh", "-c", 'cat; rm -rf "$0"', folder], stdin=subprocess.PIPE)


def main():
    parser = argparse.ArgumentParser(description="Power cuts of the real gateway.")
    parser.add_argument("--bin", required=True, help="folder of tributaryd, tributary-load and gateway-cut-check")
    parser.add_argument("--gateway", help="another tributaryd: a mutant")
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time() * 1000) % (1 << 48))
    parser.add_argument("--events", type=int, default=4000, help="of each of 8 devices, in each of two lives")
    parser.add_argument("--patience", type=int, default=180)
    parser.add_argument("--restarts", type=int, default=3)
    parser.add_argument("--mutant", action="store_true")
    parser.add_argument("--json", help="file for the result")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    scratch = os.environ.get("TMPDIR") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    with tempfile.TemporaryDirectory(prefix="tributary-cut-", dir=scratch) as folder:
        guard = remove_at_end(folder)
        run = Run(arguments, folder)
        complaints = run.record()
        result, told = run.check()
        result["acks"] = sum(1 for line in run.obligations.read_text().splitlines() if not line.startswith("rejected"))
        result["trace_bytes"] = run.trace.stat().st_size
        if not arguments.mutant:
            for number in range(arguments.restarts):
                complaints += run.restart(number, result["operations"])
            result["restarts"] = arguments.restarts
    guard.stdin.close()
    guard.wait()
    result["complaints"] = complaints
    print("\n".join(told + complaints))
    print(json.dumps(result))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(result) + "\n")
    if arguments.mutant:
        caught = result["failures"] > 0
        print("the mutant was caught" if caught else "the mutant survived: the test proves nothing")
        return 0 if caught else 1
    return 1 if result["failures"] > 0 or complaints else 0


if __name__ == "__main__":
    sys.exit(main())
