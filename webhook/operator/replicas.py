"""What each replica says of itself, in a Lease of its own, and what the leader makes of it.

The leader must know that every worker of every replica shows a certificate of the new authority before it
takes the old one out of the webhook configuration; `tidewaiter status` reads the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webhook.operator.client import ApiError, Client, apply
from webhook.operator.leader import LEASES, micro_time
from webhook.operator.owners import Reference

PREFIX = "tidewaiter-replica-"
ANNOTATION = "tidewaiter.dev/replica"
NAME_LABEL = "app.kubernetes.io/name"
INSTANCE_LABEL = "app.kubernetes.io/instance"
COMPONENT_LABEL = "tidewaiter.dev/component"
RENEW_SECONDS = 10.0
LEASE_SECONDS = 30
FORGOTTEN_SECONDS = 600.0
"""A replica that has been silent for so long is gone; before, its workers may still be asked."""

_POLL = 0.5
_LOOK_SECONDS = 2.0

Report = Mapping[str, Any]

logger = logging.getLogger(__name__)


def lease_name(replica: str) -> str:
    """Return the name of a replica's Lease."""
    plain = re.sub(r"[^a-z0-9.-]+", "-", replica.lower()).strip("-.")
    return f"{PREFIX}{plain}"[:253].rstrip("-.")


def labels(installation: str) -> dict[str, str]:
    """Return the labels of all replicas' Leases of one installation."""
    return {NAME_LABEL: "tidewaiter", INSTANCE_LABEL: installation, COMPONENT_LABEL: "replica"}


class ReplicaLease:
    """Renews the Lease of this replica, and changes it when there is something new to say.

    Args:
        client: the API server.
        namespace: our own.
        replica: our name, unique among the replicas.
        installation: the name of the webhook configuration.
        report: returns what to say; nothing that changes by itself.
        owners: returns the ownerReferences of the Lease.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        replica: str,
        installation: str,
        report: Callable[[], Report],
        owners: Callable[[], Sequence[Reference]],
    ) -> None:
        self.name = lease_name(replica)
        self._client = client
        self._namespace = namespace
        self._replica = replica
        self._installation = installation
        self._report = report
        self._owners = owners
        self._path = LEASES.path_of(namespace, self.name)
        self._told = ""

    async def run(self) -> None:
        """Renew until cancelled."""
        said, at = "", float("-inf")
        while True:
            text = json.dumps(self._report(), sort_keys=True)
            if text != said or time.monotonic() - at >= RENEW_SECONDS:
                try:
                    await apply(self._client, self._path, self._lease(text))
                    said, at = text, time.monotonic()
                    self._told = ""
                except ApiError as error:
                    if str(error) != self._told:
                        logger.warning("lease %s: %s; trying again", self.name, error)
                    self._told = str(error)
                    await asyncio.sleep(_POLL)
            await asyncio.sleep(_POLL)

    async def remove(self) -> None:
        """Remove the Lease: we stop, and nobody must wait for us."""
        with contextlib.suppress(ApiError):
            await self._client.request("DELETE", self._path, timeout=2)

    def _lease(self, text: str) -> dict[str, Any]:
        metadata: dict[str, Any] = {
            "name": self.name,
            "namespace": self._namespace,
            "labels": labels(self._installation),
            "annotations": {ANNOTATION: text},
        }
        owners = list(self._owners())
        if owners:
            metadata["ownerReferences"] = owners
        spec = {
            "holderIdentity": self._replica,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": micro_time(),
        }
        return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}


@dataclass(slots=True)
class _Seen:
    renewed: Any
    at: float
    report: Report


class Replicas:
    """What the leader knows of all replicas; asked anew every other second at most.

    Times are counted from when a renewal was seen here, since the machines' clocks differ.

    Args:
        client: the API server.
        namespace: our own.
        installation: the name of the webhook configuration.
        settle: how long all must have acknowledged a certificate, in seconds.
        forgotten: after so long without a renewal a replica is gone, in seconds.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        installation: str,
        settle: float,
        forgotten: float = FORGOTTEN_SECONDS,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._selector = ",".join(f"{key}={value}" for key, value in labels(installation).items())
        self._settle = settle
        self._forgotten = forgotten
        self._seen: dict[str, _Seen] = {}
        self._looked = float("-inf")
        self._acknowledged: tuple[str, float] | None = None

    async def look(self) -> None:
        """Ask for all Leases, and remove those of replicas that are gone.

        Raises:
            ApiError: the API server does not say.
        """
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        path = LEASES.path_of(self._namespace, "").rstrip("/")
        answer = await self._client.request("GET", path, params={"labelSelector": self._selector})
        self._looked = now
        found = {str(each["metadata"]["name"]): each for each in answer.body.get("items") or ()}
        self._seen = {name: self._see(name, lease, now) for name, lease in found.items()}
        for name in [name for name, seen in self._seen.items() if now - seen.at > self._forgotten]:
            logger.info("replica %s is gone: its lease is removed", name.removeprefix(PREFIX))
            await self._remove(found[name])
            del self._seen[name]

    def waiting_for(self, certificate: str) -> list[str]:
        """Return the replicas that don't show a certificate with all their workers; all when none is known.

        Args:
            certificate: its fingerprint.
        """
        if not self._seen:
            return ["any replica"]
        return sorted(
            name.removeprefix(PREFIX)
            for name, seen in self._seen.items()
            if not _shows(seen.report, certificate)
        )

    def acknowledged(self, certificate: str) -> bool:
        """Tell whether all replicas have shown a certificate for as long as a step must settle."""
        now = time.monotonic()
        if self.waiting_for(certificate):
            self._acknowledged = None
            return False
        if self._acknowledged is None or self._acknowledged[0] != certificate:
            self._acknowledged = (certificate, now)
        return now - self._acknowledged[1] >= self._settle

    def _see(self, name: str, lease: Mapping[str, Any], now: float) -> _Seen:
        renewed = (lease.get("spec") or {}).get("renewTime")
        before = self._seen.get(name)
        at = before.at if before is not None and before.renewed == renewed else now
        return _Seen(renewed, at, report_of(lease))

    async def _remove(self, lease: Mapping[str, Any]) -> None:
        metadata = lease["metadata"]
        # Only as it was seen: a replica that is back has renewed it.
        body = {"preconditions": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}}
        try:
            path = LEASES.path_of(self._namespace, metadata["name"])
            await self._client.request("DELETE", path, body=body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise


def report_of(lease: Mapping[str, Any]) -> Report:
    """Return what a replica says in its Lease; nothing where it can't be read."""
    text = (lease["metadata"].get("annotations") or {}).get(ANNOTATION, "")
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _shows(report: Report, certificate: str) -> bool:
    workers = report.get("workers")
    if report.get("certificate") != certificate or not isinstance(workers, list):
        return False
    return all(isinstance(each, dict) and each.get("certificate") == certificate for each in workers)
