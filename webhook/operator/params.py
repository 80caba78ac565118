"""Which parameter objects the policies name: their resources, and which objects of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from webhook.core.selectors import Selector, labels_of
from webhook.operator.client import Client, Resource
from webhook.operator.informer import strip

Object = dict[str, Any]


class ParamKind(NamedTuple):
    """A kind as ``paramKind`` names it."""

    api_version: str
    kind: str


@dataclass(frozen=True, slots=True)
class Source:
    """Which objects one policy's paramRef can mean.

    Attributes:
        namespace: where; empty for any.
        name: its name; empty where `selector` says which.
        selector: on their labels.
    """

    namespace: str
    name: str
    selector: Selector

    def means(self, item: Mapping[str, Any]) -> bool:
        """Tell whether it can mean `item`."""
        metadata = item["metadata"]
        place = metadata.get("namespace", "")
        if self.namespace and place and place != self.namespace:
            return False
        if self.name:
            return bool(metadata["name"] == self.name)
        return self.selector.matches(labels_of(item))


def sources(policies: Iterable[Mapping[str, Any]]) -> dict[ParamKind, frozenset[Source]]:
    """Return the kinds of parameters that policies name, and which objects of each.

    Secrets are left out: a policy can't have them as parameters, so that none is ever copied from the API
    server into a file.
    """
    found: dict[ParamKind, set[Source]] = {}
    for policy in policies:
        spec = policy.get("spec") or {}
        kind, reference = spec.get("paramKind"), spec.get("paramRef")
        if not isinstance(kind, Mapping) or not isinstance(reference, Mapping):
            continue
        param_kind = ParamKind(str(kind.get("apiVersion", "")), str(kind.get("kind", "")))
        if param_kind == ("v1", "Secret"):
            continue
        own = policy["metadata"].get("namespace", "") if policy.get("kind") == "Policy" else ""
        try:
            selector = Selector.parse(reference.get("selector"))
        except (ValueError, AttributeError, TypeError):
            continue  # such a policy doesn't compile
        source = Source(str(reference.get("namespace") or own), str(reference.get("name") or ""), selector)
        found.setdefault(param_kind, set()).add(source)
    return {kind: frozenset(named) for kind, named in found.items()}


def keep_meant(named: frozenset[Source]) -> Callable[[Object], Object | None]:
    """Return what an informer keeps of a parameter kind's objects."""

    def keep(item: Object) -> Object | None:
        return strip(item) if any(source.means(item) for source in named) else None

    return keep


async def discover(client: Client, kind: ParamKind) -> Resource | None:
    """Return the resource of a kind as the API server lists it; None when it has no such kind.

    Raises:
        ApiError: the API server does not say; 404 for an unknown group or version.
    """
    group, _, version = kind.api_version.rpartition("/")
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    for entry in (await client.request("GET", path)).body.get("resources") or ():
        if entry.get("kind") == kind.kind and "/" not in entry.get("name", "/"):
            return Resource(
                group, version, entry["name"], kind.kind, namespaced=bool(entry.get("namespaced"))
            )
    return None
