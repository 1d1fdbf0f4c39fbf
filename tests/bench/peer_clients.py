"""Clients of the peers: each keeps a window of messages in flight on each of its TLS connections and counts what is acked."""
import base64
import os
import socket
import ssl
import struct
import threading
import time


class Link:
    """One connection. frame() makes the next message, acks() counts the acks in what was read."""

    def __init__(self, port, ca):
        context = ssl.create_default_context(cafile=ca / "server-ca.pem")
        context.load_cert_chain(ca / "device-bench.pem", ca / "device-bench.key")  # for a server that asks
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(30)
        self.unread = b""

    def read(self):
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit("peers: a peer closed the connection")
        self.unread += data

    def read_until(self, end):
        while end not in self.unread:
            self.read()
        head, self.unread = self.unread.split(end, 1)
        return head


def text_of(count):
    """So many bytes, printable and without repetition: half of what a peer would take as JSON."""
    return base64.b64encode(os.urandom(count))[:count]


class Relp(Link):
    """RELP, of rsyslog's imrelp: numbered transactions, each answered."""

    def __init__(self, port, ca, events, size):
        super().__init__(port, ca)
        offer = b"relp_version=0\nrelp_software=bench\ncommands=syslog"
        self.socket.sendall(b"1 open %d %s\n" % (len(offer), offer))
        if b"200 OK" not in self.read_until(b"commands=syslog"):
            raise SystemExit("peers: RELP was not opened")
        self.read_until(b"\n")
        self.number, self.message = 1, b"<134>" + text_of(events * size)

    def frame(self):
        self.number += 1
        return b"%d syslog %d %s\n" % (self.number, len(self.message), self.message)

    def acks(self):
        *lines, self.unread = self.unread.split(b"\n")
        if any(b" 200 OK" not in line for line in lines):
            raise SystemExit(f"peers: rsyslog refused: {lines[:3]}")
        return len(lines)


class WebMqtt(Link):
    """MQTT 3.1.1 in websocket frames, QoS 1: PUBLISH and PUBACK."""

    def __init__(self, port, ca, events, size):
        super().__init__(port, ca)
        self.socket.sendall(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
                            b"dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
        if b" 101 " not in self.read_until(b"\r\n\r\n"):
            raise SystemExit("peers: no websocket")
        name = b"bench-%d" % id(self)
        user = b"".join(struct.pack(">H", len(text)) + text for text in (name, b"guest", b"guest"))
        self.socket.sendall(self.packet(0x10, b"\0\4MQTT\4\xc2\0\0" + user))
        while len(self.unread) < 6:
            self.read()
        if self.unread[2:6] != b"\x20\2\0\0":
            raise SystemExit(f"peers: MQTT refused: {self.unread!r}")
        self.unread, self.number, self.message = b"", 0, text_of(events * size)

    @staticmethod
    def packet(kind, body):
        length, left = b"", len(body)
        while True:
            length += bytes([left & 127 | (128 if left > 127 else 0)])
            left >>= 7
            if not left:
                break
        payload = bytes([kind]) + length + body
        size = len(payload)
        head = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
        return b"\x82" + head + b"\0\0\0\0" + payload

    def frame(self):
        self.number = self.number % 65535 + 1
        return self.packet(0x32, b"\0\6events" + struct.pack(">H", self.number) + self.message)

    def acks(self):
        count, at = 0, 0
        while len(self.unread) - at >= 2:
            size = self.unread[at + 1] & 127
            if len(self.unread) - at < 2 + size:
                break
            if self.unread[at] == 0x82:
                count += self.unread.count(b"\x40\2", at + 2, at + 2 + size) if size % 4 else size // 4
            at += 2 + size
        self.unread = self.unread[at:]
        return count


class Otlp(Link):
    """OTLP over HTTP/1.1, pipelined: one log record an event."""

    def __init__(self, port, ca, events, size):
        super().__init__(port, ca)
        records = b"".join(self.field(2, b"\x09" + struct.pack("<Q", time.time_ns()) + self.field(5, self.field(1, text_of(size))))
                           for _ in range(events))
        body = self.field(1, self.field(2, records))
        self.request = (b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n"
                        % len(body)) + body

    @staticmethod
    def field(number, body):
        length, left = b"", len(body)
        while left > 127:
            length += bytes([left & 127 | 128])
            left >>= 7
        return bytes([number << 3 | 2]) + length + bytes([left]) + body

    def frame(self):
        return self.request

    def acks(self):
        count = self.unread.count(b"HTTP/1.1 200 OK\r\n")
        if b"HTTP/1.1 " in self.unread and count != self.unread.count(b"HTTP/1.1 "):
            raise SystemExit(f"peers: the collector refused: {self.unread[:300]!r}")
        self.unread = self.unread[self.unread.rfind(b"HTTP/1.1 200 OK\r\n") + 17:] if count else self.unread
        return count


class Clients:
    """Some links, a thread each, that send until stop()."""

    def __init__(self, kind, port, ca, events, size, links, window):
        self.acked, self.window, self.stopping, self.failure = [0] * links, window, False, None
        self.links = [kind(port, ca, events, size) for _ in range(links)]
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(links)]
        for thread in self.threads:
            thread.start()

    def run(self, index):
        link, flying = self.links[index], 0
        try:
            while flying or not self.stopping:
                if not self.stopping and flying < self.window:
                    link.socket.sendall(b"".join(link.frame() for _ in range(self.window - flying)))
                    flying = self.window
                link.read()
                got = link.acks()
                flying -= got
                self.acked[index] += got
        except (OSError, SystemExit) as error:
            self.failure = error

    def total(self):
        if self.failure:
            raise SystemExit(f"peers: {self.failure}")
        return sum(self.acked)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(40)
        for link in self.links:
            link.socket.close()
        return self.total()
