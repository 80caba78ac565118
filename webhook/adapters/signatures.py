"""SSH signatures of approvals: whether one holds, and how one is made.

The form is SSHSIG, as OpenSSH's PROTOCOL.sshsig describes it and ``ssh-keygen -Y sign -n tidewaiter.dev``
writes it. A signature brings its public key: whose key that is, and whether it counts, `core` judges by the
RiskAppetite. Whatever is wrong with a signature is a text, never an exception: anyone may write one.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from webhook.adapters.ssh_keys import LEAST_RSA_BITS, InvalidSignature, PublicKey, read_public_key
from webhook.adapters.ssh_wire import Reader, from_base64, string
from webhook.core.canonical import canonical_json
from webhook.core.errors import InputError

NAMESPACE = "tidewaiter.dev"
"""What a signature says that it is for, so that none made for something else counts."""
STATEMENT_TYPE = "tidewaiter.dev/RiskApproval/v1"
MOST_CHARACTERS = 16384
"""The longest signature that is looked at, as the schema has it."""

_MAGIC = b"SSHSIG"
_VERSION = 1
_HASHES = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_ARMOUR = re.compile(rf"{_BEGIN}\n((?:[A-Za-z0-9+/]+={{0,2}}\n)+){_END}\n*", re.ASCII)
_LINE = 70
_ECDSA_HASHES: Mapping[int, hashes.HashAlgorithm] = {
    256: hashes.SHA256(),
    384: hashes.SHA384(),
    521: hashes.SHA512(),
}

PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of a signature.

    Attributes:
        signed_by: the public key that made it, as type and base64; empty where there is a problem.
        problem: why it doesn't hold; empty where it does.
    """

    signed_by: str = ""
    problem: str = ""


def statement(spec: Mapping[str, Any]) -> bytes:
    """Return what an approver signs: RFC 8785 JSON of approvedAt, approver, digest and the type.

    The digest names the acceptance and all that it says. The times are as they are written.

    Args:
        spec: of the RiskApproval or ClusterRiskApproval.

    Raises:
        ValueError: one of the fields is missing or no text.
    """
    content = {"type": STATEMENT_TYPE}
    for name in ("approvedAt", "approver", "digest"):
        value = spec.get(name)
        if not isinstance(value, str):
            raise ValueError(f"spec.{name}: is missing")
        content[name] = value
    return canonical_json(content)


def check(spec: Mapping[str, Any]) -> Checked:
    """Return whose key made an approval's signature, or what is wrong with it.

    Args:
        spec: of the RiskApproval or ClusterRiskApproval, with a signature.
    """
    try:
        return Checked(signed_by=_verified(spec.get("signature"), statement(spec)).text)
    except InvalidSignature:
        return Checked(problem="it is not of this approver, time and digest, or it was damaged")
    except (ValueError, UnsupportedAlgorithm) as error:
        return Checked(problem=str(error))


def _verified(armour: Any, signed: bytes) -> PublicKey:
    """Return the key that made a signature.

    Raises:
        ValueError: it has another form, or is for something else.
        InvalidSignature: that key did not make it of these bytes.
    """
    if not isinstance(armour, str):
        raise ValueError("the signature is no text")
    if len(armour) > MOST_CHARACTERS:
        raise ValueError(f"the signature is longer than {MOST_CHARACTERS} characters")
    found = _ARMOUR.fullmatch(armour)
    if found is None:
        raise ValueError(f"the signature is not framed by {_BEGIN} and {_END}")
    reader = Reader(from_base64(found[1].replace("\n", ""), "the signature"), "the signature")
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise ValueError("the signature does not start as SSHSIG does")
    version = reader.uint32()
    if version != _VERSION:
        raise ValueError(f"the signature is of SSHSIG version {version}, not {_VERSION}")
    key_blob, namespace, reserved, algorithm, blob = (
        reader.string(),
        reader.string(),
        reader.string(),
        reader.name(),
        reader.string(),
    )
    reader.end()
    if namespace != NAMESPACE.encode():
        said = namespace[:64].decode("utf-8", "replace")
        raise ValueError(f"it was made for the namespace {said!r}, not {NAMESPACE!r} (ssh-keygen -Y sign -n)")
    if reserved:
        raise ValueError("the signature's reserved field is not empty")
    if algorithm not in _HASHES:
        raise ValueError(f"the signature's hash is {algorithm!r}, not {' or '.join(_HASHES)}")
    key = read_public_key(key_blob)
    key.verify(blob, _preimage(signed, algorithm))
    return key


