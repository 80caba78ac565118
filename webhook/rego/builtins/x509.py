"""Certificates, certificate requests and private keys."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_object, check_texts, operand_error
from webhook.rego.context import BuiltinError, Context
from webhook.rego.go.base64_reader import base64_bytes
from webhook.rego.go.keys import pay_for_rsa, pem_blocks
from webhook.rego.numbers import integer_of
from webhook.rego.order import entries_in_order, members_in_order
from webhook.rego.raw_text import decoded, encoded
from webhook.rego.types import ANY, BOOLEAN, STRING, Array, Object
from webhook.rego.values import RegoSet, type_name

_OBJECT: Final = Object((), (STRING, ANY))
_CERTIFICATES: Final = Array(_OBJECT)
_BEGIN: Final = "-----BEGIN"
_MAX: Final = 1 << 20


def _pay(context: Context, text: str) -> None:
    if len(text) > _MAX:
        raise BuiltinError(f"PEM data of {len(text)} characters is over the limit of {_MAX}")
    context.spend(50 + (len(text) >> 1))


def _certificates(text: str) -> list[Any]:
    """Return the certificates in PEM, in base64 of PEM, or in base64 of DER."""
    from webhook.rego.go.certificates.views import load

    if not text.startswith(_BEGIN):
        data = base64_bytes(text)
        if not data.startswith(_BEGIN.encode()):
            return load(data)
        text = decoded(data)
    found = bytearray()
    for kind, data, _ in pem_blocks(text):
        if kind != "CERTIFICATE":
            raise BuiltinError(f"PEM block type is '{kind}', expected CERTIFICATE")
        found += data
    return load(bytes(found))


@builtin("crypto.x509.parse_certificates", (STRING,), _CERTIFICATES, needs_context=True)
def parse_certificates(context: Context, text: Any) -> list[Any]:
    """Return certificates as Go's JSON shows them."""
    from webhook.rego.go.certificates.views import shown

    check_texts(text)
    _pay(context, text)
    return [shown(certificate) for certificate in _certificates(text)]


@builtin(
    "crypto.x509.parse_and_verify_certificates",
    (STRING,),
    Array(None, (BOOLEAN, _CERTIFICATES)),
    needs_context=True,
    pure=False,
)
def parse_and_verify_certificates(context: Context, text: Any) -> list[Any]:
    """Return whether certificates are a chain from the last to the first, which is trusted, and the chain."""
    check_texts(text)
    return _verified(context, text, context.now_ns, [1], "", True)


def _verified(
    context: Context, text: str, now_ns: int, uses: list[int], host: str, with_uris: bool
) -> list[Any]:
    from webhook.rego.go.certificates.chains import verified
    from webhook.rego.go.certificates.views import shown

    _pay(context, text)
    try:
        found = _certificates(text)
    except BuiltinError:
        return [False, []]
    chain = verified(context, found, now_ns, uses, host)
    if chain is None:
        return [False, []]
    return [True, [shown(certificate, with_uris=with_uris) for certificate in chain]]


@builtin(
    "crypto.x509.parse_and_verify_certificates_with_options",
    (STRING, _OBJECT),
    Array(None, (BOOLEAN, _CERTIFICATES)),
    needs_context=True,
    pure=False,
)
def parse_and_verify_certificates_with_options(context: Context, text: Any, options: Any) -> list[Any]:
    """Return whether certificates are a chain for a host, at a time, for some uses, and that chain."""
    from webhook.rego.go.certificates.chains import USE_NAMES

    check_texts(text)
    check_object(options, 2)
    now_ns, uses, host = context.now_ns, [1], ""
    for name, value in entries_in_order(options):
        if name == "DNSName":
            if value.__class__ is not str:
                raise BuiltinError("'DNSName' should be a string")
            host = value.strip('"')
        elif name in ("CurrentTime", "MaxConstraintComparisons"):
            if value.__class__ is bool or type_name(value) != "number":
                raise BuiltinError(f"'{name}' should be a number")
            whole = integer_of(value)
            if whole is None:
                kind = "valid int64 number" if name == "CurrentTime" else "valid number"
                raise BuiltinError(f"'{name}' should be a {kind}")
            now_ns = whole if name == "CurrentTime" else now_ns
        elif name == "KeyUsages":
            if value.__class__ is not list and value.__class__ is not RegoSet:
                raise BuiltinError("'KeyUsages' should be an Array or Set")
            members: list[Any] = members_in_order(value) if isinstance(value, RegoSet) else value
            named = [member.strip('"') for member in members if member.__class__ is str]
            unknown = [member for member in named if member not in USE_NAMES]
            if unknown:
                raise BuiltinError(f"invalid entries for 'KeyUsages' found: [{' '.join(unknown)}]")
            uses = [USE_NAMES[member] for member in named] or uses
        elif name.__class__ is str:
            raise BuiltinError("invalid key option")
    return _verified(context, text, now_ns, uses, host, False)


