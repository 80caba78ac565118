"""Certificates and requests as Go's JSON shows them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

from webhook.rego.context import BuiltinError
from webhook.rego.go.certificates.der import MALFORMED, base64_text, elements, inside, oid_numbers
from webhook.rego.go.certificates.extensions import (
    HANDLED,
    name_fields,
    policy_fields,
    raw_fields,
    usage_fields,
)
from webhook.rego.go.certificates.keys import public_key

_SIGNATURES: Final = {
    "1.2.840.113549.1.1.2": 1, "1.2.840.113549.1.1.4": 2, "1.2.840.113549.1.1.5": 3,
    "1.2.840.113549.1.1.11": 4, "1.2.840.113549.1.1.12": 5, "1.2.840.113549.1.1.13": 6,
    "1.2.840.10040.4.3": 7, "2.16.840.1.101.3.4.3.2": 8, "1.2.840.10045.4.1": 9,
    "1.2.840.10045.4.3.2": 10, "1.2.840.10045.4.3.3": 11, "1.2.840.10045.4.3.4": 12, "1.3.101.112": 16,
}  # fmt: skip
_PSS: Final = {"sha256": 13, "sha384": 14, "sha512": 15}
_LISTS: Final = {
    "Country": NameOID.COUNTRY_NAME,
    "Organization": NameOID.ORGANIZATION_NAME,
    "OrganizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "Locality": NameOID.LOCALITY_NAME,
    "Province": NameOID.STATE_OR_PROVINCE_NAME,
    "StreetAddress": NameOID.STREET_ADDRESS,
    "PostalCode": NameOID.POSTAL_CODE,
}
_NOTHING: Final = [
    "ExcludedDNSDomains",
    "ExcludedEmailAddresses",
    "ExcludedIPRanges",
    "ExcludedURIDomains",
    "ExtraExtensions",
    "PermittedDNSDomains",
    "PermittedEmailAddresses",
    "PermittedIPRanges",
    "PermittedURIDomains",
    "PolicyMappings",
]


def load(data: bytes) -> list[x509.Certificate]:
    """Return the certificates whose DER follow each other.

    Raises:
        BuiltinError: something there is no certificate.
    """
    try:
        with _quiet():
            return [x509.load_der_x509_certificate(part) for part in elements(data)]
    except MALFORMED as error:
        raise BuiltinError("x509: malformed certificate") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Let pass what the library only warns of, as serial numbers that aren't positive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield


def shown(certificate: x509.Certificate, *, with_uris: bool = True) -> dict[str, Any]:
    """Return a certificate as OPA shows it."""
    try:
        with _quiet():
            return _shown(certificate, with_uris)
    except MALFORMED as error:
        raise BuiltinError("x509: malformed certificate") from error


def _shown(certificate: x509.Certificate, with_uris: bool) -> dict[str, Any]:
    parts = list(elements(inside(certificate.tbs_certificate_bytes)))
    parts = parts[1:] if parts[0][0] == 0xA0 else parts  # without the version
    extensions = certificate.extensions
    key = certificate.public_key()
    return {
        "Raw": base64_text(certificate.public_bytes(Encoding.DER)),
        "RawTBSCertificate": base64_text(certificate.tbs_certificate_bytes),
        "RawSubjectPublicKeyInfo": base64_text(parts[5]),
        "RawSubject": base64_text(parts[4]),
        "RawIssuer": base64_text(parts[2]),
        "Signature": base64_text(certificate.signature),
        "SignatureAlgorithm": _signature(certificate),
        "PublicKeyAlgorithm": _algorithm(key),
        "PublicKey": public_key(key),
        "Version": certificate.version.value + 1,
        "SerialNumber": certificate.serial_number,
        "Issuer": _name(certificate.issuer),
        "Subject": _name(certificate.subject),
        "NotBefore": _time(certificate.not_valid_before_utc),
        "NotAfter": _time(certificate.not_valid_after_utc),
        "Extensions": raw_fields(extensions),
        "UnhandledCriticalExtensions": [
            oid_numbers(e.oid) for e in extensions if e.critical and e.oid.dotted_string not in HANDLED
        ]
        or None,
        **dict.fromkeys(_NOTHING),
        "PermittedDNSDomainsCritical": False,
        **policy_fields(extensions),
        **usage_fields(extensions),
        **name_fields(extensions, with_uris),
    }


def request(data: bytes) -> dict[str, Any]:
    """Return a certificate request as OPA shows it.

    Raises:
        BuiltinError: it is none.
    """
    try:
        found = x509.load_der_x509_csr(data)
        extensions = found.extensions
        parts = list(elements(inside(found.tbs_certrequest_bytes)))
        key = found.public_key()
        names = name_fields(extensions, False)
    except MALFORMED as error:
        raise BuiltinError(f"asn1: structure error: {error}") from None
    asked = [{"Type": oid_numbers(e.oid), "Value": base64_text(e.value.public_bytes())} for e in extensions]
    attributes = [{"Type": [1, 2, 840, 113549, 1, 9, 14], "Value": [asked]}] if asked else None
    return {
        "Raw": base64_text(data),
        "RawTBSCertificateRequest": base64_text(found.tbs_certrequest_bytes),
        "RawSubjectPublicKeyInfo": base64_text(parts[2]),
        "RawSubject": base64_text(parts[1]),
        "Version": 0,
        "Signature": base64_text(found.signature),
        "SignatureAlgorithm": _signature(found),
        "PublicKeyAlgorithm": _algorithm(key),
        "PublicKey": public_key(key),
        "Subject": _name(found.subject),
        "Attributes": attributes,
        "Extensions": raw_fields(extensions),
        "ExtraExtensions": None,
        **names,
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _signature(signed: Any) -> int:
    oid = signed.signature_algorithm_oid.dotted_string
    if oid == "1.2.840.113549.1.1.10":
        return _PSS.get(signed.signature_hash_algorithm.name, 0)
    return _SIGNATURES.get(oid, 0)


def _algorithm(key: Any) -> int:
    if isinstance(key, rsa.RSAPublicKey):
        return 1
    if isinstance(key, ec.EllipticCurvePublicKey):
        return 3
    return 4 if isinstance(key, ed25519.Ed25519PublicKey) else 0


def _name(name: x509.Name) -> dict[str, Any]:
    attributes = [attribute for part in name.rdns for attribute in part]
    result: dict[str, Any] = {
        "Names": [{"Type": oid_numbers(a.oid), "Value": a.value} for a in attributes] or None,
        "ExtraNames": None,
    }
    for field, oid in _LISTS.items():
        result[field] = [a.value for a in attributes if a.oid == oid] or None
    for field, oid in (("CommonName", NameOID.COMMON_NAME), ("SerialNumber", NameOID.SERIAL_NUMBER)):
        result[field] = next((a.value for a in reversed(attributes) if a.oid == oid), "")
    return result
