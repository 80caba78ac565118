"""The Ed25519 keys of the decision log: read, made, and named."""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from typing import NamedTuple, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from webhook.core.errors import InputError

_MAKE = "make one with: openssl genpkey -algorithm ed25519 -out evidence.pem"
_LONGEST = 64 * 1024


class KeyId(NamedTuple):
    """Names a public key: the SHA-256 of its SubjectPublicKeyInfo, as ``openssl`` computes it too."""

    sha256: str

    @classmethod
    def of(cls, key: Ed25519PublicKey) -> Self:
        """Return the name of a key."""
        return cls(hashlib.sha256(_der(key)).hexdigest())

    def __str__(self) -> str:
        return f"sha256:{self.sha256}"


def private_key(file: str) -> Ed25519PrivateKey:
    """Return the key in a PEM file.

    Raises:
        InputError: it can't be read, or holds no unencrypted Ed25519 key.
    """
    try:
        key = load_pem_private_key(_content(file), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InputError(f"holds no unencrypted private key in PEM; {_MAKE}", file) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(f"the key must be Ed25519; {_MAKE}", file)
    return key


def new_key() -> Ed25519PrivateKey:
    """Return a new key, which is nowhere but in this process."""
    return Ed25519PrivateKey.generate()


def public_key(file: str) -> Ed25519PublicKey:
    """Return the key in a file: PEM, or the base64 that the log and a chain's first record have.

    Raises:
        InputError: it can't be read, or holds no Ed25519 public key.
    """
    content = _content(file)
    try:
        key = load_pem_public_key(content) if b"-----BEGIN" in content else _from_text(content.decode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(
            "holds no Ed25519 public key; get it from the private one with: "
            "openssl pkey -in evidence.pem -pubout -out evidence.pub",
            file,
        )
    return key


def public_text(key: Ed25519PublicKey) -> str:
    """Return a public key on one line: the base64 of its SubjectPublicKeyInfo, as between PEM's lines."""
    return base64.b64encode(_der(key)).decode()


def key_in(text: str) -> Ed25519PublicKey | None:
    """Return the key that `public_text` made a text of; None where it is none."""
    try:
        key = _from_text(text)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PublicKey) else None


def holds(key: Ed25519PublicKey, signature: str, data: bytes) -> bool:
    """Tell whether a signature, as base64, is that key's over `data`."""
    try:
        key.verify(base64.b64decode(signature, validate=True), data)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _from_text(text: str) -> object:
    return load_der_public_key(base64.b64decode(text.strip(), validate=True))


def _der(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _content(file: str) -> bytes:
    try:
        with Path(file).open("rb") as stream:
            return stream.read(_LONGEST)
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror or error}", file) from None
