"""
The wire protocol against an independent implementation: a small gateway on Python's `websockets` and `cbor2`, strict
about what devices send. It can also lie, to show that tributary-load would notice.
"""

import asyncio
import json
import ssl
import struct
import subprocess
import threading

import cbor2
import pytest
import websockets
from cryptography.hazmat.primitives import serialization

from gateway import BIN

HELLO, WELCOME, BATCH, ACK, NACK, CREDIT, BYE = 1, 2, 3, 4, 5, 7, 8
CREDIT_EVENTS, CREDIT_BYTES = 500, 100000


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


class Peer:
    """Takes what a gateway takes, remembers every event, and checks everything that the protocol says of a device."""

    def __init__(self, pki, lie=None, drop_every=0):
        self.lie, self.drop_every = lie, drop_every
        self.streams, self.crcs, self.events, self.problems = {}, {}, [], []
        self.batches, self.connections = 0, 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pki.folder / "server.crt", pki.folder / "server.key")
        self.started = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)
        self.thread.start()
        assert self.started.wait(10)

    async def serve(self):
        self.loop, self.stopped = asyncio.get_running_loop(), asyncio.Event()
        async with websockets.serve(self.connection, "127.0.0.1", 0, ssl=self.context, compression=None,
                                    subprotocols=["tributary.v1.cbor"]) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.started.set()
            await self.stopped.wait()

    def stop(self):
        self.loop.call_soon_threadsafe(self.stopped.set)
        self.thread.join(10)

    async def connection(self, socket, _path=None):
        try:
            await self.session(socket)
        except websockets.ConnectionClosed:
            pass
        except Exception as problem:  # a test looks at these
            self.problems.append(repr(problem))

    def check(self, true, what):
        if not true:
            raise AssertionError(what)

    async def session(self, socket):
        self.connections += 1
        kind, hello = cbor2.loads(await socket.recv())
        self.check(kind == HELLO and hello[2] == 1 and 1 <= len(hello[1]) <= 64, "HELLO")
        states = []
        for stream, lane, next_seq, acked in hello[7]:
            committed = self.streams.get(stream, 0)
            self.check(lane in (0, 1) and acked <= committed < next_seq, "HELLO's streams")
            if self.lie == "forget" and committed > 1:
                committed -= 1
            crc = self.crcs.get((stream, committed), 0)
            states.append([stream, committed, crc ^ (self.lie == "crc" and crc != 0)])
        limit = [CREDIT_EVENTS, CREDIT_BYTES]
        await socket.send(cbor2.dumps([WELCOME, {
            1: "peer", 2: 77, 3: states, 4: [1700000000000, 1, 3], 5: limit, 6: 20000, 7: 4096, 8: 25000,
            50: ["a key of a later version"]}]))
        await socket.send(cbor2.dumps([99, {"what": "a message of a later version"}]))
        used = [0, 0]
        while True:
            data = await socket.recv()
            await self.batch(socket, data, limit, used)
            self.batches += 1
            if self.drop_every and self.batches % self.drop_every == 0:
                await socket.close()
                return

    async def batch(self, socket, data, limit, used):
        self.check(isinstance(data, bytes) and len(data) <= 20000, "the message's size")
        kind, body = cbor2.loads(data)
        self.check(kind == BATCH and list(body)[-1] == 4, "items are the last key")
        events = [item for item in body[4] if item[0] >= 6]
        used[0], used[1] = used[0] + len(events), used[1] + len(data)
        self.check(used[0] <= limit[0] and used[1] <= limit[1], "beyond the credit")
        limit[0], limit[1] = limit[0] + len(events), limit[1] + len(data)
        for stream, first in body[1]:
            if stream and first > self.streams.get(stream, 0) + 1 and self.lie != "take leaps":
                await socket.send(cbor2.dumps([NACK, {1: stream, 2: self.streams.get(stream, 0) + 1}]))
                await socket.send(cbor2.dumps([CREDIT, {1: limit[0], 2: limit[1]}]))
                return
        self.take(body)
        await self.answer(socket, body, limit)

    def take(self, body):
        boot, mono, order = body[2]
        seqs, contexts, context = [first for _, first in body[1]], {}, 0
        for item in body[4]:
            kind, lane = item[0] // 2, item[0] % 2
            if kind == 1:
                contexts[item[1]] = item[2]
                continue
            rest = list(item[1:])
            mono += rest.pop(0)
            if not isinstance(rest[0], dict):
                context = rest.pop(0)
            fields = rest.pop(0)
            order += rest.pop(0) if rest else 1
            self.check(context == 0 or context in contexts, "a context that was not given")
            stream, seq = body[1][lane][0], seqs[lane]
            seqs[lane] += 1
            raw = cbor2.dumps(fields)
            crc = crc32c(struct.pack(">QQQQQB", stream, seq, boot, mono, order, kind) + raw)
            known = self.crcs.setdefault((stream, seq), crc)
            self.check(known == crc, "the same seq with other contents")
            self.check(seq != 1 or kind == 3, "a stream begins with stream.start")
            if seq > self.streams.get(stream, 0):
                self.streams[stream] = seq
                self.events.append((stream, seq, order, kind, fields, contexts.get(context)))

    async def answer(self, socket, body, limit):
        acked = [[stream, self.streams.get(stream, 0)] for stream, _ in body[1] if stream]
        if self.lie == "ack ahead":
            acked[0][1] += 1000000
        if self.lie == "credit back":
            limit = [1, 1]
        if self.lie == "nack":
            await socket.send(cbor2.dumps([NACK, {1: acked[-1][0], 2: 1}]))
        elif self.lie == "garbage":
            await socket.send(b"\x82\x04\xff")
        elif self.lie == "bye":
            await socket.send(cbor2.dumps([BYE, {1: 4, 4: "nobody knows why"}]))
        else:
            await socket.send(cbor2.dumps([ACK, {1: acked, 4: limit, 60: None}]))


