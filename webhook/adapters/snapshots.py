"""Snapshots: from a list of Kubernetes objects to what the engine judges with, and to a file and back.

A snapshot's file is the objects as they are plus their context, not a picture of compiled state. So the same
`build` serves check, serve and the workers beside the operator, and a file from a cluster can be judged with
offline.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

import orjson

from webhook.adapters import gatekeeper
from webhook.adapters.reading import NAMESPACE, UNREADABLE, Cache, Problem, Read, name_of
from webhook.core.acceptance import Acceptance
from webhook.core.appetite import Appetite
from webhook.core.approvals import Approval
from webhook.core.coverage import Register
from webhook.core.errors import InputError
from webhook.core.fields import metadata_of
from webhook.core.match import PolicyIndex
from webhook.core.model import Action
from webhook.core.owners import Owner
from webhook.core.policy import CompiledPolicy, PolicyFailure
from webhook.core.snapshot import EXEMPT_NAMESPACES, Params, Snapshot
from webhook.core.standing import Surroundings
from webhook.core.times import parse_time

FORMAT = 1

_HEAD = b'{"format":%d,"context":%b,'
_FIRST, _LAST = b'"objects":[\n', b"\n]}\n"
_CLOCK = b'\n],"clock_skew":%b}\n'
_CLOCK_LAST = re.compile(rb'\n\],"clock_skew":(-?[0-9][-+0-9.eE]{0,23})\}\n\Z')
_LONGEST_LAST = 64
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
        guarded_since: since when every writer of the risk kinds is judged by who they are, as RFC 3339;
            empty where that bounds nothing.
        gatekeeper: how we stand to Gatekeeper: ``replace``, or ``beside`` it, where we enforce its
            constraints only at our own enforcement point.
        sync_everything: where nothing says what is synced, every object is Gatekeeper's inventory.
        revocations: digests of acceptances that were revoked, each with when that was last, as RFC 3339.
    """

    cluster: str = ""
    exempt_namespaces: tuple[str, ...] = EXEMPT_NAMESPACES
    trust_approvals: bool = False
    clock_skew: float = 0.0
    max_action: str = ""
    exempt_users: tuple[str, ...] = ()
    administrators: tuple[str, ...] = ()
    guarded_since: str = ""
    gatekeeper: str = gatekeeper.REPLACE
    sync_everything: bool = False
    revocations: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a cap that is none: enforcing more, or less, than was meant would go unseen."""
        if self.max_action not in ("", *(action.value for action in Action)):
            raise ValueError(f"{self.max_action!r} is no action")
        if self.gatekeeper not in (gatekeeper.REPLACE, gatekeeper.BESIDE):
            raise ValueError(f"{self.gatekeeper!r} is neither replace nor beside")


def build(
    objects: Iterable[Mapping[str, Any]],
    context: Context = Context(),
    cache: Cache | None = None,
    revision: str = "",
) -> Snapshot:
    """Return the snapshot of `objects`; they are told apart by their kind.

    A policy that doesn't compile is among the snapshot's failures and alone is not enforced; an acceptance,
    approval or appetite that can't be read is among its problems and doesn't hold.

    Args:
        objects: policies, acceptances, approvals, the RiskAppetite, Namespaces, workloads and parameters;
            they must not be changed afterwards.
        context: the cluster and what is trusted.
        cache: what was read and made before; only what changed is read and made anew.
        revision: names the content.
    """
    cache = cache or Cache()
    return _assemble(cache.objects(objects), context, cache, revision)


def _assemble(known: Sequence[Read], context: Context, cache: Cache, revision: str) -> Snapshot:
    sorted_out: dict[type, list[Any]] = {}
    for each in known:
        sorted_out.setdefault(each.meaning.__class__, []).append(each.meaning)
    of_gatekeeper = gatekeeper.assemble(
        sorted_out,
        (each.object for each in known),
        cache.gatekeeper,
        mode=context.gatekeeper,
        sync_everything=context.sync_everything,
    )
    policies = tuple(
        sorted(
            (*sorted_out.get(CompiledPolicy, ()), *of_gatekeeper.policies),
            key=lambda policy: (policy.constraint is not None, policy.ref),
        )
    )
    cache.index = PolicyIndex(policies, cache.index)
    surroundings = Surroundings(
        appetite=next(iter(sorted_out.get(Appetite, ())), None),
        trust_approvals=context.trust_approvals,
        cluster=context.cluster,
        clock_skew=timedelta(seconds=context.clock_skew),
        guarded_since=parse_time(context.guarded_since) if context.guarded_since else None,
        revocations={digest: parse_time(moment) for digest, moment in context.revocations},
    )
    cache.register = Register(
        sorted_out.get(Acceptance, ()), sorted_out.get(Approval, ()), surroundings, cache.register
    )
    return Snapshot(
        revision=revision,
        policies=policies,
        failures=(*sorted_out.get(PolicyFailure, ()), *of_gatekeeper.failures),
        problems=(*(problem.text for problem in sorted_out.get(Problem, ())), *of_gatekeeper.problems),
        index=cache.index,
        namespaces={name_of(each.object): each.object for each in known if each.kind == NAMESPACE},
        params=_params(known, policies),
        register=cache.register,
        owners={owner.uid: owner for owner in sorted_out.get(Owner, ())},
        exempt_namespaces=frozenset(context.exempt_namespaces),
        cluster=context.cluster,
        max_action=context.max_action,
        exempt_users=frozenset(filter(None, context.exempt_users)),
        administrators=frozenset(context.administrators),
        constraints=of_gatekeeper.context,
    )


def _params(known: Iterable[Read], policies: Iterable[CompiledPolicy]) -> Params:
    """Return the objects of every kind that some policy names as its parameters, whatever else they are."""
    sources = [policy.param_source for policy in policies if policy.param_source is not None]
    kinds = {(source.group, source.kind) for source in sources}
    return Params([each.object for each in known if each.kind in kinds]) if kinds else Params()


class Writer:
    """Writes files of snapshots: an object that is the same as in the file before is not encoded again."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[Mapping[str, Any], bytes]] = {}

    def dump(self, objects: Iterable[Mapping[str, Any]], context: Context) -> bytes:
        """Return the file of a snapshot: the same bytes for the same content, in whatever order it comes.

        Args:
            objects: what is in it; they must not be changed afterwards.
            context: what it is judged in.
        """
        before, self._rows = self._rows, {}
        for obj in objects:
            # The object is kept beside its row, so that no other one can get its identity.
            self._rows[id(obj)] = before.get(id(obj)) or (obj, _row(obj))
        rows = sorted(row for _, row in self._rows.values())
        known = asdict(context)
        skew = known.pop("clock_skew")
        head = orjson.dumps(known, option=orjson.OPT_SORT_KEYS)
        last = _CLOCK % orjson.dumps(skew) if skew else _LAST
        return b"%b%b%b%b" % (_HEAD % (FORMAT, head), _FIRST, b",\n".join(rows), last)


