"""The snapshot of a running installation as a user may read it: what the workers judge by now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Container, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from webhook.adapters.gatekeeper import BESIDE, REPLACE
from webhook.adapters.material import bare_namespace
from webhook.adapters.snapshots import Context, build
from webhook.core.errors import InputError
from webhook.core.model import GroupKind
from webhook.core.policy import CompiledPolicy
from webhook.core.snapshot import EXEMPT_NAMESPACES, Snapshot
from webhook.core.times import parse_time
from webhook.operator import (
    gatekeeper_live,
    listing,
    params,
    replicas,
    revocations,
    status_reading,
    workloads,
)
from webhook.operator.client import ApiError, Client, Resource
from webhook.operator.floor import NEVER
from webhook.operator.inventory import NAMESPACES, OWN_RESOURCES
from webhook.operator.leader import LEASES
from webhook.operator.listing import Matched

_ACCEPTING = frozenset({"RiskAcceptance", "ClusterRiskAcceptance"})

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Live:
    """What was read.

    Attributes:
        snapshot: policies, acceptances, approvals, appetite, Namespaces and parameters.
        at: the API server's time, in seconds since the epoch.
        notes: what could not be read and may make a difference, for people.
        objects: what the snapshot is of.
        context: what it is judged in.
    """

    snapshot: Snapshot
    at: float
    notes: tuple[str, ...]
    objects: tuple[Object, ...] = ()
    context: Context = field(default_factory=Context)


async def read(
    client: Client,
    namespace: str,
    webhook_name: str,
    cluster: str = "",
    only: str = "",
    *,
    owners: bool = False,
) -> Live:
    """Return the snapshot of an installation.

    Args:
        client: the API server.
        namespace: the installation's.
        webhook_name: of its webhook configuration.
        cluster: the cluster's name; empty for what its replicas were told.
        only: as far as it matters in this namespace, which needs no rights in others; empty for all.
        owners: with the workloads by which acceptances cover what Kubernetes makes of these.

    Raises:
        ApiError: the API server does not answer, or does not know the user.
        InputError: a kind that the answer depends on can't be read.
    """
    found = await status_reading.read(client, namespace, webhook_name, only=only, roles=False)
    own = {resource.kind for resource in OWN_RESOURCES}
    # What is accepted in one namespace can be said, where other people's cluster-wide risks can't be read.
    optional = {"ClusterRiskAcceptance", "ClusterRiskApproval"} if only else set()
    lacking = [f"{kind}: {why}" for kind, why in found.unreadable.items() if kind in own - optional]
    lacking += [f"{kind}: the API server has no such kind" for kind in found.missing]
    if lacking:
        raise InputError(f"can't be read: {'; '.join(sorted(lacking))}")
    objects = [dict(obj) for kind in own for obj in found.objects.get(kind, ())]
    notes = [f"{kind}: {why}" for kind, why in found.unreadable.items() if kind in optional]
    objects += await _namespaces(client, only, notes)
    for kind, named in params.sources(objects).items():
        try:
            resource = await params.discover(client, kind)
            known = await _all(client, resource) if resource is not None else []
        except ApiError as error:
            notes.append(f"parameters of kind {kind.kind}: {error.message}")
            continue
        objects += [obj for obj in known if any(source.means(obj) for source in named)]
    told = told_in(found)
    if not told:
        notes.append("what the replicas were told can't be read: the defaults are assumed")
    if revocations.KIND in found.unreadable:
        notes.append(f"what was revoked and brought again: {found.unreadable[revocations.KIND]}")
    if _mode(told):
        try:
            more, _ = await gatekeeper_live.read_objects(client, notes)
            objects += more
        except ApiError as error:
            if error.status in (0, 401):
                raise
            notes.append(f"Gatekeeper's templates and constraints: {error.message}")
    context = context_of(told, found, cluster)
    above = await _owners(client, objects, notes) if owners else []
    snapshot = build([*objects, *above], context)
    return Live(snapshot, found.at, tuple(notes), tuple(objects), context)


async def objects(
    client: Client,
    live: Live,
    policies: Iterable[CompiledPolicy] | None = None,
    kinds: Container[GroupKind] | None = None,
    only: str = "",
) -> AsyncIterator[tuple[Resource, Object | str]]:
    """Give each object that a policy matches, page by page; in place of a resource that can't be, why.

    Args:
        client: the API server.
        live: what was read before.
        policies: those to look for; None for all that are there.
        kinds: only objects of these; None for all.
        only: only objects of this namespace; empty for all.

    Raises:
        ApiError: the API server does not answer.
    """
    wanted = live.snapshot.policies if policies is None else policies
    matched = await listing.matched(client, wanted)
    # Who looks at all policies at once looks at each object once, in one version.
    once = {(each.group, each.plural): each for each in reversed(matched.resources)}
    first = matched._replace(resources=[each for each in matched.resources if each in once.values()])
    async for found in listed(client, first, kinds, only):
        yield found


async def listed(
    client: Client, matched: Matched, kinds: Container[GroupKind] | None = None, only: str = ""
) -> AsyncIterator[tuple[Resource, Object | str]]:
    """Give each object of what policies match, page by page; in place of a resource that can't be, why.

    Args:
        client: the API server.
        matched: what they match.
        kinds: only objects of these; None for all.
        only: only objects of this namespace; empty for all.

    Raises:
        ApiError: the API server does not answer.
    """
    for problem in matched.problems:
        yield Resource("", "", "", ""), problem
    for each in matched.resources:
        if kinds is not None and GroupKind(each.group, each.kind) not in kinds:
            continue
        if only and not each.namespaced:
            continue
        resource = replace(each, namespace=only)
        try:
            async for page in listing.pages(client, resource):
                for obj in page:
                    yield resource, obj
        except ApiError as error:
            if error.status in (0, 401):
                raise
            yield resource, f"{resource.plural}: {error.message}"


async def _namespaces(client: Client, only: str, notes: list[str]) -> list[Object]:
    if not only:
        return await _all(client, NAMESPACES)
    try:
        found = (await client.request("GET", NAMESPACES.path_of("", only))).body
    except ApiError as error:
        if error.status in (0, 401):
            raise
        notes.append(f"the labels of the namespace {only}: {error.message}")
        return [bare_namespace(only)]
    return [{**found, "apiVersion": "v1", "kind": "Namespace"}]


async def _owners(client: Client, objects: Iterable[Object], notes: list[str]) -> list[Object]:
    """Return the workloads that the snapshot of an installation holds, too: where a risk is accepted."""
    accepting = [obj for obj in objects if obj["kind"] in _ACCEPTING]
    places = workloads.covered_namespaces(accepting)
    if not places:
        return []
    keep = workloads.keep_in(places)
    found: list[Object] = []
    for resource in workloads.RESOURCES:
        try:
            async for page in listing.pages(client, resource):
                found += [kept for obj in page if (kept := keep(obj)) is not None]
        except ApiError as error:
            if error.status in (0, 401):
                raise
            notes.append(f"{resource.plural}, through which acceptances cover Pods: {error.message}")
    return found


async def _all(client: Client, resource: Resource) -> list[Object]:
    return [obj async for page in listing.pages(client, resource) for obj in page]


def _mode(told: Any) -> str:
    """Return how the installation stands to Gatekeeper; empty where it leaves constraints alone."""
    settings = told.get("settings")
    mode = settings.get("gatekeeper") if isinstance(settings, dict) else ""
    return mode if mode in (REPLACE, BESIDE) else ""


def told_in(found: status_reading.Found) -> replicas.Report:
    """Return what the leader says of itself, or any replica; empty where none can be read."""
    reports = [replicas.report_of(lease) for lease in found.objects.get(LEASES.kind, ())]
    return next((report for report in reports if report.get("leader")), reports[0] if reports else {})


def context_of(told: replicas.Report, found: status_reading.Found, cluster: str = "") -> Context:
    """Return what an installation judges in, as far as it was read.

    Args:
        told: what a replica says of itself.
        found: what was read.
        cluster: the cluster's name; empty for what the replica was told.
    """
    given = told.get("settings")
    settings = given if isinstance(given, dict) else {}
    namespaces, users = (_texts(settings.get(name)) for name in ("exemptNamespaces", "exemptUsers"))
    since = str(told.get("guardedSince") or "")
    most = str(settings.get("maxAction") or "")
    return Context(
        cluster=cluster or str(settings.get("cluster") or ""),
        exempt_namespaces=namespaces or EXEMPT_NAMESPACES,
        trust_approvals=True,  # the API server brought them
        clock_skew=0.0,  # it is the API server's clock that is asked
        max_action=most if most in ("Warn", "Audit") else "",
        exempt_users=users,
        guarded_since=since if not since or _is_time(since) else NEVER,
        gatekeeper=_mode(told) or REPLACE,
        revocations=found.revocations,
    )


def _texts(given: Any) -> tuple[str, ...]:
    return tuple(map(str, given)) if isinstance(given, list) else ()


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except ValueError:
        return False
    return True