@pytest.fixture
def make_peer(pki):
    peers = []

    def make(**options):
        peers.append(Peer(pki, **options))
        return peers[-1]

    yield make
    for peer in peers:
        peer.stop()


def load(peer, pki, *more):
    key = pki.folder / "device-ca.key"
    key.write_bytes(pki.device_ca.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                    serialization.NoEncryption()))
    done = subprocess.run(
        [str(BIN / "tributary-load"), "--url", f"wss://127.0.0.1:{peer.port}/v1", "--ca", str(pki.folder / "ca.crt"),
         "--device-ca", str(pki.folder / "device-ca.crt"), "--ca-key", str(key), "--format", "json", "--quiet",
         "--patience", "3", *map(str, more)], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout), done.stderr


def test_an_independent_gateway_understands_every_byte(make_peer, pki):
    peer = make_peer()
    status, report, err = load(peer, pki, "--devices", 3, "--events", 400, "--batch", 30, "--users", 5)
    assert (status, peer.problems) == (0, []), err
    assert report["events_acked"] == len(peer.events) == 1200
    by_stream = {}
    for stream, seq, *_ in peer.events:
        assert seq == by_stream.get(stream, 0) + 1
        by_stream[stream] = seq
    assert len(by_stream) == 6
    assert all(fields[0].startswith("user-") for *_, fields, _ in peer.events)
    with_context = [context for *_, context in peer.events if context]
    assert len(with_context) == 1200 - 6 and all(context[1].startswith("film-") for context in with_context)


def test_lost_connections_are_taken_up_where_the_gateway_was(make_peer, pki):
    peer = make_peer(drop_every=5)
    status, report, err = load(peer, pki, "--devices", 2, "--events", 600, "--batch", 25)
    assert (status, peer.problems) == (0, []), err
    assert report["reconnects"] >= 5 and peer.connections == report["reconnects"] + 2
    # The last connection of a device may be lost when all was acked: then there is nothing to come back for.
    assert report["reconnects"] <= report["connections_lost"] <= report["reconnects"] + 2
    assert len(peer.events) == 1200 and not any(report["violations"].values())


def test_chaos_is_within_the_protocol(make_peer, pki):
    peer = make_peer()
    status, report, err = load(peer, pki, "--events", 8000, "--batch", 20, "--chaos", "--seed", 3)
    assert (status, peer.problems) == (0, []), err
    assert report["expected_nacks"] > 3 and report["duplicates_sent"] > 50 and len(peer.events) == 8000


@pytest.mark.parametrize("lie, violation, options", [
    ("forget", "lost_acks", {"drop_every": 3}),
    ("crc", "wrong_crcs", {"drop_every": 3}),
    ("ack ahead", "acks_ahead", {}),
    ("take leaps", "acks_ahead", {}),
    ("credit back", "went_back", {}),
    ("nack", "wrong_nacks", {}),
    ("garbage", "bad_messages", {}),
    ("bye", "bad_byes", {}),
])
def test_a_gateway_that_breaks_the_protocol_is_noticed(make_peer, pki, lie, violation, options):
    peer = make_peer(lie=lie, **options)
    more = ["--chaos"] if lie == "take leaps" else []
    status, report, err = load(peer, pki, "--events", 2000, "--batch", 20, "--seed", 3, "--duration", 4, *more)
    assert status == 1 and report["violations"][violation] > 0, err
    others = {name for name, count in report["violations"].items() if count} - {violation}
    assert not others or lie in ("forget", "take leaps", "ack ahead"), report
