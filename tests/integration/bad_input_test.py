"""
Bad input over the network: each kind ends in a clear error, and nothing else is lost. The `witness` is a good device
that is connected all the time: it must be able to work before, during and after, and everything acked to it must be in
the embedded stream at the end, once.
"""

import json
import random
import socket
import ssl
import struct
import subprocess
import time

import cbor2
import pytest

import device as d
from device import Connection, Device, Gone, Refused, frame
from gateway import BIN

LIMITS = {"hello_timeout": "1s", "message_size": "16KiB", "event_size": "1KiB", "credit_events": 50, "credit_size": "32KiB"}


@pytest.fixture
def gateway(make_gateway):
    return make_gateway({"limits": LIMITS, "listen": {"origins": ["https://player.example"]}}).start()


@pytest.fixture
def witness(gateway):
    good = Device(gateway, "witness").online().work(3)
    yield good
    good.work(3)
    assert gateway.process.poll() is None, gateway.log()
    committed = good.acked
    assert committed == good.next_seq - 1
    good.leave()
    again = Device(gateway, "witness", stream=good.stream)
    again.next_seq = good.next_seq
    again.online()
    assert again.welcome[3][0][:2] == [good.stream, committed]
    again.leave()


def settled_events(gateway, device, count, wait=20):
    """Waits until `count` events of the device are in the embedded stream; returns their seqs."""
    deadline = time.monotonic() + wait
    while True:
        seqs = [event["seq"] for event in gateway.stream_events() if event["device"] == device]
        if len(seqs) >= count or time.monotonic() > deadline:
            return seqs
        time.sleep(0.2)


def assert_refused_for(gateway, reason):
    assert any(reason in line["reason"] for line in gateway.log_lines("ingest.refused")), gateway.log()


# --- credentials ---


@pytest.mark.parametrize("kind", ["expired", "foreign", "server_purpose"])
def test_a_bad_certificate_is_refused_in_the_handshake(gateway, witness, pki, kind):
    certificate = pki.device("bad", **{kind: True})
    with pytest.raises((Gone, ssl.SSLError, ConnectionError)):
        Connection(gateway, certificate=certificate)
    witness.work()
    reasons = {"expired": "expired", "foreign": "unable to get local issuer", "server_purpose": "unsuitable certificate"}
    said = [line["reason"] for line in gateway.log_lines("ingest.certificate_refused")]
    assert any(reasons[kind] in reason or (kind == "server_purpose" and "purpose" in reason) for reason in said), said


def test_a_certificate_without_device_name_is_refused(gateway, witness, pki):
    from cryptography import x509
    uris = [x509.UniformResourceIdentifier(d) for d in ("urn:tributary:device:a", "urn:tributary:device:b")]
    for names in ([x509.DNSName("dev-a")], uris, [x509.UniformResourceIdentifier("urn:tributary:device:../etc")]):
        with pytest.raises(Refused) as refused:
            Connection(gateway, certificate=pki.device("nameless", names=names))
        assert refused.value.status == 401
        assert "names no device" in refused.value.body


def test_no_credentials_are_refused(gateway, witness):
    with pytest.raises(Refused) as refused:
        Connection(gateway)
    assert refused.value.status == 401
    assert_refused_for(gateway, "no client certificate and no token")


def bad_tokens(pki):
    now = int(time.time())
    good = pki.token("dev-x")
    return {
        "the token has expired": pki.token("dev-x", exp=now - 10),
        "the token lives longer than 90 days": pki.token("dev-x", exp=now + 91 * 86400),
        "the token is not valid yet": pki.token("dev-x", nbf=now + 3600),
        "the token is for another audience": pki.token("dev-x", aud="another"),
        "the token's signature is wrong": pki.token("dev-x", key=pki.foreign_es256),
        "the token's key is not known": pki.token("dev-x", kid="nobody"),
        "the token's algorithm is not allowed": pki.token("dev-x", key="secret", algorithm="HS256"),
        "the token's sub is not a device id": pki.token("../dev"),
        "the token is malformed": good.replace(".", ""),
        "the token is longer than 4096 bytes": "x" * 4200,
    }


