"""A certificate authority and a server certificate of our own, renewed so that no moment is without trust.

A new authority comes in three steps, each a state of the Secret: the old one serves and both are trusted; the
new one serves and both are trusted; the new one alone. The API server keeps connections open for a while, so
that a step taken too early would only show later.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from webhook.core.times import format_time, parse_time

AUTHORITY_LIFETIME = timedelta(days=3650)
AUTHORITY_RENEWAL = timedelta(days=365)
SERVER_LIFETIME = timedelta(days=90)
SERVER_RENEWAL = timedelta(days=30)
OVERLAP = timedelta(hours=1)
"""How long both authorities are trusted after a step: workers load a certificate within a second, other
replicas hear of the Secret within seconds, and the API server opens new connections within minutes."""

_BACKDATED = timedelta(minutes=5)  # clocks differ
_CHANGED = "tidewaiter.dev/changed-at"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes

    @property
    def x509(self) -> x509.Certificate:
        """The certificate, parsed."""
        return x509.load_pem_x509_certificate(self.certificate)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that the Secret holds.

    Attributes:
        authority: the one that issued `server`.
        server: what the data plane shows.
        other: an authority that is trusted as well: the next one, or the one before; None for none.
        other_is_next: which of both it is.
        changed_at: when the last step was taken.
    """

    authority: Pair
    server: Pair
    other: Pair | None
    other_is_next: bool
    changed_at: datetime

    @property
    def trusted(self) -> bytes:
        """The caBundle: PEM certificates of the authorities that the API server must trust."""
        own = self.authority.certificate.strip() + b"\n"
        return own + (self.other.certificate.strip() + b"\n" if self.other else b"")


def next_bundle(
    bundle: Bundle | None, hosts: Sequence[str], now: datetime, *, registered: bool = True
) -> Bundle:
    """Return the bundle that should hold now: the same one where nothing is due.

    Args:
        bundle: the present one; None where there is none or it can't be read.
        hosts: the names and addresses that the server certificate is for.
        now: the time.
        registered: the API server has been told of the present bundle's authorities.
    """
    if bundle is None:
        authority = _new_authority(now)
        return Bundle(authority, _issue(authority, hosts, now), None, False, now)
    if bundle.other is None:
        if bundle.authority.x509.not_valid_after_utc - now < AUTHORITY_RENEWAL:
            bundle = replace(bundle, other=_new_authority(now), other_is_next=True, changed_at=now)
    elif registered and now - bundle.changed_at >= OVERLAP:
        if bundle.other_is_next:
            server = _issue(bundle.other, hosts, now)
            return Bundle(bundle.other, server, bundle.authority, False, now)
        bundle = replace(bundle, other=None, changed_at=now)
    if _due(bundle.server, hosts, now):
        bundle = replace(bundle, server=_issue(bundle.authority, hosts, now))
    return bundle


def read_secret(secret: Mapping[str, Any]) -> Bundle | None:
    """Return the bundle in a Secret; None where it isn't complete or not what it should be."""
    data = secret.get("data") or {}
    notes = (secret.get("metadata") or {}).get("annotations") or {}
    try:
        fields = {name: base64.b64decode(value, validate=True) for name, value in data.items()}
        authority = Pair(fields["ca.crt"], fields["ca.key"])
        server = Pair(fields["tls.crt"], fields["tls.key"])
        other = None
        if fields.get("other-ca.crt"):
            other = Pair(fields["other-ca.crt"], fields.get("other-ca.key", b""))
        is_next = fields.get("other-is-next") == b"true"
        changed_at = parse_time(notes.get(_CHANGED, ""))
        for pair in (authority, server):
            _check_pair(pair)
        if other is not None and is_next:
            _check_pair(other)
        server.x509.verify_directly_issued_by(authority.x509)
        server.x509.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        if other is not None and not other.x509:
            return None
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    except (InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return None
    return Bundle(authority, server, other, is_next, changed_at)


def write_secret(bundle: Bundle, namespace: str, name: str) -> dict[str, Any]:
    """Return the Secret that holds `bundle`."""
    data = {
        "ca.crt": bundle.authority.certificate,
        "ca.key": bundle.authority.key,
        "tls.crt": bundle.server.certificate,
        "tls.key": bundle.server.key,
    }
    if bundle.other:
        data["other-ca.crt"] = bundle.other.certificate
        if bundle.other_is_next:
            data["other-ca.key"] = bundle.other.key
            data["other-is-next"] = b"true"
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "tidewaiter", "app.kubernetes.io/managed-by": "tidewaiter"},
            "annotations": {_CHANGED: format_time(bundle.changed_at)},
        },
        "data": {field: base64.b64encode(value).decode() for field, value in data.items()},
    }


def store(bundle: Bundle, folder: Path) -> bool:
    """Write the server certificate and key as ``tls.crt`` and ``tls.key``; tell whether they changed.

    The key comes first, so that whoever sees the new certificate finds its key; each file is replaced at
    once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    changed = False
    for name, data in (("tls.key", bundle.server.key), ("tls.crt", bundle.server.certificate)):
        path = folder / name
        with contextlib.suppress(FileNotFoundError):
            if path.read_bytes() == data:
                continue
        descriptor, aside = tempfile.mkstemp(dir=folder, prefix=f".{name}.")  # for the owner alone
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(aside).replace(path)
        changed = True
    return changed


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


def _check_pair(pair: Pair) -> None:
    key = serialization.load_pem_private_key(pair.key, None)
    if key.public_key() != pair.x509.public_key():
        raise ValueError("the key is another certificate's")


def _due(server: Pair, hosts: Sequence[str], now: datetime) -> bool:
    certificate = server.x509
    if certificate.not_valid_after_utc - now < SERVER_RENEWAL or certificate.not_valid_before_utc > now:
        return True
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names) != {_general_name(host) for host in hosts}


def _new_authority(now: datetime) -> Pair:
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


def _issue(authority: Pair, hosts: Sequence[str], now: datetime) -> Pair:
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
