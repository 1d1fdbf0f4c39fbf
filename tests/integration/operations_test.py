"""Running the real tributaryd: metrics, health, admin socket, logs, configuration; with curl, Prometheus and tributaryctl."""
import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from device import Device
from gateway import BIN

ROOT = pathlib.Path(__file__).parents[2]
WAIT_S = 20


def get(gateway, path):
    """Status, text, content type."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.http_port}{path}", timeout=WAIT_S) as answer:
            return answer.status, answer.read().decode(), answer.headers["Content-Type"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers["Content-Type"]


def admin_socket(gateway):
    return gateway.data / "run" / "admin.sock"


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=WAIT_S, check=False,
                          **options)


def test_metrics_are_what_prometheus_reads(gateway):
    parser = pytest.importorskip("prometheus_client.parser")
    status, text, kind = get(gateway, "/metrics")
    assert status == 200 and kind == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    for line in (ROOT / "gateway" / "observe" / "metrics.def").read_text().splitlines():
        if line.startswith("GW_METRIC("):
            kind, name = [word.strip().strip('"') for word in line.split(",")[1:3]]
            family = families[name.removesuffix("_total")]
            assert family.type == kind.lower().removesuffix("_us") and family.documentation and len(family.samples) == 1
    assert families["tributary_build_info"].samples[0].labels["version"]
    assert families["process_resident_memory_bytes"].samples[0].value > 1e6
    assert families["tributary_ready"].samples[0].value == 1


def test_health_and_readiness(gateway):
    assert get(gateway, "/healthz")[0] == 200
    assert get(gateway, "/readyz") == (200, '{"status":"ready"}\n', "application/json")
    assert get(gateway, "/v1/status")[0] == 404


def test_curl_reads_status_on_the_socket_of_the_owner(gateway):
    assert stat.S_IMODE(admin_socket(gateway).stat().st_mode) == 0o600
    result = run("curl", "-sS", "--fail", "--unix-socket", admin_socket(gateway), "http://localhost/v1/status")
    status = json.loads(result.stdout)
    assert status["ready"] is True and status["pid"] == gateway.process.pid and status["connections"] == 0
    assert status["journal"]["begin"] == status["journal"]["end"] == 0
    assert [sink["name"] for sink in status["sinks"]] == ["stream", "lake"]
    refused = run("curl", "-sS", "-X", "POST", "-d", "x", "--unix-socket", admin_socket(gateway), "http://localhost/v1/status")
    assert "does not take that method" in refused.stdout


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="takes root, to be somebody else")
def test_others_cannot_open_the_socket(gateway):
    for folder in (gateway.folder, *gateway.folder.parents):
        if folder.owner() == "root" and str(folder) not in ("/", "/tmp") and "pytest" in str(folder):
            folder.chmod(0o755)
    for folder in (gateway.data, gateway.data / "run"):
        folder.chmod(0o755)
    result = run("setpriv", "--reuid=65534", "--clear-groups", "curl", "-sS", "--unix-socket", admin_socket(gateway),
                 "http://localhost/healthz")
    assert result.returncode == 7 and result.stdout == ""


def test_tributaryctl_shows_a_running_gateway(gateway):
    text = run(BIN / "tributaryctl", "status", "--config", gateway.write_config())
    assert text.returncode == 0, text.stderr
    assert f"ready  up 0 seconds, process {gateway.process.pid}" in text.stdout.replace("1 second,", "0 seconds,")
    assert "SINK" in text.stdout and "lake" in text.stdout
    status = json.loads(run(BIN / "tributaryctl", "--json", "--data", gateway.data, "status").stdout)
    online = run(BIN / "tributaryctl", "journal", "inspect", "--data", gateway.data)
    assert online.returncode == 0 and status["gateway_id"] in online.stdout
    assert gateway.stop() == 0
    offline = run(BIN / "tributaryctl", "journal", "inspect", "--data", gateway.data)
    assert offline.returncode == 0, offline.stderr
    assert status["gateway_id"] in offline.stdout and status["journal"]["epoch"] in offline.stdout


def test_a_killed_gateway_leaves_nothing_in_the_way(gateway):
    gateway.kill()
    assert admin_socket(gateway).exists()
    lost = run(BIN / "tributaryctl", "status", "--data", gateway.data)
    assert lost.returncode == 3 and "no gateway listens" in lost.stderr
    gateway.start()
    assert get(gateway, "/readyz")[0] == 200
    assert gateway.stop() == 0
    assert not admin_socket(gateway).exists() and not (gateway.data / "run" / "http_port").exists()


def test_a_second_gateway_says_what_is_taken_and_harms_nothing(gateway, make_gateway):
    for settings, word in (({"observe": {"http_port": gateway.http_port}}, "observe.http_port: port"),
                           ({"admin": {"socket": str(admin_socket(gateway))}}, "another gateway listens at")):
        second = make_gateway(settings)
        second.data.mkdir()
        code, said = second.run_to_failure()
        assert code == 1 and word in said
    assert get(gateway, "/readyz")[0] == 200
    assert run("curl", "-sS", "--unix-socket", admin_socket(gateway), "http://localhost/healthz").returncode == 0


def test_every_log_line_is_json_for_machines(gateway):
    assert gateway.stop() == 0
    lines = [json.loads(line) for line in gateway.log().splitlines()]
    assert len(lines) >= 3
    for line in lines:
        assert {"ts", "level", "event", "message"} <= line.keys()
        time.strptime(line["ts"][:19] + line["ts"][23:], "%Y-%m-%dT%H:%M:%SZ")
    assert [line["event"] for line in lines][-1] == "main.stopped"


def test_a_faulty_configuration_starts_nothing(make_gateway):
    gateway = make_gateway({"observe": {"http_prot": 0, "log_level": "loud"}, "limit": {"connections": 5}})
    config = gateway.write_config()
    lines = config.read_text().splitlines()
    wrong_key, wrong_section = (next(i for i, line in enumerate(lines, 1) if word in line) for word in ("http_prot", "limit:"))
    for arguments in (("--check-config", "--config", config), ("--config", config)):
        result = run(BIN / "tributaryd", *arguments)
        assert result.returncode == 2
        assert f"{config}:{wrong_key}: unknown key `observe.http_prot`: did you mean `observe.http_port`?" in result.stderr
    assert "(and 2 more: --check-config shows all)" in result.stderr
    assert not gateway.data.exists()
    result = run(BIN / "tributaryd", "--check-config", "--config", config)
    assert f"{config}:{wrong_section}: unknown key `limit`: did you mean `limits`?" in result.stderr
    assert "`observe.log_level` is `loud`" in result.stderr


def test_check_config_shows_memory_and_disk(make_gateway):
    result = run(BIN / "tributaryd", "--check-config", "--config", make_gateway().write_config())
    assert result.returncode == 0, result.stderr
    for word in ("  keepalive: 25s", "Memory, at worst:", "altogether", "Disk: ", "10000"):
        assert word in result.stdout


@pytest.mark.slow
def test_slow_clients_are_cut_off(gateway):
    clients = [socket.create_connection(("127.0.0.1", gateway.http_port), timeout=WAIT_S) for _ in range(20)]
    begin = time.monotonic()
    for client in clients:
        client.sendall(b"GET / HTTP/1.1\r\nHost: ")
    for client in clients:
        assert client.recv(100) == b""
        client.close()
    assert 3 < time.monotonic() - begin < 10
    assert get(gateway, "/healthz")[0] == 200


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (package prometheus) is not installed")
def test_promtool_finds_nothing_to_mend(gateway):
    result = run("promtool", "check", "metrics", input=get(gateway, "/metrics")[1])
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")
def test_prometheus_scrapes(gateway, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: tributary\n    static_configs:\n"
        f"      - targets: ['127.0.0.1:{gateway.http_port}']\n")
    with open(tmp_path / "prometheus.log", "wb") as log:
        prometheus = subprocess.Popen(["prometheus", f"--config.file={tmp_path}/prometheus.yml",
                                       f"--storage.tsdb.path={tmp_path}/tsdb", f"--web.listen-address=127.0.0.1:{port}"],
                                      stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        value = None
        while value is None and time.monotonic() < until:
            time.sleep(0.5)
            try:
                url = f"http://127.0.0.1:{port}/api/v1/query?query=tributary_ready"
                with urllib.request.urlopen(url, timeout=5) as answer:
                    result = json.load(answer)["data"]["result"]
                value = result[0]["value"][1] if result else None
            except OSError:
                continue
        assert value == "1", (tmp_path / "prometheus.log").read_text()[-2000:]
    finally:
        prometheus.terminate()
        prometheus.wait(WAIT_S)


def ctl(gateway, *words):
    result = run(BIN / "tributaryctl", "--config", gateway.write_config(), *words)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_tributaryctl_reads_back_what_a_device_sent(gateway):
    device = Device(gateway, "tv-1").online()
    device.work(3)
    device.send_events(2, kind=77)
    device.settle()
    status = json.loads(ctl(gateway, "--json", "status"))
    assert status["events"]["committed"] == 3 and status["events"]["rejected"] == 2 and status["connections"] == 1
    assert status["journal"]["quarantine_entries"] == 2
    listed = json.loads(ctl(gateway, "--json", "quarantine", "list"))
    assert [(q["device"], q["seq"], q["reason"]) for q in listed["quarantine"]] == [("tv-1", seq, "unknown type") for seq in (4, 5)]
    assert "2 events in quarantine" in ctl(gateway, "quarantine", "list")
    assert json.loads(ctl(gateway, "--json", "quarantine", "list", "--limit", "1"))["total"] == 2
    until = time.monotonic() + WAIT_S
    while len(gateway.stream_events()) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    stats = json.loads(ctl(gateway, "--json", "stream", "stats"))
    assert stats["events"] == 3 and stats["devices"] == 1
    assert "BEHIND" in ctl(gateway, "status")
    quarantined = ctl(gateway, "quarantine", "list")
    device.leave()
    assert gateway.stop() == 0
    assert json.loads(ctl(gateway, "--json", "quarantine", "list")) == listed
    assert ctl(gateway, "quarantine", "list") == quarantined
    offline = json.loads(ctl(gateway, "--json", "journal", "inspect"))
    assert offline["journal"]["end"] >= 1 and offline["sinks"][0]["behind"] == 0
    text = ctl(gateway, "journal", "inspect").splitlines()
    for line, value in (("next batch", offline["journal"]["end"]), ("stream", offline["sinks"][0]["cursor"])):
        assert [words for words in text if words.split()[:len(line.split())] == line.split()][0].split()[len(line.split())] == str(value)
    assert [event["seq"] for event in gateway.stream_events()] == [1, 2, 3]


def threads_of(gateway):
    return {(task / "comm").read_text().strip(): int(task.name)
            for task in pathlib.Path(f"/proc/{gateway.process.pid}/task").iterdir()}


def test_the_committer_runs_ahead_where_it_may(make_gateway):
    gateway = make_gateway({"journal": {"realtime": True}}).start()
    Device(gateway, "dev").online().work()  # an ack: the committer has run
    threads = threads_of(gateway)
    ahead = {name for name, thread in threads.items()
             if os.sched_getscheduler(thread) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR}
    assert ahead == {"committer"}  # nobody else
    assert len(gateway.log_lines("ingest.realtime")) == 1


def test_the_committer_runs_beside_the_others_where_it_may_not(make_gateway):
    """Without the capability and with a limit of 0, as most containers are."""
    wrapper = ["prlimit", "--rtprio=0:0", "setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice"]
    for gateway in (make_gateway({"journal": {"realtime": True}}, wrapper=wrapper).start(), make_gateway().start()):
        assert os.sched_getscheduler(threads_of(gateway)["committer"]) == os.SCHED_OTHER
        Device(gateway, "dev").online().work()
        expected = 1 if gateway.wrapper else 0
        assert len(gateway.log_lines("ingest.no_realtime")) == expected


def test_threads_run_on_the_cpus_that_are_configured(make_gateway):
    cpus = sorted(os.sched_getaffinity(0))
    gateway = make_gateway({"listen": {"cpus": f"{cpus[0]}"}, "journal": {"cpus": f"{cpus[-1]}"}}).start()
    Device(gateway, "dev").online().work()
    where = {name: os.sched_getaffinity(thread) for name, thread in threads_of(gateway).items()}
    assert where.pop("committer") == {cpus[-1]} and where.pop("ingest-0") == {cpus[0]}
    assert "ingest-1" not in where
    assert set(map(frozenset, where.values())) == {frozenset(cpus)}  # sinks and admin: as the kernel places them


@pytest.mark.parametrize("section", ["listen", "journal"])
def test_a_cpu_that_is_not_there_is_named(make_gateway, section):
    gateway = make_gateway({section: {"cpus": "1023"}})
    gateway.data.mkdir()
    code, said = gateway.run_to_failure()
    assert code == 1 and f"{section}.cpus names no CPU that this process may use" in said