def test_a_bad_token_is_refused_and_never_logged(gateway, witness, pki):
    for reason, token in bad_tokens(pki).items():
        with pytest.raises(Refused) as refused:
            Connection(gateway, token=token)
        assert refused.value.status == 401
        assert reason in refused.value.body
        assert_refused_for(gateway, reason)
        assert token not in gateway.log() and token.split(".")[-1][:40] not in gateway.log()
    assert gateway.metric("tributary_upgrades_refused_total") == len(bad_tokens(pki))
    witness.work()


def test_hello_of_another_device_than_the_credentials(gateway, witness, pki):
    device = Device(gateway, "witness", certificate=pki.device("impostor")).connect()
    device.hello()
    device.expect_bye(d.BYE_AUTH)
    witness.work()  # the impostor did not take over


# --- the upgrade ---


@pytest.mark.parametrize("status, how", [
    (404, {"path": "/v2"}), (400, {"subprotocol": "mqtt"}), (400, {"subprotocol": None}),
    (403, {"origin": "https://evil.example", "subprotocol": "tributary.v1.json"}),
    (403, {"origin": "https://evil.example"}), (403, {"origin": "null", "subprotocol": "tributary.v1.json"}),
    (400, {"headers": ["Content-Length: 5"]}), (400, {"headers": ["Host: twice"]}),
    (431, {"headers": ["X: " + "y" * 9000]}),
])
def test_a_wrong_upgrade_gets_its_status(gateway, witness, pki, status, how):
    with pytest.raises(Refused) as refused:
        Connection(gateway, certificate=pki.device("dev-a"), **how)
    assert refused.value.status == status
    witness.work()


def test_an_allowed_origin_may_speak_json(gateway, pki):
    connection = Connection(gateway, certificate=pki.device("tv"), subprotocol="tributary.v1.json",
                            origin="https://player.example")
    assert "tributary.v1.json" in connection.answer
    connection.close()


def test_plain_text_and_silence_on_the_tls_port(gateway, witness):
    plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=15)
    plain.sendall(b"GET /v1 HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        assert plain.recv(4096)[:1] != b"H"  # an alert, or nothing
    except ConnectionError:
        pass
    plain.close()
    silent = [socket.create_connection(("127.0.0.1", gateway.port), timeout=15) for _ in range(20)]
    witness.work()
    for connection in silent:
        connection.close()


def test_silent_connections_do_not_keep_devices_out(make_gateway):
    gateway = make_gateway({"limits": {"connections": 3}}).start()
    silent = [socket.create_connection(("127.0.0.1", gateway.port), timeout=15) for _ in range(600)]
    began = time.monotonic()
    Device(gateway, "dev-a").online().work().leave()
    assert time.monotonic() - began < 3
    for connection in silent:
        connection.close()


# --- frames ---


def broken_frames():
    message = cbor2.dumps([d.HELLO, {1: "dev-b"}])
    return {
        "unmasked": (1002, frame(message, mask=False)),
        "unmasked and empty": (1002, frame(b"", mask=False)),
        "reserved bit": (1002, frame(message, rsv=0x40)),
        "reserved opcode": (1002, frame(message, opcode=5)),
        "fragmented ping": (1002, frame(b"x", opcode=d.PING, final=False)),
        "long ping": (1002, frame(b"x" * 126, opcode=d.PING)),
        "continuation of nothing": (1002, frame(message, opcode=0)),
        "text on the binary protocol": (1002, frame(b"{}", opcode=d.TEXT)),
        "text that is not UTF-8": (1007, frame(b"\xff\xfe", opcode=d.TEXT)),
        "declared 1 TiB": (1009, frame(b"", length=1 << 40)),
        "declared 4 KiB and one": (1009, frame(b"x" * 10, length=4097)),
        "bad close code": (1002, frame(struct.pack(">H", 1006), opcode=d.CLOSE)),
    }


@pytest.mark.parametrize("name", broken_frames())
def test_a_broken_frame_closes_with_its_code(gateway, witness, pki, name):
    code, data = broken_frames()[name]
    connection = Connection(gateway, certificate=pki.device("dev-b"))
    connection.send_raw(data)
    got, messages = connection.receive_close()
    assert got == code
    if code in (1002, 1009) and messages:
        assert cbor2.loads(messages[-1])[1][1] == (d.BYE_TOO_LARGE if code == 1009 else d.BYE_PROTOCOL)
    connection.close()
    witness.work()


def test_an_unmasked_frame_in_mid_session_commits_nothing(gateway, witness):
    device = Device(gateway, "dev-b").online().work(2)
    device.connection.send(device.batch([(d.PAUSE, {})]), mask=False)
    device.expect_bye(d.BYE_PROTOCOL)
    assert device.online().acked == 2


def test_a_frame_that_never_ends_is_cut_by_silence(make_gateway):
    gateway = make_gateway({"limits": {"hello_timeout": "1s"}}).start()
    device = Device(gateway, "dev-b").connect()
    device.connection.send_raw(frame(b"abc", length=100))
    device.expect_bye(d.BYE_TIMEOUT)


def test_a_fragmented_message_is_put_together(gateway):
    device = Device(gateway, "dev-b").online()
    message = device.batch([(d.PAUSE, {})] * 3)
    device.next_seq += 3
    device.connection.send(message[:5], final=False)
    device.connection.send(b"", opcode=d.PING)
    device.connection.send(message[5:20], opcode=0, final=False)
    device.connection.send(message[20:], opcode=0)
    opcode, _ = device.connection.receive_frame()
    assert opcode == d.PONG
    device.settle()


def test_a_message_over_the_limit_of_welcome(gateway, witness):
    device = Device(gateway, "dev-b").online()
    assert device.welcome[6] == 16384
    device.connection.send(b"x" * 16385)
    device.expect_bye(d.BYE_TOO_LARGE)
    witness.work()


def test_random_garbage_at_every_stage(gateway, witness, pki):
    rng = random.Random(7)
    certificate = pki.device("dev-g")
    for _ in range(30):
        connection = Connection(gateway, certificate=certificate)
        try:
            if rng.random() < 0.5:
                connection.send(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 300))))
            else:
                connection.send_raw(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 300))))
            connection.socket.settimeout(3)
            connection.receive_close()
        except (Gone, socket.timeout, AssertionError):
            pass
        connection.close()
    witness.work()


