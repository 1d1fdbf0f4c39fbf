"""Certificates and a small gateway for the uplink's tests, on Python's own TLS and websockets: an independent peer."""

import asyncio
import datetime
import ipaddress
import ssl
import threading

import cbor2
import websockets
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.utcnow().replace(microsecond=0)
DAY = datetime.timedelta(days=1)


class Authority:
    """Signs certificates: a root, or one below another."""

    def __init__(self, folder, name, parent=None, is_ca=True):
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = parent or self
        builder = (x509.CertificateBuilder().subject_name(self.subject).issuer_name(signer.subject)
                   .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(NOW - 1000 * DAY).not_valid_after(NOW + 1000 * DAY)
                   .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True))
        self.certificate = builder.sign(signer.key, hashes.SHA256())
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name, names=(), start=-DAY, end=30 * DAY, usage=ExtendedKeyUsageOID.SERVER_AUTH, chain=()):
        """Writes NAME.pem (with the chain behind it) and NAME.key; names: DNS names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (x509.CertificateBuilder()
                   .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
                   .issuer_name(self.subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(NOW + start).not_valid_after(NOW + end)
                   .add_extension(x509.ExtendedKeyUsage([usage]), critical=False))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([general_name(n) for n in names]), False)
        certificate = builder.sign(self.key, hashes.SHA256())
        pem, key_path = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        pem.write_bytes(b"".join(c.public_bytes(serialization.Encoding.PEM)
                                 for c in (certificate, *[a.certificate for a in chain])))
        key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                               serialization.NoEncryption()))
        return pem, key_path


def general_name(name):
    if isinstance(name, x509.GeneralName):
        return name
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def server_context(pem, key, client_ca=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class Gateway:
    """Acks each batch. Runs in a thread of its own; what happened is in its fields."""

    def __init__(self, context=None, host="127.0.0.1", subprotocols=("tributary.v1.cbor",), refuse=None,
                 close_after_acks=0, credit=(100000, 10000000), keepalive_ms=25000, server_names=None):
        self.context, self.host, self.subprotocols, self.refuse = context, host, subprotocols, refuse
        self.close_after_acks, self.credit, self.keepalive_ms = close_after_acks, credit, keepalive_ms
        self.committed, self.hellos, self.batches, self.over_credit = {}, [], 0, False
        self.headers, self.resumed, self.server_names, self.pongs = [], [], [], 0
        if context:
            context.sni_callback = lambda sock, name, ctx: self.server_names.append(name)

    def __enter__(self):
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()))
        self.thread.start()
        assert self.ready.wait(10)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join(20)
        assert not self.thread.is_alive()

    async def run(self):
        self.loop, self.stop = asyncio.get_running_loop(), asyncio.Event()
        async with websockets.serve(self.serve, self.host, 0, ssl=self.context, subprotocols=list(self.subprotocols),
                                    process_request=self.process_request, compression=None, ping_interval=None,
                                    close_timeout=1) as server:
            self.port = server.sockets[0].getsockname()[1]
            self.ready.set()
            await self.stop.wait()

    async def process_request(self, path, headers):
        self.headers.append((path, headers))
        return self.refuse

    def send(self, socket, kind, body):
        return socket.send(cbor2.dumps([kind, body]))

    async def serve(self, socket, path=None):
        tls = socket.transport.get_extra_info("ssl_object")
        self.resumed.append(bool(tls and tls.session_reused))
        kind, hello = cbor2.loads(await asyncio.wait_for(socket.recv(), 5))
        assert kind == 1
        self.hellos.append(hello)
        streams = [s[0] for s in hello[7]]
        events, size = self.credit
        await self.send(socket, 2, {1: "peer", 2: 1, 3: [[s, self.committed.get(s, 0), 0] for s in streams],
                                    4: [0, 0, 0], 5: [events, size], 6: 65536, 7: 4096, 8: self.keepalive_ms, 9: 0})
        pong = await socket.ping(b"are you there")
        got_events = got_bytes = acks = 0
        async for message in socket:
            if not self.pongs:
                await asyncio.wait_for(pong, 5)
                self.pongs += 1
            kind, batch = cbor2.loads(message)
            assert kind == 3
            self.batches += 1
            stream, first = batch[1][1]
            count = sum(1 for item in batch[4] if item[0] >= 6)
            got_events, got_bytes = got_events + count, got_bytes + len(message)
            self.over_credit |= got_events > events or got_bytes > size
            assert first <= self.committed.get(stream, 0) + 1
            self.committed[stream] = max(self.committed.get(stream, 0), first + count - 1)
            events, size = events + count, size + len(message)
            await self.send(socket, 4, {1: [[stream, self.committed[stream]]], 4: [events, size]})
            acks += 1
            if acks == self.close_after_acks:
                await socket.close()
