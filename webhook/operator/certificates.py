"""The Secret with an authority and a server certificate of our own, and when either is due.

A new authority replaces the old one in the Secret at once. Nothing shows a certificate of it yet: each
replica waits until the webhook configuration trusts it, and the old authority stays there until every worker
shows a certificate of the new one. So the Secret may be replaced, or deleted, at any moment.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from webhook.operator.authority import Pair, check_pair, has_names, issue, new_authority

AUTHORITY_RENEWAL = timedelta(days=365)
SERVER_RENEWAL = timedelta(days=30)
ROTATE = "tidewaiter.dev/rotate"
"""With this annotation on the Secret, whatever its value, a new authority is made once; it is taken off."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What the Secret holds.

    Attributes:
        authority: who issued `server`.
        server: what the data plane shows.
    """

    authority: Pair
    server: Pair

    @property
    def trusted(self) -> bytes:
        """The authority that the API server must trust for it, PEM."""
        return self.authority.certificate


def next_bundle(
    bundle: Bundle | None, hosts: Sequence[str], now: datetime, *, rotate: bool = False
) -> Bundle:
    """Return the bundle that should hold now: the same one where nothing is due.

    Args:
        bundle: the present one; None where there is none or it can't be read.
        hosts: the names and addresses that the server certificate is for.
        now: the time.
        rotate: a new authority is asked for.
    """
    if bundle is None or rotate or bundle.authority.x509.not_valid_after_utc - now < AUTHORITY_RENEWAL:
        authority = new_authority(now)
        return Bundle(authority, issue(authority, hosts, now))
    if _due(bundle.server, hosts, now):
        return replace(bundle, server=issue(bundle.authority, hosts, now))
    return bundle


def read_secret(secret: Mapping[str, Any]) -> Bundle | None:
    """Return the bundle in a Secret; None where it isn't complete or not what it should be."""
    data = secret.get("data") or {}
    try:
        fields = {name: base64.b64decode(value, validate=True) for name, value in data.items()}
        bundle = Bundle(Pair(fields["ca.crt"], fields["ca.key"]), Pair(fields["tls.crt"], fields["tls.key"]))
        check_pair(bundle.authority)
        check_pair(bundle.server)
        bundle.server.x509.verify_directly_issued_by(bundle.authority.x509)
        bundle.server.x509.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
    except (InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound):
        return None
    return bundle


def wants_rotation(secret: Mapping[str, Any]) -> bool:
    """Tell whether somebody asked for a new authority by an annotation on the Secret."""
    return ROTATE in ((secret.get("metadata") or {}).get("annotations") or {})


def write_secret(bundle: Bundle, namespace: str, name: str) -> dict[str, Any]:
    """Return the Secret that holds `bundle`."""
    data = {
        "ca.crt": bundle.authority.certificate,
        "ca.key": bundle.authority.key,
        "tls.crt": bundle.server.certificate,
        "tls.key": bundle.server.key,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "tidewaiter", "app.kubernetes.io/managed-by": "tidewaiter"},
        },
        "data": {field: base64.b64encode(value).decode() for field, value in data.items()},
    }


def _due(server: Pair, hosts: Sequence[str], now: datetime) -> bool:
    certificate = server.x509
    if certificate.not_valid_after_utc - now < SERVER_RENEWAL or certificate.not_valid_before_utc > now:
        return True
    return not has_names(certificate, hosts)