# --- messages ---


@pytest.mark.parametrize("message", [
    b"", b"\xff", b"\x82\x01", cbor2.dumps([]), cbor2.dumps({}), cbor2.dumps([1]), cbor2.dumps(["hello", {}]),
    cbor2.dumps([1, {1: 5}]), cbor2.dumps([1, {}]), cbor2.dumps([3, {}]), b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x81" * 4000, b"\xa1" * 3000,
])
def test_a_first_message_that_is_no_hello(gateway, witness, message):
    device = Device(gateway, "dev-b").connect()
    device.connection.send(message)
    device.expect_bye(d.BYE_PROTOCOL)


def test_no_hello_in_time(gateway, witness):
    device = Device(gateway, "dev-b").connect()
    began = time.monotonic()
    device.expect_bye(d.BYE_TIMEOUT)
    assert 0.9 < time.monotonic() - began < 3


def test_a_hello_over_four_kilobytes(gateway, witness):
    device = Device(gateway, "dev-b").connect()
    device.hello(body={99: "x" * 4200})
    device.expect_bye(d.BYE_TOO_LARGE)


def test_a_version_that_is_not_spoken_here(gateway, witness):
    device = Device(gateway, "dev-b").connect()
    device.hello(body={2: 2})
    device.expect_bye(d.BYE_VERSION)


def test_unknown_message_types_and_keys_are_ignored(gateway):
    device = Device(gateway, "dev-b").online(body={99: ["later"]})
    device.connection.send(cbor2.dumps([77, {"x": 1}]))
    device.work()


def test_truncated_and_corrupted_batches(gateway, witness):
    rng = random.Random(11)
    committed = 0
    for attempt in range(25):
        device = Device(gateway, "dev-b", stream=4711)
        device.next_seq = committed + 1
        device.online()
        committed = device.acked
        device.next_seq = committed + 1
        good = bytearray(device.batch([(d.PAUSE, {d.FIELD_POSITION: 70000})] * 4))
        if attempt % 2:
            del good[rng.randrange(3, len(good)):]
        else:
            good[rng.randrange(len(good))] ^= 1 << rng.randrange(8)
        device.connection.send(bytes(good))
        kind, body = device.receive()
        assert kind in (d.BYE, d.ACK, d.NACK, d.CREDIT)
        device.connection.close()
        witness.work(1)


