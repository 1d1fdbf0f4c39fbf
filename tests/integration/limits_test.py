"""Limits on connections: rates, handshakes in progress, time for a header, where a connection comes from, coming back."""

import contextlib
import select
import socket
import ssl
import struct
import threading
import time
from pathlib import Path

import pytest

import device as d
from device import Device, Refused

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def proxied(address):
    """A header of the PROXY protocol, version 2: TCP over IPv4 or IPv6."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    ends = socket.inet_pton(family, address) + socket.inet_pton(family, "::1" if ":" in address else "192.0.2.1")
    body = ends + struct.pack(">HH", 51000, 443)
    return SIGNATURE + bytes([0x21, 0x21 if ":" in address else 0x11]) + struct.pack(">H", len(body)) + body


def plain(gateway, source="127.0.0.1", timeout=15):
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=timeout, source_address=(source, 0))


def until_refused(rate, burst, make):
    """Connects until it may not: the burst, and what came meanwhile."""
    began, taken = time.monotonic(), 0
    with contextlib.suppress(OSError, d.Gone):
        while taken < 1000:
            make(taken).connect().connection.close()
            taken += 1
    assert burst <= taken <= burst + rate * (time.monotonic() - began) + 1


def ends(connection):
    """Waits until the gateway closed it; what it said before."""
    said = b""
    try:
        while more := connection.recv(4096):
            said += more
    except ConnectionError:
        pass
    return said


def test_a_trusted_proxy_says_where_a_device_comes_from(make_gateway):
    gateway = make_gateway({"listen": {"proxy_from": ["127.0.0.2/32"]}, "limits": {"address_rate": 1}}).start()
    Device(gateway, "a", source="127.0.0.2", before=proxied("203.0.113.7")).online().work()
    # Ten seconds' worth at once, counted by the address that the header says.
    until_refused(1, 9, lambda i: Device(gateway, "a", source="127.0.0.2", before=proxied("203.0.113.7")))
    until_refused(1, 10, lambda i: Device(gateway, "b", source="127.0.0.2",  # a household is one
                                          before=proxied(f"2001:db8:1:2:{i:x}::1")))
    Device(gateway, "c", source="127.0.0.2", before=proxied("203.0.113.8")).online().work()
    assert gateway.metric("tributary_rate_limited_total") == 2
    assert [line["peer"] for line in gateway.log_lines("ingest.address_rate")] == ["203.0.113.0/24", "2001:db8:1::/48"]


def test_a_refused_device_is_logged_where_it_comes_from(make_gateway):
    gateway = make_gateway({"listen": {"proxy_from": ["127.0.0.2"]}}).start()
    with pytest.raises(Refused):
        Device(gateway, "dev", token="x.y.z", source="127.0.0.2", before=proxied("203.0.113.7")).connect()
    assert gateway.log_lines("ingest.refused")[-1]["peer"] == "203.0.113.0/24"


def test_a_header_in_pieces_and_with_more_behind_it(make_gateway):
    gateway = make_gateway({"listen": {"proxy_from": ["127.0.0.2"]}}).start()
    head = proxied("203.0.113.7")
    body = head[16:] + b"\x04" + struct.pack(">H", 3000) + bytes(3000)
    whole = head[:14] + struct.pack(">H", len(body)) + body
    connection = plain(gateway, "127.0.0.2")
    for i in range(0, 60, 7):
        connection.sendall(whole[i:i + 7])
        time.sleep(0.01)
    connection.sendall(whole[63:])
    connection.close()
    Device(gateway, "dev", source="127.0.0.2", before=whole).online().work()


def test_a_header_from_elsewhere_is_refused(make_gateway):
    gateway = make_gateway({"listen": {"proxy_from": ["127.0.0.2"]}}).start()
    with pytest.raises((OSError, d.Gone)):
        Device(gateway, "dev", before=proxied("203.0.113.7")).connect()
    Device(gateway, "dev").online().work()  # without one
    assert gateway.metric("tributary_connects_total") == 1


def test_a_trusted_proxy_must_send_a_header(make_gateway):
    gateway = make_gateway({"listen": {"proxy_from": ["127.0.0.2"]}, "limits": {"handshake_timeout": "1s"}}).start()
    with pytest.raises((OSError, d.Gone)):
        Device(gateway, "dev", source="127.0.0.2").connect()
    with pytest.raises((OSError, d.Gone)):  # version 1
        Device(gateway, "dev", source="127.0.0.2", before=b"PROXY TCP4 203.0.113.7 192.0.2.1 51000 443\r\n").connect()
    silent = plain(gateway, "127.0.0.2")
    began = time.monotonic()
    assert ends(silent) == b"" and 0.8 < time.monotonic() - began < 3
    health = plain(gateway, "127.0.0.2")  # a check that connects and goes
    health.close()
    assert len(gateway.log_lines("ingest.proxy")) == 3
    local = Device(gateway, "dev", source="127.0.0.2", before=SIGNATURE + b"\x20\x00\x00\x00")  # the proxy's own
    local.online().work()


def test_addresses_that_are_none_are_refused_at_the_start(make_gateway):
    gateway = make_gateway({"listen": {"proxy_from": ["192.0.2.0/24", "192.0.2.1/24"]}})
    gateway.data.mkdir()
    code, said = gateway.run_to_failure()
    assert code == 1 and "192.0.2.1/24" in said


def test_an_address_that_connects_too_often_waits_and_others_do_not(make_gateway):
    gateway = make_gateway({"limits": {"address_rate": 2}}).start()
    until_refused(2, 20, lambda i: Device(gateway, f"dev-{i}", source="127.0.0.3"))
    Device(gateway, "other", source="127.0.0.4").online().work()
    time.sleep(1)
    Device(gateway, "dev-0", source="127.0.0.3").online().work()


def test_a_device_that_connects_too_often_gets_429(make_gateway):
    gateway = make_gateway({"limits": {"device_rate": 3}}).start()
    for _ in range(3):
        Device(gateway, "dev").online().leave()
    with pytest.raises(Refused) as refused:
        Device(gateway, "dev").connect()
    assert refused.value.status == 429
    Device(gateway, "other").online().work()
    assert gateway.metric("tributary_rate_limited_total") == 1


def test_a_device_that_sends_too_fast_is_slowed_by_its_credit(make_gateway):
    """100 events a second, a thousand at once: 1,300 take about three seconds, over reconnects too."""
    gateway = make_gateway({"limits": {"device_events": 100, "credit_events": 200}}).start()
    device, other = Device(gateway, "dev").online(), Device(gateway, "other").online()
    began, sent, longest = time.monotonic(), 0, 0
    while sent < 1300:
        room = device.credit[0] - device.used[0]
        if room > 0:
            device.send_events(min(room, 50))
            sent += min(room, 50)
            if sent == 650:
                device.settle()
                device.connection.close()  # what it had and did not use is given back
                device.online()
            continue
        kind, body = device.receive()
        if kind == d.ACK:
            device.acked = max([device.acked] + [seq for _, seq in body.get(1, [])])
            device.credit = list(body[4])
        elif kind == d.CREDIT:
            device.credit = list(body[1]) if isinstance(body[1], list) else [body[1], body[2]]
        before = time.monotonic()
        other.work(1)
        longest = max(longest, time.monotonic() - before)
    took = time.monotonic() - began
    assert 2 < took < 8, took
    assert longest < 1
    assert gateway.metric("tributary_byes_total") == 0


def test_a_header_that_dribbles_has_a_deadline(make_gateway):
    """A byte now and then is a sign of life, and does not help: TLS handshake, HTTP request, and both together."""
    gateway = make_gateway({"limits": {"handshake_timeout": "2s"}}).start()

    def dribble(send, text):
        began = time.monotonic()
        try:
            for byte in text * 100:
                send(bytes([byte]))
                time.sleep(0.05)
        except (OSError, d.Gone):
            pass
        return time.monotonic() - began

    took = []
    in_tls = plain(gateway)
    in_http = ssl.create_default_context(
        cafile=str(gateway.pki.folder / "ca.crt")).wrap_socket(plain(gateway), server_hostname="127.0.0.1")
    threads = [threading.Thread(target=lambda: took.append(dribble(in_tls.sendall, b"\x16\x03\x01\x02\x00" + bytes(60)))),
               threading.Thread(target=lambda: took.append(dribble(in_http.sendall, b"GET /v1 HTTP/1.1\r\nX: ")))]
    for one in threads:
        one.start()
    Device(gateway, "good").online().work()
    for one in threads:
        one.join()
    assert len(took) == 2 and all(1.5 < seconds < 4 for seconds in took), took


def test_handshakes_in_progress_are_limited_and_honest_ones_get_their_turn(make_gateway):
    gateway = make_gateway({"limits": {"handshakes": 8, "connections": 200}, "listen": {"threads": 2}}).start()
    def files():
        return len(list(Path(f"/proc/{gateway.process.pid}/fd").iterdir()))

    before = files()
    silent = [plain(gateway) for _ in range(60)]
    began = time.monotonic()
    while time.monotonic() - began < 0.8:  # less than what is fair: none makes room yet
        assert files() - before <= 8 + 2  # each thread may be about to find that there are enough
        time.sleep(0.01)
    assert files() - before >= 5  # and they are let in
    began = time.monotonic()
    done = []

    def come(name):
        done.append(Device(gateway, name, timeout=30).online().work())

    comers = [threading.Thread(target=come, args=(f"dev-{i}",)) for i in range(12)]
    for one in comers:
        one.start()
    for one in comers:
        one.join()
    assert len(done) == 12
    assert time.monotonic() - began < 20
    for device in done:
        device.work()
    for one in silent:
        one.close()


def closed_of(connections):
    """Those that the gateway has closed."""
    return [one for one in connections if select.select([one], [], [], 0)[0]]


@pytest.mark.parametrize("proxy", [False, True])
def test_an_address_that_dribbles_cannot_keep_another_out(make_gateway, proxy):
    """Behind a proxy it is the address that its header says."""
    gateway = make_gateway({"limits": {"handshakes": 8, "address_handshakes": 3, "handshake_timeout": "60s"},
                            "listen": {"threads": 2, "proxy_from": ["127.0.0.2"]}}).start()

    def where(host):
        return {"source": "127.0.0.2", "before": proxied(f"203.0.113.{host}")} if proxy else {"source": f"127.0.0.{host}"}

    half_open = []
    for _ in range(20):
        place = where(7)
        half_open.append(plain(gateway, place["source"]))
        half_open[-1].sendall(place.get("before", b"") + b"\x16\x03")
    deadline = time.monotonic() + 30
    while gateway.metric("tributary_handshakes_refused_total") < 17:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for i in range(4):
        Device(gateway, f"other-{i}", **where(8)).online().work()
    assert len(closed_of(half_open)) == 17  # three go on, and need not make room
    for one in half_open:
        if one not in closed_of(half_open):
            one.sendall(b"\x01")
    assert gateway.metric("tributary_handshakes_refused_total") == 17
    left = next(one for one in half_open if one not in closed_of(half_open))
    left.close()
    half_open.remove(left)
    while True:  # as soon as the gateway has seen that
        with contextlib.suppress(OSError, d.Gone):
            Device(gateway, "same", **where(7)).online().work()
            break
        assert time.monotonic() < deadline
    for i in range(4):  # nor does one that is done with its handshake take a place
        Device(gateway, f"same-{i}", **where(7)).online().work()
    for one in half_open:
        one.close()


def test_devices_are_sent_away_each_to_its_own_time(make_gateway):
    gateway = make_gateway({"drain": {"retry_after": "3s", "window": "100ms"}, "listen": {"threads": 4}}).start()
    devices = [Device(gateway, f"dev-{i}", token=gateway.pki.token(f"dev-{i}")).online() for i in range(100)]
    stopper = threading.Thread(target=gateway.stop)
    stopper.start()
    times = sorted(device.expect_bye(d.BYE_DRAINING)[2] for device in devices)
    stopper.join()
    assert times == list(range(3000, 3100))  # evenly: none at the time of another


def test_a_few_devices_come_back_soon(make_gateway):
    gateway = make_gateway({"drain": {"retry_after": "3s"}}).start()
    devices = [Device(gateway, f"dev-{i}").online() for i in range(5)]
    stopper = threading.Thread(target=gateway.stop)
    stopper.start()
    times = sorted(device.expect_bye(d.BYE_DRAINING)[2] for device in devices)
    stopper.join()
    assert times == [3000, 3002, 3004, 3006, 3008]


def test_slow_sinks_reach_devices_as_withheld_credit_and_then_bye(make_gateway):
    """Its only sink cannot write: the journal fills its quota, credit stops before it is full, and nothing acked is lost."""
    gateway = make_gateway({"data": {"quota": "40MiB"}, "limits": {"hold": "1s", "message_size": "16KiB", "credit_size": "64KiB"},
                            "stream": {"enabled": False}, "lake": {"flush_interval": "1s"}}).start()
    stand_in = gateway.data / "lake"
    if stand_in.exists():
        stand_in.rename(gateway.folder / "lake-away")
    stand_in.write_text("where the folder was")
    device, idle = Device(gateway, "dev").online(), Device(gateway, "idle").online()
    text = {d.FIELD_ITEM: "x" * 120, d.FIELD_LIST: "y" * 60}
    deadline = time.monotonic() + 60
    with pytest.raises(AssertionError) as ended:
        while time.monotonic() < deadline:
            while device.credit[0] - device.used[0] > 60 and device.credit[1] - device.used[1] > 12500:
                device.send_events(60, d.FAVOURITE_ADD, text)
            device.take_ack()
    assert "message 8" in str(ended.value) and f"1: {d.BYE_UNAVAILABLE}" in str(ended.value) and "30000" in str(ended.value)
    assert gateway.metric("tributary_credit_held") == 1
    assert gateway.metric("tributary_commit_failures_total") == 0  # it was never full
    full_segments = gateway.metric("tributary_journal_segments") - 1
    assert full_segments * 2.5 >= 0.8 * 40, "most of the quota holds events: its segments are a sixteenth of it, 2.5 MiB"
    idle.work(1)  # within the credit that it has
    late = Device(gateway, "late").online()
    assert late.welcome[5][0] == 0
    late.expect_bye(d.BYE_UNAVAILABLE)
    stand_in.unlink()  # the sink is mended
    (gateway.folder / "lake-away").rename(stand_in)
    deadline = time.monotonic() + 60
    while gateway.metric("tributary_credit_held") == 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    device.next_seq = device.acked + 1
    device.online().work(3)
