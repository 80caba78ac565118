"""Whom the API server trusts to be us, as the live webhook configuration says; pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from webhook.operator.authority import authorities_in, issuer_of
from webhook.operator.webhooks import SUFFIX

Authorities = Mapping[str, bytes]
"""The PEM of each authority by its fingerprint."""


def bundles_of(configuration: Mapping[str, Any] | None) -> list[bytes]:
    """Return the caBundle of each of our entries in a webhook configuration."""
    entries = (configuration or {}).get("webhooks") or ()
    found = []
    for entry in entries:
        if str(entry.get("name", "")).endswith(SUFFIX):
            text = (entry.get("clientConfig") or {}).get("caBundle") or ""
            try:
                found.append(base64.b64decode(text, validate=True))
            except ValueError:
                found.append(b"")
    return found


def trusted_by_some(configuration: Mapping[str, Any] | None) -> dict[str, bytes]:
    """Return the authorities that any of our entries trusts."""
    return {name: pem for bundle in bundles_of(configuration) for name, pem in authorities_in(bundle).items()}


class Gate:
    """Tells when a new certificate may be shown: once every entry has trusted it for a while.

    An API server hears late of a change when it is busy, and there may be several of them.

    Args:
        settle: how long, in seconds.
    """

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._since: dict[str, float] = {}
        self._bundles: list[bytes] = []

    def see(self, configuration: Mapping[str, Any] | None, at: float) -> None:
        """Take in the live configuration, or that there is none.

        Args:
            configuration: the live object.
            at: when, in seconds of a clock that only goes forward.
        """
        bundles = bundles_of(configuration)
        if bundles == self._bundles and self._since:
            return
        self._bundles = bundles
        every = [authorities_in(bundle) for bundle in bundles]
        common = {name for name in (every[0] if every else ()) if all(name in each for each in every)}
        self._since = {name: self._since.get(name, at) for name in common}

    def trusts(self, chain: bytes, now: datetime) -> bool:
        """Tell whether the API server would accept a certificate; yes where it asks nobody yet."""
        return not self._bundles or self._trusted_since(chain, now) is not None

    def is_open(self, chain: bytes, now: datetime, at: float) -> bool:
        """Tell whether a certificate has been trusted for long enough."""
        if not self._bundles:
            return True
        since = self._trusted_since(chain, now)
        return since is not None and at - since >= self._settle

    def _trusted_since(self, chain: bytes, now: datetime) -> float | None:
        """Return since when all entries have trusted a certificate; None where one doesn't."""
        moments = []
        for bundle in self._bundles:
            issuer = issuer_of(chain, bundle, now)
            if issuer not in self._since:
                return None
            moments.append(self._since[issuer])
        return max(moments, default=None)
