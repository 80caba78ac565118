"""Reads keys that sign and verify tokens: PEM blocks and JSON Web Keys (RFC 7517), for ``cryptography``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import gcd
from typing import Any, Final

from webhook.rego.context import BuiltinError, Context, Halt
from webhook.rego.go.base64_reader import base64_bytes
from webhook.rego.go.json_reader import read_json
from webhook.rego.go.signatures import ALGORITHMS

_BEGIN: Final = re.compile(r"-----BEGIN ([^\n-]*)-----[ \t\r]*\n")
_END: Final = re.compile(r"-----END ([^\n-]*)-----[ \t\r]*(?:\n|\Z)")
_MAX_RSA: Final = 8192  # bits
_TRIES: Final = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89)
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


def pem_blocks(text: str) -> Iterator[tuple[str, bytes, int]]:
    """Give type and bytes of the PEM blocks, and where each ends; what is no block is passed over."""
    ends: dict[str, list[tuple[int, int]]] = {}  # by type, from the last one to the first
    for found in reversed(list(_END.finditer(text))):
        ends.setdefault(found[1], []).append(found.span())
    at = 0
    while (begin := _BEGIN.search(text, at)) is not None:
        places = ends.get(begin[1], [])
        while places and places[-1][0] < begin.end():
            places.pop()
        if not places:
            at = begin.end()
            continue
        start, at = places[-1]
        body = text[begin.end() : start]
        if "\n\n" in body:  # headers
            body = body.partition("\n\n")[2]
        with suppress(BuiltinError):
            yield begin[1], base64_bytes(re.sub(r"[ \t\r\n]", "", body)), at


def verification_keys(context: Context, text: str) -> list[VerificationKey]:
    """Return the keys of a certificate, public key or key set.

    Raises:
        BuiltinError: there are none.
    """
    block = next(pem_blocks(text), None)
    if block is None:
        return _key_set(context, text)
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


def _key_set(context: Context, text: str) -> list[VerificationKey]:
    try:
        loaded = read_json(text)
        members = loaded["keys"] if isinstance(loaded, dict) and "keys" in loaded else [loaded]
        keys = [_json_key(context, member) for member in members]
    except (BuiltinError, ValueError, TypeError, KeyError) as error:
        raise BuiltinError(f"failed to parse a JWK key (set): {error}") from None
    return [key for key in keys if not key.algorithm or key.algorithm in ALGORITHMS]


def _json_key(context: Context, member: Any) -> VerificationKey:
    if not isinstance(member, dict):
        raise BuiltinError("a key is no object")
    return VerificationKey(_material(context, member), _text(member, "alg"), _text(member, "kid"))


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


def _material(context: Context, member: dict[str, Any]) -> Any:
    """Return the key itself, the private one if it is there."""
    context.spend(20)
    kind = _text(member, "kty")
    if kind == "oct":
        return _bytes(member, "k")
    if kind == "RSA":
        context.spend(200)
        return _rsa(context, member)
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if kind == "EC":
        name = _CURVES.get(_text(member, "crv"))
        if name is None:
            raise BuiltinError(f"curve {_text(member, 'crv')!r} is not supported")
        context.spend(1000)
        curve = getattr(ec, name)()
        if "d" in member:
            return ec.derive_private_key(_number(member, "d"), curve)
        return ec.EllipticCurvePublicNumbers(_number(member, "x"), _number(member, "y"), curve).public_key()
    if kind == "OKP" and _text(member, "crv") == "Ed25519":
        context.spend(200)
        if "d" in member:
            return ed25519.Ed25519PrivateKey.from_private_bytes(_bytes(member, "d"))
        return ed25519.Ed25519PublicKey.from_public_bytes(_bytes(member, "x"))
    raise BuiltinError(f"keys of the kind {kind!r} are not supported")


def _rsa(context: Context, member: dict[str, Any]) -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    public = rsa.RSAPublicNumbers(_number(member, "e"), _number(member, "n"))
    bits = public.n.bit_length()
    if bits > _MAX_RSA:
        raise Halt(f"an RSA key of {bits} bits is over the limit of {_MAX_RSA}")
    if "d" not in member:
        return public.public_key()
    d = _number(member, "d")
    pay_for_rsa(context, bits)
    if "p" in member and "q" in member:
        p, q = _number(member, "p"), _number(member, "q")
    else:
        p, q = _primes(context, public.n, public.e, d)
    if p * q != public.n or not (1 < d < public.n and p > 1 and q > 1):
        raise BuiltinError("the numbers of a key don't fit together")
    private = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return private.private_key()


def pay_for_rsa(context: Context, bits: int) -> None:
    """Pay for what a private key of RSA takes to be checked: the cube of its length."""
    context.spend((bits // 64) ** 3)


def _primes(context: Context, n: int, e: int, d: int) -> tuple[int, int]:
    """Return the two factors of a modulus; see the Handbook of Applied Cryptography, 8.2.2 (i)."""
    if not (1 < e < n and 1 < d < n):
        raise BuiltinError("the numbers of a key don't fit together")
    odd, doublings = e * d - 1, 0
    while odd and not odd & 1:
        odd, doublings = odd >> 1, doublings + 1
    for base in _TRIES:  # each finds them with a chance of a half at least
        pay_for_rsa(context, n.bit_length())
        root = pow(base, odd, n)
        for _ in range(doublings):
            square = root * root % n
            if square == 1:
                if root not in (1, n - 1):
                    p = gcd(root + 1, n)
                    return max(p, n // p), min(p, n // p)
                break
            root = square
        else:
            break  # e and d aren't each other's inverses
    raise BuiltinError("the numbers of a key don't fit together")


def signing_key(context: Context, text: str) -> Any:
    """Return the first key of a key or key set.

    Raises:
        BuiltinError: there is none.
    """
    try:
        loaded = read_json(text)
        members = loaded["keys"] if isinstance(loaded, dict) and "keys" in loaded else [loaded]
        if not members:
            raise BuiltinError("no keys found in JWK set")
        return _json_key(context, members[0]).key
    except (ValueError, TypeError, KeyError) as error:
        raise BuiltinError(f"failed to parse a JWK key (set): {error}") from None
