"""Real players against a gateway under test, for tests and proofs: everything in one folder, each wait bounded."""

import subprocess
import sys
import time
from pathlib import Path

from gateway import BIN, ROOT, Gateway
from pki import Pki

sys.path.insert(0, str(ROOT / "tools"))

from accounts.compare import compare_all  # noqa: E402
from accounts.events import read_lake, read_stream  # noqa: E402
from accounts.side import read_side  # noqa: E402


def make_movies(folder, *wishes):
    """Paths of videos, made or kept (see tools/media/make)."""
    done = subprocess.run([ROOT / "tools/media/make", folder, *wishes], check=True, timeout=120, capture_output=True,
                          text=True)
    return done.stdout.split("\n")[:-1]


class Rig:
    """A gateway that keeps its port when started again, and players. Use as a context manager."""

    def __init__(self, folder, devices):
        self.folder, self.devices, self.players = Path(folder), devices, []
        for name in ("pki", "gateway"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.pki = Pki(self.folder / "pki")
        self.credentials = {device: self.pki.device(device) for device in devices}
        self.gateway = Gateway(self.folder / "gateway", self.pki)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for player in self.players:
            if player.poll() is None:
                player.kill()
                player.wait(10)
        self.gateway.kill()

    def start_gateway(self):
        self.gateway.start()
        self.gateway.settings["listen"]["port"] = self.gateway.port
        self.gateway.settings["observe"]["http_port"] = self.gateway.http_port

    def wait_arrived(self, seconds=30):
        """Until stream and lake have taken all that the journal holds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            places = [self.gateway.metric(f"tributary_{name}_offset") for name in ("journal_end", "stream", "lake")]
            if places[0] and places[0] == places[1] == places[2]:
                return
            time.sleep(0.05)
        raise TimeoutError(f"journal, stream and lake are at {places} after {seconds} s")

    def side(self, device):
        return self.folder / f"{device}.side.jsonl"

    def log(self, device):
        return (self.folder / f"{device}.log").read_text(errors="replace")

    def settop(self, device, *more):
        """Starts settop with what every run needs, and more."""
        certificate, key = self.credentials[device]
        command = [BIN / "settop", "--device", device, "--side-file", self.side(device), "--ring-folder",
                   self.folder / f"{device}.ring", "--ca", self.pki.folder / "ca.crt", "--cert", certificate, "--key", key,
                   "--port", self.gateway.port, "--linger-ms", 100, "--backoff-max-ms", 1000, *more]
        with open(self.folder / f"{device}.log", "ab") as log:
            self.players.append(subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log,
                                                 stderr=log))
        return self.players[-1]

    def play(self, device, script, stay=60):
        path = self.folder / f"{device}.script"
        path.write_text(script)
        return self.settop(device, "--script", path, "--stay", stay)

    def read_back(self):
        """(stream, lake) as they are now."""
        return read_stream(BIN / "tributaryctl", self.gateway.data), read_lake(self.gateway.data / "lake")

    def differences(self):
        """Everything in which stream and lake differ from the side files."""
        stream, lake = self.read_back()
        return compare_all([read_side(self.side(device)) for device in self.devices], stream, lake)