def dump(objects: Iterable[Mapping[str, Any]], context: Context) -> bytes:
    """Return the file of a snapshot; see `Writer.dump`."""
    return Writer().dump(objects, context)


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
            UNREADABLE: f"can't be kept in a snapshot: {error}",
        }
        return orjson.dumps(stub, option=orjson.OPT_SORT_KEYS)


def digest(data: bytes) -> str:
    """Return the revision of a snapshot's file: 32 hex digits of what every replica has in common.

    How far a machine's clock is off is that replica's own, and last in its file.
    """
    body, _ = _clock_of(data)
    return hashlib.sha256(body).hexdigest()[:32]


def file_name(data: bytes) -> str:
    """Return the name of a snapshot's file, which says all that is in it: revision, and the clock's skew."""
    _, skew = _clock_of(data)
    return f"snapshot-{digest(data)}{f'@{skew:+g}s' if skew else ''}.json"


def _clock_of(data: bytes) -> tuple[bytes, float]:
    """Return a file as a replica whose clock is right would write it, and the skew in it."""
    found = _CLOCK_LAST.search(data, max(0, len(data) - _LONGEST_LAST))
    if found is None:
        return data, 0.0
    try:
        skew = float(found[1])
    except ValueError:
        return data, 0.0
    return data[: found.start()] + _LAST, skew


def load(data: bytes, cache: Cache | None = None) -> Snapshot:
    """Return the snapshot in a file that `dump` made.

    Each object is a line of its own, and a line that was in the last file is not read again. A file that was
    laid out otherwise, as by an older version or by hand, is read as a whole.

    Raises:
        InputError: it is cut short, or of a format that this version doesn't know.
    """
    cache = cache or Cache()
    try:
        data, skew = _clock_of(data)
        head, rows = _lines(data)
        content = orjson.loads(head if rows is None else head + b"]}")
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise InputError(f"the snapshot is not of format {FORMAT}, which this version reads")
        known = cache.objects(content["objects"]) if rows is None else cache.rows(rows)
        return _assemble(
            known, _context(content["context"], skew or content.get("clock_skew", 0.0)), cache, digest(data)
        )
    except orjson.JSONDecodeError as error:
        raise InputError(f"the snapshot is no JSON, perhaps cut short: {error}") from None
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise InputError(f"the snapshot can't be read: {error!r}") from None


def _lines(data: bytes) -> tuple[bytes, Iterator[bytes] | None]:
    """Return what comes before the objects and each object; all and None where they aren't lines."""
    if not data.endswith(_LAST) or data.endswith(b",\n" + _LAST):
        return data, None
    file = io.BytesIO(data[: -len(_LAST)])  # gives line after line; a split would hold up other threads
    head = file.readline()
    if not head.endswith(_FIRST):
        return data, None
    return head, (line.rstrip(b",\n") for line in file)


def _context(known: Mapping[str, Any], skew: float) -> Context:
    """Return the context in a file; what an older version didn't know has its default."""
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in known.items()
    }
    return Context(**{"clock_skew": skew} | given)
