"""Reads keys that sign and verify tokens: PEM blocks and JSON Web Keys (RFC 7517), for ``cryptography``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from webhook.rego.context import BuiltinError
from webhook.rego.go.base64_reader import base64_bytes
from webhook.rego.go.json_reader import read_json
from webhook.rego.go.signatures import ALGORITHMS

_BLOCK: Final = re.compile(r"-----BEGIN ([^\n-]*)-----[ \t\r]*\n(.*?)-----END \1-----[ \t\r]*(?:\n|\Z)", re.S)
_CURVES: Final = {"P-256": "SECP256R1", "P-384": "SECP384R1", "P-521": "SECP521R1"}


@dataclass(frozen=True)
class VerificationKey:
    """A key, and for what it is.

    Attributes:
        key: of ``cryptography``, or the bytes of a secret.
        algorithm: the only algorithm it is for; empty for any.
        name: its ``kid``; empty for none.
    """

    key: Any
    algorithm: str = ""
    name: str = ""


def pem_block(text: str, at: int = 0) -> tuple[str, bytes, int] | None:
    """Return type and bytes of the next PEM block, and where it ends; None if there is none."""
    found = _BLOCK.search(text, at)
    if found is None:
        return None
    body = found[2]
    if "\n\n" in body:  # headers
        body = body.partition("\n\n")[2]
    try:
        return found[1], base64_bytes(re.sub(r"[ \t\r\n]", "", body)), found.end()
    except BuiltinError:
        return pem_block(text, found.end())


def verification_keys(text: str) -> list[VerificationKey]:
    """Return the keys of a certificate, public key or key set.

    Raises:
        BuiltinError: there are none.
    """
    block = pem_block(text)
    if block is None:
        return _key_set(text)
    kind, data, end = block
    if end < len(text):
        raise BuiltinError("extra data after a PEM certificate block")
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        if kind == "CERTIFICATE":
            return [VerificationKey(x509.load_der_x509_certificate(data).public_key())]
        if kind == "PUBLIC KEY":
            return [VerificationKey(load_der_public_key(data))]
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        what = "certificate" if kind == "CERTIFICATE" else "public key"
        raise BuiltinError(f"failed to parse a PEM {what}: {error}") from None
    raise BuiltinError("failed to extract a Key from the PEM certificate")


def _key_set(text: str) -> list[VerificationKey]:
    try:
        loaded = read_json(text)
        members = loaded["keys"] if isinstance(loaded, dict) and "keys" in loaded else [loaded]
        keys = [_json_key(member) for member in members]
    except (BuiltinError, ValueError, TypeError, KeyError) as error:
        raise BuiltinError(f"failed to parse a JWK key (set): {error}") from None
    return [key for key in keys if not key.algorithm or key.algorithm in ALGORITHMS]


def _json_key(member: Any) -> VerificationKey:
    if not isinstance(member, dict):
        raise BuiltinError("a key is no object")
    return VerificationKey(_material(member), _text(member, "alg"), _text(member, "kid"))


def _text(member: dict[str, Any], name: str) -> str:
    value = member.get(name, "")
    if not isinstance(value, str):
        raise BuiltinError(f"{name} of a key is no string")
    return value


def _bytes(member: dict[str, Any], name: str) -> bytes:
    text = _text(member, name).rstrip("=").replace("-", "+").replace("_", "/")
    if not text:
        raise BuiltinError(f"a key has no {name}")
    return base64_bytes(text + "=" * (-len(text) % 4))


def _number(member: dict[str, Any], name: str) -> int:
    return int.from_bytes(_bytes(member, name), "big")


def _material(member: dict[str, Any]) -> Any:
    """Return the key itself, the private one if it is there."""
    kind = _text(member, "kty")
    if kind == "oct":
        return _bytes(member, "k")
    if kind == "RSA":
        return _rsa(member)
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if kind == "EC":
        name = _CURVES.get(_text(member, "crv"))
        if name is None:
            raise BuiltinError(f"curve {_text(member, 'crv')!r} is not supported")
        curve = getattr(ec, name)()
        if "d" in member:
            return ec.derive_private_key(_number(member, "d"), curve)
        return ec.EllipticCurvePublicNumbers(_number(member, "x"), _number(member, "y"), curve).public_key()
    if kind == "OKP" and _text(member, "crv") == "Ed25519":
        if "d" in member:
            return ed25519.Ed25519PrivateKey.from_private_bytes(_bytes(member, "d"))
        return ed25519.Ed25519PublicKey.from_public_bytes(_bytes(member, "x"))
    raise BuiltinError(f"keys of the kind {kind!r} are not supported")


def _rsa(member: dict[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    public = rsa.RSAPublicNumbers(_number(member, "e"), _number(member, "n"))
    if "d" not in member:
        return public.public_key()
    d = _number(member, "d")
    if "p" in member and "q" in member:
        p, q = _number(member, "p"), _number(member, "q")
    else:
        p, q = rsa.rsa_recover_prime_factors(public.n, public.e, d)
    private = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return private.private_key()


def signing_key(text: str) -> Any:
    """Return the first key of a key or key set.

    Raises:
        BuiltinError: there is none.
    """
    try:
        loaded = read_json(text)
        members = loaded["keys"] if isinstance(loaded, dict) and "keys" in loaded else [loaded]
        if not members:
            raise BuiltinError("no keys found in JWK set")
        return _json_key(members[0]).key
    except (ValueError, TypeError, KeyError) as error:
        raise BuiltinError(f"failed to parse a JWK key (set): {error}") from None