@builtin("crypto.x509.parse_certificate_request", (STRING,), _OBJECT, needs_context=True)
def parse_certificate_request(context: Context, text: Any) -> dict[str, Any]:
    """Return a certificate request as Go's JSON shows it."""
    from webhook.rego.go.certificates.views import request

    check_texts(text)
    _pay(context, text)
    data = encoded(text)
    if not text.startswith("-----BEGIN CERTIFICATE REQUEST-----"):
        data = base64_bytes(text)
    block = next(pem_blocks(decoded(data)), None)
    if block is not None:
        if block[0] != "CERTIFICATE REQUEST":
            raise BuiltinError("invalid PEM-encoded certificate signing request")
        data = block[1]
    return request(data)


def _pay_for_key(context: Context, data: bytes) -> None:
    """Pay for a private key; one of RSA takes nine sixteenths of a byte for each bit of its modulus."""
    context.spend(500)
    pay_for_rsa(context, len(data) * 16 // 9)


def _private_keys(context: Context, text: str) -> list[Any]:
    """Return the private keys in PEM, or in base64 of PEM."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    with suppress(BuiltinError):
        text = decoded(base64_bytes(text))
    found = []
    for kind, data, _ in pem_blocks(text):
        if kind in ("RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY"):
            _pay_for_key(context, data)
            try:
                found.append(load_der_private_key(data, None))
            except (ValueError, TypeError, UnsupportedAlgorithm) as error:
                raise BuiltinError(f"x509: failed to parse private key: {error}") from None
    return found


@builtin("crypto.parse_private_keys", (STRING,), _CERTIFICATES, needs_context=True)
def parse_private_keys(context: Context, text: Any) -> Any:
    """Return private keys as Go's JSON shows them; null of nothing."""
    from webhook.rego.go.certificates.keys import private_key

    check_texts(text)
    if not text:
        return None
    _pay(context, text)
    return [private_key(key) for key in _private_keys(context, text)]


@builtin("crypto.x509.parse_rsa_private_key", (STRING,), _OBJECT, needs_context=True)
def parse_rsa_private_key(context: Context, text: Any) -> Any:
    """Return the first private key as a JSON Web Key; null if there is none."""
    from webhook.rego.go.certificates.keys import json_web_key

    check_texts(text)
    if not text:
        raise BuiltinError("input PEM data was empty")
    _pay(context, text)
    if not text.startswith(_BEGIN):
        text = decoded(base64_bytes(text))
    found = _private_keys(context, text)
    return json_web_key(found[0]) if found else None


@builtin("crypto.x509.parse_keypair", (STRING, STRING), _OBJECT, needs_context=True)
def parse_keypair(context: Context, certificate: Any, key: Any) -> dict[str, Any]:
    """Return a certificate and its private key as Go's JSON shows them."""
    import base64

    from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key

    from webhook.rego.go.certificates.keys import private_key, public_key
    from webhook.rego.go.certificates.views import shown

    for text in (certificate, key):
        if text.__class__ is not str:
            raise operand_error(1, text, "string")
        _pay(context, text)
    certificates = _certificates(certificate)
    if not certificates:
        raise BuiltinError("tls: failed to find any PEM data in certificate input")
    if key.startswith(_BEGIN):
        keys = _private_keys(context, key)
    else:
        data = base64_bytes(key)
        if data.startswith(_BEGIN.encode()):
            keys = _private_keys(context, decoded(data))
        else:
            _pay_for_key(context, data)
            try:
                keys = [load_der_private_key(data, None)]
            except (ValueError, TypeError) as error:
                raise BuiltinError(f"tls: failed to parse private key: {error}") from None
    if not keys:
        raise BuiltinError("tls: failed to find any PEM data in key input")
    if public_key(keys[0].public_key()) != public_key(certificates[0].public_key()):
        raise BuiltinError("tls: private key does not match public key")
    return {
        "Certificate": [base64.b64encode(c.public_bytes(Encoding.DER)).decode() for c in certificates],
        "PrivateKey": private_key(keys[0]),
        "Leaf": shown(certificates[0], with_uris=False),
        "OCSPStaple": None,
        "SignedCertificateTimestamps": None,
        "SupportedSignatureAlgorithms": None,
    }