def _preimage(signed: bytes, algorithm: str) -> bytes:
    """Return the bytes that a key signs for a message."""
    digest = _HASHES[algorithm](signed).digest()
    return (
        _MAGIC + string(NAMESPACE.encode()) + string(b"") + string(algorithm.encode("ascii")) + string(digest)
    )


def load_private_key(data: bytes, passphrase: str | None = None) -> PrivateKey:
    """Return the private key in an OpenSSH key file.

    Args:
        data: the file's content.
        passphrase: None where it has none.

    Raises:
        PassphraseError: it has one.
        InputError: it is no key that can sign here; the text says what to do instead.
    """
    try:
        key = serialization.load_ssh_private_key(
            data, passphrase.encode() if passphrase is not None else None
        )
    except TypeError:
        if passphrase is None:
            raise PassphraseError("the key has a passphrase") from None
        raise InputError("the key has no passphrase") from None
    except UnsupportedAlgorithm as error:
        raise InputError(f"the key can't be used here: {error}; sign with ssh-keygen -Y sign") from None
    except ValueError:
        wrong = "" if passphrase is None else ", or the passphrase is wrong"
        raise InputError(
            f"this is no OpenSSH private key{wrong}; for others use ssh-keygen -Y sign"
        ) from None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < LEAST_RSA_BITS:
        raise InputError(f"RSA keys have at least {LEAST_RSA_BITS} bits, not {key.key_size}")
    if not isinstance(key, PrivateKey):
        raise InputError("keys of this type can't sign approvals")
    return key


class PassphraseError(InputError):
    """A private key has a passphrase, and none was given."""


def public_key(key: PrivateKey) -> str:
    """Return the public key as the RiskAppetite lists it: type and base64."""
    return _public_blob(key).decode("ascii")


def sign(key: PrivateKey, signed: bytes) -> str:
    """Return the signature of a statement, as ``spec.signature`` of an approval holds it.

    Args:
        key: the approver's.
        signed: what `statement` gave.
    """
    kind, _, encoded = _public_blob(key).partition(b" ")
    key_blob = from_base64(encoded.decode("ascii"), "the public key")
    return sign_by(lambda preimage: _signature_blob(key, kind, preimage), key_blob, signed)


def sign_by(signer: Callable[[bytes], bytes], key_blob: bytes, signed: bytes) -> str:
    """Return the signature that something else makes of a statement, such as an ssh-agent.

    Args:
        signer: returns the signature of the bytes that it is given, as SSH writes signatures.
        key_blob: the public key, as SSH writes keys.
        signed: what `statement` gave.
    """
    blob = signer(_preimage(signed, "sha512"))
    data = (
        _MAGIC
        + _VERSION.to_bytes(4, "big")
        + string(key_blob)
        + string(NAMESPACE.encode())
        + string(b"")
        + string(b"sha512")
        + string(blob)
    )
    lines = textwrap.wrap(b64encode(data).decode("ascii"), _LINE)
    return "\n".join([_BEGIN, *lines, _END, ""])


def _public_blob(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)


def _signature_blob(key: PrivateKey, kind: bytes, preimage: bytes) -> bytes:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return string(kind) + string(key.sign(preimage))
    if isinstance(key, rsa.RSAPrivateKey):
        return string(b"rsa-sha2-512") + string(key.sign(preimage, padding.PKCS1v15(), hashes.SHA512()))
    made = key.sign(preimage, ec.ECDSA(_ECDSA_HASHES[key.curve.key_size]))
    return string(kind) + string(b"".join(map(_positive, decode_dss_signature(made))))


def _positive(value: int) -> bytes:
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big"))
