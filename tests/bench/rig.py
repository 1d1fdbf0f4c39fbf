"""What the benches of the gateway share: starting tributaryd and the floor, loading them, measuring, writing results."""
import json
import os
import platform
import signal
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("TRIBUTARY_BIN", ROOT / "build/release/bin"))
OUT = ROOT / "build/bench"
UNIQUE = 10**9  # users: so many that none comes twice


def interrupts():
    """How often each CPU was interrupted by each device: {(interrupt, CPU): times}."""
    head, *lines = Path("/proc/interrupts").read_text().splitlines()
    cpus = [int(name[3:]) for name in head.split()]
    return {(line.split()[0], cpu): int(times) for line in lines if line.split()[0][:-1].isdigit()
            for cpu, times in zip(cpus, line.split()[1:])}


def interrupted_cpu(write, on):
    """Which CPU gets the disk's interrupts while write() runs on that one; None: there are too few to tell."""
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {on})
    try:
        before = interrupts()
        write()
        grown = {key: times - before.get(key, 0) for key, times in interrupts().items()}
    finally:
        os.sched_setaffinity(0, usable)
    most = max(grown, key=grown.get, default=None)
    return most[1] if most and grown[most] > 100 else None


def placement(write):
    """The CPUs of a gateway's threads as docs/operating.md says, as arguments for Gateway; none where that does not apply: there is one
    CPU, or the disk's interrupts follow who writes."""
    usable = sorted(os.sched_getaffinity(0))
    found = {interrupted_cpu(write, cpu) for cpu in (usable[0], usable[-1])}
    if len(usable) == 1 or len(found) != 1 or not found <= set(usable):
        return {}
    (cpu,) = found
    return {"journal_cpus": cpu, "listen_cpus": ",".join(str(other) for other in usable if other != cpu)}


def cpu_seconds(pid):
    """What getrusage would say to that process, in nanoseconds' precision: all threads, user and system."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(90)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(what, probe, seconds, alive=lambda: True, said=lambda: ""):
    """The first true value of probe()."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and alive():
        value = probe()
        if value:
            return value
        time.sleep(0.02)
    raise SystemExit(f"bench: no {what} within {seconds} s: {said()}")


def read_port(path):
    return path.exists() and path.read_text().strip()


class Gateway:
    """tributaryd on a fresh data folder, without sinks."""

    def __init__(self, bench, threads=0, cache=4096, credit_events=2000, credit_bytes=262144, connections=100,
                 memory="1GiB", segment="256MiB", listen_cpus="", journal_cpus=""):
        self.folder = bench.new_folder()
        config = self.folder / "tributaryd.yaml"
        config.write_text(
            f"""listen:
  port: 0
  threads: {threads}
  cpus: "{listen_cpus}"
  certificate: {bench.ca}/server.pem
  key: {bench.ca}/server.key
auth:
  client_ca: ["{bench.ca}/device-ca.pem"]
data:
  folder: {self.folder}/data
  segment_size: {segment}
journal:
  cpus: "{journal_cpus}"
privacy:
  pseudonym_cache: {cache}
observe:
  http_port: 0
  log_level: warning
stream:
  enabled: false
lake:
  enabled: false
limits:
  credit_events: {credit_events}
  credit_size: {credit_bytes}
  message_size: 256KiB
  connections: {connections}
  memory: {memory}
""")
        (self.folder / "data").mkdir()
        with open(self.folder / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([BIN / "tributaryd", "--config", config], stderr=log, stdout=log,
                                            env=bench.environment)
        run = self.folder / "data/run"
        self.port = self._wait("port", lambda: read_port(run / "port"))
        self.http = self._wait("HTTP port", lambda: read_port(run / "http_port"))

    def _wait(self, what, probe):
        return wait_for(what, probe, 20, lambda: self.process.poll() is None,
                        lambda: (self.folder / "log").read_text()[-2000:])

    def metric(self, name):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=5).read().decode()
        for line in text.splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise SystemExit(f"bench: no metric {name}")

    def stop(self):
        stop(self.process)


class Floor:
    """The least that a server must do (tests/bench/floor). verify: as the floor of memory, with devices' certificates."""

    def __init__(self, bench, batches_per_commit=16, verify=False):
        command = [BIN / "ingest-floor", "--cert", f"{bench.ca}/server.pem", "--key", f"{bench.ca}/server.key", "--folder",
                   bench.new_folder() / "floor", "--batches", str(batches_per_commit)]
        if verify:
            command += ["--client-ca", f"{bench.ca}/device-ca.pem"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=bench.environment)
        self.port = self.process.stdout.readline().split()[1]

    def stop(self):
        """What it shows of its run, and its steps."""
        stop(self.process)
        return [json.loads(line) for line in self.process.stdout.read().splitlines()]


class Bench:
    """Certificates, folders and loads of one run."""

    def __init__(self, folder, environment=()):
        self.folder, self.count = Path(folder), 0
        self.environment = dict(os.environ, **dict(item.split("=", 1) for item in environment))
        self.ca = self.folder / "ca"
        subprocess.run([ROOT / "tools/dev/dev-ca", "all", self.ca, "bench"], check=True, stdout=subprocess.DEVNULL)

    def new_folder(self):
        self.count += 1
        folder = self.folder / str(self.count)
        folder.mkdir()
        return folder

    def load_command(self, port, **options):
        """tributary-load; options as its own, with _ for - and True for a flag."""
        command = [str(BIN / "tributary-load"), "--url", f"wss://127.0.0.1:{port}/v1", "--ca", f"{self.ca}/server-ca.pem",
                   "--device-ca", f"{self.ca}/device-ca.pem", "--ca-key", f"{self.ca}/device-ca.key", "--quiet", "--format",
                   "json"]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
        return command

    def load(self, port, **options):
        """Runs tributary-load once and returns its JSON."""
        done = subprocess.run(self.load_command(port, **options), capture_output=True, text=True, timeout=600, check=False)
        if done.returncode:
            raise SystemExit(f"bench: tributary-load failed: {done.stderr}{done.stdout}")
        return json.loads(done.stdout)


@contextmanager
def bench(environment=()):
    if not (BIN / "tributaryd").exists():
        raise SystemExit(f"bench: no programs in {BIN}: cmake --preset release && cmake --build --preset release")
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tributary-bench-", dir=ROOT / "build") as folder:
        yield Bench(folder, environment)


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def about():
    """What each result says of its machine and moment."""
    return {"date": time.strftime("%Y-%m-%d"), "machine": processor(), "cores": os.cpu_count(), "kernel": platform.release(),
            "load": os.getloadavg()}


def print_row(*cells):
    print("  ".join(f"{cell:>12.2f}" if isinstance(cell, float) else f"{cell:>12}" for cell in cells), flush=True)


def write(name, result, path, draw):
    """JSON to path, or build/bench; beside it the plot that draw(figure) makes, if matplotlib is there."""
    path = path or OUT / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    try:
        import matplotlib
        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        print("no plot: python3-matplotlib is not installed")
        return
    figure = pyplot.figure(figsize=(9, 4.5))
    draw(figure)
    figure.tight_layout()
    figure.savefig(path.with_suffix(".png"), dpi=110)
    pyplot.close(figure)