# --- events ---


def test_bad_events_are_rejected_one_by_one_and_never_block(gateway, witness):
    device = Device(gateway, "dev-e").online()
    events = [(d.PAUSE, {d.FIELD_POSITION: 1}),
              (99, {}),                                   # unknown type
              (d.PAUSE, {d.FIELD_POSITION: "soon"}),      # wrong field type
              (d.FAVOURITE_ADD, {}),                      # a required field is missing
              (d.PAUSE, {d.FIELD_POSITION: 1 << 60}),     # out of range
              (d.FAVOURITE_ADD, {d.FIELD_ITEM: "x" * 1100}),  # too large
              (d.FAVOURITE_ADD, {d.FIELD_ITEM: "movie-1"})]
    device.connection.send(device.batch(events))
    device.next_seq += len(events)
    device.settle()
    assert [(seq, code) for _, seq, code in device.rejected] == [(2, 1), (3, 2), (4, 3), (5, 4), (6, 6)]
    device.work(2)
    assert gateway.metric("tributary_events_rejected_total") == 5
    assert settled_events(gateway, "dev-e", 4) == [1, 7, 8, 9]


def test_a_batch_of_nothing_but_bad_events_never_blocks_its_lane(make_gateway):
    """Thousands of tiny bad events need much more room sealed than as sent."""
    for segment in ("256MiB", "4MiB"):
        gateway = make_gateway({"data": {"segment_size": segment}}).start()
        device = Device(gateway, "dev-e").online()
        device.connection.send(device.batch([(99, {})] * 2000))
        device.next_seq += 2000
        device.settle()
        device.work(5)
        assert gateway.metric("tributary_events_rejected_total") == 2000
        lost = gateway.metric("tributary_events_not_quarantined_total")
        assert lost == 0 if segment == "256MiB" else 1000 < lost < 2000
        gateway.stop()


def test_a_device_with_bad_events_only_takes_nobodys_room(make_gateway):
    gateway = make_gateway({"limits": {"quarantine": 50}}).start()
    bad, good = Device(gateway, "dev-bad").online(), Device(gateway, "dev-good").online()
    for device, count in ((bad, 40), (good, 10), (bad, 40), (bad, 40), (good, 10)):
        device.send_events(count, 99)  # an unknown type
        device.settle()
    bad.work(3)  # its own good events are as welcome as ever
    lines = (json.loads(line) for line in gateway.log().splitlines())
    assert sum(line["events"] for line in lines if line.get("event") == "session.quarantine_quota") == 70
    assert gateway.metric("tributary_events_not_quarantined_total") == 70
    assert gateway.metric("tributary_events_rejected_total") == 140
    listed = json.loads(subprocess.run([str(BIN / "tributaryctl"), "--config", str(gateway.write_config()), "--json", "quarantine",
                                        "list"], capture_output=True, timeout=60, check=True).stdout)
    assert [(item["device"], item["seq"]) for item in listed["quarantine"]] == \
        [("dev-bad", seq) for seq in range(1, 41)] + [("dev-good", seq) for seq in range(1, 11)] + \
        [("dev-bad", seq) for seq in range(41, 51)] + [("dev-good", seq) for seq in range(11, 21)]


def test_more_rejections_than_an_ack_lists_are_counted(gateway, witness):
    device = Device(gateway, "dev-e").online()
    device.connection.send(device.batch([(99, {})] * 40))
    device.next_seq += 40
    ack = device.take_ack()
    assert len(ack[2]) == 32 and ack[3] == 8
    assert device.acked == 40


# --- sequence, credit, takeover, clones ---


def test_a_seq_that_leaps_is_nacked_and_the_device_can_mend_it(gateway, witness):
    device = Device(gateway, "dev-s").online().work(3)
    device.connection.send(device.batch([(d.PAUSE, {})] * 2, first=6))
    assert device.expect(d.NACK) == {1: device.stream, 2: 4}
    device.expect(d.CREDIT)
    device.work(2)
    # 6 to 9 are lost: it says so
    body = {1: [[device.stream, 6]], 2: [1, 5000, 50], 4: [[4, 4, 0, 0], [d.PAUSE * 2, 1, 0, {}]]}
    device.connection.send(cbor2.dumps([d.BATCH, body]))
    device.next_seq = 11
    device.settle()
    assert gateway.metric("tributary_events_declared_dropped_total") == 4
    assert gateway.metric("tributary_nacks_total") == 1
    assert settled_events(gateway, "dev-s", 6) == [1, 2, 3, 4, 5, 10]


