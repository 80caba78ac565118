"""Public and private keys as Go's JSON shows them, and as JSON Web Keys (RFC 7517)."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from webhook.rego.context import BuiltinError
from webhook.rego.go.certificates.der import base64_text


def public_key(key: Any) -> Any:
    """Return a public key as OPA shows it."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"N": numbers.n, "E": numbers.e}
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_numbers()
        return {"Curve": {}, "X": point.x, "Y": point.y}
    if isinstance(key, ed25519.Ed25519PublicKey):
        return base64_text(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return None


def private_key(key: Any) -> Any:
    """Return a private key as OPA shows it.

    Raises:
        BuiltinError: it is of no kind that Go reads.
    """
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        return {
            **public_key(key.public_key()),
            "D": numbers.d,
            "Primes": [numbers.p, numbers.q],
            "Precomputed": {
                "Dp": numbers.dmp1,
                "Dq": numbers.dmq1,
                "Qinv": numbers.iqmp,
                "CRTValues": [],
            },
        }
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return {**public_key(key.public_key()), "D": key.private_numbers().private_value}
    if isinstance(key, ed25519.Ed25519PrivateKey):
        seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        return base64_text(seed + key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    raise BuiltinError("x509: unknown private key type")


def _url_number(value: int) -> str:
    data = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def json_web_key(key: Any) -> dict[str, str]:
    """Return a private key as a JSON Web Key.

    Raises:
        BuiltinError: it is of no kind that has one.
    """
    if isinstance(key, rsa.RSAPrivateKey):
        private = key.private_numbers()
        public = private.public_numbers
        parts = {"n": public.n, "e": public.e, "d": private.d, "p": private.p, "q": private.q}
        parts |= {"dp": private.dmp1, "dq": private.dmq1, "qi": private.iqmp}
        return {"kty": "RSA", **{name: _url_number(part) for name, part in parts.items()}}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.curve.key_size + 7) // 8
        point = key.public_key().public_numbers()
        found = {"x": point.x, "y": point.y, "d": key.private_numbers().private_value}
        encoded = {
            name: base64.urlsafe_b64encode(part.to_bytes(size, "big")).decode().rstrip("=")
            for name, part in found.items()
        }
        return {"kty": "EC", "crv": f"P-{key.curve.key_size}", **encoded}
    if isinstance(key, ed25519.Ed25519PrivateKey):
        seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        public_bytes = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        raw = {"x": public_bytes, "d": seed}
        encoded = {n: base64.urlsafe_b64encode(part).decode().rstrip("=") for n, part in raw.items()}
        return {"kty": "OKP", "crv": "Ed25519", **encoded}
    raise BuiltinError("failed to import the key")
