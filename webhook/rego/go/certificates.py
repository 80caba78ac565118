"""Certificates, requests and keys as Go's JSON shows them, and chains of certificates verified."""

from __future__ import annotations

import base64
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import AuthorityInformationAccessOID as Access
from cryptography.x509.oid import NameOID

from webhook.rego.context import BuiltinError

_SIGNATURES: Final = {
    "1.2.840.113549.1.1.2": 1, "1.2.840.113549.1.1.4": 2, "1.2.840.113549.1.1.5": 3,
    "1.2.840.113549.1.1.11": 4, "1.2.840.113549.1.1.12": 5, "1.2.840.113549.1.1.13": 6,
    "1.2.840.10040.4.3": 7, "2.16.840.1.101.3.4.3.2": 8, "1.2.840.10045.4.1": 9,
    "1.2.840.10045.4.3.2": 10, "1.2.840.10045.4.3.3": 11, "1.2.840.10045.4.3.4": 12, "1.3.101.112": 16,
}  # fmt: skip
_PSS: Final = {"sha256": 13, "sha384": 14, "sha512": 15}
_USES: Final = {
    "2.5.29.37.0": 0, "1.3.6.1.5.5.7.3.1": 1, "1.3.6.1.5.5.7.3.2": 2, "1.3.6.1.5.5.7.3.3": 3,
    "1.3.6.1.5.5.7.3.4": 4, "1.3.6.1.5.5.7.3.5": 5, "1.3.6.1.5.5.7.3.6": 6, "1.3.6.1.5.5.7.3.7": 7,
    "1.3.6.1.5.5.7.3.8": 8, "1.3.6.1.5.5.7.3.9": 9, "1.3.6.1.4.1.311.10.3.3": 10,
    "2.16.840.1.113730.4.1": 11, "1.3.6.1.4.1.311.2.1.22": 12, "1.3.6.1.4.1.311.61.1.1": 13,
}  # fmt: skip
USE_NAMES: Final = {
    "KeyUsageAny": 0, "KeyUsageServerAuth": 1, "KeyUsageClientAuth": 2, "KeyUsageCodeSigning": 3,
    "KeyUsageEmailProtection": 4, "KeyUsageIPSECEndSystem": 5, "KeyUsageIPSECTunnel": 6,
    "KeyUsageIPSECUser": 7, "KeyUsageTimeStamping": 8, "KeyUsageOCSPSigning": 9,
    "KeyUsageMicrosoftServerGatedCrypto": 10, "KeyUsageNetscapeServerGatedCrypto": 11,
    "KeyUsageMicrosoftCommercialCodeSigning": 12, "KeyUsageMicrosoftKernelCodeSigning": 13,
}  # fmt: skip
_HANDLED: Final = frozenset(f"2.5.29.{n}" for n in (14, 15, 17, 19, 30, 31, 32, 33, 35, 36, 37, 54))
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
_MAX_CHAIN: Final = 100


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _oid(oid: x509.ObjectIdentifier) -> list[int]:
    return [int(part) for part in oid.dotted_string.split(".")]


def load(data: bytes) -> list[x509.Certificate]:
    """Return the certificates whose DER follow each other.

    Raises:
        BuiltinError: something there is no certificate.
    """
    try:
        with _quiet():
            return [x509.load_der_x509_certificate(part) for part in _elements(data)]
    except (ValueError, IndexError) as error:
        raise BuiltinError("x509: malformed certificate") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Let pass what the library only warns of, as serial numbers that aren't positive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        yield


