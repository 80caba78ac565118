"""The leader's part of the webhook configuration: keeps it, and whom it trusts, as it should be."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from webhook.core.policy import CompiledPolicy
from webhook.operator import mend, webhooks
from webhook.operator.acknowledgements import Acknowledgements
from webhook.operator.authority import authorities_in, check_bundle
from webhook.operator.client import ApiError, Client, apply, get_or_none, merge
from webhook.operator.owners import Reference
from webhook.operator.trust import trusted_by_some
from webhook.operator.webhooks import Registration

logger = logging.getLogger(__name__)


class Patience:
    """Bounds the writes against somebody who keeps changing what we keep.

    Five at once are free; after that each waits twice as long as the one before, up to a minute. When nothing
    had to be put right for twice as long, it is forgotten.
    """

    FREE = 5
    LONGEST = 60.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._count = 0
        self._last = float("-inf")

    @property
    def worn(self) -> bool:
        """Whether somebody has kept changing it."""
        self._forget()
        return self._count > self.FREE

    def wait(self) -> float:
        """Return for how many seconds yet nothing may be written."""
        self._forget()
        pause = min(2.0 ** (self._count - self.FREE), self.LONGEST) if self._count >= self.FREE else 0.0
        return max(0.0, self._last + pause - self._clock())

    def spend(self) -> None:
        """Say that something was put right."""
        self._count = min(self._count + 1, self.FREE + 7)
        self._last = self._clock()

    def _forget(self) -> None:
        if self._clock() - self._last > 2 * self.LONGEST:
            self._count = 0


class WebhookReconciler:
    """Keeps one webhook configuration as the policies want it.

    Args:
        client: the API server.
        registration: how to register; its caBundle is filled in here.
        acknowledgements: nothing is registered before a worker has acknowledged a snapshot.
        owners: returns the ownerReferences of the configuration.
        uninstalling: tells whether somebody is removing the installation; asked before each write.

    Attributes:
        in_place: the configuration is what it should be.
        rotating: it trusts an authority that goes once no worker needs it any more.
        problem: why it isn't what it should be; empty when it is.
        writes: how often it was written.
    """

    def __init__(
        self,
        client: Client,
        registration: Registration,
        acknowledgements: Acknowledgements,
        owners: Callable[[], Sequence[Reference]] = tuple,
        uninstalling: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self.in_place = False
        self.rotating = False
        self.problem = ""
        self.writes = 0
        self._client = client
        self._registration = registration
        self._acknowledgements = acknowledgements
        self._owners = owners
        self._uninstalling = uninstalling
        self._path = webhooks.CONFIGURATIONS.path_of("", registration.name)
        self._trusted: dict[str, bytes] | None = None
        self._before: Mapping[str, Any] | None = None
        self._patience = Patience()

    async def reconcile(
        self, policies: Iterable[CompiledPolicy], trusted: bytes, *, acknowledged: bool
    ) -> None:
        """Create or mend the configuration.

        Once there is one it is never lowered or removed because workers are missing.

        Args:
            policies: those that compiled.
            trusted: the authorities of the newest certificate, PEM.
            acknowledged: every worker shows that certificate by now.

        Raises:
            ApiError: the API server refuses it, or does not answer.
            ValueError: `trusted` is no list of authorities.
        """
        live = await get_or_none(self._client, self._path)
        if live is None and not self.in_place and not self._acknowledgements.ever:
            return
        check_bundle(trusted)
        wanted = self._wanted(policies, self._bundle(live, trusted, acknowledged=acknowledged))
        change = mend.merged(wanted, live) if live is not None else wanted
        if change is None:
            self._in_place_with(wanted)
            return
        if await self._may_write(wanted, live):
            await self._write(wanted, live, change)

    def _wanted(self, policies: Iterable[CompiledPolicy], bundle: bytes) -> dict[str, Any]:
        endpoint = replace(self._registration.endpoint, ca_bundle=bundle)
        wanted = webhooks.desired(policies, replace(self._registration, endpoint=endpoint))
        owners = list(self._owners())
        if owners:
            wanted["metadata"]["ownerReferences"] = owners
        return wanted

    def _bundle(self, live: Mapping[str, Any] | None, trusted: bytes, *, acknowledged: bool) -> bytes:
        """Return the caBundle: the newest authorities, and before them what workers may still need.

        The live configuration is the memory of what was trusted before this replica led.
        """
        newest = authorities_in(trusted)
        if self._trusted is None:
            self._trusted = trusted_by_some(live)
        if acknowledged:
            self._trusted = {}
        self._trusted = {**newest, **{key: pem for key, pem in self._trusted.items() if key not in newest}}
        rotating = len(self._trusted) > len(newest)
        if rotating != self.rotating:
            text = "also trusts what workers still show" if rotating else "trusts the newest authority alone"
            logger.info("webhook configuration %s %s", self._registration.name, text)
        self.rotating = rotating
        return b"".join(self._trusted.values())

    async def _may_write(self, wanted: Mapping[str, Any], live: Mapping[str, Any] | None) -> bool:
        name = self._registration.name
        if self._uninstalling is not None and await self._uninstalling():
            self._tell(f"webhook configuration {name} is left alone: somebody uninstalls us")
            self.in_place = False
            return False
        if wanted != self._before:
            return True  # it is we who want something new
        if self._patience.wait() > 0:
            self._tell(f"webhook configuration {name}: somebody keeps changing it{_by_whom(live)}")
            self.in_place = False
            return False
        self._patience.spend()
        return True

    async def _write(
        self, wanted: Mapping[str, Any], live: Mapping[str, Any] | None, change: Mapping[str, Any]
    ) -> None:
        name = self._registration.name
        if live is None:
            if self.in_place:
                logger.warning("webhook configuration %s is gone: put back", name)
            await apply(self._client, self._path, wanted)
        else:
            # Refused when somebody was faster; the next round looks again.
            version = live["metadata"]["resourceVersion"]
            change = {**change, "metadata": {**change["metadata"], "resourceVersion": version}}
            await merge(self._client, self._path, change)
            how = "put right" if wanted == self._before else "written"
            logger.info("webhook configuration %s %s: %s", name, how, _summary(wanted))
        self.writes += 1
        self._in_place_with(wanted)

    def _in_place_with(self, wanted: Mapping[str, Any]) -> None:
        self._before = wanted
        self.in_place = True
        if not self._patience.worn:
            self.problem = ""

    async def remove(self) -> None:
        """Remove the configuration."""
        try:
            await self._client.request("DELETE", self._path, timeout=5)
            logger.info("webhook configuration %s removed", self._registration.name)
        except ApiError as error:
            if error.status != 404:
                logger.error(
                    "webhook configuration %s could not be removed (%s): remove it by hand, else the API "
                    "server keeps asking: kubectl delete validatingwebhookconfiguration %s",
                    self._registration.name,
                    error,
                    self._registration.name,
                )
        self.in_place = False

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            logger.error("%s", problem)
        self.problem = problem


def _by_whom(live: Mapping[str, Any] | None) -> str:
    """Return the name of the field manager that wrote last, as far as the API server says."""
    if live is None:
        return " or deleting it"
    managers = live["metadata"].get("managedFields") or ()
    last: Mapping[str, Any] = max(managers, key=lambda each: str(each.get("time", "")), default={})
    return f", last as {last['manager']!r}" if last.get("manager") else ""


def _summary(wanted: Mapping[str, Any]) -> str:
    entries = wanted["webhooks"]
    rules = sum(len(entry["rules"]) for entry in entries)
    return f"{len(entries)} entries, {rules} rules"
