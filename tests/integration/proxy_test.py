"""The SDK behind an HTTP proxy (tinyproxy), with TLS to the real gateway inside the tunnel."""
import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
from gateway import BIN, ROOT

EIO, EAUTH, REFUSED = -8, -16, 5


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


@pytest.fixture
def make_proxy(tmp_path):
    """make_proxy(lines of its configuration) -> its port."""
    running = []

    def make(*lines):
        program = shutil.which("tinyproxy") or shutil.which("/usr/sbin/tinyproxy")
        assert program, "tinyproxy is missing: tools/bootstrap installs it"
        for _ in range(5):  # somebody else may take the port in between
            port = free_port()
            log = tmp_path / f"proxy-{port}.log"
            config = tmp_path / f"proxy-{port}.conf"
            config.write_text("\n".join([f"Port {port}", "Listen 127.0.0.1", "Timeout 60", f'LogFile "{log}"', "LogLevel Connect",
                                         "MaxClients 20", *lines]) + "\n")
            process = subprocess.Popen([program, "-d", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            end = time.monotonic() + 10
            while process.poll() is None and time.monotonic() < end:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    running.append(process)
                    return port, log
                except OSError:
                    time.sleep(0.02)
            process.kill()
            process.wait()
        raise AssertionError("tinyproxy does not start")

    yield make
    for process in running:
        process.terminate()
        process.wait(timeout=10)


def probe(gateway, pki, proxy_port, *arguments):
    done = subprocess.run([str(a) for a in [
        BIN / "uplink_probe", "--host", "localhost", "--port", gateway.port, "--ca", pki.folder / "ca.crt", "--utc-ms",
        int(time.time() * 1000), "--device", "tv-9", "--token", pki.token("tv-9"), "--proxy-host", "127.0.0.1", "--proxy-port",
        proxy_port, "--seconds", 30, *arguments]], capture_output=True, text=True, timeout=60, check=False)
    return json.loads(done.stdout), done.stderr


def test_events_reach_the_gateway_through_a_proxy(gateway, pki, make_proxy):
    port, log = make_proxy()
    for piece in ([], ["--piece", 7]):
        result, text = probe(gateway, pki, port, "--events", 2000 if not piece else 200, *piece)
        assert result["error"] == 0 and result["welcomes"] == 1 and result["acked"] == result["sent"], text
    assert gateway.metric("tributary_events_committed_total") == 2200
    seen = log.read_text()
    assert f"CONNECT localhost:{gateway.port} HTTP/1.1" in seen
    assert "tv-9" not in seen  # what is inside the tunnel is not the proxy's to read


def test_a_proxy_that_wants_credentials_gets_them(gateway, pki, make_proxy):
    port, _ = make_proxy("BasicAuth device s3cret")
    result, text = probe(gateway, pki, port)
    assert (result["error"], result["phase"]) == (EAUTH, REFUSED) and "wants credentials" in text
    result, text = probe(gateway, pki, port, "--proxy-user", "device", "--proxy-password", "wrong")
    assert result["error"] in (EAUTH, EIO) and result["welcomes"] == 0 and "proxy: " in text  # tinyproxy says 401
    result, text = probe(gateway, pki, port, "--proxy-user", "device", "--proxy-password", "s3cret")
    assert result["error"] == 0 and result["acked"] == 10, text


def test_a_proxy_that_refuses_is_said(gateway, pki, make_proxy):
    port, _ = make_proxy("ConnectPort 1")
    result, text = probe(gateway, pki, port)
    assert result["error"] == EIO and result["welcomes"] == 0
    assert "proxy: it refuses the tunnel with status 403" in text
    result, text = probe(gateway, pki, free_port())  # nobody listens there
    assert result["error"] == EIO and "cannot connect to 127.0.0.1" in text


PYTHON = """
import sys
from tributary import Client, InvalidArgument
ca, token, folder, port, proxy, *login = sys.argv[1:]
try:
    Client("py-9", "localhost", int(port), folder, ca=ca, token=token, proxy="no port")
    sys.exit("a proxy without a port was taken")
except InvalidArgument:
    pass
login = dict(zip(("proxy_user", "proxy_password"), login))
with Client("py-9", "localhost", int(port), folder, ca=ca, token=token, proxy=proxy, linger_ms=20, backoff_max_ms=200, **login) as client:
    client.add_favourite("movie-1")
    sys.exit(0 if client.flush(20) else 3)
"""


def test_the_python_binding_goes_through_a_proxy(gateway, pki, make_proxy, tmp_path):
    port, log = make_proxy("BasicAuth device s3cret")
    environment = dict(os.environ, PYTHONPATH=str(ROOT / "sdk/bindings/python"),
                       TRIBUTARY_LIBRARY=str(BIN.parent / "lib/libtributary_py.so"))
    done = subprocess.run([sys.executable, "-c", PYTHON, pki.folder / "ca.crt", pki.token("py-9"), tmp_path / "rings", str(gateway.port),
                           f"127.0.0.1:{port}", "device", "s3cret"], env=environment, timeout=60, check=False)
    assert done.returncode == 0
    assert f"CONNECT localhost:{gateway.port} HTTP/1.1" in log.read_text()


def test_the_settop_example_goes_through_a_proxy(gateway, pki, make_proxy, tmp_path):
    port, log = make_proxy("BasicAuth device s3cret")
    certificate, key = pki.device("box-9")
    login = tmp_path / "login"
    login.write_text("device:s3cret\n")
    script = tmp_path / "script"
    script.write_text("0 favourite add movie-1\n0.1 quit\n")

    def settop(*more):
        return subprocess.run([str(a) for a in [
            BIN / "settop", "--script", script, "--stay", 20, "--device", "box-9", "--ring-folder", tmp_path / "ring", "--ca",
            pki.folder / "ca.crt", "--cert", certificate, "--key", key, "--host", "localhost", "--port", gateway.port, *more]],
            capture_output=True, text=True, timeout=60, check=False)

    done = settop("--proxy", f"127.0.0.1:{port}", "--proxy-login", f"@{login}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"CONNECT localhost:{gateway.port} HTTP/1.1" in log.read_text()
    for wrong in (["--proxy", "127.0.0.1"], ["--proxy", "127.0.0.1:70000"], ["--proxy-login", "device:s3cret"],
                  ["--proxy", "127.0.0.1:1", "--proxy-login", "device"]):
        assert settop(*wrong).returncode == 2
