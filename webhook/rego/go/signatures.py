"""Signatures of tokens in RFC 7518's algorithms: made and verified, through ``cryptography``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from webhook.rego.context import BuiltinError

ALGORITHMS: Final = frozenset(
    [
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "ES256",
        "ES384",
        "ES512",
        "HS256",
        "HS384",
        "HS512",
        "EdDSA",
    ]
)
_HASHES: Final = {"256": "sha256", "384": "sha384", "512": "sha512"}


def digest_name(algorithm: str) -> str:
    """Return the name of the hash that an algorithm uses."""
    return _HASHES[algorithm[-3:]]


def mac(secret: bytes, algorithm: str, data: bytes) -> bytes:
    """Return the code of `data` under a secret."""
    import hmac

    return hmac.digest(secret, data, digest_name(algorithm))


def verifies(key: Any, algorithm: str, data: bytes, signature: bytes, *, exact: bool = True) -> bool:
    """Tell whether `signature` is one of `data` by a key, in an algorithm.

    Args:
        key: of ``cryptography``, or a secret's bytes.
        algorithm: as RFC 7518 names it.
        data: what is signed.
        signature: the signature.
        exact: whether signatures on curves must have the curve's length.
    """
    if algorithm not in ALGORITHMS:
        return False
    if algorithm.startswith("HS"):
        import hmac

        return isinstance(key, bytes) and hmac.compare_digest(mac(key, algorithm, data), signature)
    from cryptography.exceptions import InvalidSignature

    try:
        return _CHECKS[algorithm[:2]](key, algorithm, data, signature, exact)
    except (InvalidSignature, ValueError, TypeError):
        return False


def _verify_rsa(key: Any, algorithm: str, data: bytes, signature: bytes, _: bool) -> bool:
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    if not isinstance(key, rsa.RSAPublicKey):
        return False
    hashed = _hash(algorithm)
    if algorithm.startswith("PS"):
        used: Any = padding.PSS(padding.MGF1(hashed), padding.PSS.AUTO)
    else:
        used = padding.PKCS1v15()
    key.verify(signature, data, used, hashed)
    return True


def _verify_curve(key: Any, algorithm: str, data: bytes, signature: bytes, exact: bool) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    half = len(signature) // 2
    if exact and len(signature) != 2 * ((key.curve.key_size + 7) // 8):
        return False
    r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    key.verify(encode_dss_signature(r, s), data, ec.ECDSA(_hash(algorithm)))
    return True


def _verify_edwards(key: Any, _: str, data: bytes, signature: bytes, __: bool) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    if not isinstance(key, ed25519.Ed25519PublicKey):
        return False
    key.verify(signature, data)
    return True


_CHECKS: Final[dict[str, Callable[[Any, str, bytes, bytes, bool], bool]]] = {
    "RS": _verify_rsa,
    "PS": _verify_rsa,
    "ES": _verify_curve,
    "Ed": _verify_edwards,
}


def _hash(algorithm: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    return getattr(hashes, digest_name(algorithm).upper())()


def sign(key: Any, algorithm: str, data: bytes) -> bytes:
    """Return the signature of `data` by a key.

    Raises:
        BuiltinError: the key isn't one for this algorithm.
    """
    if algorithm.startswith("HS"):
        if isinstance(key, bytes):
            return mac(key, algorithm, data)
        raise BuiltinError(f"the key is none for {algorithm}")
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    if isinstance(key, rsa.RSAPrivateKey) and algorithm[:2] in ("RS", "PS"):
        hashed = _hash(algorithm)
        used: Any = padding.PKCS1v15()
        if algorithm.startswith("PS"):
            used = padding.PSS(padding.MGF1(hashed), padding.PSS.DIGEST_LENGTH)
        return key.sign(data, used, hashed)
    if isinstance(key, ec.EllipticCurvePrivateKey) and algorithm.startswith("ES"):
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(_hash(algorithm))))
        size = (key.curve.key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if isinstance(key, ed25519.Ed25519PrivateKey) and algorithm == "EdDSA":
        return key.sign(data)
    raise BuiltinError(f"the key is none for {algorithm}")
