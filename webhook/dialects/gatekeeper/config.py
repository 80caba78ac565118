"""What else configures Gatekeeper: Config, SyncSet, ExpansionTemplate and Provider.

https://open-policy-agent.github.io/gatekeeper/website/docs/sync
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from webhook.core.constraint import Expansion
from webhook.core.errors import CompileError
from webhook.core.fields import metadata_of
from webhook.core.model import Action
from webhook.dialects.gatekeeper.fields import Object, mapping, mappings, text, texts
from webhook.dialects.gatekeeper.match import glob

CONFIG_NAME = "config"

_ACTIONS = {"deny": Action.DENY, "warn": Action.WARN, "dryrun": Action.AUDIT}
_LONGEST_NAME = 63


class SyncKind(NamedTuple):
    """A kind whose objects are ``data.inventory``."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        """As the objects have it."""
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass(frozen=True, slots=True)
class Config:
    """The Config named ``config``.

    Attributes:
        exclusions: patterns of namespaces, and the processes that they are left out of.
        kinds: ``sync.syncOnly``.
    """

    exclusions: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = ()
    kinds: frozenset[SyncKind] = frozenset()

    def excludes(self, process: str, namespace: str) -> bool:
        """Tell whether a namespace is left out of a process: ``webhook``, ``audit`` or ``sync``."""
        return any(
            (process in processes or "*" in processes) and any(glob(each, namespace) for each in patterns)
            for processes, patterns in self.exclusions
        )


@dataclass(frozen=True, slots=True)
class SyncSet:
    """A SyncSet: more kinds to sync."""

    kinds: frozenset[SyncKind]


@dataclass(frozen=True, slots=True)
class Provider:
    """Who answers ``external_data``.

    Attributes:
        name: as templates name it.
        url: where it listens, https always.
        timeout: in seconds.
        ca_bundle: PEM certificates that it is trusted by.
    """

    name: str
    url: str
    timeout: int
    ca_bundle: bytes


def parse_config(obj: Object) -> Config:
    """Return a Config.

    Raises:
        CompileError: a field has another type.
    """
    spec = mapping(obj, "spec", "")
    exclusions = tuple(
        (
            frozenset(texts(entry, "processes", f"spec.match[{position}]")),
            texts(entry, "excludedNamespaces", f"spec.match[{position}]"),
        )
        for position, entry in enumerate(mappings(spec, "match", "spec"))
    )
    sync = mapping(spec, "sync", "spec")
    return Config(exclusions, _kinds(sync, "syncOnly", "spec.sync"))


def parse_sync_set(obj: Object) -> SyncSet:
    """Return a SyncSet.

    Raises:
        CompileError: a field has another type.
    """
    return SyncSet(_kinds(mapping(obj, "spec", ""), "gvks", "spec"))


def _kinds(owner: Object, name: str, field: str) -> frozenset[SyncKind]:
    found = set()
    for position, entry in enumerate(mappings(owner, name, field)):
        place = f"{field}.{name}[{position}]"
        kind = SyncKind(*(text(entry, part, place) for part in ("group", "version", "kind")))
        if not kind.version or not kind.kind:
            raise CompileError("needs a version and a kind", place)
        found.add(kind)
    return frozenset(found)


def parse_expansion(obj: Object) -> Expansion:
    """Return an ExpansionTemplate.

    Raises:
        CompileError: Gatekeeper would refuse it too.
    """
    name, spec = str(metadata_of(obj).get("name") or ""), mapping(obj, "spec", "")
    if not name:
        raise CompileError("ExpansionTemplate has empty name field", "metadata.name")
    if len(name) > _LONGEST_NAME:
        raise CompileError("ExpansionTemplate name must be less than 64 characters", "metadata.name")
    source = text(spec, "templateSource", "spec")
    if not source:
        raise CompileError(f"ExpansionTemplate {name} has empty source field", "spec.templateSource")
    given = mapping(spec, "generatedGVK", "spec")
    generated = (
        text(given, "group", "spec.generatedGVK"),
        text(given, "version", "spec.generatedGVK"),
        text(given, "kind", "spec.generatedGVK"),
    )
    if not any(generated):
        raise CompileError(f"ExpansionTemplate {name} has empty generatedGVK field", "spec.generatedGVK")
    applies_to = set()
    for position, entry in enumerate(mappings(spec, "applyTo", "spec")):
        place = f"spec.applyTo[{position}]"
        groups, versions, kinds = (texts(entry, part, place) for part in ("groups", "versions", "kinds"))
        applies_to |= {(group, version, kind) for group in groups for version in versions for kind in kinds}
    if not applies_to:
        raise CompileError(f"ExpansionTemplate {name} must specify ApplyTo", "spec.applyTo")
    if generated in applies_to:
        raise CompileError(
            f"ExpansionTemplate {name} generates {generated[2]}, but also applies to that same kind",
            "spec.applyTo",
        )
    action = text(spec, "enforcementAction", "spec")
    if action and action not in _ACTIONS:
        raise CompileError(f"{action!r} is none of {', '.join(_ACTIONS)}", "spec.enforcementAction")
    return Expansion(
        name,
        frozenset(applies_to),
        tuple(source.split(".")),
        generated,
        _ACTIONS.get(action) if action else None,
    )


def without_circles(expansions: Iterable[Expansion]) -> tuple[list[Expansion], list[Expansion]]:
    """Return the ExpansionTemplates that end, and those that go round in a circle: none of these holds."""
    left = sorted(expansions, key=lambda each: each.name)
    following = {
        each.name: {other.name for other in left if each.generated in other.applies_to} for each in left
    }
    circling = {name for name in following if name in _reached(name, following)}
    return (
        [each for each in left if each.name not in circling],
        [each for each in left if each.name in circling],
    )


def _reached(name: str, following: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = list(following[name])
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += following[each]
    return found


def parse_provider(obj: Object) -> Provider:
    """Return a Provider.

    Raises:
        CompileError: its URL isn't https, or its CA bundle holds no certificates.
    """
    name, spec = str(metadata_of(obj).get("name") or ""), mapping(obj, "spec", "")
    url = text(spec, "url", "spec")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise CompileError(str(error), "spec.url") from None
    if parts.scheme != "https" or not parts.hostname:
        raise CompileError("only the https scheme is supported for Providers", "spec.url")
    timeout = spec.get("timeout")
    if not isinstance(timeout, int) or isinstance(timeout, bool) or timeout <= 0:
        raise CompileError("must be a number of seconds, greater than 0", "spec.timeout")
    bundle = text(spec, "caBundle", "spec")
    try:
        pem = base64.b64decode(bundle, validate=True)
    except (ValueError, binascii.Error):
        raise CompileError("must be base64", "spec.caBundle") from None
    if b"-----BEGIN CERTIFICATE-----" not in pem:
        raise CompileError("holds no PEM certificate", "spec.caBundle")
    return Provider(name, url, timeout, pem)


class Inventory:
    """Builds ``data.inventory`` of objects: by namespace, apiVersion, kind and name: nothing is searched."""

    def __init__(self) -> None:
        self.cluster: dict[str, Any] = {}
        self.namespace: dict[str, Any] = {}

    def add(self, obj: Object) -> None:
        """Put one object in its place; a later one with the same place replaces it."""
        metadata = metadata_of(obj)
        place = metadata.get("namespace")
        api_version, kind = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
        root = self.namespace.setdefault(str(place), {}) if place else self.cluster
        root.setdefault(api_version, {}).setdefault(kind, {})[str(metadata.get("name", ""))] = obj

    @property
    def data(self) -> dict[str, Any]:
        """What templates see; what isn't there at all is undefined to them."""
        found: dict[str, Any] = {}
        if self.cluster:
            found["cluster"] = self.cluster
        if self.namespace:
            found["namespace"] = self.namespace
        return found
