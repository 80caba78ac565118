"""What the objects of a snapshot mean: each is read once, and remembered for as long as it is in use."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from webhook.adapters import gatekeeper
from webhook.core import acceptance, appetite, approvals
from webhook.core.coverage import Register
from webhook.core.errors import CompileError
from webhook.core.fields import created_of, generation_of, metadata_of
from webhook.core.match import PolicyIndex
from webhook.core.model import GROUP, GroupKind
from webhook.core.owners import Owner, parse_owner
from webhook.core.policy import CompiledPolicy, PolicyFailure
from webhook.core.workloads import TEMPLATE_PATHS
from webhook.dialects import native
from webhook.dialects.gatekeeper.names import is_gatekeepers

UNREADABLE = "unreadable"
"""In an object that no snapshot can hold, what it says instead of its content."""
NAMESPACE = GroupKind("", "Namespace")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an object can't be used, as text for people."""

    text: str


Meaning = (
    CompiledPolicy
    | PolicyFailure
    | acceptance.Acceptance
    | approvals.Approval
    | appetite.Appetite
    | Owner
    | Problem
    | gatekeeper.Meaning
    | None
)


@dataclass(frozen=True, slots=True)
class Read:
    """An object and what it means.

    Attributes:
        kind: its API group and kind.
        meaning: what it means for judging; None for what only is there, as a Namespace or a parameter.
        source: the object, or its JSON where nobody is likely to ask for it again.
        digest: of a policy's source.
    """

    kind: GroupKind
    meaning: Meaning
    source: Mapping[str, Any] | bytes
    digest: bytes = b""

    @property
    def object(self) -> Mapping[str, Any]:
        """The object itself."""
        if isinstance(self.source, bytes):
            found: Mapping[str, Any] = orjson.loads(self.source)
            return found
        return self.source


@dataclass
class Cache:
    """What was read and made for the last snapshot, so that the next one costs what changed.

    It serves one source of objects, and not two threads at once.

    Attributes:
        read: what was read, by an object's JSON or by its identity.
        compiled: policies by the digest of their source: many changes of one don't concern its source.
        index: the last snapshot's.
        register: the last snapshot's.
        gatekeeper: Gatekeeper's templates and constraints.
    """

    read: dict[Hashable, Read] = field(default_factory=dict)
    compiled: dict[bytes, CompiledPolicy | CompileError] = field(default_factory=dict)
    index: PolicyIndex | None = None
    register: Register | None = None
    gatekeeper: gatekeeper.GatekeeperCache = field(default_factory=gatekeeper.GatekeeperCache)

    def compile(self, obj: Mapping[str, Any]) -> CompiledPolicy:
        """Return a policy compiled.

        Raises:
            CompileError: as it did the first time.
        """
        return self._compile(obj, _digest(obj))

    def objects(self, given: Iterable[Mapping[str, Any]]) -> list[Read]:
        """Return what objects mean; they must not be changed afterwards."""
        return self._all((id(obj), obj) for obj in given)

    def rows(self, given: Iterable[bytes]) -> list[Read]:
        """Return what objects mean that come as JSON.

        Raises:
            ValueError: one is no JSON.
        """
        return self._all((row, row) for row in given)

    def _all(self, given: Iterator[tuple[Hashable, Mapping[str, Any] | bytes]]) -> list[Read]:
        before, after = self.read, {}
        found = []
        for key, source in given:
            read = before.get(key)
            if read is None:
                read = self._read(source)
            after[key] = read
            found.append(read)
        self.read = after
        used = {read.digest for read in found if read.digest}
        self.compiled = {key: value for key, value in self.compiled.items() if key in used}
        return found

    def _read(self, source: Mapping[str, Any] | bytes) -> Read:
        obj: Mapping[str, Any] = orjson.loads(source) if isinstance(source, bytes) else source
        kind = kind_of(obj)
        if is_gatekeepers(kind.group):
            return Read(kind, self._gatekeepers(kind, obj), obj)
        if kind.group != GROUP:
            # Its labels, its data or its template are needed as they are.
            return Read(kind, self._guarded(kind, obj), obj)
        if kind.kind not in native.KINDS:
            return Read(kind, self._guarded(kind, obj), source)
        return self._policy(kind, obj, source)

    def _policy(self, kind: GroupKind, obj: Mapping[str, Any], source: Mapping[str, Any] | bytes) -> Read:
        digest = b""
        try:
            if UNREADABLE in obj:
                raise ValueError(obj[UNREADABLE])
            digest = _digest(obj)
            return Read(kind, self._compile(obj, digest), source, digest)
        except Exception as error:  # whatever is wrong with one policy, the others are enforced
            return Read(kind, self._failure(obj, error), source, digest)

    def _gatekeepers(self, kind: GroupKind, obj: Mapping[str, Any]) -> Meaning:
        try:
            if UNREADABLE in obj:
                raise ValueError(obj[UNREADABLE])
            return gatekeeper.read(kind, obj, self.gatekeeper)
        except Exception as error:  # as above: the others are enforced
            return _problem(obj, error)

    def _failure(self, obj: Mapping[str, Any], error: Exception) -> PolicyFailure | Problem:
        try:
            return PolicyFailure(native.policy_ref(obj), generation_of(obj), str(error))
        except Exception as worse:
            return _problem(obj, worse)

    def _compile(self, obj: Mapping[str, Any], digest: bytes) -> CompiledPolicy:
        known = self.compiled.get(digest)
        if known is None:
            try:
                known = native.compile_policy(obj)
            except CompileError as error:
                known = error.with_traceback(None)
            self.compiled[digest] = known
        if isinstance(known, CompileError):
            raise known.with_traceback(None)
        generation, created = generation_of(obj), created_of(obj)
        if (known.generation, known.created) == (generation, created):
            return known
        return replace(known, generation=generation, created=created)

    def _guarded(self, kind: GroupKind, obj: Mapping[str, Any]) -> Meaning:
        try:
            return _meaning(kind, obj)
        except Exception as error:  # whatever is wrong with one object must never take the others with it
            return _problem(obj, error)


