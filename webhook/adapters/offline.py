"""One request for each manifest, judged: what applying it would meet, without a cluster.

Each object is judged as a request to create it. A policy that names pods and says `podTemplates: true` judges
the pod templates of workloads by itself, as in a cluster. One that doesn't would meet the template only when
a controller makes the Pods, and nobody would see that in a pull request. So here such a policy judges a
workload's template as well, once, as the creation of a Pod; what it finds is reported on the workload, with
its fingerprint and field path. Acceptances of the workload cover it, as they cover its Pods in a cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from webhook.adapters.kinds import Kinds
from webhook.adapters.manifests import Document
from webhook.adapters.material import Settings, namespace_of
from webhook.core.evaluate import evaluate
from webhook.core.match import PolicyIndex
from webhook.core.model import GroupKind
from webhook.core.policy import CompiledPolicy
from webhook.core.review import AdmissionRequest, UserInfo, request_for
from webhook.core.snapshot import Snapshot
from webhook.core.verdict import Verdict
from webhook.core.workloads import TEMPLATE_PATHS

_POD = {"group": "", "version": "v1", "kind": "Pod"}
_PODS = {"group": "", "version": "v1", "resource": "pods"}


@dataclass(frozen=True, slots=True)
class Judged:
    """One object with its verdict."""

    document: Document
    request: AdmissionRequest
    verdict: Verdict


def judge(
    documents: Iterable[Document], snapshot: Snapshot, kinds: Kinds, settings: Settings, now: datetime
) -> Iterator[Judged]:
    """Judge each object as a request to create it.

    Args:
        documents: as `material.gather` returns them to judge.
        snapshot: what they are judged with.
        kinds: what is known of their kinds.
        settings: the user, and the namespace of those that name none.
        now: the time to judge at.
    """
    user = UserInfo(settings.user)
    later = later_snapshot(snapshot)
    for document in documents:
        request = request_of(document.object, kinds, settings.namespace, user)
        yield Judged(document, request, verdict_of(request, snapshot, later, now))


def verdict_of(
    request: AdmissionRequest, snapshot: Snapshot, later: Snapshot | None, now: datetime
) -> Verdict:
    """Return the verdict on an object at a time, with what its Pods would meet.

    Args:
        request: as `request_of` makes it.
        snapshot: what it is judged with.
        later: `later_snapshot` of the same.
        now: the time to judge at.
    """
    verdict = evaluate(request, snapshot, now)
    if later is not None and GroupKind(request.kind[0], request.kind[2]) in TEMPLATE_PATHS:
        verdict = _both(verdict, evaluate(_as_pods(request), later, now))
    return verdict


def request_of(
    obj: Mapping[str, Any], kinds: Kinds, default_namespace: str, user: UserInfo
) -> AdmissionRequest:
    """Return the request that creating `obj` makes."""
    resource = kinds.resource(obj)
    namespace = namespace_of(obj, resource, default_namespace)
    if obj.get("kind") == "Namespace" and obj.get("apiVersion") == "v1":
        namespace = str((obj.get("metadata") or {}).get("name") or "")
    return request_for(obj, resource=resource.plural, namespace=namespace, user=user)


def later_snapshot(snapshot: Snapshot) -> Snapshot | None:
    """Return the snapshot in which policies that judge only Pods judge templates; None without any."""
    later = [
        replace(policy, pod_templates=True)
        for policy in snapshot.policies
        if not policy.pod_templates and _creates_pods(policy)
    ]
    return replace(snapshot, index=PolicyIndex(later)) if later else None


def _creates_pods(policy: CompiledPolicy) -> bool:
    return any(
        rule.groups & {"", "*"}
        and rule.resources & {"pods", "pods/*", "*", "*/*"}
        and rule.operations & {"CREATE", "*"}
        and not rule.names
        for rule in policy.rules
    )


def _as_pods(request: AdmissionRequest) -> AdmissionRequest:
    """Return the request with what expressions see as ``request`` saying that a Pod is created."""
    raw = {
        **request.raw,
        "kind": _POD,
        "resource": _PODS,
        "requestKind": _POD,
        "requestResource": _PODS,
        "name": "",
    }
    return replace(request, raw=raw)


def _both(now: Verdict, later: Verdict) -> Verdict:
    """Return the verdict on a workload with what its Pods would meet; a violation of both counts once."""
    known = {violation.fingerprint for violation in now.violations}
    known |= {accepted.violation.fingerprint for accepted in now.accepted}
    return replace(
        now,
        allowed=now.allowed and later.allowed,
        violations=now.violations + tuple(v for v in later.violations if v.fingerprint not in known),
        accepted=now.accepted + tuple(a for a in later.accepted if a.violation.fingerprint not in known),
        errors=tuple(dict.fromkeys(now.errors + later.errors)),
        hints={**later.hints, **now.hints},
        annotations={**later.annotations, **now.annotations},
    )