def test_a_seq_that_goes_back_is_a_duplicate_and_is_kept_once(gateway, witness):
    device = Device(gateway, "dev-s").online().work(5)
    device.connection.send(device.batch([(d.PAUSE, {})] * 4, first=2))
    assert device.take_ack()[1] == [[device.stream, 5]]
    device.connection.send(device.batch([(d.PAUSE, {})] * 4, first=4))
    device.next_seq = 8
    device.settle()
    assert settled_events(gateway, "dev-s", 7) == [1, 2, 3, 4, 5, 6, 7]


def test_a_batch_beyond_its_credit_commits_nothing(gateway, witness):
    device = Device(gateway, "dev-c").online().work(10)
    assert device.credit == [60, 32768 + device.used[1]]
    device.connection.send(device.batch([(d.PAUSE, {})] * 51))
    device.expect_bye(d.BYE_CREDIT)
    assert device.online().acked == 10
    witness.work()


def test_bytes_beyond_credit_commit_nothing_more(make_gateway):
    gateway = make_gateway({"limits": {"credit_events": 10000, "credit_size": "8KiB", "message_size": "8KiB"}}).start()
    device = Device(gateway, "dev-c").online()
    assert device.credit == [10000, 8192]
    events = [(d.FAVOURITE_ADD, {d.FIELD_ITEM: "i" * 100})] * 50
    first, second = device.batch(events), device.batch(events, first=51)
    assert len(first) < 8192 < len(first) + len(second) < 16000
    device.connection.send_raw(frame(first) + frame(second))  # in one TLS record: no ack can come between
    device.expect_bye(d.BYE_CREDIT)
    assert device.online().acked == 50


def test_a_second_connection_of_a_device_takes_over(gateway, witness):
    first = Device(gateway, "dev-t").online().work(4)
    second = Device(gateway, "dev-t", stream=first.stream)
    second.next_seq = 5
    second.online()
    assert second.acked == 4
    first.expect_bye(d.BYE_REPLACED)
    second.work(3)
    assert settled_events(gateway, "dev-t", 7) == list(range(1, 8))


def test_takeovers_in_mid_flight_lose_and_double_nothing(gateway, witness):
    """Each connection sends and is replaced at once; what the next WELCOME says is the truth."""
    stream, old = 991, []
    device = Device(gateway, "dev-t", stream=stream).online()
    for _ in range(30):
        device.send_events(7)
        old.append(device)
        following = Device(gateway, "dev-t", stream=stream)
        following.next_seq = device.next_seq
        following.online()
        device = following
        device.next_seq = device.acked + 1
    device.work(5)
    committed = device.acked
    for one in old:
        one.connection.close()
    assert settled_events(gateway, "dev-t", committed) == list(range(1, committed + 1))


def test_a_cloned_device_image_is_seen_and_told(gateway, witness):
    original = Device(gateway, "dev-r").online().work(20)
    original.leave()
    clone = Device(gateway, "dev-r", stream=original.stream)  # an old image of the same flash
    clone.next_seq = 11
    clone.online()
    stream, committed, crc = clone.welcome[3][0]
    assert (stream, committed) == (original.stream, 20) and crc != 0
    assert gateway.metric("tributary_rollbacks_total") == 1
    assert gateway.log_lines("session.rollback")
    clone.stream, clone.next_seq, clone.acked = 5150, 1, 0  # the rule: go on in a new stream
    clone.work(3)
    assert len(settled_events(gateway, "dev-r", 23)) == 23


def test_ten_live_streams_are_too_many(gateway, witness):
    device = Device(gateway, "dev-m").online()
    for stream in range(1, 8):
        device.connection.send(device.batch([(d.PAUSE, {})], first=1, stream=stream))
        device.take_ack()
    device.connection.send(device.batch([(d.PAUSE, {})], first=1, stream=8))
    device.expect_bye(d.BYE_PROTOCOL)


