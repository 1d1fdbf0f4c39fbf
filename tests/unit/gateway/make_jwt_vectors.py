#!/usr/bin/python3
"""
Writes jwt_vectors.inc: tokens made by an independent implementation (PyJWT), valid at NOW or wrong in one way each.
Keys are made afresh at each run and not kept, except the public ones in the key set.
"""

import base64
import hashlib
import hmac
import json
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

NOW = 1764000000
DAY = 86400
AUDIENCE = "tributary"

es = ec.generate_private_key(ec.SECP256R1())
other = ec.generate_private_key(ec.SECP256R1())
ed = ed25519.Ed25519PrivateKey.generate()
rsa_key = rsa.generate_private_key(65537, 2048)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(key=es, algorithm="ES256", kid="es", headers=None, **claims):
    payload = {"sub": "dev-1", "aud": AUDIENCE, "exp": NOW + DAY}
    payload.update(claims)
    payload = {k: v for k, v in payload.items() if v is not None}
    return jwt.encode(payload, key, algorithm=algorithm, headers={**({"kid": kid} if kid else {}), **(headers or {})})


def by_hand(header, payload, signature=b""):
    return ".".join([b64(json.dumps(header).encode()), b64(json.dumps(payload).encode()), b64(signature)])


point = es.public_key().public_numbers()
raw_ed = ed.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
jwks = {"keys": [
    {"kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB"},
    {"kty": "EC", "crv": "P-256", "kid": "es", "x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big"))},
    {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "alg": "EdDSA", "use": "sig", "x": b64(raw_ed)},
    {"kty": "EC", "crv": "P-256", "kid": "enc", "use": "enc", "x": b64(point.x.to_bytes(32, "big")), "y": b64(point.y.to_bytes(32, "big"))},
]}
public_pem = es.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
good = {"sub": "dev-1", "aud": AUDIENCE, "exp": NOW + DAY}


def hs256_with_public_key():
    head = b64(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "es"}).encode()) + "." + b64(json.dumps(good).encode())
    return head + "." + b64(hmac.new(public_pem, head.encode(), hashlib.sha256).digest())


def tampered():
    head, payload, signature = token().split(".")
    return ".".join([head, b64(json.dumps({**good, "sub": "dev-2"}).encode()), signature])


def der_signature():
    from cryptography.hazmat.primitives import hashes
    head = b64(json.dumps({"alg": "ES256", "kid": "es"}).encode()) + "." + b64(json.dumps(good).encode())
    return head + "." + b64(es.sign(head.encode(), ec.ECDSA(hashes.SHA256())))


cases = [
    ("ES256", token(), None),
    ("EdDSA", token(ed, "EdDSA", "ed"), None),
    ("list of audiences", token(aud=["x", AUDIENCE]), None),
    ("a second before expiry", token(exp=NOW + 1), None),
    ("just 90 days", token(exp=NOW + 90 * DAY), None),
    ("nbf within leeway", token(nbf=NOW + 60), None),
    ("expired", token(exp=NOW - 1), "expired"),
    ("expires now", token(exp=NOW), "expired"),
    ("too long a life", token(exp=NOW + 90 * DAY + 1), "90 days"),
    ("no expiry", token(exp=None), "no expiry"),
    ("expiry as text", token(exp=str(NOW + DAY)), "no expiry"),
    ("not yet valid", token(nbf=NOW + 61), "not valid yet"),
    ("foreign audience", token(aud="elsewhere"), "audience"),
    ("no audience", token(aud=None), "audience"),
    ("audience that only begins alike", token(aud="tributary2"), "audience"),
    ("no sub", token(sub=None), "device id"),
    ("sub with a slash", token(sub="../etc"), "device id"),
    ("sub too long", token(sub="d" * 65), "device id"),
    ("wrong key under the right kid", token(other), "signature"),
    ("unknown kid", token(kid="nobody"), "not known"),
    ("no kid", token(kid=None), "not known"),
    ("key for encryption", token(kid="enc"), "not known"),
    ("EdDSA under the ES256 kid", token(ed, "EdDSA", "es"), "not its key"),
    ("ES256 under the EdDSA kid", token(es, "ES256", "ed"), "not its key"),
    ("RS256", token(rsa_key, "RS256", "rsa"), "not allowed"),
    ("alg none", by_hand({"alg": "none", "kid": "es"}, good), "not allowed"),
    ("alg None", by_hand({"alg": "None", "kid": "es"}, good), "not allowed"),
    ("no alg", by_hand({"kid": "es"}, good), "not allowed"),
    ("HS256 with the public key", hs256_with_public_key(), "not allowed"),
    ("critical extension", token(headers={"crit": ["b64"], "b64": True}), "critical"),
    ("payload tampered with", tampered(), "signature"),
    ("signature cut", token()[:-4], "signature"),
    ("signature empty", token().rsplit(".", 1)[0] + ".", "signature"),
    ("signature of zeros", token().rsplit(".", 1)[0] + "." + "A" * 86, "signature"),
    ("signature as DER", der_signature(), "signature"),
    ("garbage", "garbage", "malformed"),
    ("empty", "", "malformed"),
    ("two parts", "a.b", "malformed"),
    ("four parts", token() + ".x", "malformed"),
    ("header not base64", "!!." + token().split(".", 1)[1], "malformed"),
    ("header an array", b64(b"[1]") + "." + token().split(".", 1)[1], "malformed"),
    ("header with a tail", b64(b'{"alg":"ES256","kid":"es"} x') + "." + token().split(".", 1)[1], "malformed"),
    ("header deep", b64(b"[" * 2000) + "." + token().split(".", 1)[1], "malformed"),
    ("huge", "a" * 5000, "longer than 4096"),
    ("padding", token().replace(".", "=.", 1), "malformed"),
]


def literal(text):
    parts = [text[i:i + 90] for i in range(0, len(text), 90)] or [""]
    return "\n     ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)


out = [f"/* Made by make_jwt_vectors.py. */\n#define VECTOR_NOW {NOW}\n#define VECTOR_AUDIENCE \"{AUDIENCE}\"\n",
       f"static const char VECTOR_JWKS[] =\n     {literal(json.dumps(jwks))};\n",
       "/* what, token, words in the reason (NULL: it is good) */\n"
       "static const struct vector {\n    const char *what, *token, *reason;\n} VECTORS[] = {\n"]
for what, text, reason in cases:
    out.append(f"    {{\"{what}\",\n     {literal(text)},\n     {'NULL' if reason is None else literal(reason)}}},\n")
out.append("};\n")
Path(__file__).with_name("jwt_vectors.inc").write_text("".join(out))
