"""Everything that the snapshot is made of: which informers run, and what they hold together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from webhook.core.model import GROUP, VERSION
from webhook.operator import params, workloads
from webhook.operator.client import ApiError, Client, Resource
from webhook.operator.gatekeeper_informers import GatekeeperInformers
from webhook.operator.informer import Informer, Key, Object, strip
from webhook.operator.params import ParamKind, Source

CLUSTER_POLICIES = Resource(GROUP, VERSION, "clusterpolicies", "ClusterPolicy")
POLICIES = Resource(GROUP, VERSION, "policies", "Policy", namespaced=True)
ACCEPTANCES = Resource(GROUP, VERSION, "riskacceptances", "RiskAcceptance", namespaced=True)
CLUSTER_ACCEPTANCES = Resource(GROUP, VERSION, "clusterriskacceptances", "ClusterRiskAcceptance")
OWN_RESOURCES = (
    CLUSTER_POLICIES,
    POLICIES,
    ACCEPTANCES,
    CLUSTER_ACCEPTANCES,
    Resource(GROUP, VERSION, "riskapprovals", "RiskApproval", namespaced=True),
    Resource(GROUP, VERSION, "clusterriskapprovals", "ClusterRiskApproval"),
    Resource(GROUP, VERSION, "riskappetites", "RiskAppetite"),
)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace")

_ADJUST_AGAIN = 2.0  # a parameter kind that is missing may appear
_PARAMS_WAIT = 5.0

logger = logging.getLogger(__name__)


class _Slot:
    """An informer whose filter may change: the one before serves until the new one has listed."""

    def __init__(self, filtered_by: object, informer: Informer, previous: Mapping[Key, Object]) -> None:
        self.filtered_by = filtered_by
        self.informer = informer
        self.since = time.monotonic()
        self._previous = previous
        self._task = asyncio.create_task(informer.run())

    @property
    def items(self) -> Mapping[Key, Object]:
        return self.informer.items if self.informer.synced else self._previous

    @property
    def settled(self) -> bool:
        """There is nothing to wait for: it has listed, or can't, or not within a decent time."""
        informer = self.informer
        return informer.synced or informer.missing or time.monotonic() - self.since > _PARAMS_WAIT

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})


