"""SIGHUP: everything is checked, then everything is swapped, and whom the new credentials do not let in is cut."""

import contextlib
import ipaddress
import json
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

import device as d
from device import Device, Refused
from gateway import BIN, Gateway
from pki import DEVICE_URI, Authority, Pki

IN_TIME = 5


@pytest.fixture
def own(tmp_path):
    """A gateway on files of its own, which a test may change."""
    for name in ("pki", "gateway"):
        (tmp_path / name).mkdir()
    gateway = Gateway(tmp_path / "gateway", Pki(tmp_path / "pki"),
                      {"listen": {"threads": 4}, "auth": {"deny": str(tmp_path / "pki" / "deny.txt")}})
    gateway.deny = tmp_path / "pki" / "deny.txt"
    gateway.deny.write_text("# nobody yet\n")
    yield gateway
    try:
        gateway.check()
    finally:
        gateway.kill()


def outcomes(gateway):
    return [len(gateway.log_lines(event)) for event in ("main.reloaded", "main.reload_refused")]


def test_the_command_says_what_became_of_it(own):
    own.start()
    device = Device(own, "dev-1").online().work()

    def ctl():
        return subprocess.run([BIN / "tributaryctl", "--config", own.write_config(), "reload"], capture_output=True,
                              text=True, timeout=20)

    own.deny.write_text("not a device id\n")
    done = ctl()
    assert done.returncode == 4 and "line 1 is not a device id" in done.stderr
    device.work()
    own.deny.write_text("dev-1\n")
    done = ctl()
    assert done.returncode == 0 and "reloaded" in done.stdout
    device.expect_bye(d.BYE_BLOCKED)


def reload(gateway):
    """Returns the reason of a refusal, or None."""
    gateway.write_config()
    before, deadline = outcomes(gateway), time.monotonic() + 10
    gateway.process.send_signal(signal.SIGHUP)
    while outcomes(gateway) == before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if outcomes(gateway)[0] > before[0]:
        return None
    return gateway.log_lines("main.reload_refused")[-1]["message"]


def refused(device):
    with pytest.raises(Refused) as how:
        device.connect()
    return how.value.status


def test_a_denied_device_is_cut_in_time_and_stays_out(own):
    own.start()
    certified = Device(own, "dev-cert").online().work()
    holder = Device(own, "dev-token", token=own.pki.token("dev-token")).online().work()
    others = [Device(own, f"dev-{i}").online() for i in range(8)]
    own.deny.write_text("dev-cert # sold\n\n  dev-token\r\ndev-never-seen\n")
    began = time.monotonic()
    assert reload(own) is None
    certified.expect_bye(d.BYE_BLOCKED)
    holder.expect_bye(d.BYE_BLOCKED)
    assert time.monotonic() - began < IN_TIME
    assert refused(Device(own, "dev-cert")) == 403
    assert refused(Device(own, "dev-token", token=own.pki.token("dev-token"))) == 403
    for device in others:
        device.work()
    assert own.metric("tributary_revoked_total") == 2
    own.deny.write_text("")
    assert reload(own) is None
    Device(own, "dev-cert").online().work()


def test_a_withdrawn_authority_cuts_its_devices_and_no_others(own):
    own.start()
    old = [Device(own, f"dev-{i}").online().work() for i in range(8)]
    holder = Device(own, "dev-token", token=own.pki.token("dev-token")).online().work()
    both = own.pki.folder / "device-ca.crt"
    both.write_bytes(own.pki.device_ca.pem() + own.pki.foreign_ca.pem())
    assert reload(own) is None
    new = Device(own, "dev-new", certificate=own.pki.device("dev-new", foreign=True)).online().work()
    for device in old:
        device.work()
    both.write_bytes(own.pki.foreign_ca.pem())
    began = time.monotonic()
    assert reload(own) is None
    for device in old:
        device.expect_bye(d.BYE_AUTH)
    assert time.monotonic() - began < IN_TIME
    new.work()
    holder.work()
    with pytest.raises((ssl.SSLError, d.Gone, ConnectionError)):
        Device(own, "dev-0").connect()


