"""The SDK behind an HTTP proxy (tinyproxy), with TLS to the real gateway inside the tunnel."""
import json
import shutil
import socket
import subprocess
import time

import pytest
from gateway import BIN

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
