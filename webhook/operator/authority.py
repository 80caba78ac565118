"""X.509 for one purpose: an authority and a server certificate, made and checked."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=90)

_BACKDATED = timedelta(minutes=5)  # clocks differ
_LONGEST_CHAIN = 5


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM.

    Attributes:
        certificate: the certificate; those of intermediate authorities may follow.
        key: its key.
    """

    certificate: bytes
    key: bytes

    @property
    def x509(self) -> x509.Certificate:
        """The certificate, parsed."""
        return x509.load_pem_x509_certificate(self.certificate)

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate's DER, in hex: how workers name what they show."""
        return hashlib.sha256(self.x509.public_bytes(serialization.Encoding.DER)).hexdigest()


def authorities_in(pem: bytes) -> dict[str, bytes]:
    """Return the authorities in a list of PEM certificates: the PEM of each by its fingerprint.

    What can't be read, or is no authority, is left out.
    """
    found = {}
    for certificate in _certificates(pem):
        if _is_authority(certificate):
            text = certificate.public_bytes(serialization.Encoding.PEM)
            found[certificate.fingerprint(hashes.SHA256()).hex()] = text
    return found


def issuer_of(chain: bytes, trusted: bytes, now: datetime) -> str:
    """Return the fingerprint of the authority in `trusted` that vouches for a certificate; empty for none.

    As strict as a client must be to tell one authority from another; who connects checks the rest.

    Args:
        chain: the certificate, with intermediate authorities after it, PEM.
        trusted: authorities, PEM.
        now: the time.
    """
    between = _certificates(chain)
    if not between or not _holds(between[0], now):
        return ""
    roots = [each for each in _certificates(trusted) if _is_authority(each) and _holds(each, now)]
    current = between[0]
    between = [each for each in between[1:] if _is_authority(each) and _holds(each, now)]
    for _ in range(_LONGEST_CHAIN):
        for root in roots:
            if _issued(current, root):
                return root.fingerprint(hashes.SHA256()).hex()
        above = next((each for each in between if _issued(current, each)), None)
        if above is None:
            return ""
        between.remove(above)
        current = above
    return ""


def is_for(certificate: x509.Certificate, host: str) -> bool:
    """Tell whether a certificate is for `host`, a name or an address; a wildcard stands for one label.

    See https://www.rfc-editor.org/rfc/rfc6125#section-6.4.3
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    wanted = _general_name(host)
    if isinstance(wanted, x509.IPAddress):
        return wanted in names
    parent = host.partition(".")[2].lower()
    return any(
        name.lower() == host.lower() or (name.startswith("*.") and name[2:].lower() == parent != "")
        for name in names.get_values_for_type(x509.DNSName)
    )


def check_pair(pair: Pair) -> None:
    """Make sure that a key is its certificate's.

    Raises:
        ValueError: it isn't, or one of them can't be read.
    """
    try:
        key = serialization.load_pem_private_key(pair.key, None)
        same = key.public_key() == pair.x509.public_key()
    except (TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"the key can't be used: {error}") from None
    if not same:
        raise ValueError("the key is another certificate's")


def check_bundle(pem: bytes) -> None:
    """Make sure that a caBundle is one, since the API server takes anything.

    Raises:
        ValueError: it holds no certificate, or text that is none.
    """
    try:
        found = x509.load_pem_x509_certificates(pem)
        ssl.create_default_context(cadata=pem.decode("ascii"))
    except (ValueError, ssl.SSLError) as error:
        raise ValueError(f"the caBundle is no list of PEM certificates: {error}") from None
    for certificate in found:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        if not constraints.value.ca:
            raise ValueError(f"the caBundle holds {certificate.subject.rfc4514_string()}, no authority")


def new_authority(now: datetime) -> Pair:
    """Return a new authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own for each: a verifier looks an issuer up by its name first.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"tidewaiter-ca-{os.urandom(4).hex()}")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def issue(authority: Pair, hosts: Sequence[str], now: datetime) -> Pair:
    """Return a new server certificate for `hosts`.

    Raises:
        ValueError: the authority's key is none of ours.
    """
    issuer = authority.x509
    signer = serialization.load_pem_private_key(authority.key, None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is no elliptic curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tidewaiter")])
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    certificate = (
        _builder(name, issuer.subject, key.public_key(), now, SERVER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([_general_name(host) for host in dict.fromkeys(hosts)]),
            critical=False,
        )
        .sign(signer, hashes.SHA256())
    )
    return _pair(certificate, key)


def has_names(certificate: x509.Certificate, hosts: Iterable[str]) -> bool:
    """Tell whether a certificate is for exactly `hosts`."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names) == {_general_name(host) for host in hosts}


def _certificates(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        return []


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _holds(certificate: x509.Certificate, now: datetime) -> bool:
    # A certificate that a clock ahead of ours made a moment ago must not wait for ours.
    return certificate.not_valid_before_utc - _BACKDATED <= now < certificate.not_valid_after_utc


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now.astimezone(UTC) - _BACKDATED)
        .not_valid_after(now.astimezone(UTC) + lifetime)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
