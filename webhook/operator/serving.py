"""Gives the workers beside this replica their certificate, once the API server trusts it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from webhook.operator import certificates, pair_files
from webhook.operator.authority import Pair
from webhook.operator.informer import Informer
from webhook.operator.pair_files import Given
from webhook.operator.trust import Gate

LOOK_SECONDS = 1.0

logger = logging.getLogger(__name__)


class Source(Protocol):
    """Where the certificate comes from.

    Attributes:
        problem: why what is there now can't be used; empty when it can.
    """

    problem: str

    def current(self) -> Given | None:
        """Return what should be shown, the last that could be used; None before there is any."""
        ...


class SecretSource:
    """The Secret that the leader writes.

    Args:
        secret: an informer of that one Secret.
    """

    def __init__(self, secret: Informer) -> None:
        self.problem = ""
        self._secret = secret
        self._item: object = None
        self._given: Given | None = None

    def current(self) -> Given | None:
        """See `Source.current`."""
        item = next(iter(self._secret.items.values()), None)
        if item is not self._item:
            self._item = item
            bundle = certificates.read_secret(item) if item else None
            if bundle is not None:
                self._given = Given(bundle.server, bundle.trusted)
        return self._given


class FolderSource:
    """A folder that others keep, as cert-manager keeps the Secret that is mounted there.

    Args:
        folder: with ``tls.crt``, ``tls.key`` and ``ca.crt``.
        host: what the API server asks for.
    """

    def __init__(self, folder: Path, host: str) -> None:
        self.problem = ""
        self._folder = folder
        self._host = host
        self._given: Given | None = None

    def current(self) -> Given | None:
        """See `Source.current`; what can't be used leaves the last good one in place."""
        try:
            self._given = pair_files.read_given(self._folder, self._host, datetime.now(UTC))
            problem = ""
        except ValueError as error:
            kept = "the last good ones stay" if self._given else "waiting for others"
            problem = f"certificates in {self._folder} can't be used: {error}; {kept}"
        if problem != self.problem:
            if problem:
                logger.error("%s", problem)
            else:
                logger.info("certificates in %s can be used again", self._folder)
            self.problem = problem
        return self._given


class Serving:
    """Keeps the files that the workers load; every replica runs one.

    Args:
        source: what should be shown.
        configuration: an informer of the webhook configuration.
        folder: where the workers find their certificate.
        settle: how long the API server must have trusted a new one, in seconds.
        on_change: called when another one should be shown, and after it was written.

    Attributes:
        fingerprint: of the certificate that was written last; empty before the first.
        expires_at: when it ends, in seconds since the epoch; 0.0 before the first.
        problem: why the newest is not shown yet; empty when it is.
    """

    def __init__(
        self,
        source: Source,
        configuration: Informer,
        folder: Path,
        settle: float,
        on_change: Callable[[], None],
    ) -> None:
        self.fingerprint = ""
        self.expires_at = 0.0
        self.problem = ""
        self._source = source
        self._configuration = configuration
        self._folder = folder
        self._gate = Gate(settle)
        self._on_change = on_change
        self._given: Given | None = None

    async def run(self) -> None:
        """Look every second until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Write what should be shown, if it may be by now."""
        at, now = time.monotonic(), datetime.now(UTC)
        if self._configuration.synced:
            self._gate.see(next(iter(self._configuration.items.values()), None), at)
        given = self._source.current()
        if given is None:
            self.problem = self._source.problem or "there is no certificate yet"
            return
        if given != self._given:
            self._given = given
            self._on_change()  # the leader lets it be trusted
        before = pair_files.stored(self._folder)
        if before != given.server:
            if not self._may_replace(before, given, now, at):
                return
            pair_files.store(given.server, self._folder)
            logger.info("certificate written to %s", self._folder)
        self.problem = self._source.problem
        if self.fingerprint != given.server.fingerprint:
            self.fingerprint = given.server.fingerprint
            self.expires_at = given.server.x509.not_valid_after_utc.timestamp()
            self._on_change()

    def _may_replace(self, before: Pair | None, given: Given, now: datetime, at: float) -> bool:
        if not self._configuration.synced:
            self.problem = "not known yet whether the API server trusts the new certificate"
            return False
        chain = given.server.certificate
        if not self._gate.trusts(chain, now):
            self.problem = "the webhook configuration does not trust the new certificate yet"
            return False
        if before is None or not self._gate.trusts(before.certificate, now):
            return True  # there is nothing to lose
        if not self._gate.is_open(chain, now, at):
            self.problem = ""  # a wait that ends by itself
            return False
        return True
