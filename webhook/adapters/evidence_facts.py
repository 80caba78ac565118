"""From a request and its verdict to what a record of the decision log tells of them.

Nothing of a judged object gets in but its identity: no field, no image, and no message that an expression
made, since that may quote the object. Of our own kinds the specs are told: they are what auditors ask for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webhook.adapters.evidence import stamp
from webhook.core.canonical import canonical_json
from webhook.core.digests import object_digest
from webhook.core.fields import metadata_of
from webhook.core.model import GROUP, PolicyRef, Violation
from webhook.core.policy import CompiledPolicy
from webhook.core.review import AdmissionRequest, cut
from webhook.core.snapshot import Snapshot
from webhook.core.verdict import AcceptedViolation, PolicyError, Verdict

LARGEST_SPEC = 256 * 1024
"""Bytes of a spec in a record; of a longer one the digest alone is told."""
_NAME = 512
_MESSAGE = 1024
_MOST = 100
_SMALL = 1024
_GUARD = "Guard"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a record tells, and roughly how many bytes that takes."""

    content: Mapping[str, Any]
    size: int


def decision(request: AdmissionRequest, verdict: Verdict, snapshot: Snapshot | None) -> Facts:
    """Return what a record tells of a denial, or of a request that passed by a risk acceptance.

    Args:
        request: what was asked.
        verdict: what was said.
        snapshot: the one that judged; None where it is no longer known, and then no digests are told.
    """
    by = _Deciders(snapshot if snapshot is not None and snapshot.revision == verdict.revision else None)
    content = _who_and_what(request) | {"allowed": verdict.allowed, "revision": verdict.revision}
    content |= _list("violations", verdict.violations, by.violation)
    content |= _list("accepted", verdict.accepted, by.accepted)
    content |= _list("errors", verdict.errors, by.error)
    found = min(len(verdict.violations), _MOST) + 2 * min(len(verdict.accepted), _MOST)
    change, size = _change(request)
    return Facts(content | change, size + _SMALL * (1 + found))


def write(request: AdmissionRequest, revision: str) -> Facts:
    """Return what a record tells of a write to one of our kinds: before and after.

    Args:
        request: the write.
        revision: of the snapshot at that time.
    """
    change, size = _change(request)
    return Facts(_who_and_what(request) | change | {"revision": revision}, size + _SMALL)


class _Deciders:
    """What decided, with digests, as a snapshot knows them."""

    def __init__(self, snapshot: Snapshot | None) -> None:
        self._snapshot = snapshot
        self._policies: dict[PolicyRef, CompiledPolicy | None] = {}

    def _known(self, ref: PolicyRef) -> CompiledPolicy | None:
        if self._snapshot is None:
            return None
        if ref not in self._policies:
            self._policies[ref] = self._snapshot.policy(ref)
        return self._policies[ref]

    def policy(self, ref: PolicyRef) -> dict[str, Any]:
        known = self._known(ref)
        digest = {"digest": known.digest} if known is not None and known.digest else {}
        return {"policy": _ref(ref) | digest}

    def error(self, error: PolicyError) -> dict[str, Any]:
        return self.policy(error.policy) | {"actions": _actions(error.actions)}

    def violation(self, violation: Violation) -> dict[str, Any]:
        told = self.policy(violation.policy) | {
            "validation": _text(violation.validation),
            "severity": str(violation.severity),
            "actions": _actions(violation.actions),
            "fingerprint": violation.fingerprint,
        }
        if violation.container:
            told["container"] = _text(violation.container)
        if violation.field_path:
            told["fieldPath"] = _text(violation.field_path)
        if self._is_constant(violation):
            told["message"] = _text(violation.message, _MESSAGE)
        return told

    def _is_constant(self, violation: Violation) -> bool:
        """Tell whether a message is the policy's own text, or the guard's: neither quotes a judged object."""
        if violation.policy.kind == _GUARD:
            return True
        known = self._known(violation.policy)
        return known is not None and any(
            (each.name, each.message) == (violation.validation, violation.message)
            for each in known.validations
        )

    def accepted(self, accepted: AcceptedViolation) -> dict[str, Any]:
        ref = accepted.acceptance
        by = _ref(ref) | {"validUntil": stamp(accepted.valid_until)}
        by |= {"approvers": list(map(_text, accepted.approvers))}
        known = self._snapshot.register.acceptance(ref) if self._snapshot is not None else None
        if known is not None and self._snapshot is not None:
            by["digest"] = known.digest
            by["approvals"] = [
                {"name": each.ref.name, "approver": each.approver, "approvedAt": stamp(each.approved_at)}
                for each in self._snapshot.register.approvals_of(known)
                if each.digest == known.digest and each.approver in accepted.approvers
            ][:_MOST]
        if accepted.kept_running:
            by["keptRunning"] = True
        return self.violation(accepted.violation) | {"acceptance": by}


