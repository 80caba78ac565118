"""Gatekeeper's objects in the cluster: templates, constraints of their kinds, and what is synced."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.core.errors import CompileError
from webhook.dialects.gatekeeper import names
from webhook.dialects.gatekeeper.config import CONFIG_NAME, SyncKind, parse_config, parse_sync_set
from webhook.operator import params
from webhook.operator.client import ApiError, Client, Resource
from webhook.operator.informer import Informer, Key, Object, strip

TEMPLATES = Resource(names.TEMPLATES, "v1", "constrainttemplates", names.TEMPLATE.kind)
CONFIGS = Resource(names.CONFIG.group, "v1alpha1", "configs", names.CONFIG.kind, namespaced=True)
SYNC_SETS = Resource(names.SYNC_SET.group, "v1alpha1", "syncsets", names.SYNC_SET.kind)
EXPANSIONS = Resource(names.EXPANSION.group, "v1beta1", "expansiontemplate", names.EXPANSION.kind)
PROVIDERS = Resource(names.PROVIDER.group, "v1beta1", "providers", names.PROVIDER.kind)
FIXED = (TEMPLATES, CONFIGS, SYNC_SETS, EXPANSIONS, PROVIDERS)

_WAIT = 5.0  # for the first list of a kind
_NAMESPACE = SyncKind("", "v1", "Namespace")
_SECRET = SyncKind("", "v1", "Secret")
_UNSYNCED = ("managedFields", "resourceVersion", "selfLink")

logger = logging.getLogger(__name__)


@dataclass
class _Running:
    """An informer of a kind that may come and go."""

    informer: Informer
    task: asyncio.Task[None]
    since: float = field(default_factory=time.monotonic)

    @property
    def settled(self) -> bool:
        """There is nothing to wait for: it has listed, or not within a decent time."""
        return self.informer.synced or time.monotonic() - self.since > _WAIT

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


class GatekeeperInformers:
    """Runs the informers of Gatekeeper's kinds, as far as the cluster has them.

    Args:
        client: the API server.
        on_change: called after every change.

    Attributes:
        statuses: of templates and constraints, by kind and key: they are not part of the snapshot.
    """

    def __init__(self, client: Client, on_change: Callable[[], None]) -> None:
        self.statuses: dict[tuple[str, Key], Mapping[str, Any]] = {}
        self._client = client
        self._on_change = on_change
        self._adjust = asyncio.Event()
        self.fixed = {
            resource.kind: Informer(client, resource, self._changed, self._keep) for resource in FIXED
        }
        self._constraints: dict[str, _Running] = {}
        self._synced: dict[SyncKind, _Running] = {}
        self._unresolved: dict[SyncKind, float] = {}
        self._started = time.monotonic()

    @property
    def templates(self) -> list[Object]:
        """All ConstraintTemplates."""
        return list(self.fixed[TEMPLATES.kind].items.values())

    @property
    def constraints(self) -> list[tuple[Resource, Object]]:
        """All constraints, with their resources."""
        return [
            (running.informer.resource, item)
            for running in self._constraints.values()
            for item in running.informer.items.values()
        ]

    @property
    def synced_kinds(self) -> set[SyncKind]:
        """The kinds that Config and SyncSets name; Secrets never, lest they be copied into files."""
        found: set[SyncKind] = set()
        for item in self.fixed[CONFIGS.kind].items.values():
            if item["metadata"]["name"] == CONFIG_NAME:
                found |= _kinds_of(lambda item=item: parse_config(item).kinds)  # type: ignore[misc]
        for item in self.fixed[SYNC_SETS.kind].items.values():
            found |= _kinds_of(lambda item=item: parse_sync_set(item).kinds)  # type: ignore[misc]
        return found - {_SECRET}

    @property
    def complete(self) -> bool:
        """Everything that there is has been listed once, or can't be."""
        fixed = self.fixed.values()
        if not all(informer.synced or informer.missing for informer in fixed):
            return time.monotonic() - self._started > 2 * _WAIT
        if {_plural(item) for item in self.templates} - set(self._constraints) - {""}:
            return False
        if not all(each.settled for each in (*self._constraints.values(), *self._synced.values())):
            return False
        now = time.monotonic()
        waiting = self.synced_kinds - set(self._synced) - {_NAMESPACE}
        return all(now - self._unresolved.setdefault(kind, now) > _WAIT for kind in waiting)

    def objects(self) -> list[Object]:
        """Return everything that the snapshot needs of them."""
        found = [item for informer in self.fixed.values() for item in informer.items.values()]
        for running in (*self._constraints.values(), *self._synced.values()):
            found += running.informer.items.values()
        return found

    def holds(self, item: Object) -> bool:
        """Tell whether an object's kind is synced, so that it is among `objects` as a whole."""
        group, _, version = item["apiVersion"].rpartition("/")
        return SyncKind(group, version, item["kind"]) in self._synced

    def contacts(self) -> dict[str, tuple[float, str]]:
        """Return by resource when it was last heard of, and why it isn't now; what is missing isn't told."""
        running = [each.informer for each in (*self._constraints.values(), *self._synced.values())]
        fixed = [informer for informer in self.fixed.values() if not informer.missing]
        return {each.resource.plural: (each.last_contact, each.error) for each in (*fixed, *running)}

    async def run(self) -> None:
        """Watch until cancelled."""
        tasks = [asyncio.create_task(informer.run()) for informer in self.fixed.values()]
        try:
            while True:
                try:
                    async with asyncio.timeout(2.0):
                        await self._adjust.wait()
                except TimeoutError:
                    pass
                self._adjust.clear()
                try:
                    await self._adjust_constraints()
                    await self._adjust_synced()
                except Exception:
                    logger.exception("the informers of constraints and synced kinds stay as they are")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for running in (*self._constraints.values(), *self._synced.values()):
                await running.stop()

    def _changed(self, _: Informer) -> None:
        self._adjust.set()
        self._on_change()

    def _keep(self, item: Object) -> Object:
        metadata = item["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        self.statuses[item["kind"], key] = item.get("status") or {}
        return strip(item)

    async def _adjust_constraints(self) -> None:
        wanted = {
            plural: str(item["spec"]["crd"]["spec"]["names"]["kind"])
            for item in self.templates
            if (plural := _plural(item))
        }
        for plural in [plural for plural in self._constraints if plural not in wanted]:
            await self._constraints.pop(plural).stop()
            self._on_change()
        for plural, kind in wanted.items():
            if plural not in self._constraints:
                resource = Resource(names.CONSTRAINTS, names.CONSTRAINT_VERSIONS[0], plural, kind)
                self._constraints[plural] = self._start(resource, self._keep)
                self._on_change()
        if not all(running.settled for running in self._constraints.values()):
            self._on_change()  # a wait that has ended changes nothing else

    async def _adjust_synced(self) -> None:
        wanted = self.synced_kinds - {_NAMESPACE}  # which are there already
        for kind in [kind for kind in self._synced if kind not in wanted]:
            await self._synced.pop(kind).stop()
            self._on_change()
        for kind in wanted - set(self._synced):
            first = kind not in self._unresolved
            self._unresolved.setdefault(kind, time.monotonic())
            try:
                resource = await params.discover(self._client, params.ParamKind(kind.api_version, kind.kind))
                why = "the API server has no such kind"
            except ApiError as error:
                resource, why = None, str(error)
            if resource is None:
                if first:
                    logger.warning("synced kind %s in %s: %s", kind.kind, kind.api_version, why)
                continue
            del self._unresolved[kind]
            self._synced[kind] = self._start(resource, _keep_synced)
            self._on_change()

    def _start(self, resource: Resource, keep: Callable[[Object], Object | None]) -> _Running:
        informer = Informer(self._client, resource, lambda _: self._on_change(), keep)
        return _Running(informer, asyncio.create_task(informer.run()))


def _keep_synced(item: Object) -> Object:
    """Return an object as templates see it in the inventory: with its status."""
    metadata = {name: value for name, value in item["metadata"].items() if name not in _UNSYNCED}
    return {**item, "metadata": metadata}


def _plural(template: Object) -> str:
    """Return the resource of a template's constraints; empty where it names no kind."""
    part: Any = template
    for name in ("spec", "crd", "spec", "names", "kind"):
        part = part.get(name) if isinstance(part, Mapping) else None
    name = part.lower() if isinstance(part, str) else ""
    return name if name == template["metadata"]["name"] else ""


def _kinds_of(read: Callable[[], frozenset[SyncKind]]) -> frozenset[SyncKind]:
    try:
        return read()
    except CompileError:
        return frozenset()  # the snapshot's problems say why
