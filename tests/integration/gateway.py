"""A tributaryd under test: configuration, start, stop, kill, metrics. Only processes it started are touched."""

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("TRIBUTARY_BIN", ROOT / "build" / "release" / "bin"))


def _section(name, values):
    return "".join([f"{name}:\n"] + [f"  {key}: {json.dumps(value)}\n" for key, value in values.items()])


class Gateway:
    def __init__(self, folder, pki, settings=None, wrapper=(), environment=None):
        """settings: {"limits": {...}, ...} over the defaults below. wrapper: e.g. valgrind and its options."""
        self.folder, self.pki = Path(folder), pki
        self.data = self.folder / "data"
        self.settings = {
            "listen": {"port": 0, "certificate": str(pki.folder / "server.crt"), "key": str(pki.folder / "server.key")},
            "auth": {"client_ca": [str(pki.folder / "device-ca.crt")], "jwks": str(pki.folder / "jwks.json"),
                     "audience": "tributary-test"},
            "data": {"folder": str(self.data), "segment_size": "4MiB"},
            "observe": {"http_port": 0},
            "lake": {"flush_interval": "1s"},
        }
        for section, values in (settings or {}).items():
            self.settings.setdefault(section, {}).update(values)
        self.wrapper, self.environment = list(wrapper), dict(os.environ, **(environment or {}))
        self.process, self.port, self.http_port = None, None, None
        self.ended_by_us = False
        self.stderr_path = self.folder / "tributaryd.log"

    def write_config(self):
        path = self.folder / "tributaryd.yaml"
        path.write_text("".join(_section(name, values) for name, values in self.settings.items()))
        return path

    def command(self):
        return self.wrapper + [str(BIN / "tributaryd"), "--config", str(self.write_config())]

    def start(self, wait=30):
        self.data.mkdir(exist_ok=True)
        port_file = Path(self.settings["data"]["folder"]) / "run" / "port"
        port_file.unlink(missing_ok=True)
        with open(self.stderr_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment, start_new_session=True)
        self.ended_by_us = False
        deadline = time.monotonic() + wait
        while not port_file.exists():
            if self.process.poll() is not None:
                raise RuntimeError(f"tributaryd ended with {self.process.returncode}:\n{self.log()}")
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"tributaryd did not start in {wait} s:\n{self.log()}")
            time.sleep(0.02)
        self.port = int(port_file.read_text())
        self.http_port = int((port_file.parent / "http_port").read_text())
        return self

    def run_to_failure(self, wait=20):
        """Starts what must not start. Returns (exit code, what it said)."""
        done = subprocess.run(self.command(), stdin=subprocess.DEVNULL, capture_output=True, timeout=wait,
                              env=self.environment)
        return done.returncode, done.stderr.decode() + done.stdout.decode()

    def stop(self, wait=30):
        """SIGTERM; returns the exit code."""
        if self.process is None:
            return None
        self.ended_by_us = True
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(wait)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"tributaryd did not stop in {wait} s:\n{self.log()}") from None

    def kill(self):
        self.ended_by_us = True
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def check(self):
        """Fails if it ended by itself, or if a sanitizer complained."""
        if self.process is not None and not self.ended_by_us:
            assert self.process.poll() is None, f"tributaryd ended with {self.process.returncode}:\n{self.log()}"
        complaint = re.search(r"(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:).*", self.log())
        assert not complaint, self.log()

    def restart(self):
        self.stop()
        return self.start()

    def log(self):
        return self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""

    def log_lines(self, event):
        """The structured log lines of one event."""
        lines = (line for line in self.log().splitlines() if line.startswith("{"))
        return [entry for entry in map(json.loads, lines) if entry.get("event") == event]

    def http(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def metric(self, name):
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.http("/metrics"), re.M)
        return float(found.group(1)) if found else None

    def stream_events(self):
        """Every event that is in the embedded stream, in its order."""
        done = subprocess.run([str(BIN / "tributaryctl"), "--config", str(self.write_config()), "stream", "cat"],
                              capture_output=True, timeout=60, env=self.environment)
        if b"there is no stream here yet" in done.stderr:
            return []
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode())
        return [json.loads(line) for line in done.stdout.splitlines()]