def _who_and_what(request: AdmissionRequest) -> dict[str, Any]:
    group, version, resource = request.resource
    metadata = metadata_of(request.object if request.object is not None else request.old_object)
    user: dict[str, Any] = {"name": _text(request.user.username)}
    if request.user.uid:
        user["uid"] = _text(request.user.uid)
    user |= _list("groups", request.user.groups, _text)
    content: dict[str, Any] = {
        "review": _text(request.uid),
        "user": user,
        "operation": request.operation,
        "resource": {"group": _text(group), "version": _text(version), "resource": _text(resource)},
        "kind": _text(request.kind[2]),
        "namespace": _text(request.namespace),
        "name": _text(request.name or _string(metadata.get("generateName"))),
        "dryRun": request.dry_run,
    }
    if request.sub_resource:
        content["resource"]["subresource"] = _text(request.sub_resource)
    uid = _string(metadata.get("uid"))
    return content | ({"uid": _text(uid)} if uid else {})


def _change(request: AdmissionRequest) -> tuple[dict[str, Any], int]:
    """Return what a write to one of our kinds changes, with its size; nothing for other kinds."""
    if request.kind[0] != GROUP:
        return {}, 0
    change, size = {}, 0
    for name, obj in (("before", request.old_object), ("after", request.object)):
        if obj is not None and not (name == "after" and request.operation == "DELETE"):
            change[name], length = _state(obj)
            size += length
    return {"change": change}, size


def _state(obj: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    spec = obj.get("spec") or {}
    try:
        length = len(canonical_json(spec))
        state: dict[str, Any] = {"digest": object_digest(obj), "spec": spec}
    except RecursionError:
        return {"digest": "", "problem": "it is nested too deeply to be told"}, 0
    except ValueError:
        # A policy's params may hold what RFC 8785 as we write it has not, such as a fraction.
        text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
        length = len(text)
        state = {"textDigest": "sha256:" + hashlib.sha256(text.encode()).hexdigest(), "text": text}
    if length > LARGEST_SPEC:
        state = {name: value for name, value in state.items() if name not in ("spec", "text")}
        return state | {"omittedBytes": length}, 0
    return state, length


def _ref(ref: PolicyRef) -> dict[str, Any]:
    named = {"kind": _text(ref.kind), "name": _text(ref.name)}
    return named | ({"namespace": _text(ref.namespace)} if ref.namespace else {})


def _list(name: str, items: Sequence[Any], tell: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a list under its name, the first of its items, and how many are left out; nothing for none."""
    if not items:
        return {}
    told: dict[str, Any] = {name: [tell(item) for item in items[:_MOST]]}
    if len(items) > _MOST:
        told[f"{name}Omitted"] = len(items) - _MOST
    return told


def _actions(actions: Iterable[Any]) -> list[str]:
    return [action.value for action in actions]


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _text(text: str, longest: int = _NAME) -> str:
    """Return a text as JSON can carry it, and no longer than names are."""
    return cut(text.encode("utf-8", "replace").decode(), longest)
