"""Where the risk commands read acceptances: a running cluster, or files; the options that say so."""

from __future__ import annotations

import functools
import sys
from collections.abc import AsyncIterator, Callable, Container, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from webhook.commands import shared
from webhook.commands.options import Time, now_or
from webhook.core.errors import InputError
from webhook.core.model import GroupKind
from webhook.core.owners import controller_reference, is_made_from_workload
from webhook.core.review import AdmissionRequest, UserInfo, request_for

if TYPE_CHECKING:
    from webhook.adapters.material import Material
    from webhook.adapters.risks import Cover, Known, Risk
    from webhook.core.policy import CompiledPolicy
    from webhook.core.snapshot import Snapshot
    from webhook.core.verdict import Verdict
    from webhook.operator.client import KubernetesClient, Resource
    from webhook.operator.live_snapshot import Live

DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class Where:
    """Which acceptances, and what they are judged with.

    Attributes:
        namespace: theirs; empty for the default one of a cluster, and for all of files.
        every: those of all namespaces.
        at: the time to judge at, for files.
        cluster: the cluster's name.
        trust_approvals: the files come from a cluster, so that approvals without a signature count.
        kubeconfig: which cluster.
        installation: the namespace of the installation.
        webhook_name: of its webhook configuration.
    """

    namespace: str
    every: bool
    at: datetime | None
    cluster: str
    trust_approvals: bool
    kubeconfig: str
    installation: str
    webhook_name: str

    @property
    def only(self) -> str:
        """The one namespace of a cluster that is read; empty for all."""
        return "" if self.every else self.namespace or DEFAULT_NAMESPACE


_OPTIONS = (
    click.option(
        "--namespace",
        "-n",
        metavar="NAME",
        default="",
        help="The acceptances' namespace.  [default: default; with PATH all]",
    ),
    click.option("--all-namespaces", "-A", "every", is_flag=True, help="Those of all namespaces."),
    click.option(
        "--at", type=Time(), metavar="TIME", help="As they are at this RFC 3339 time, not now; with PATH."
    ),
    click.option(
        "--cluster",
        default="",
        metavar="NAME",
        help="The cluster's name, for acceptances with clusters.  [default: what its operator was told]",
    ),
    click.option(
        "--trust-approvals",
        is_flag=True,
        help="The files come from the cluster: approvals without a signature count; with PATH.",
    ),
    shared.kubeconfig,
    click.option(
        "--installation",
        metavar="NAME",
        default="tidewaiter-system",
        show_default=True,
        help="The namespace of the installation; without PATH.",
    ),
    shared.webhook_name,
)


