"""Snapshots: from a list of Kubernetes objects to what the engine judges with, and to a file and back.

A snapshot's file is the objects as they are plus their context, not a picture of compiled state. So the same
`build` serves check, serve and the workers beside the operator, and a file from a cluster can be judged with
offline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any

import orjson

from webhook.core import acceptance, appetite, approvals
from webhook.core.coverage import Register
from webhook.core.errors import CompileError, InputError
from webhook.core.fields import generation_of, metadata_of
from webhook.core.match import PolicyIndex
from webhook.core.model import GROUP, Action, GroupKind
from webhook.core.owners import parse_owner
from webhook.core.policy import CompiledPolicy, PolicyFailure
from webhook.core.snapshot import EXEMPT_NAMESPACES, Params, Snapshot
from webhook.core.workloads import TEMPLATE_PATHS
from webhook.dialects import native

FORMAT = 1

_UNREADABLE = "unreadable"
_KEPT = ("name", "namespace", "uid", "generation")


@dataclass(frozen=True, slots=True)
class Context:
    """What a snapshot is judged in, beside its objects.

    Attributes:
        cluster: the cluster's name; empty when unknown.
        exempt_namespaces: not judged unless a policy names them.
        trust_approvals: an approval without a signature counts, since an API server brought it.
        clock_skew: the API server's clock minus our own, in seconds.
        max_action: no policy does more than this: ``Warn`` or ``Audit``; ``Deny`` or empty for no cap.
        exempt_users: usernames whose requests no policy judges.
        administrators: groups that may change the RiskAppetite.
    """

    cluster: str = ""
    exempt_namespaces: tuple[str, ...] = EXEMPT_NAMESPACES
    trust_approvals: bool = False
    clock_skew: float = 0.0
    max_action: str = ""
    exempt_users: tuple[str, ...] = ()
    administrators: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a cap that is none: enforcing more, or less, than was meant would go unseen."""
        if self.max_action not in ("", *(action.value for action in Action)):
            raise ValueError(f"{self.max_action!r} is no action")


@dataclass
class PolicyCache:
    """Compiled policies by the digest of their source, so that only what changed is compiled."""

    compiled: dict[bytes, CompiledPolicy | CompileError] = field(default_factory=dict)
    used: set[bytes] = field(default_factory=set)

    def get(self, obj: Mapping[str, Any]) -> CompiledPolicy:
        """Return `obj` compiled; raises CompileError as it did the first time."""
        key = _key(obj)
        self.used.add(key)
        known = self.compiled.get(key)
        if known is None:
            try:
                known = native.compile_policy(obj)
            except CompileError as error:
                known = error
            self.compiled[key] = known
        if isinstance(known, CompileError):
            raise known
        generation = generation_of(obj)
        return known if known.generation == generation else replace(known, generation=generation)

    def forget_unused(self) -> None:
        """Forget what nobody has asked for since the last time."""
        self.compiled = {key: value for key, value in self.compiled.items() if key in self.used}
        self.used = set()


def _key(obj: Mapping[str, Any]) -> bytes:
    content = [*native.policy_ref(obj), obj.get("spec")]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def build(
    objects: Iterable[Mapping[str, Any]],
    context: Context = Context(),
    cache: PolicyCache | None = None,
    revision: str = "",
) -> Snapshot:
    """Return the snapshot of `objects`; they are told apart by their kind.

    A policy that doesn't compile is among the snapshot's failures and alone is not enforced; an acceptance,
    approval or appetite that can't be read is among its problems and doesn't hold.

    Args:
        objects: policies, acceptances, approvals, the RiskAppetite, Namespaces, workloads and parameters.
        context: the cluster and what is trusted.
        cache: policies compiled before; only what changed is compiled.
        revision: names the content.
    """
    cache = cache or PolicyCache()
    sorted_out = _Sorted(cache)
    known = tuple(objects)
    for obj in known:
        sorted_out.add(obj)
    cache.forget_unused()
    policies = tuple(sorted(sorted_out.policies, key=lambda policy: policy.ref))
    surroundings = acceptance.Surroundings(
        appetite=sorted_out.appetite,
        trust_approvals=context.trust_approvals,
        cluster=context.cluster,
        clock_skew=timedelta(seconds=context.clock_skew),
    )
    return Snapshot(
        revision=revision,
        policies=policies,
        failures=tuple(sorted_out.failures),
        problems=tuple(sorted_out.problems),
        index=PolicyIndex(policies),
        namespaces=sorted_out.namespaces,
        params=_params(known, policies),
        register=Register(sorted_out.acceptances, sorted_out.approvals, surroundings),
        owners=sorted_out.owners,
        exempt_namespaces=frozenset(context.exempt_namespaces),
        cluster=context.cluster,
        max_action=context.max_action,
        exempt_users=frozenset(filter(None, context.exempt_users)),
        administrators=frozenset(context.administrators),
    )


