"""The uplink, the POSIX port and mbedTLS against a real TLS websocket server: what is trusted, and what never is."""

import datetime
import json
import os
import socket
import ssl
import subprocess
import threading
import time
from http import HTTPStatus
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from peer import DAY, NOW, Authority, Gateway, server_context

ROOT = Path(__file__).resolve().parents[2]
PROBE = Path(os.environ.get("TRIBUTARY_BIN", ROOT / "build/release/bin")) / "uplink_probe"
EIO, EPROTOCOL, ETLS, ECERTIFICATE, EAUTH, EBUSY = -8, -13, -14, -15, -16, -17
REFUSED = 5


def ms(moment):
    return int(moment.replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)


TRUSTED = ["--utc-ms", str(ms(NOW))]


class Result(dict):
    pass


def probe(port, *arguments, host="localhost", timeout=30):
    done = subprocess.run([PROBE, "--host", host, "--port", str(port), *map(str, arguments)], capture_output=True,
                          text=True, timeout=timeout)
    result = Result(json.loads(done.stdout))
    result.log, result.ok = done.stderr, done.returncode == 0
    return result


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"), "root")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("foreign"), "root")


@pytest.fixture(scope="module")
def good(ca):
    return ca.issue("good", ["localhost", "127.0.0.1", "::1"])


def attempt(certificate, ca, *arguments, host="localhost", **gateway):
    with Gateway(server_context(*certificate), **gateway) as g:
        result = probe(g.port, "--ca", ca.path, *arguments, host=host)
    result.gateway = g
    return result


def assert_refused(result, text):
    assert result["error"] == ECERTIFICATE
    assert text in result.log
    assert not result.gateway.hellos  # not a byte of ours before the peer is proven
    assert not result.gateway.headers


def test_events_are_acked_over_tls(ca, good):
    result = attempt(good, ca, *TRUSTED, "--events", 5000, "--token", "abc.def")
    assert result.ok and result["acked"] == 5000 and result["sent"] == 5000
    path, headers = result.gateway.headers[0]
    assert path == "/v1" and headers["Authorization"] == "Bearer abc.def"
    assert result.gateway.server_names == ["localhost"]
    assert result.gateway.pongs > 0 and not result.gateway.over_credit
    assert "abc.def" not in result.log


def test_small_credit_is_kept_over_tls(ca, good):
    result = attempt(good, ca, *TRUSTED, "--events", 2000, credit=(50, 700))
    assert result.ok and not result.gateway.over_credit and result.gateway.batches >= 40


@pytest.mark.parametrize("piece", [1, 7, 100])
def test_bytes_in_small_pieces_change_nothing(ca, good, piece):
    assert attempt(good, ca, *TRUSTED, "--events", 300, "--piece", piece).ok


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_of_tls(ca, good, version):
    context = server_context(*good)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = version
    with Gateway(context) as g:
        assert probe(g.port, "--ca", ca.path, *TRUSTED).ok


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_tls_1_1_is_refused(ca, good):
    context = server_context(*good)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with Gateway(context) as g:
        result = probe(g.port, "--ca", ca.path, *TRUSTED)
    assert result["error"] == ETLS and not g.headers and "TLS 1.2 or later" in result.log


# --- names ---

@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_numeric_host_is_compared_with_ip_names(ca, good, address):
    with Gateway(server_context(*good), host=address) as gateway:
        result = probe(gateway.port, "--ca", ca.path, *TRUSTED, host=address)
    assert result.ok
    assert gateway.server_names == [None]  # RFC 6066: no address as a server name


@pytest.mark.parametrize("names", [["localhost"], ["127.0.0.2"], ["::ffff:127.0.0.1"],
                                   [x509.DNSName("127.0.0.1")], []])
def test_numeric_host_without_its_ip_name_is_refused(ca, names):
    assert_refused(attempt(ca.issue("127.0.0.1", names), ca, *TRUSTED, host="127.0.0.1"), "another name")


def test_wrong_name_is_refused(ca):
    assert_refused(attempt(ca.issue("wrong", ["gate.example"]), ca, *TRUSTED), "another name")


def test_common_name_does_not_help_when_there_are_alternative_names(ca):
    assert_refused(attempt(ca.issue("localhost", ["gate.example"]), ca, *TRUSTED), "another name")


def test_server_name_replaces_the_host(ca):
    certificate = ca.issue("named", ["gate.example"])
    result = attempt(certificate, ca, *TRUSTED, "--server-name", "gate.example", host="127.0.0.1")
    assert result.ok and result.gateway.server_names == ["gate.example"]
    assert_refused(attempt(certificate, ca, *TRUSTED, "--server-name", "other.example"), "another name")


# --- chains ---

def test_foreign_ca_is_refused(ca, foreign):
    assert_refused(attempt(foreign.issue("foreign", ["localhost"]), ca, *TRUSTED), "does not lead to a CA")


def test_intermediate_must_be_sent_and_must_be_a_ca(ca):
    between = Authority(ca.folder, "between", parent=ca)
    assert attempt(between.issue("whole", ["localhost"], chain=[between]), ca, *TRUSTED).ok
    assert_refused(attempt(between.issue("part", ["localhost"]), ca, *TRUSTED), "whole chain")
    leaf = Authority(ca.folder, "leaf", parent=ca, is_ca=False)
    assert_refused(attempt(leaf.issue("by-leaf", ["localhost"], chain=[leaf]), ca, *TRUSTED), "does not lead to a CA")