def takes_where(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that say where acceptances are, as its argument `where`."""

    @functools.wraps(command)
    def call(*args: Any, **given: Any) -> int:
        where = Where(**{field.name: given.pop(field.name) for field in fields(Where)})
        return command(*args, where=where, **given)

    for option in reversed(_OPTIONS):
        option(call)
    return call


def from_files(paths: Sequence[str], where: Where) -> tuple[Known, Material]:
    """Return what files say, and the objects in them."""
    from webhook.adapters.manifests import read
    from webhook.adapters.material import Settings, gather
    from webhook.adapters.risks import Known

    documents = read(paths, sys.stdin.buffer)
    settings = Settings(
        namespace="" if where.every else where.namespace,
        cluster=where.cluster,
        trust_approvals=where.trust_approvals,
    )
    material = gather(documents.documents, (), settings)
    errors = tuple(map(str, (*documents.errors, *material.errors)))
    return Known(material.snapshot, material.objects, now_or(where.at), errors=errors), material


async def from_cluster(client: KubernetesClient, where: Where) -> tuple[Known, Live]:
    """Return what a cluster says, as far as the user of the kubeconfig may read it.

    Raises:
        ApiError: the API server does not answer.
        InputError: what it depends on can't be read.
    """
    from webhook.adapters.risks import Known
    from webhook.operator import live_snapshot

    if where.at or where.trust_approvals:
        raise click.UsageError("--at and --trust-approvals need a PATH.")
    live = await live_snapshot.read(
        client, where.installation, where.webhook_name, where.cluster, only=where.only
    )
    problems = tuple(f"can't be read: {each}" for each in live.snapshot.problems)
    at = datetime.fromtimestamp(live.at, UTC)
    return Known(live.snapshot, live.objects, at, (*live.notes, *problems), cluster=True), live


async def read(paths: Sequence[str], where: Where) -> Known:
    """Return what files say, or without any what the cluster says.

    Raises:
        InputError: the cluster can't be asked.
    """
    from webhook.operator.client import ApiError, connect

    if paths:
        return from_files(paths, where)[0]
    client = await connect(where.kubeconfig)
    try:
        return (await from_cluster(client, where))[0]
    except ApiError as error:
        raise InputError(f"the API server can't be asked: {error}") from None
    finally:
        await client.close()


def one(known: Known, name: str, where: Where) -> Risk:
    """Return the acceptance that a person named.

    Raises:
        InputError: there is none, or more than one.
    """
    from webhook.adapters.risks import named, risks_of

    found = named(risks_of(known), name, where.only if known.cluster else where.namespace)
    if not found:
        place = where.only if known.cluster else where.namespace
        inside = f" in the namespace {place}" if place and not name.lower().startswith("c") else ""
        kind, _, called = name.rpartition("/")
        raise InputError(f"there is no {kind or 'RiskAcceptance'} {called}{inside}")
    if len(found) > 1:
        places = ", ".join(risk.ref.namespace for risk in found)
        raise InputError(f"there are {len(found)} of the name {name}: say -n, one of {places}")
    return found[0]


def covered_in_files(risk: Risk, known: Known, material: Material) -> list[Cover]:
    """Return what an acceptance covers of the objects in files."""
    from webhook.adapters.material import Settings
    from webhook.adapters.offline import judge
    from webhook.adapters.risks import covers

    found: list[Cover] = []
    for judged in judge(material.judged, material.snapshot, material.kinds, Settings(), known.at):
        place = f"{judged.document.file}:{judged.document.line}"
        found += covers(risk, judged.verdict, judged.request.target, place)
    return found


class _OfKind:
    """The kinds that a person means by one word: a container for those that ask what is in it."""

    def __init__(self, word: str) -> None:
        self._word = word.lower()

    def __contains__(self, kind: object) -> bool:
        return isinstance(kind, GroupKind) and self._word in (kind.kind.lower(), str(kind).lower())


async def judged_in_cluster(
    client: KubernetesClient, known: Known, live: Live, where: Where, only: str, notes: list[str]
) -> AsyncIterator[tuple[AdmissionRequest, Verdict]]:
    """Give the verdict on what runs, by every policy; what is made of a workload is left out.

    Args:
        client: the API server.
        known: what `from_cluster` returned.
        live: the same.
        where: which namespace.
        only: KIND/NAME for one object; empty for all.
        notes: takes what could not be looked at.

    Raises:
        ApiError: the API server does not answer.
        InputError: the one object is made of another, or there is none.
    """
    kind, _, name = only.partition("/")
    kinds = _OfKind(kind) if only else None
    later = _later(live)
    there = False
    objects = live_objects(client, live, None, kinds, where.only, notes)
    async for resource, obj in objects:
        if only and obj["metadata"]["name"] != name:
            continue
        if is_made_from_workload(obj):
            if only:
                owner = controller_reference(obj["metadata"]) or {}
                above = f"{owner.get('kind')}/{owner.get('name')}"
                raise InputError(f"{only} is made of {above}: name the topmost workload")
            continue
        there = True
        yield _judged(resource, obj, live, later, known.at)
    if only and not there and not notes:
        inside = f" in the namespace {where.only}" if where.only else ""
        raise InputError(f"there is no {only}{inside} that a policy judges: name it as KIND/NAME")


async def covered_in_cluster(
    risk: Risk, known: Known, live: Live, client: KubernetesClient
) -> tuple[list[Cover], list[str]]:
    """Return what an acceptance covers of what runs, and what could not be looked at.

    Raises:
        ApiError: the API server does not answer.
    """
    from webhook.adapters.risks import covers

    policies = [each.policy for each in risk.policies if each.policy is not None]
    found: list[Cover] = []
    notes: list[str] = []
    scope = risk.acceptance.scope
    later = _later(live)
    objects = live_objects(client, live, policies, scope.kinds, risk.acceptance.ref.namespace, notes)
    async for resource, obj in objects:
        if not is_made_from_workload(obj):
            request, verdict = _judged(resource, obj, live, later, known.at)
            found += covers(risk, verdict, request.target)
    return found, notes


async def live_objects(
    client: KubernetesClient,
    live: Live,
    policies: Iterable[CompiledPolicy] | None,
    kinds: Container[GroupKind] | None,
    only: str,
    notes: list[str],
) -> AsyncIterator[tuple[Resource, dict[str, Any]]]:
    """Give what runs; see `live_snapshot.objects`. What could not be looked at becomes a note."""
    from webhook.operator import live_snapshot

    async for resource, obj in live_snapshot.objects(client, live, policies, kinds, only):
        if isinstance(obj, str):
            notes.append(f"not looked at: {obj}")
        else:
            yield resource, obj


def _later(live: Live) -> Snapshot | None:
    from webhook.adapters.offline import later_snapshot

    return later_snapshot(live.snapshot)


def _judged(
    resource: Resource, obj: dict[str, Any], live: Live, later: Snapshot | None, at: datetime
) -> tuple[AdmissionRequest, Verdict]:
    from webhook.adapters.offline import verdict_of

    metadata = obj["metadata"]
    place = metadata["name"] if resource.kind == "Namespace" else metadata.get("namespace", "")
    request = request_for(obj, resource=resource.plural, namespace=place, user=UserInfo())
    return request, verdict_of(request, live.snapshot, later, at)


def tell(notes: Sequence[str], errors: Sequence[str] = ()) -> None:
    """Write notes and errors to standard error."""
    from webhook.adapters.text_report import printable

    for note in dict.fromkeys(notes):
        click.echo(printable(f"note: {note}"), err=True)
    for error in dict.fromkeys(errors):
        click.echo(printable(f"error: {error}"), err=True)