def test_silence_is_pinged_and_then_closed(make_gateway):
    gateway = make_gateway({"limits": {"keepalive": "400ms"}}).start()
    device = Device(gateway, "dev-q").online()
    deadline = time.monotonic() + 2.5
    while time.monotonic() < deadline:  # pings are answered while it reads
        device.connection.socket.settimeout(0.3)
        try:
            device.connection.receive_frame()
        except socket.timeout:
            pass
    device.connection.socket.settimeout(10)
    device.work(1)
    time.sleep(1.6)  # does not read: no pong
    with pytest.raises((Gone, AssertionError)):
        while True:
            device.receive()
            assert False, "something else than BYE"


def test_more_connections_than_allowed_get_503(make_gateway):
    gateway = make_gateway({"limits": {"connections": 3}}).start()
    devices = [Device(gateway, f"dev-{i}").online() for i in range(3)]
    with pytest.raises(Refused) as refused:
        Device(gateway, "dev-9").connect()
    assert refused.value.status == 503
    for device in devices:
        device.work()
    devices[0].leave()
    time.sleep(0.3)
    Device(gateway, "dev-9").online().work()


def test_credit_of_all_connections_stays_within_the_memory_budget(make_gateway, pki):
    gateway = make_gateway({"limits": {"connections": 40, "memory": "1MiB", "credit_size": "128KiB", "credit_events": 20000}}).start()
    for _ in range(3):  # what a connection had comes back when it goes
        devices = [Device(gateway, f"dev-{i}", token=pki.token(f"dev-{i}")).online() for i in range(40)]
        credits = [device.credit[1] for device in devices]
        assert sum(credits) <= 1 << 18  # a quarter is for first windows ...
        assert min(credits) >= 4096 + 1024
        for device in devices:
            device.work(2)
        busy = devices[:3]
        for _ in range(60):  # ... the rest for those who use them
            for device in busy:
                device.work(min(device.window() // 12, 4000))  # an event is of 8 bytes or more
        assert max(device.window() for device in busy) > 40000
        assert all(device.window() < 10000 for device in devices[3:])
        assert sum(device.window() for device in devices) <= 1 << 20
        for device in devices:
            device.leave()
        deadline = time.monotonic() + 10
        while gateway.metric("tributary_connections") > 0 and time.monotonic() < deadline:
            time.sleep(0.05)


def test_who_has_not_said_hello_yet_finds_its_first_window(make_gateway, pki):
    """However much the busy ones take meanwhile."""
    gateway = make_gateway({"limits": {"connections": 40, "memory": "1MiB", "credit_size": "256KiB", "message_size": "256KiB",
                                       "credit_events": 20000, "hello_timeout": "60s"}}).start()
    silent = [Device(gateway, f"dev-{i}", token=pki.token(f"dev-{i}")).connect() for i in range(35)]
    busy = [Device(gateway, f"busy-{i}", token=pki.token(f"busy-{i}")).online() for i in range(5)]
    text = {d.FIELD_ITEM: "x" * 900, d.FIELD_LIST: "later"}
    for _ in range(16):
        for device in busy:
            device.send_events(int(device.window() * 0.7) // 900, d.FAVOURITE_ADD, text)
            device.settle()
    assert sum(device.window() for device in busy) > 400000  # they have taken what there was to take
    for device in silent:
        device.hello()
        assert device.expect(d.WELCOME)[5][1] >= 4096 + 1024


def test_peers_that_vanish_while_their_batches_are_in_flight(gateway, witness):
    """Late outcomes for connections that are gone find nobody and harm nobody."""
    for i in range(40):
        device = Device(gateway, f"dev-v{i % 5}", stream=100 + i).online()
        device.send_events(20)
        if i % 2:
            device.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        device.connection.close()
    witness.work()
    deadline = time.monotonic() + 5
    while gateway.metric("tributary_connections") > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gateway.metric("tributary_connections") == 1


def test_all_that_was_acked_is_in_the_stream(gateway, witness):
    """The witness rule, stated once in full: hundreds of acks between abuse, all delivered, none twice."""
    abuse = list(broken_frames().values())
    certificate = gateway.pki.device("dev-b")
    for i in range(24):
        witness.work(5)
        connection = Connection(gateway, certificate=certificate)
        connection.send_raw(abuse[i % len(abuse)][1])
        connection.close()
    assert settled_events(gateway, "witness", witness.acked) == list(range(1, witness.acked + 1))
