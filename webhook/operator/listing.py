"""Lists what policies match, in pages: for the commands that look at a whole cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from webhook.core.model import GROUP
from webhook.core.policy import CompiledPolicy, Rule
from webhook.core.workloads import RESOURCES
from webhook.operator.client import ApiError, Client, Resource
from webhook.operator.informer import PAGE

_NEVER_BY_WILDCARD = frozenset(
    {
        ("", "secrets"),
        ("", "events"),
        ("events.k8s.io", "events"),
        ("coordination.k8s.io", "leases"),
        ("openreports.io", "reports"),
        ("openreports.io", "clusterreports"),
        ("wgpolicyk8s.io", "policyreports"),
        ("wgpolicyk8s.io", "clusterpolicyreports"),
    }
)
"""What changes all the time or is secret: only a policy that names it by name has it listed."""
_PODS = ("", "pods")

Object = dict[str, Any]
Versions = Mapping[tuple[str, str], Sequence[str]]


class Matched(NamedTuple):
    """What policies match.

    Attributes:
        resources: those that can be listed, each in every version in which some policy judges it.
        problems: what could not be found out.
        versions: by group and plural, the versions that the API server has, the preferred one first.
    """

    resources: Sequence[Resource]
    problems: Sequence[str]
    versions: Versions


async def matched(client: Client, policies: Iterable[CompiledPolicy]) -> Matched:
    """Return the resources that policies match.

    Raises:
        ApiError: the API server does not answer.
    """
    known = list(policies)
    rules = [rule for policy in known for rule in policy.rules]
    templates = any(policy.pod_templates and _is_named(policy.rules, *_PODS) for policy in known)
    served: dict[tuple[str, str], list[Resource]] = {}
    problems = []
    for group, versions in (await _groups(client)).items():
        if group == GROUP or not _concerns(rules, group, templates=templates):
            continue
        for version in versions:
            try:
                for each in await _resources(client, group, version, rules, templates=templates):
                    served.setdefault((group, each.plural), []).append(each)
            except ApiError as error:
                if error.status in (0, 401):
                    raise
                problems.append(f"{group}/{version}: {error.message}".lstrip("/"))
    names = {place: [each.version for each in forms] for place, forms in served.items()}
    found = [
        each
        for forms in served.values()
        for each in forms
        if any(judges(policy, each, names) for policy in known)
    ]
    return Matched(found, problems, names)


def judges(policy: CompiledPolicy, resource: Resource, versions: Versions) -> bool:
    """Tell whether a policy is asked about a resource in just this version.

    At admission ``matchPolicy: Equivalent`` brings each policy the version that it names. So here each judges
    the first of those that it names, in the API server's order, and what names none judges the preferred one.

    Args:
        policy: any.
        resource: in one version.
        versions: of `Matched`.
    """
    if not concerns(policy, resource):
        return False
    place = resource.group, resource.plural
    served = versions.get(place) or [resource.version]
    naming = [rule for rule in policy.rules if _is_named((rule,), *place)]
    if policy.constraint is not None or not naming:
        return resource.version == served[0]
    named = frozenset().union(*(rule.versions for rule in naming))
    wanted = [each for each in served if each in named or "*" in named]
    return bool(wanted) and resource.version == wanted[0]


def concerns(policy: CompiledPolicy, resource: Resource) -> bool:
    """Tell whether a policy's rules name a resource in any version, or the Pods that it is a template of."""
    place = resource.group, resource.plural
    if policy.constraint is not None and not policy.constraint.concerns(resource.group, resource.kind):
        return False  # it names kinds; its rules only say under which resources they may be served
    return _is_named(policy.rules, *place) or (
        policy.pod_templates and place in RESOURCES and _is_named(policy.rules, *_PODS)
    )


async def pages(client: Client, resource: Resource) -> AsyncIterator[list[Object]]:
    """Give the objects of a resource page by page, so that no more than one is in memory.

    Raises:
        ApiError: it can't be listed; 410 where that took so long that the list has to begin anew.
    """
    more = ""
    while True:
        params = {"limit": str(PAGE), **({"continue": more} if more else {})}
        body = (await client.request("GET", resource.path, params=params)).body
        yield [
            {**item, "apiVersion": resource.api_version, "kind": resource.kind}
            for item in body.get("items") or ()
        ]
        more = (body.get("metadata") or {}).get("continue") or ""
        if not more:
            return


async def _groups(client: Client) -> dict[str, list[str]]:
    """Return the API server's groups with their versions, the preferred one first."""
    found = {"": ["v1"]}
    for group in (await client.request("GET", "/apis")).body.get("groups") or ():
        versions = [str(each.get("version")) for each in group.get("versions") or ()]
        preferred = str((group.get("preferredVersion") or {}).get("version") or versions[0])
        found[str(group.get("name"))] = [preferred, *(each for each in versions if each != preferred)]
    return found


def _concerns(rules: Iterable[Rule], group: str, *, templates: bool) -> bool:
    return any(rule.groups & {group, "*"} for rule in rules) or (
        templates and any(group == each for each, _ in RESOURCES)
    )


async def _resources(
    client: Client, group: str, version: str, rules: list[Rule], *, templates: bool
) -> list[Resource]:
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    body = (await client.request("GET", path)).body
    return [
        Resource(group, version, entry["name"], entry["kind"], namespaced=bool(entry.get("namespaced")))
        for entry in body.get("resources") or ()
        if _is_listed(entry)
        and (_is_named(rules, group, entry["name"]) or (templates and (group, entry["name"]) in RESOURCES))
    ]


def _is_listed(entry: Mapping[str, Any]) -> bool:
    return "/" not in str(entry.get("name", "/")) and "list" in (entry.get("verbs") or ())


def _is_named(rules: Iterable[Rule], group: str, plural: str) -> bool:
    every = {"*", "*/*"} if (group, plural) not in _NEVER_BY_WILDCARD else set()
    return any(rule.groups & {group, "*"} and rule.resources & {plural, *every} for rule in rules)
