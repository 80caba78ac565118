"""Writes statuses where they differ from what is there, and Events of what that change tells."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from webhook.core.coverage import Register
from webhook.core.fields import generation_of
from webhook.core.model import API_VERSION, PolicyRef
from webhook.core.policy import CompiledPolicy, PolicyFailure
from webhook.core.snapshot import Snapshot
from webhook.operator import events, status
from webhook.operator.acknowledgements import Acknowledgements
from webhook.operator.audit.facts import PolicyFacts
from webhook.operator.client import ApiError, Client, Resource, get_or_none, merge
from webhook.operator.events import Regarded
from webhook.operator.informer import Key
from webhook.operator.inventory import Inventory
from webhook.operator.notices import notices
from webhook.operator.publisher import Publisher

_AT_ONCE = 8  # writes in flight
_STRIDE = 50
KINDS_WITH_STATUS = frozenset(
    {"ClusterPolicy", "Policy", "RiskAcceptance", "ClusterRiskAcceptance", "RiskAppetite"}
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Observed:
    uid: str
    status: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Judged:
    """What one round of statuses is made from."""

    policies: Mapping[PolicyRef, CompiledPolicy]
    failures: Mapping[PolicyRef, PolicyFailure]
    register: Register
    registered: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an object stands.

    Attributes:
        state: of an acceptance its phase; of a policy ``Enforced``, or why it isn't.
        until: when an acceptance in force ends; else None.
    """

    state: str
    until: datetime | None = None