class Inventory:
    """Runs the informers and gives the objects of the snapshot.

    Our own kinds and Namespaces are always watched; the kinds of parameters that policies name, as long as
    one does; workloads, as long as there is an acceptance, in the namespaces that acceptances are for.

    Args:
        client: the API server.
        on_change: called after every change; True when it must not wait.
        gatekeeper: Gatekeeper's kinds are watched too.
        keep: returns what to keep of an acceptance; it sees each version that the API server tells of.
    """

    def __init__(
        self,
        client: Client,
        on_change: Callable[[bool], None],
        *,
        gatekeeper: bool = False,
        keep: Callable[[Object], Object | None] = strip,
    ) -> None:
        self._client = client
        self._on_change = on_change
        self._adjust = asyncio.Event()
        self.own = {
            # What is accepted goes with its kind; policies without a kind deny on until it is back.
            resource.kind: Informer(
                client,
                resource,
                self._own_changed,
                keep if resource in (ACCEPTANCES, CLUSTER_ACCEPTANCES) else strip,
                forgets=resource not in (CLUSTER_POLICIES, POLICIES),
            )
            for resource in OWN_RESOURCES
        }
        self.namespaces = Informer(client, NAMESPACES, lambda _: on_change(True))
        self._params: dict[ParamKind, _Slot] = {}
        self._unresolved: dict[ParamKind, float] = {}
        self._workloads: dict[Resource, _Slot] = {}
        self.gatekeeper = GatekeeperInformers(client, lambda: on_change(False)) if gatekeeper else None

    @property
    def policies(self) -> list[Object]:
        """All policies."""
        return [*self.own["ClusterPolicy"].items.values(), *self.own["Policy"].items.values()]

    @property
    def acceptances(self) -> list[Object]:
        """All risk acceptances."""
        kinds = ("RiskAcceptance", "ClusterRiskAcceptance")
        return [item for kind in kinds for item in self.own[kind].items.values()]

    @property
    def missing_kinds(self) -> list[str]:
        """Those of our own kinds that the API server doesn't know."""
        return [informer.resource.plural for informer in self.own.values() if informer.missing]

    @property
    def synced(self) -> bool:
        """Each of our own kinds and the Namespaces have been listed once."""
        return self.namespaces.synced and all(informer.synced for informer in self.own.values())

    @property
    def complete(self) -> bool:
        """What there is can be published: synced, and no policy waits for its parameters' first list."""
        if not self.synced or (self.gatekeeper is not None and not self.gatekeeper.complete):
            return False
        now = time.monotonic()
        for kind, named in params.sources(self.policies).items():
            slot = self._params.get(kind)
            if slot is not None and slot.filtered_by == named:
                if not slot.settled:
                    return False
            elif now - self._unresolved.setdefault(kind, now) < _PARAMS_WAIT:
                return False
        return True

    def objects(self) -> list[Object]:
        """Return everything that the snapshot is made of."""
        found = [item for informer in self.own.values() for item in informer.items.values()]
        found += self.namespaces.items.values()
        for slots in (self._params.values(), self._workloads.values()):
            found += [item for slot in slots for item in slot.items.values()]
        if self.gatekeeper is not None:
            # What is synced is there as a whole, and once.
            found = [item for item in found if not self.gatekeeper.holds(item)]
            found += self.gatekeeper.objects()
        return found

    def contacts(self) -> dict[str, tuple[float, str]]:
        """Return by resource when it was last heard of, and why it isn't now."""
        slots = [*self._params.values(), *self._workloads.values()]
        informers = [*self.own.values(), self.namespaces, *(slot.informer for slot in slots)]
        found = {each.resource.plural: (each.last_contact, each.error) for each in informers}
        return {**(self.gatekeeper.contacts() if self.gatekeeper is not None else {}), **found}

    async def run(self) -> None:
        """Watch until cancelled."""
        always = [*self.own.values(), self.namespaces]
        tasks = [asyncio.create_task(informer.run()) for informer in always]
        if self.gatekeeper is not None:
            tasks.append(asyncio.create_task(self.gatekeeper.run()))
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ADJUST_AGAIN):
                        await self._adjust.wait()
                self._adjust.clear()
                try:
                    await self._adjust_params()
                    await self._adjust_workloads()
                except Exception:
                    logger.exception("the informers of parameters and workloads stay as they are")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for slot in [*self._params.values(), *self._workloads.values()]:
                await slot.stop()

    def _own_changed(self, _: Informer) -> None:
        self._adjust.set()
        self._on_change(False)

    def _other_changed(self, _: Informer) -> None:
        self._on_change(False)

    async def _adjust_params(self) -> None:
        wanted = params.sources(self.policies)
        await self._drop(self._params, wanted)
        for kind in [kind for kind in self._unresolved if kind not in wanted or kind in self._params]:
            del self._unresolved[kind]
        for kind, named in wanted.items():
            slot = self._params.get(kind)
            if slot is not None and slot.filtered_by == named:
                continue
            resource = slot.informer.resource if slot else await self._resolve(kind)
            if resource is not None:
                await self._replace(self._params, kind, resource, named, params.keep_meant(named))
        if wanted and not all(slot.informer.synced for slot in self._params.values()):
            self._on_change(False)  # a wait that has ended changes nothing else

    async def _resolve(self, kind: ParamKind) -> Resource | None:
        first = kind not in self._unresolved
        self._unresolved.setdefault(kind, time.monotonic())
        try:
            resource = await params.discover(self._client, kind)
            why = "the API server has no such kind"
        except ApiError as error:
            resource, why = None, str(error)
        if resource is None and first:
            logger.warning("parameters of kind %s in %s: %s", kind.kind, kind.api_version, why)
        return resource

    async def _adjust_workloads(self) -> None:
        namespaces = workloads.covered_namespaces(self.acceptances)
        wanted = workloads.RESOURCES if namespaces else ()
        await self._drop(self._workloads, wanted)
        for resource in wanted:
            slot = self._workloads.get(resource)
            if slot is None or not (
                isinstance(slot.filtered_by, frozenset) and namespaces <= slot.filtered_by
            ):
                keep = workloads.keep_in(namespaces)
                await self._replace(self._workloads, resource, resource, namespaces, keep)

    async def _replace(
        self,
        slots: dict[Any, _Slot],
        key: object,
        resource: Resource,
        filtered_by: frozenset[str] | frozenset[Source],
        keep: Callable[[Object], Object | None],
    ) -> None:
        before = slots.get(key)
        informer = Informer(self._client, resource, self._other_changed, keep)
        slots[key] = _Slot(filtered_by, informer, dict(before.items) if before else {})
        if before is not None:
            await before.stop()

    async def _drop(self, slots: dict[Any, _Slot], wanted: Iterable[object]) -> None:
        kept = set(wanted)
        for key in [key for key in slots if key not in kept]:
            await slots.pop(key).stop()
            self._on_change(False)