def test_certificate_of_a_client_is_refused_for_a_server(ca):
    certificate = ca.issue("client-only", ["localhost"], usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    assert_refused(attempt(certificate, ca, *TRUSTED), "serverAuth")


# --- dates ---

def test_expired_certificate_is_refused(ca):
    expired = ca.issue("expired", ["localhost"], start=-20 * DAY, end=-10 * DAY)
    assert_refused(attempt(expired, ca, *TRUSTED), "expired")
    # The device's clock counts, not the system's: a year ago it was good.
    assert attempt(expired, ca, "--utc-ms", ms(NOW - 15 * DAY)).ok


def test_without_trusted_time_the_floor_decides(ca):
    expired = ca.issue("floor", ["localhost"], start=-20 * DAY, end=-10 * DAY)
    assert attempt(expired, ca, "--floor-ms", ms(NOW - 11 * DAY)).ok
    assert_refused(attempt(expired, ca, "--floor-ms", ms(NOW - 9 * DAY)), "expired")


def test_future_certificate_needs_trusted_time_to_be_refused(ca):
    future = ca.issue("future", ["localhost"], start=10 * DAY, end=20 * DAY)
    assert_refused(attempt(future, ca, *TRUSTED), "not valid yet")
    assert attempt(future, ca, "--floor-ms", ms(NOW)).ok


# --- client certificates ---

def test_client_certificate_is_shown_when_demanded(ca, foreign, good):
    device = ca.issue("device", ["localhost"], usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    stranger = foreign.issue("stranger", ["localhost"], usage=ExtendedKeyUsageOID.CLIENT_AUTH)

    def run(*arguments):
        context = server_context(*good, client_ca=ca.path)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with Gateway(context) as g:
            return probe(g.port, "--ca", ca.path, *TRUSTED, *arguments)

    assert run("--cert", device[0], "--key", device[1]).ok
    for arguments in ([], ["--cert", stranger[0], "--key", stranger[1]]):
        result = run(*arguments)
        assert result["error"] == ETLS and "client certificate" in result.log


def test_credentials_that_cannot_be_used_are_named(ca, good, tmp_path):
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    other = ca.issue("other", ["localhost"])
    for arguments, text in ((["--ca", broken], "ca cannot be read"), ([], "ca are needed"),
                            (["--ca", ca.path, "--cert", good[0]], "only together"),
                            (["--ca", ca.path, "--cert", good[0], "--key", other[1]], "key does not belong")):
        result = probe(1, *arguments)
        assert result["error"] == -10 and text in result.log


# --- sessions and failures ---

def test_session_is_resumed_after_a_cut(ca, good):
    context = server_context(*good)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Gateway(context, close_after_acks=1) as g:
        result = probe(g.port, "--ca", ca.path, *TRUSTED, "--events", 2000, "--stay")
    assert result.ok and result["welcomes"] > 1
    assert g.resumed[0] is False and all(g.resumed[1:])


@pytest.mark.parametrize("status,error,phase", [(401, EAUTH, REFUSED), (403, EAUTH, REFUSED), (503, EBUSY, 0),
                                                (404, EPROTOCOL, 0)])
def test_http_refusals(ca, good, status, error, phase):
    result = attempt(good, ca, *TRUSTED, refuse=(HTTPStatus(status), [("Retry-After", "7")], b"no"))
    assert result["error"] == error and result["phase"] == phase and f"HTTP status {status}" in result.log


def test_wrong_subprotocol_is_refused(ca, good):
    result = attempt(good, ca, *TRUSTED, subprotocols=["tributary.v1.json"])
    assert result["error"] == EPROTOCOL and not result.gateway.batches


def raw_server(behaviour):
    """A TCP server that does one thing with one connection."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(10)

    def run():
        connection, _ = server.accept()
        with connection:
            connection.settimeout(5)
            behaviour(connection)

    thread = threading.Thread(target=run)
    thread.start()
    return server, thread


@pytest.mark.parametrize("name,behaviour", [
    ("closes", lambda c: None),
    ("speaks http", lambda c: (c.recv(100), c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))),
    ("sends noise", lambda c: c.sendall(bytes(range(256)) * 100)),
    ("resets", lambda c: (c.recv(100), c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"))),
])
def test_port_that_does_not_speak_tls(ca, name, behaviour):
    server, thread = raw_server(behaviour)
    with server:
        result = probe(server.getsockname()[1], "--ca", ca.path, *TRUSTED, host="127.0.0.1")
        thread.join(10)
    assert result["error"] == ETLS and "tls: " in result.log


def test_closed_port_and_unknown_name_are_io_errors(ca):
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    result = probe(port, "--ca", ca.path, *TRUSTED, host="127.0.0.1")
    assert result["error"] == EIO and "Connection refused" in result.log
    result = probe(port, "--ca", ca.path, *TRUSTED, host="no-such-host.invalid")
    assert result["error"] == EIO and "cannot look up no-such-host.invalid" in result.log


def test_second_address_is_tried_when_the_first_refuses(ca, good):
    # localhost is ::1 first where there is IPv6; the server listens on 127.0.0.1 only.
    result = attempt(good, ca, *TRUSTED, host="localhost")
    assert result.ok


def test_silent_gateway_costs_no_processor_time(ca, good):
    with Gateway(server_context(*good), credit=(0, 0)) as g:
        start = time.monotonic()
        result = probe(g.port, "--ca", ca.path, *TRUSTED, "--seconds", 2)
        assert time.monotonic() - start >= 1.9
    assert not result.ok and result["polls"] < 100