def test_an_authority_that_is_issued_anew_with_its_key_is_the_same(own):
    own.start()
    device = Device(own, "dev-1").online().work()
    again = own.pki.device_ca
    again.certificate = (
        x509.CertificateBuilder().subject_name(again.name).issuer_name(again.name)
        .public_key(again.key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(again.certificate.not_valid_before).not_valid_after(again.certificate.not_valid_after)
        .add_extension(x509.BasicConstraints(True, 0), True)
        .sign(again.key, again.certificate.signature_hash_algorithm))
    (own.pki.folder / "device-ca.crt").write_bytes(again.pem())
    assert reload(own) is None
    device.work()
    Device(own, "dev-2").online().work()


def test_a_withdrawn_token_key_cuts_its_tokens_and_no_others(own):
    own.start()
    es256 = Device(own, "dev-es", token=own.pki.token("dev-es")).online().work()
    eddsa = Device(own, "dev-ed", token=own.pki.token("dev-ed", own.pki.ed25519, "EdDSA", "k-ed")).online().work()
    certified = Device(own, "dev-cert").online().work()
    keys = own.pki.folder / "jwks.json"
    keys.write_text(json.dumps({"keys": [key for key in json.loads(keys.read_text())["keys"] if key["kid"] == "k-ed"]}))
    began = time.monotonic()
    assert reload(own) is None
    es256.expect_bye(d.BYE_AUTH)
    assert time.monotonic() - began < IN_TIME
    eddsa.work()
    certified.work()
    assert refused(Device(own, "dev-es", token=own.pki.token("dev-es"))) == 401


def test_a_certificate_is_renewed_without_dropping_a_connection(own):
    own.start()
    devices = [Device(own, f"dev-{i}").online().work() for i in range(12)]

    def served():
        device = Device(own, "dev-look").connect()
        der = device.connection.socket.getpeercert(binary_form=True)
        device.connection.close()
        return x509.load_der_x509_certificate(der).serial_number

    def on_disk():
        return x509.load_pem_x509_certificate((own.pki.folder / "server.crt").read_bytes()).serial_number

    assert served() == on_disk()
    own.pki._store("server", own.pki.server_ca.issue("localhost", [
        x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))],
        ExtendedKeyUsageOID.SERVER_AUTH))
    assert served() != on_disk()
    assert reload(own) is None
    assert {served() for _ in range(16)} == {on_disk()}  # on whichever thread
    for device in devices:
        device.work()
    assert own.metric("tributary_byes_total") == 0