def _meaning(kind: GroupKind, obj: Mapping[str, Any]) -> Meaning:
    if kind.group != GROUP:
        if kind in TEMPLATE_PATHS or kind == GroupKind("apps", "ControllerRevision"):
            return parse_owner(obj)
        return None
    if UNREADABLE in obj:
        raise ValueError(obj[UNREADABLE])
    if kind.kind in (acceptance.NAMESPACED, acceptance.CLUSTER):
        return acceptance.parse_acceptance(obj)
    if kind.kind in (approvals.NAMESPACED, approvals.CLUSTER):
        return read_approval(obj)
    if kind.kind == "RiskAppetite" and name_of(obj) == appetite.NAME:
        return appetite.parse_appetite(obj)
    return None


def read_approval(obj: Mapping[str, Any]) -> approvals.Approval:
    """Return the approval in a manifest, its signature verified.

    Raises:
        ValueError: a field is missing or can't be read; the text says which.
    """
    read = approvals.parse_approval(obj)
    if not read.signed:
        return read
    from webhook.adapters import signatures  # few approvals need what it imports

    checked = signatures.check(obj["spec"])
    return replace(read, signed_by=checked.signed_by, signature_problem=checked.problem)


def _problem(obj: Mapping[str, Any], error: Exception) -> Problem:
    return Problem(f"{obj.get('kind')} {name_of(obj)}: {error}")


def _digest(obj: Mapping[str, Any]) -> bytes:
    content = [*native.policy_ref(obj), obj.get("spec")]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def kind_of(obj: Mapping[str, Any]) -> GroupKind:
    """Return an object's API group and kind."""
    return GroupKind(str(obj.get("apiVersion", "")).rpartition("/")[0], str(obj.get("kind", "")))


def name_of(obj: Mapping[str, Any]) -> str:
    """Return an object's name."""
    return str(metadata_of(obj).get("name", ""))
