"""A development PKI for tests: server and device CAs, certificates good and bad, token keys, tokens good and bad."""

import base64
import datetime
import ipaddress
import json
import subprocess
import time
from pathlib import Path

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUDIENCE = "tributary-test"
DEVICE_URI = "urn:tributary:device:"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    def __init__(self, name, above=None, below=0):
        """above: the authority that it is an intermediate of. below: how many intermediates may stand below it."""
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        above = above or self
        now = datetime.datetime.utcnow()
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = (
            x509.CertificateBuilder().subject_name(self.name).issuer_name(above.name)
            .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(True, below), True).add_extension(usage, True)
            .sign(above.key, hashes.SHA256()))

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def crl(self, folder, certificates, ended=False):
        """A revocation list (PEM) of these certificate files, made by openssl. ended: its next update is past."""
        folder.mkdir(exist_ok=True)
        key, own, index, config = (folder / name for name in ("ca.key", "ca.crt", "index.txt", "ca.cnf"))
        key.write_bytes(self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        own.write_bytes(self.pem())
        serials = [x509.load_pem_x509_certificate(one.read_bytes()).serial_number for one in certificates]
        hexes = [f"{serial:x}" for serial in serials]
        index.write_text("".join(f"R\t491231235959Z\t250101000000Z\t{h.zfill(len(h) + len(h) % 2).upper()}\tunknown\t/CN=x\n"
                                 for h in hexes))
        config.write_text(f"[ca]\ndefault_ca = own\n[own]\ndatabase = {index}\ndefault_md = sha256\n")
        times = ["-crl_lastupdate", "20250101000000Z", "-crl_nextupdate", "20250201000000Z"] if ended else ["-crldays", "7"]
        made = subprocess.run(["openssl", "ca", "-gencrl", "-batch", "-config", config, "-keyfile", key, "-cert", own, *times],
                              capture_output=True, timeout=30)
        assert made.returncode == 0, made.stderr.decode()
        return made.stdout

    def issue(self, common_name, names, purpose, expired=False, seconds=None):
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.utcnow()
        end = now - datetime.timedelta(hours=1) if expired else now + datetime.timedelta(days=10)
        end = now + datetime.timedelta(seconds=seconds) if seconds else end
        certificate = (
            x509.CertificateBuilder().subject_name(_name(common_name)).issuer_name(self.name)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName(names), False)
            .add_extension(x509.ExtendedKeyUsage([purpose]), False)
            .sign(self.key, hashes.SHA256()))
        return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Pki:
    """Files under `folder`: ca.crt (servers), device-ca.crt, server.crt, server.key, jwks.json."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.server_ca, self.device_ca, self.foreign_ca = (
            Authority("test server CA"), Authority("test device CA"), Authority("foreign CA"))
        (self.folder / "ca.crt").write_bytes(self.server_ca.pem())
        (self.folder / "device-ca.crt").write_bytes(self.device_ca.pem())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        self._store("server", self.server_ca.issue("localhost", names, ExtendedKeyUsageOID.SERVER_AUTH))
        self.es256, self.ed25519 = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
        self.foreign_es256 = ec.generate_private_key(ec.SECP256R1())
        (self.folder / "jwks.json").write_text(json.dumps({"keys": [self._ec_jwk("k-es"), self._ed_jwk("k-ed")]}))

    def _store(self, name, pair):
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.write_bytes(pair[0])
        key.write_bytes(pair[1])
        key.chmod(0o600)
        return certificate, key

    def _ec_jwk(self, kid):
        point = self.es256.public_key().public_numbers()
        return {"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "use": "sig",
                "x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big"))}

    def _ed_jwk(self, kid):
        raw = self.ed25519.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": b64(raw)}

    def es256_public_pem(self):
        return self.es256.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)

    def device(self, device, expired=False, foreign=False, names=None, server_purpose=False, seconds=None):
        """Certificate and key files of a device. names: instead of its URI."""
        authority = self.foreign_ca if foreign else self.device_ca
        names = [x509.UniformResourceIdentifier(DEVICE_URI + device)] if names is None else names
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server_purpose else ExtendedKeyUsageOID.CLIENT_AUTH
        file = f"device-{device}-{int(expired)}{int(foreign)}{int(server_purpose)}-{len(names)}"
        return self._store(file.replace(":", "_"), authority.issue(device, names, purpose, expired, seconds))

    def token(self, device, key=None, algorithm="ES256", kid="k-es", **claims):
        """A token; a claim given as None is left out."""
        now = int(time.time())
        payload = {"sub": device, "aud": AUDIENCE, "exp": now + 3600, "iat": now}
        payload.update(claims)
        payload = {name: value for name, value in payload.items() if value is not None}
        headers = {"kid": kid} if kid else None
        return jwt.encode(payload, key or self.es256, algorithm=algorithm, headers=headers)
