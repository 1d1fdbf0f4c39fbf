"""
A device made by hand: TLS socket, websocket framing and Tributary messages, each as wrong as a test wants it.
Blocking, with a time limit on every wait.
"""

import base64
import os
import socket
import ssl
import struct
import time

import cbor2

HELLO, WELCOME, BATCH, ACK, NACK, CONFIG, CREDIT, BYE = range(1, 9)
BYE_DRAINING, BYE_REPLACED, BYE_CREDIT, BYE_PROTOCOL, BYE_TOO_LARGE, BYE_VERSION = range(1, 7)
BYE_BLOCKED, BYE_UNAVAILABLE, BYE_TIMEOUT, BYE_AUTH = range(7, 11)
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

PAUSE, FAVOURITE_ADD, CUSTOM = 6, 18, 21
FIELD_USER, FIELD_POSITION, FIELD_ITEM, FIELD_LIST = 0, 3, 23, 24


class Refused(Exception):
    """The upgrade was answered with something else than 101."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class Gone(Exception):
    """The connection is closed."""


def frame(payload, opcode=BINARY, mask=True, final=True, rsv=0, length=None):
    """length: declare another length than the payload has."""
    declared = len(payload) if length is None else length
    head = bytes([(0x80 if final else 0) | rsv | opcode])
    bit = 0x80 if mask else 0
    if declared < 126:
        head += bytes([bit | declared])
    elif declared < 65536:
        head += bytes([bit | 126]) + struct.pack(">H", declared)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", declared)
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(b ^ key[i & 3] for i, b in enumerate(payload))


class Connection:
    """Websocket over TLS; nothing of Tributary yet."""

    def __init__(self, gateway, certificate=None, token=None, subprotocol="tributary.v1.cbor", path="/v1", origin=None,
                 headers=(), timeout=15, context=None, session=None, before=b"", source=None):
        """context, session: to resume. before: bytes ahead of TLS. source: the address to come from."""
        ready = context is not None
        context = context or ssl.create_default_context(cafile=str(gateway.pki.folder / "ca.crt"))
        if certificate and not ready:
            context.load_cert_chain(*map(str, certificate))
        plain = socket.create_connection(("127.0.0.1", gateway.port), timeout=timeout,
                                         source_address=(source, 0) if source else None)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.sendall(before)
        self.socket = context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
        self.buffer = b""
        request = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade",
                   "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}"]
        request += [f"Sec-WebSocket-Protocol: {subprotocol}"] if subprotocol else []
        request += [f"Authorization: Bearer {token}"] if token else []
        request += [f"Origin: {origin}"] if origin else []
        self.send_raw("\r\n".join(request + list(headers) + ["", ""]).encode())
        self._read_answer()

    def _read_answer(self):
        while b"\r\n\r\n" not in self.buffer:
            self._fill()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        status = int(head.split()[1])
        self.answer = head.decode()
        if status != 101:
            try:
                while True:
                    self._fill()
            except (Gone, socket.timeout):
                pass
            raise Refused(status, self.buffer.decode())

    def _fill(self):
        try:
            data = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError) as error:
            if isinstance(error, socket.timeout):
                raise
            raise Gone(str(error)) from error
        if not data:
            raise Gone("end of connection")
        self.buffer += data

    def _take(self, count):
        while len(self.buffer) < count:
            self._fill()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send_raw(self, data):
        self.socket.sendall(data)

    def send(self, payload, **how):
        self.send_raw(frame(payload, **how))

    def receive_frame(self):
        """(opcode, payload); pings are answered and left out."""
        while True:
            first, second = self._take(2)
            assert second & 0x80 == 0, "a server frame must not be masked"
            length = second & 0x7F
            if length == 126:
                length, = struct.unpack(">H", self._take(2))
            elif length == 127:
                length, = struct.unpack(">Q", self._take(8))
            payload = self._take(length)
            if first & 0x0F == PING:
                self.send(payload, opcode=PONG)
                continue
            return first & 0x0F, payload

    def receive_close(self):
        """Reads up to the close frame; returns its code, and the messages before it."""
        messages = []
        while True:
            opcode, payload = self.receive_frame()
            if opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if payload else None
                return code, messages
            messages.append(payload)

    def close(self):
        self.socket.close()


class Device:
    """A well-behaved device of one lane, unless told otherwise."""

    def __init__(self, gateway, name, stream=None, **connect):
        self.gateway, self.name = gateway, name
        self.stream = stream or int.from_bytes(os.urandom(7), "big") + 1
        self.boot, self.next_seq, self.acked = 1, 1, 0
        self.acked_gateway = None
        if "certificate" not in connect and "token" not in connect:
            connect["certificate"] = gateway.pki.device(name)
        self.connect_arguments = connect
        self.connection, self.rejected = None, []

    def connect(self):
        self.connection = Connection(self.gateway, **self.connect_arguments)
        return self

    def hello(self, **changes):
        body = {1: self.name, 2: 1, 3: "test/1", 4: 0, 5: self.boot, 6: 1000,
                7: [[self.stream, 0, self.next_seq, self.acked]]}
        if self.acked_gateway:
            body[8] = self.acked_gateway
        body.update(changes.pop("body", {}))
        self.connection.send(cbor2.dumps([HELLO, body]))

    def online(self, **changes):
        """Connect, HELLO, WELCOME."""
        self.connect()
        self.hello(**changes)
        self.welcome = self.expect(WELCOME)
        self.credit = list(self.welcome[5])
        self.used = [0, 0]
        self.acked_gateway = [self.welcome[1], self.welcome[2]]
        self.acked = max([self.acked] + [committed for stream, committed, _ in self.welcome[3] if stream == self.stream])
        return self

    def receive(self):
        opcode, payload = self.connection.receive_frame()
        if opcode == CLOSE:
            raise Gone(f"close frame {payload!r}")
        assert opcode == BINARY
        kind, body = cbor2.loads(payload)[:2]
        return kind, body

    def expect(self, kind):
        got, body = self.receive()
        assert got == kind, f"message {got} {body} instead of {kind}"
        return body

    def expect_bye(self, reason):
        """BYE, then the close frame. Returns BYE's body."""
        while True:
            kind, body = self.receive()
            if kind == BYE:
                break
        assert body[1] == reason, body
        self.connection.receive_close()
        self.connection.close()
        return body

    def batch(self, events, first=None, stream=None, **changes):
        """events: [(type, fields)]. Returns the message."""
        first = self.next_seq if first is None else first
        items = [[kind * 2, 1, 0, fields] for kind, fields in events]
        body = {1: [[self.stream if stream is None else stream, first]], 2: [self.boot, 1000 + first, first], 4: items}
        body.update(changes)
        return cbor2.dumps([BATCH, body])

    def send_events(self, count, kind=PAUSE, fields=None):
        """Sends and does not wait."""
        message = self.batch([(kind, dict(fields or {FIELD_POSITION: 7}))] * count)
        self.connection.send(message)
        self.next_seq += count
        self.used[0] += count
        self.used[1] += len(message)

    def take_ack(self):
        body = self.expect(ACK)
        for stream, seq in body.get(1, []):
            if stream == self.stream:
                self.acked = max(self.acked, seq)
        self.rejected += body.get(2, [])
        self.credit = list(body[4])
        return body

    def settle(self, wait=20):
        """Waits until all is acked."""
        deadline = time.monotonic() + wait
        while self.acked < self.next_seq - 1:
            assert time.monotonic() < deadline, f"acked {self.acked} of {self.next_seq - 1}"
            self.take_ack()
        return self

    def work(self, count=3):
        """Sends events and waits for their ack: what a good device must always be able to do."""
        self.send_events(count)
        return self.settle()

    def window(self):
        """Bytes that it may send now."""
        return self.credit[1] - self.used[1]

    def leave(self):
        """The device closes; the gateway must answer with a close frame and close the socket."""
        self.connection.send(struct.pack(">H", 1000), opcode=CLOSE)
        self.connection.receive_close()
        self.connection.close()