class StatusReconciler:
    """Writes the statuses of policies and acceptances where they differ from what is there.

    Args:
        client: the API server.
        inventory: the objects.
        publisher: which revision holds which generation.
        acknowledgements: which revisions the workers judge by.
        audit: returns what the audit said of a policy last; None where there is none.
        covered: returns how many violations an acceptance covers, as the audit found; None while unknown.

    Attributes:
        states: where each policy and acceptance stands, as it was judged last.
    """

    def __init__(
        self,
        client: Client,
        inventory: Inventory,
        publisher: Publisher,
        acknowledgements: Acknowledgements,
        audit: Callable[[PolicyRef], PolicyFacts | None] | None = None,
        covered: Callable[[PolicyRef], int | None] = lambda _: None,
    ) -> None:
        self._audit = audit
        self._covered = covered
        self.states: dict[tuple[str, Key], Standing] = {}
        self._client = client
        self._inventory = inventory
        self._publisher = publisher
        self._acknowledgements = acknowledgements
        self._observed: dict[tuple[str, Key], _Observed] = {}
        self._written: dict[tuple[str, Key], tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
        self._unheard: dict[tuple[str, str], float] = {}
        self._heard: set[str] = set()

    def saw(self, resource: Resource, kind: str, obj: Mapping[str, Any]) -> bool:
        """Take in an object as it is; tell whether that may change anything."""
        metadata = obj["metadata"]
        place = (resource.kind, (metadata.get("namespace", ""), metadata["name"]))
        uid = str(metadata.get("uid", ""))
        if kind == "DELETED":
            self._observed.pop(place, None)
            self.states.pop(place, None)
            self._written.pop(place, None)
            self._heard.discard(uid)
            return False
        self._heard.add(uid)
        found = _Observed(uid, obj.get("status") or {})
        known, self._observed[place] = self._observed.get(place), found
        return known is None or known.status != found.status

    def unheard(self, seconds: float) -> str:
        """Return an object that exists for so long without having been seen; empty for none."""
        now = time.monotonic()
        missing = {
            (each["kind"], str(each["metadata"].get("uid"))): f"{each['kind']} {each['metadata']['name']}"
            for each in [*self._inventory.policies, *self._inventory.acceptances]
            if each["metadata"].get("uid") not in self._heard
        }
        self._unheard = {key: self._unheard.get(key, now) for key in missing}
        late = [key for key, since in self._unheard.items() if now - since > seconds]
        if not late:
            return ""
        self._unheard.clear()
        return missing[late[0]]

    async def reconcile(self, snapshot: Snapshot, *, registered: bool) -> None:
        """Write what differs.

        Args:
            snapshot: the policies and acceptances as compiled now.
            registered: the webhook configuration is in place.
        """
        judged = _Judged(
            {policy.ref: policy for policy in snapshot.policies},
            {failure.ref: failure for failure in snapshot.failures},
            snapshot.register,
            registered,
            datetime.now(UTC),
        )
        gate = asyncio.Semaphore(_AT_ONCE)
        writes = []
        for informer in self._inventory.own.values():
            resource = informer.resource
            if resource.kind not in KINDS_WITH_STATUS:
                continue
            for number, (key, obj) in enumerate(list(informer.items.items())):
                if number % _STRIDE == 0:
                    await asyncio.sleep(0)  # lets others have the loop
                known = self._observed.get((resource.kind, key))
                if known is None or known.uid != obj["metadata"].get("uid"):
                    writes.append(self._look_and_write(gate, resource, obj, judged))
                    continue
                wanted = self._wanted(resource.kind, key, obj, judged, known.status)
                if wanted is not None and self._differs((resource.kind, key), wanted, known.status):
                    writes.append(self._write(gate, resource, obj, wanted, known.status))
        results = await asyncio.gather(*writes, return_exceptions=True)
        problems = [result for result in results if isinstance(result, BaseException)]
        if problems:
            raise problems[0]

    def _wanted(
        self, kind: str, key: Key, obj: Mapping[str, Any], judged: _Judged, observed: Mapping[str, Any]
    ) -> status.Status | None:
        """Return what an object's status must say; None where it has changed since it was judged."""
        if kind == "RiskAppetite":
            return status.appetite_status(obj, observed, judged.at)
        if kind in ("RiskAcceptance", "ClusterRiskAcceptance"):
            found = status.acceptance_status(obj, judged.policies, judged.register, observed, judged.at)
            self.states[kind, key] = Standing(found.fields["phase"], found.until)
            covered = self._covered(PolicyRef(kind, *key))
            return found.fields if covered is None else {**found.fields, "covered": covered}
        ref = PolicyRef(kind, *key)
        policy, failure = judged.policies.get(ref), judged.failures.get(ref)
        if generation_of(obj) != getattr(policy or failure, "generation", -1):
            return None
        enforcement = self._enforcement(ref, registered=judged.registered)
        audit = self._audit(ref) if self._audit is not None else None
        wanted = status.policy_status(
            obj, policy, failure, enforcement, observed, judged.at, audit, audited=self._audit is not None
        )
        enforced = status.condition(wanted, "Enforced")
        self.states[kind, key] = Standing(str(enforced.get("reason", "")))
        return wanted

    async def _look_and_write(
        self, gate: asyncio.Semaphore, resource: Resource, obj: Mapping[str, Any], judged: _Judged
    ) -> None:
        """Write an object's status that no handler has seen yet: a new leader must not date it anew."""
        metadata = obj["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        async with gate:
            live = await get_or_none(self._client, resource.path_of(*key))
        if live is None or live["metadata"].get("uid") != metadata.get("uid"):
            return
        observed = live.get("status") or {}
        self._observed[resource.kind, key] = _Observed(str(metadata.get("uid", "")), observed)
        wanted = self._wanted(resource.kind, key, obj, judged, observed)
        if wanted is not None and self._differs((resource.kind, key), wanted, observed):
            await self._write(gate, resource, obj, wanted, observed)

    def _enforcement(self, ref: PolicyRef, *, registered: bool) -> status.Enforcement:
        live = self._acknowledgements.live
        generations = [self._publisher.generation(each.revision, ref) for each in live]
        return status.Enforcement(registered, len(live), min(generations, default=0))

    def _differs(
        self, place: tuple[str, Key], wanted: Mapping[str, Any], observed: Mapping[str, Any]
    ) -> bool:
        if all(observed.get(field) == value for field, value in wanted.items()):
            return False
        # Where the schema dropped or changed a part of it, writing the same again would change nothing.
        written = self._written.get(place)
        return written is None or written != (wanted, observed)

    async def _write(
        self,
        gate: asyncio.Semaphore,
        resource: Resource,
        obj: Mapping[str, Any],
        wanted: Mapping[str, Any],
        observed: Mapping[str, Any],
    ) -> None:
        metadata = obj["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        # The uid makes the API server refuse it where the object was deleted and made anew.
        body = {"metadata": {"uid": metadata.get("uid")}, "status": wanted}
        async with gate:
            try:
                result = await merge(self._client, resource.path_of(*key) + "/status", body)
            except ApiError as error:
                if error.status in (404, 409):
                    return
                raise
        found = result.get("status") or {}
        self._observed[resource.kind, key] = _Observed(str(metadata.get("uid", "")), found)
        self._written[resource.kind, key] = (wanted, found)
        await self._tell(resource, obj, wanted, observed)

    async def _tell(
        self,
        resource: Resource,
        obj: Mapping[str, Any],
        wanted: Mapping[str, Any],
        observed: Mapping[str, Any],
    ) -> None:
        """Write an Event on each thing that the change of a status is worth telling."""
        metadata, now = obj["metadata"], datetime.now(UTC)
        regarded = Regarded(
            API_VERSION,
            resource.kind,
            metadata.get("namespace", ""),
            metadata["name"],
            metadata.get("uid", ""),
        )
        for each in notices(wanted, observed):
            event = events.warning(regarded, each.reason, each.message, each.key, now, now)
            try:
                await events.send(self._client, event)
            except ApiError as error:
                if error.status != 409:  # it was told of not long ago
                    logger.warning("no event on %s %s: %s", resource.kind, metadata["name"], error)
