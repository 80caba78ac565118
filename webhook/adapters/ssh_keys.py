"""Public SSH keys of each kind that may sign approvals, and whether one made a signature.

The forms of keys and signatures are those of RFC 4253 and RFC 8332 (RSA), RFC 5656 (ECDSA), RFC 8709
(Ed25519) and OpenSSH's PROTOCOL.u2f (FIDO keys, ``sk-``).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from webhook.adapters.ssh_wire import Reader

LEAST_RSA_BITS = 3072
_MOST_RSA_BITS = 16384
_MOST_EXPONENT_BITS = 64
_USER_PRESENT = 0x01

ED25519 = "ssh-ed25519"
RSA = "ssh-rsa"
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"
_CURVES: dict[str, tuple[type[ec.EllipticCurve], type[hashes.HashAlgorithm], int]] = {
    "ecdsa-sha2-nistp256": (ec.SECP256R1, hashes.SHA256, 32),
    "ecdsa-sha2-nistp384": (ec.SECP384R1, hashes.SHA384, 48),
    "ecdsa-sha2-nistp521": (ec.SECP521R1, hashes.SHA512, 66),
}
_RSA_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "rsa-sha2-256": hashes.SHA256,
    "rsa-sha2-512": hashes.SHA512,
}

Verify = Callable[[bytes, bytes], None]
"""Takes a signature's blob and what was signed; raises InvalidSignature, or ValueError with the reason."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that may sign approvals.

    Attributes:
        text: type and base64, as in an authorized_keys file, without a comment.
        verify: whether it made a signature.
    """

    text: str
    verify: Verify


def read_public_key(blob: bytes) -> PublicKey:
    """Return the key in a blob.

    Raises:
        ValueError: it is no key of a kind that may sign; the text says why.
    """
    reader = Reader(blob, "the public key")
    kind = reader.name()
    make = _KINDS.get(kind)
    if make is None:
        raise ValueError(f"keys of type {kind!r} can't sign approvals: use one of {', '.join(_KINDS)}")
    try:
        verify = make(kind, reader)
    except UnsupportedAlgorithm:
        raise ValueError(f"keys of type {kind} are not supported on this machine") from None
    reader.end()
    return PublicKey(f"{kind} {base64.b64encode(blob).decode('ascii')}", verify)


def _ed25519(kind: str, reader: Reader) -> Verify:
    key = _ed25519_key(reader)

    def verify(blob: bytes, signed: bytes) -> None:
        signature = _signature(blob, kind)
        value = _of_ed25519(signature)
        signature.end()
        key.verify(value, signed)

    return verify


def _ecdsa(kind: str, reader: Reader) -> Verify:
    key, algorithm = _ecdsa_key(kind, reader)

    def verify(blob: bytes, signed: bytes) -> None:
        signature = _signature(blob, kind)
        value = _of_ecdsa(signature, key.curve.key_size)
        signature.end()
        key.verify(value, signed, ec.ECDSA(algorithm))

    return verify


def _rsa(kind: str, reader: Reader) -> Verify:
    del kind
    exponent, modulus = reader.positive(_MOST_EXPONENT_BITS), reader.positive(_MOST_RSA_BITS)
    if modulus.bit_length() < LEAST_RSA_BITS:
        raise ValueError(f"RSA keys have at least {LEAST_RSA_BITS} bits, not {modulus.bit_length()}")
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()

    def verify(blob: bytes, signed: bytes) -> None:
        signature = Reader(blob, "the signature's own blob")
        algorithm = signature.name()
        if algorithm not in _RSA_HASHES:
            raise ValueError(f"RSA keys sign with {' or '.join(_RSA_HASHES)}, not {algorithm!r}")
        value = signature.string()
        signature.end()
        key.verify(value, signed, padding.PKCS1v15(), _RSA_HASHES[algorithm]())

    return verify


def _sk_ed25519(kind: str, reader: Reader) -> Verify:
    key = _ed25519_key(reader)
    application = reader.string()

    def verify(blob: bytes, signed: bytes) -> None:
        signature = _signature(blob, kind)
        value = _of_ed25519(signature)
        key.verify(value, _signed_by_device(application, signature, signed))

    return verify


def _sk_ecdsa(kind: str, reader: Reader) -> Verify:
    key, algorithm = _ecdsa_key("ecdsa-sha2-nistp256", reader)
    application = reader.string()

    def verify(blob: bytes, signed: bytes) -> None:
        signature = _signature(blob, kind)
        value = _of_ecdsa(signature, key.curve.key_size)
        key.verify(value, _signed_by_device(application, signature, signed), ec.ECDSA(algorithm))

    return verify


_KINDS: dict[str, Callable[[str, Reader], Verify]] = {
    ED25519: _ed25519,
    **dict.fromkeys(_CURVES, _ecdsa),
    RSA: _rsa,
    SK_ED25519: _sk_ed25519,
    SK_ECDSA: _sk_ecdsa,
}


def _ed25519_key(reader: Reader) -> ed25519.Ed25519PublicKey:
    data = reader.string()
    if len(data) != 32:
        raise ValueError("an Ed25519 key has 32 bytes")
    return ed25519.Ed25519PublicKey.from_public_bytes(data)


def _ecdsa_key(kind: str, reader: Reader) -> tuple[ec.EllipticCurvePublicKey, hashes.HashAlgorithm]:
    curve, algorithm, size = _CURVES[kind]
    if reader.name() != kind.rpartition("-")[2]:
        raise ValueError("the key's type and its curve differ")
    point = reader.string()
    if len(point) != 2 * size + 1 or point[0] != 4:
        raise ValueError("the key is no uncompressed point of its curve")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve(), point), algorithm()
    except ValueError:
        raise ValueError("the key is no point of its curve") from None


def _signature(blob: bytes, kind: str) -> Reader:
    """Return what follows the algorithm in a signature's blob; it must be the key's."""
    signature = Reader(blob, "the signature's own blob")
    algorithm = signature.name()
    if algorithm != kind:
        raise ValueError(f"a key of type {kind} does not sign with {algorithm!r}")
    return signature


def _of_ed25519(signature: Reader) -> bytes:
    value = signature.string()
    if len(value) != 64:
        raise ValueError("an Ed25519 signature has 64 bytes")
    return value


def _of_ecdsa(signature: Reader, bits: int) -> bytes:
    pair = Reader(signature.string(), "the ECDSA signature")
    value = encode_dss_signature(pair.positive(bits), pair.positive(bits))
    pair.end()
    return value


def _signed_by_device(application: bytes, signature: Reader, signed: bytes) -> bytes:
    """Return what a FIDO device signs: it must say that somebody touched it."""
    flags, counter = signature.take(1), signature.take(4)
    signature.end()
    if not flags[0] & _USER_PRESENT:
        raise ValueError("nobody touched the FIDO device: the signature lacks user presence")
    return hashlib.sha256(application).digest() + flags + counter + hashlib.sha256(signed).digest()


__all__ = ["LEAST_RSA_BITS", "InvalidSignature", "PublicKey", "read_public_key"]
