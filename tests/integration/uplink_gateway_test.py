"""The SDK's uplink, POSIX port and TLS against the real gateway: two implementations of the protocol meet."""

import json
import socket
import subprocess
import time

import pytest
from gateway import BIN

EAUTH, REFUSED = -16, 5
EVENTS = 200000


def command(gateway, device, *arguments):
    pki = gateway.pki
    return [BIN / "uplink_probe", "--host", "localhost", "--port", str(gateway.port), "--ca", pki.folder / "ca.crt",
            "--utc-ms", str(int(time.time() * 1000)), "--device", device, *map(str, arguments)]


def probe(*arguments):
    done = subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout), done.stderr, done.returncode


def certificate(pki, device):
    pem, key = pki.device(device)
    return ["--cert", pem, "--key", key]


def test_events_are_committed_and_acked(gateway, pki):
    result, log, code = probe(gateway, "tv-1", *certificate(pki, "tv-1"), "--events", 20000, "--seconds", 40)
    assert code == 0, log
    assert result["acked"] == result["sent"] == 20000 and result["welcomes"] == 1
    assert gateway.metric("tributary_events_committed_total") == 20000


def test_token_in_the_upgrade_is_enough(gateway, pki):
    assert probe(gateway, "tv-2", "--token", pki.token("tv-2"))[2] == 0


def test_refused_credentials_are_fatal(gateway, pki):
    for device, arguments in (("tv-3", ["--token", pki.token("tv-3", key=pki.foreign_es256)]), ("tv-3", []),
                              ("other", certificate(pki, "tv-3"))):
        result, log, _ = probe(gateway, device, *arguments)
        assert (result["error"], result["phase"]) == (EAUTH, REFUSED), log
        assert result["acked"] == 0


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_gateway_that_goes_and_comes_back_gets_each_event_once(make_gateway, pki, end):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    gateway = make_gateway({"listen": {"port": port}}).start()
    running = subprocess.Popen(command(gateway, "tv-4", *certificate(pki, "tv-4"), "--events", EVENTS, "--stay",
                                       "--seconds", 50), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not gateway.metric("tributary_events_committed_total"):
            assert running.poll() is None
            time.sleep(0.01)
        getattr(gateway, end)()
        gateway.start()
        out, log = running.communicate(timeout=70)
    finally:
        running.kill()
    result = json.loads(out)
    assert running.returncode == 0, log
    assert result["acked"] == EVENTS and result["welcomes"] == 2
    events, deadline = [], time.monotonic() + 30
    while len(events) < EVENTS and time.monotonic() < deadline:
        events = gateway.stream_events()
    seqs = [event["seq"] for event in events]
    assert len(seqs) == EVENTS and sorted(map(int, seqs)) == list(range(1, EVENTS + 1))