def _elements(data: bytes) -> Iterator[bytes]:
    """Give the elements of DER, one after the other."""
    at = 0
    while at < len(data):
        size, start = data[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            if not 0 < count <= 4:
                raise ValueError("length")
            size, start = int.from_bytes(data[start : start + count], "big"), start + count
        if start + size > len(data):
            raise ValueError("length")
        yield data[at : start + size]
        at = start + size


def _inside(data: bytes) -> bytes:
    """Return the content of an element of DER."""
    return data[2 + (data[1] & 0x7F if data[1] & 0x80 else 0) :]


def shown(certificate: x509.Certificate, *, with_uris: bool = True) -> dict[str, Any]:
    """Return a certificate as OPA shows it."""
    with _quiet():
        return _shown(certificate, with_uris)


def _shown(certificate: x509.Certificate, with_uris: bool) -> dict[str, Any]:
    parts = list(_elements(_inside(certificate.tbs_certificate_bytes)))
    parts = parts[1:] if parts[0][0] == 0xA0 else parts  # without the version
    try:
        extensions = certificate.extensions
    except ValueError as error:
        raise BuiltinError("x509: malformed certificate") from error
    key = certificate.public_key()
    return {
        "Raw": _text(certificate.public_bytes(Encoding.DER)),
        "RawTBSCertificate": _text(certificate.tbs_certificate_bytes),
        "RawSubjectPublicKeyInfo": _text(parts[5]),
        "RawSubject": _text(parts[4]),
        "RawIssuer": _text(parts[2]),
        "Signature": _text(certificate.signature),
        "SignatureAlgorithm": _signature(certificate),
        "PublicKeyAlgorithm": _algorithm(key),
        "PublicKey": public_key(key),
        "Version": certificate.version.value + 1,
        "SerialNumber": certificate.serial_number,
        "Issuer": _name(certificate.issuer),
        "Subject": _name(certificate.subject),
        "NotBefore": _time(certificate.not_valid_before_utc),
        "NotAfter": _time(certificate.not_valid_after_utc),
        "Extensions": _extensions(extensions),
        "UnhandledCriticalExtensions": [
            _oid(e.oid) for e in extensions if e.critical and e.oid.dotted_string not in _HANDLED
        ]
        or None,
        **dict.fromkeys(_NOTHING),
        "PermittedDNSDomainsCritical": False,
        **_policies(extensions),
        **_usage(extensions),
        **_alternatives(extensions, with_uris),
    }


def request(data: bytes) -> dict[str, Any]:
    """Return a certificate request as OPA shows it.

    Raises:
        BuiltinError: it is none.
    """
    try:
        found = x509.load_der_x509_csr(data)
        extensions = found.extensions
        parts = list(_elements(_inside(found.tbs_certrequest_bytes)))
    except (ValueError, IndexError) as error:
        raise BuiltinError(f"asn1: structure error: {error}") from None
    key = found.public_key()
    alternatives = _alternatives(extensions, False)
    asked = [{"Type": _oid(e.oid), "Value": _text(e.value.public_bytes())} for e in extensions]
    attributes = [{"Type": [1, 2, 840, 113549, 1, 9, 14], "Value": [asked]}] if asked else None
    return {
        "Raw": _text(data),
        "RawTBSCertificateRequest": _text(found.tbs_certrequest_bytes),
        "RawSubjectPublicKeyInfo": _text(parts[2]),
        "RawSubject": _text(parts[1]),
        "Version": 0,
        "Signature": _text(found.signature),
        "SignatureAlgorithm": _signature(found),
        "PublicKeyAlgorithm": _algorithm(key),
        "PublicKey": public_key(key),
        "Subject": _name(found.subject),
        "Attributes": attributes,
        "Extensions": _extensions(extensions),
        "ExtraExtensions": None,
        **alternatives,
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


def public_key(key: Any) -> Any:
    """Return a public key as OPA shows it."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"N": numbers.n, "E": numbers.e}
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_numbers()
        return {"Curve": {}, "X": point.x, "Y": point.y}
    if isinstance(key, ed25519.Ed25519PublicKey):
        return _text(key.public_bytes(Encoding.Raw, PublicFormat.Raw))
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
        return _text(seed + key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
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


def _name(name: x509.Name) -> dict[str, Any]:
    attributes = [attribute for part in name.rdns for attribute in part]
    result: dict[str, Any] = {
        "Names": [{"Type": _oid(a.oid), "Value": a.value} for a in attributes] or None,
        "ExtraNames": None,
    }
    for field, oid in _LISTS.items():
        result[field] = [a.value for a in attributes if a.oid == oid] or None
    for field, oid in (("CommonName", NameOID.COMMON_NAME), ("SerialNumber", NameOID.SERIAL_NUMBER)):
        result[field] = next((a.value for a in reversed(attributes) if a.oid == oid), "")
    return result


def _extensions(extensions: x509.Extensions) -> list[dict[str, Any]] | None:
    return [
        {"Id": _oid(e.oid), "Critical": e.critical, "Value": _text(e.value.public_bytes())}
        for e in extensions
    ] or None


def _find(extensions: x509.Extensions, kind: Any) -> Any:
    found = next((e.value for e in extensions if isinstance(e.value, kind)), None)
    if kind is x509.NameConstraints and found is not None:
        raise BuiltinError("certificates with constraints of names are not supported")
    return found


def _policies(extensions: x509.Extensions) -> dict[str, Any]:
    policies = _find(extensions, x509.CertificatePolicies)
    constraints = _find(extensions, x509.PolicyConstraints)
    inhibit = _find(extensions, x509.InhibitAnyPolicy)
    any_skipped = None if inhibit is None else inhibit.skip_certs
    explicit = None if constraints is None else constraints.require_explicit_policy
    mapping = None if constraints is None else constraints.inhibit_policy_mapping
    oids = [] if policies is None else [policy.policy_identifier for policy in policies]
    return {
        "PolicyIdentifiers": [_oid(oid) for oid in oids] or None,
        "Policies": [oid.dotted_string for oid in oids] or None,
        "InhibitAnyPolicy": any_skipped or 0,
        "InhibitAnyPolicyZero": any_skipped == 0,
        "InhibitPolicyMapping": mapping or 0,
        "InhibitPolicyMappingZero": mapping == 0,
        "RequireExplicitPolicy": explicit or 0,
        "RequireExplicitPolicyZero": explicit == 0,
    }


def _usage(extensions: x509.Extensions) -> dict[str, Any]:
    _find(extensions, x509.NameConstraints)
    basic = _find(extensions, x509.BasicConstraints)
    length = 0 if basic is None else -1 if basic.path_length is None else basic.path_length
    subject = _find(extensions, x509.SubjectKeyIdentifier)
    authority = _find(extensions, x509.AuthorityKeyIdentifier)
    uses = [oid.dotted_string for oid in _find(extensions, x509.ExtendedKeyUsage) or ()]
    access = list(_find(extensions, x509.AuthorityInformationAccess) or ())
    points = _find(extensions, x509.CRLDistributionPoints) or ()
    lists = [name.value for point in points for name in point.full_name or () if _is_uri(name)]
    return {
        "KeyUsage": _key_usage(_find(extensions, x509.KeyUsage)),
        "ExtKeyUsage": [_USES[use] for use in uses if use in _USES] or None,
        "UnknownExtKeyUsage": [_oid(x509.ObjectIdentifier(u)) for u in uses if u not in _USES] or None,
        "BasicConstraintsValid": basic is not None,
        "IsCA": basic is not None and basic.ca,
        "MaxPathLen": length,
        "MaxPathLenZero": basic is not None and basic.path_length == 0,
        "SubjectKeyId": None if subject is None else _text(subject.digest),
        "AuthorityKeyId": None if authority is None else _text(authority.key_identifier),
        "OCSPServer": [a.access_location.value for a in access if a.access_method == Access.OCSP] or None,
        "IssuingCertificateURL": [
            a.access_location.value for a in access if a.access_method == Access.CA_ISSUERS
        ]
        or None,
        "CRLDistributionPoints": lists or None,
    }


def _is_uri(name: x509.GeneralName) -> bool:
    return isinstance(name, x509.UniformResourceIdentifier)


def _key_usage(usage: x509.KeyUsage | None) -> int:
    if usage is None:
        return 0
    agrees = usage.key_agreement
    bits = [
        usage.digital_signature,
        usage.content_commitment,
        usage.key_encipherment,
        usage.data_encipherment,
        agrees,
        usage.key_cert_sign,
        usage.crl_sign,
        agrees and usage.encipher_only,
        agrees and usage.decipher_only,
    ]
    return sum(1 << place for place, bit in enumerate(bits) if bit)


def _alternatives(extensions: x509.Extensions, with_uris: bool) -> dict[str, Any]:
    found = _find(extensions, x509.SubjectAlternativeName)
    names = [] if found is None else list(found)
    uris = [name.value for name in names if _is_uri(name)]
    result = {
        "DNSNames": [name.value for name in names if isinstance(name, x509.DNSName)] or None,
        "EmailAddresses": [name.value for name in names if isinstance(name, x509.RFC822Name)] or None,
        "IPAddresses": [str(name.value) for name in names if isinstance(name, x509.IPAddress)] or None,
        "URIs": [_uri(uri) for uri in uris] or None,
    }
    if with_uris:
        result["URIStrings"] = uris or None
    return result


def _uri(text: str) -> dict[str, Any]:
    parts = urlsplit(text)
    return {
        "Scheme": parts.scheme,
        "Opaque": "",
        "User": None,
        "Host": parts.netloc,
        "Path": parts.path,
        "Fragment": parts.fragment,
        "RawQuery": parts.query,
        "RawPath": "",
        "RawFragment": "",
        "ForceQuery": False,
        "OmitHost": False,
    }


def verified(
    certificates: Sequence[x509.Certificate], now_ns: int, uses: Sequence[int], host: str
) -> list[x509.Certificate] | None:
    """Return the chain from the last certificate to the first, which is trusted; None if there is none."""
    if not 2 <= len(certificates) <= _MAX_CHAIN:
        return None
    root, leaf = certificates[0], certificates[-1]
    now = datetime.fromtimestamp(now_ns / 1e9, UTC)
    if host and not _is_for(leaf, host):
        return None
    return _chain([leaf], root, certificates[1:-1], now, uses)


def _chain(
    chain: list[x509.Certificate],
    root: x509.Certificate,
    between: Sequence[x509.Certificate],
    now: datetime,
    uses: Sequence[int],
) -> list[x509.Certificate] | None:
    last = chain[-1]
    if not last.not_valid_before_utc <= now <= last.not_valid_after_utc or not _allows(last, uses):
        return None
    for issuer in (root, *between):
        if issuer in chain or not _issued(last, issuer, len(chain) - 1):
            continue
        if issuer is root:
            inside = root.not_valid_before_utc <= now <= root.not_valid_after_utc
            if inside and _allows(root, uses):
                return [*chain, root]
            continue
        left = [certificate for certificate in between if certificate is not issuer]
        found = _chain([*chain, issuer], root, left, now, uses)
        if found is not None:
            return found
    return None


def _allows(certificate: x509.Certificate, uses: Sequence[int]) -> bool:
    found = _find(certificate.extensions, x509.ExtendedKeyUsage)
    if found is None or 0 in uses:
        return True
    allowed = {_USES.get(oid.dotted_string) for oid in found}
    return 0 in allowed or any(use in allowed for use in uses)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate, below: int) -> bool:
    """Tell whether `issuer`, with so many authorities below it, signed the certificate."""
    basic = _find(issuer.extensions, x509.BasicConstraints)
    usage = _find(issuer.extensions, x509.KeyUsage)
    if basic is None or not basic.ca or (usage is not None and not usage.key_cert_sign):
        return False
    if basic.path_length is not None and below > basic.path_length:
        return False
    if any(e.critical and e.oid.dotted_string not in _HANDLED for e in certificate.extensions):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_for(certificate: x509.Certificate, host: str) -> bool:
    """Tell whether a certificate is one for a host, whose first label a wildcard may stand for."""
    names = _find(certificate.extensions, x509.SubjectAlternativeName)
    if names is None:
        return False
    if any(isinstance(name, x509.IPAddress) and str(name.value) == host.strip("[]") for name in names):
        return True
    wanted = host.lower().removesuffix(".").split(".")
    for name in names:
        if isinstance(name, x509.DNSName):
            parts = name.value.lower().removesuffix(".").split(".")
            if parts == wanted or (parts[0] == "*" and len(parts) > 1 and parts[1:] == wanted[1:]):
                return True
    return False