def test_a_reload_with_anything_wrong_changes_nothing(own):
    own.start()
    device = Device(own, "dev-1").online().work()
    certificate, key = own.pki.folder / "server.crt", own.pki.folder / "server.key"
    good = certificate.read_bytes(), key.read_bytes(), (own.pki.folder / "jwks.json").read_bytes()
    own.deny.write_text("dev-1\n")  # what must not take effect as long as something else is wrong

    key.write_bytes(own.pki.server_ca.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    assert "listen.key" in reload(own)
    key.write_bytes(good[1])
    certificate.write_bytes(b"nonsense")
    assert "listen.certificate" in reload(own)
    certificate.write_bytes(good[0])
    (own.pki.folder / "jwks.json").write_text("{}")
    assert "key set" in reload(own)
    (own.pki.folder / "jwks.json").write_bytes(good[2])
    own.deny.write_text("dev-1\nnot a device\n")
    assert "line 2" in reload(own)
    own.deny.write_text("dev-1\n")
    own.settings["limits"] = {"connections": 7}
    assert "limits.connections cannot change without a restart" in reload(own)
    own.settings["limits"] = {"connexions": 7}
    assert "connexions" in reload(own)
    del own.settings["limits"]
    device.work()
    Device(own, "dev-2").online().work()
    assert own.metric("tributary_reloads_refused_total") == 6 and own.metric("tributary_revoked_total") == 0

    assert reload(own) is None
    device.expect_bye(d.BYE_BLOCKED)


def test_what_devices_are_told_changes_while_they_are_connected(own):
    own.start()
    device = Device(own, "dev-1").online().work()
    own.settings["devices"] = {"sending": False}
    assert reload(own) is None
    body = device.expect(d.CONFIG)
    version, told = body[1], body[2]
    assert version != 0 and told[7] == 0
    later = Device(own, "dev-2").connect()
    later.hello()
    assert later.expect(d.WELCOME)
    assert later.expect(d.CONFIG)[1] == version


def test_reloads_without_end_under_load_harm_nobody(own):
    own.start()
    devices = [Device(own, f"dev-{i}").online() for i in range(8)]
    for round_ in range(30):
        own.deny.write_text(f"gone-{round_}\n")
        own.process.send_signal(signal.SIGHUP)
        for device in devices:
            device.work(2)
    assert own.metric("tributary_reloads_refused_total") == 0 and own.metric("tributary_byes_total") == 0


# --- resumption of TLS sessions ---


class Resuming(Device):
    """Keeps its TLS context and session over connections."""

    def __init__(self, gateway, name, version=None, **more):
        super().__init__(gateway, name, **more)
        self.context = ssl.create_default_context(cafile=str(gateway.pki.folder / "ca.crt"))
        if "certificate" in self.connect_arguments:
            self.context.load_cert_chain(*map(str, self.connect_arguments["certificate"]))
        if version:
            self.context.maximum_version = version
        self.session = None

    def connect(self):
        self.connection = d.Connection(self.gateway, context=self.context, session=self.session,
                                       **self.connect_arguments)
        self.resumed = self.connection.socket.session_reused
        self.session = self.connection.socket.session
        return self


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("credentials", ["certificate", "token"])
def test_sessions_resume_on_every_thread(own, version, credentials):
    own.start()
    more = {"token": own.pki.token("dev-1")} if credentials == "token" else {}
    device = Resuming(own, "dev-1", version, **more).online().work()
    assert not device.resumed
    device.leave()
    for _ in range(16):  # over four threads
        device.online().work().leave()
        assert device.resumed
    assert own.metric("tributary_tls_resumed_total") == 16


def test_a_resumed_session_is_worth_nothing_once_withdrawn(own):
    own.start()
    denied, certified = Resuming(own, "dev-denied").online(), Resuming(own, "dev-cert").online()
    for device in (denied, certified):
        device.work().leave()
        device.online().work()
        assert device.resumed
    own.deny.write_text("dev-denied\n")
    (own.pki.folder / "device-ca.crt").write_bytes(own.pki.device_ca.pem() + own.pki.foreign_ca.pem())
    assert reload(own) is None
    denied.expect_bye(d.BYE_BLOCKED)
    certified.work().leave()
    assert refused(denied) == 403
    certified.online().leave()
    assert certified.resumed
    (own.pki.folder / "device-ca.crt").write_bytes(own.pki.foreign_ca.pem())
    assert reload(own) is None
    with pytest.raises((ssl.SSLError, d.Gone, ConnectionError)):
        certified.connect()


def test_an_expired_certificate_does_not_resume(own, tmp_path):
    """Its last seconds are enough for a ticket, which then is worth nothing."""
    own.start()
    device = Resuming(own, "dev-short", certificate=own.pki.device("dev-short", seconds=4)).online()
    device.work().leave()
    device.online().work().leave()
    assert device.resumed
    time.sleep(4.5)
    with pytest.raises((ssl.SSLError, d.Gone, ConnectionError)):
        device.connect()


# --- what ends by itself ---


def test_a_certificate_and_a_token_that_expire_end_their_connections(own):
    own.start()
    other = Device(own, "dev-other").online().work()
    pair = own.pki.device("dev-cert", seconds=4)
    ends = x509.load_pem_x509_certificate(pair[0].read_bytes()).not_valid_after.timestamp() - time.timezone
    certified = Resuming(own, "dev-cert", certificate=pair).online().work()
    certified.leave()
    certified.online().work()
    assert certified.resumed  # which knows of its end from the ticket
    ends = {"dev-cert": ends, "dev-token": int(time.time()) + 4}
    holder = Device(own, "dev-token", token=own.pki.token("dev-token", exp=ends["dev-token"])).online().work()
    for device in (certified, holder):
        device.expect_bye(d.BYE_TIMEOUT)  # not fatal: it may have another by now
        assert -1 < time.time() - ends[device.name] < IN_TIME
    assert own.metric("tributary_expired_total") == 2 and own.metric("tributary_revoked_total") == 0
    other.work()
    Device(own, "dev-cert").online().work()
    assert refused(holder) == 401
    with pytest.raises((ssl.SSLError, d.Gone, ConnectionError)):
        certified.connect()


# --- revocation lists ---


@pytest.fixture
def listed(own):
    own.crl = own.pki.folder / "devices.crl"
    own.crl.write_bytes(own.pki.device_ca.crl(own.pki.folder / "lists", []))
    own.settings["listen"]["crl"] = str(own.crl)
    return own


def lists(gateway, *certificates, ended=False):
    return gateway.pki.device_ca.crl(gateway.pki.folder / "lists", certificates, ended)


def refused_in_handshake(device):
    with pytest.raises((ssl.SSLError, d.Gone, ConnectionError)):
        device.connect()


def test_a_revoked_certificate_is_cut_in_time_and_stays_out(listed):
    listed.start()
    pair = listed.pki.device("dev-sold")
    sold, other = Resuming(listed, "dev-sold", certificate=pair).online(), Resuming(listed, "dev-other").online()
    holder = Device(listed, "dev-token", token=listed.pki.token("dev-token")).online().work()
    for device in (sold, other):
        device.work().leave()
        device.online().work()
        assert device.resumed
    listed.crl.write_bytes(lists(listed, pair[0]))
    began = time.monotonic()
    assert reload(listed) is None
    sold.expect_bye(d.BYE_AUTH)
    assert time.monotonic() - began < IN_TIME
    for _ in range(8):  # on whichever thread
        refused_in_handshake(Device(listed, "dev-sold", certificate=pair))
    refused_in_handshake(sold)  # nor by its ticket
    other.work().leave()
    other.online().work()
    assert other.resumed
    holder.work()
    Device(listed, "dev-sold", certificate=listed.pki.device("dev-sold")).online().work()  # a new one counts
    assert listed.metric("tributary_revoked_total") == 1
    assert any(line["reason"] == "certificate revoked" for line in listed.log_lines("ingest.certificate_refused"))
    der = subprocess.run(["openssl", "crl", "-outform", "DER"], input=lists(listed, other.connect_arguments["certificate"][0]),
                         capture_output=True, timeout=30, check=True).stdout
    listed.crl.write_bytes(der)
    assert reload(listed) is None
    other.expect_bye(d.BYE_AUTH)
    sold.online().work()  # it was only on hold


def test_a_revoked_intermediate_cuts_all_below_it_and_no_others(listed):
    root = listed.pki.device_ca = Authority("test root", below=1)
    (listed.pki.folder / "device-ca.crt").write_bytes(root.pem())
    listed.crl.write_bytes(lists(listed))
    between = [Authority(f"line {i}", above=root) for i in range(2)]
    pairs = []
    for i, authority in enumerate(between):
        pem, key = authority.issue(f"dev-{i}", [x509.UniformResourceIdentifier(f"{DEVICE_URI}dev-{i}")],
                                   ExtendedKeyUsageOID.CLIENT_AUTH)
        pairs.append(listed.pki._store(f"chained-{i}", (pem + authority.pem(), key)))
        (listed.pki.folder / f"between-{i}.crt").write_bytes(authority.pem())
    listed.start()
    first, second = (Device(listed, f"dev-{i}", certificate=pair).online().work() for i, pair in enumerate(pairs))
    listed.crl.write_bytes(lists(listed, listed.pki.folder / "between-0.crt"))
    assert reload(listed) is None
    first.expect_bye(d.BYE_AUTH)
    refused_in_handshake(first)
    second.work()
    # An intermediate's own list counts when the gateway knows the intermediate.
    (listed.pki.folder / "device-ca.crt").write_bytes(root.pem() + between[1].pem())
    listed.crl.write_bytes(listed.crl.read_bytes() + between[1].crl(listed.pki.folder / "more", [pairs[1][0]]))
    assert reload(listed) is None
    second.expect_bye(d.BYE_AUTH)
    refused_in_handshake(first)
    refused_in_handshake(second)


def test_a_chain_has_seven_intermediates_at_most(own):
    root = own.pki.device_ca = Authority("test root", below=9)
    (own.pki.folder / "device-ca.crt").write_bytes(root.pem())
    own.start()
    line = [root]
    for i in range(8):
        line.append(Authority(f"line {i}", above=line[-1], below=8 - i))
        name = f"dev-{i}"
        pem, key = line[-1].issue(name, [x509.UniformResourceIdentifier(DEVICE_URI + name)], ExtendedKeyUsageOID.CLIENT_AUTH)
        chain = b"".join(one.pem() for one in line[:0:-1])
        device = Device(own, name, certificate=own.pki._store(name, (pem + chain, key)))
        if i < 7:
            device.online().work()
        else:
            refused_in_handshake(device)
    assert "too long" in own.log_lines("ingest.certificate_refused")[-1]["reason"]


def test_a_list_that_cannot_be_used_changes_nothing(listed):
    sold, kept = listed.pki.device("dev-sold"), listed.pki.device("dev-kept")
    listed.crl.write_bytes(lists(listed, sold[0]))
    listed.start()
    device = Device(listed, "dev-kept", certificate=kept).online().work()
    listed.deny.write_text("dev-kept\n")  # what must not take effect as long as something else is wrong
    for content, why in ((b"", "holds no revocation list"), (b"nonsense", "list 1 is no revocation list"),
                         (listed.pki.foreign_ca.crl(listed.pki.folder / "more", [kept[0]]), "not in auth.client_ca"),
                         (lists(listed, kept[0])[:-60], "list 1 is no revocation list"),
                         (lists(listed, kept[0], ended=True), "is out of date")):
        listed.crl.write_bytes(content)
        said = reload(listed)
        assert "listen.crl" in said and why in said, said
    listed.crl.unlink()
    assert "listen.crl: cannot open" in reload(listed)
    device.work()
    refused_in_handshake(Device(listed, "dev-sold", certificate=sold))  # the one before stays
    assert listed.metric("tributary_reloads_refused_total") == 6 and listed.metric("tributary_revoked_total") == 0


def test_a_list_out_of_date_still_refuses_whom_it_names_and_nobody_else(listed):
    sold = listed.pki.device("dev-sold")
    listed.crl.write_bytes(lists(listed, sold[0], ended=True))
    listed.start()
    refused_in_handshake(Device(listed, "dev-sold", certificate=sold))
    device = Device(listed, "dev-kept").online().work()
    deadline = time.monotonic() + 10
    while not listed.log_lines("ingest.crl_out_of_date"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert listed.metric("tributary_crl_next_update_seconds") == 1738368000
    listed.deny.write_text("dev-kept\n")
    assert reload(listed) is None  # what is urgent does not wait for the authority
    device.expect_bye(d.BYE_BLOCKED)
    listed.crl.write_bytes(lists(listed, sold[0]))
    assert reload(listed) is None
    refused_in_handshake(Device(listed, "dev-sold", certificate=sold))
    del listed.settings["listen"]["crl"]
    assert reload(listed) is None
    Device(listed, "dev-sold", certificate=sold).online().work()


def test_lists_without_authorities_are_refused_at_the_start(listed):
    del listed.settings["auth"]["client_ca"]
    listed.data.mkdir()
    code, said = listed.run_to_failure()
    assert code == 1 and "listen.crl needs auth.client_ca" in said


def test_without_tickets_nothing_is_resumed(own):
    own.settings["listen"]["ticket_lifetime"] = "0s"
    own.start()
    device = Resuming(own, "dev-1").online().work()
    device.leave()
    device.online().work().leave()
    assert not device.resumed


class Cable:
    """Between an SDK and the gateway; can be pulled."""

    def __init__(self, port):
        self.server, self.target, self.pairs = socket.create_server(("127.0.0.1", 0)), port, []
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, far = self.server.accept()[0], socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            self.pairs.append((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def pull(self):
        for end in self.pairs[-1]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.server.close()


def test_the_sdk_resumes_its_session(own):
    """mbedTLS and OpenSSL, over reconnects that fall to any of four threads."""
    own.start()
    cable = Cable(own.port)
    pem, key = own.pki.device("tv-1")
    events = 300000
    running = subprocess.Popen(
        [BIN / "uplink_probe", "--host", "localhost", "--port", str(cable.port), "--ca", own.pki.folder / "ca.crt",
         "--utc-ms", str(int(time.time() * 1000)), "--device", "tv-1", "--cert", pem, "--key", key, "--events", str(events),
         "--stay", "--seconds", "50"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for connection in range(1, 4):
            while own.metric("tributary_connects_total") < connection:
                assert running.poll() is None
                time.sleep(0.01)
            cable.pull()
        out, log = running.communicate(timeout=70)
    finally:
        running.kill()
        cable.close()
    result = json.loads(out)
    assert running.returncode == 0, log
    assert result["acked"] == events and result["welcomes"] == 4
    assert own.metric("tributary_tls_resumed_total") == 3