def _params(objects: Iterable[Mapping[str, Any]], policies: Iterable[CompiledPolicy]) -> Params:
    """Return the objects of every kind that some policy names as its parameters, whatever else they are."""
    sources = [policy.param_source for policy in policies if policy.param_source is not None]
    kinds = {(source.group, source.kind) for source in sources}
    return Params([obj for obj in objects if _kind(obj) in kinds]) if kinds else Params()


def _kind(obj: Mapping[str, Any]) -> GroupKind:
    return GroupKind(str(obj.get("apiVersion", "")).rpartition("/")[0], str(obj.get("kind", "")))


class _Sorted:
    """Objects told apart by their kind, and read."""

    def __init__(self, cache: PolicyCache) -> None:
        self.cache = cache
        self.policies: list[CompiledPolicy] = []
        self.failures: list[PolicyFailure] = []
        self.problems: list[str] = []
        self.namespaces: dict[str, Mapping[str, Any]] = {}
        self.acceptances: list[acceptance.Acceptance] = []
        self.approvals: list[approvals.Approval] = []
        self.appetite: appetite.Appetite | None = None
        self.owners: dict[str, Any] = {}

    def add(self, obj: Mapping[str, Any]) -> None:
        try:
            self._add(obj)
        except Exception as error:  # whatever is wrong with one object must never take the others with it
            self.problems.append(f"{obj.get('kind')} {_name(obj)}: {error}")

    def _add(self, obj: Mapping[str, Any]) -> None:
        kind = _kind(obj)
        if kind.group == GROUP:
            self._add_own(kind.kind, obj)
        elif kind == GroupKind("", "Namespace"):
            self.namespaces[_name(obj)] = obj
        elif kind in TEMPLATE_PATHS or kind == GroupKind("apps", "ControllerRevision"):
            owner = parse_owner(obj)
            if owner is not None:
                self.owners[owner.uid] = owner

    def _add_own(self, kind: str, obj: Mapping[str, Any]) -> None:
        if kind in native.KINDS:
            try:
                if _UNREADABLE in obj:
                    raise ValueError(obj[_UNREADABLE])
                self.policies.append(self.cache.get(obj))
            except Exception as error:  # as in `add`; here its status says so
                self.failures.append(PolicyFailure(native.policy_ref(obj), generation_of(obj), str(error)))
        elif _UNREADABLE in obj:
            raise ValueError(obj[_UNREADABLE])
        elif kind in (acceptance.NAMESPACED, acceptance.CLUSTER):
            self.acceptances.append(acceptance.parse_acceptance(obj))
        elif kind in (approvals.NAMESPACED, approvals.CLUSTER):
            self.approvals.append(approvals.parse_approval(obj))
        elif kind == "RiskAppetite" and _name(obj) == appetite.NAME:
            self.appetite = appetite.parse_appetite(obj)


def _name(obj: Mapping[str, Any]) -> str:
    return str(metadata_of(obj).get("name", ""))


def dump(objects: Iterable[Mapping[str, Any]], context: Context) -> bytes:
    """Return the file of a snapshot: the same bytes for the same content, in whatever order it comes."""
    rows = sorted(map(_row, objects))
    head = orjson.dumps(asdict(context), option=orjson.OPT_SORT_KEYS)
    return b'{"format":%d,"context":%s,"objects":[%s]}' % (FORMAT, head, b",".join(rows))


def _row(obj: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        # The API server takes what is nested far deeper than any file is read. Its author then has a policy
        # or an acceptance that doesn't hold, and all others have theirs.
        metadata = metadata_of(obj)
        stub = {
            "apiVersion": obj.get("apiVersion"),
            "kind": obj.get("kind"),
            "metadata": {name: metadata[name] for name in _KEPT if name in metadata},
            _UNREADABLE: f"can't be kept in a snapshot: {error}",
        }
        return orjson.dumps(stub, option=orjson.OPT_SORT_KEYS)


def _context(known: Mapping[str, Any]) -> Context:
    """Return the context in a file; what an older version didn't know has its default."""
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in known.items()
    }
    return Context(**given)


def digest(data: bytes) -> str:
    """Return the revision that names a snapshot's file: 32 hex digits."""
    return hashlib.sha256(data).hexdigest()[:32]


def load(data: bytes, cache: PolicyCache | None = None) -> Snapshot:
    """Return the snapshot in a file that `dump` made.

    Raises:
        InputError: it is cut short, or of a format that this version doesn't know.
    """
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InputError(f"the snapshot is no JSON, perhaps cut short: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"the snapshot is not of format {FORMAT}, which this version reads")
    try:
        context = _context(content["context"])
        return build(content["objects"], context, cache, digest(data))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InputError(f"the snapshot can't be read: {error!r}") from None
