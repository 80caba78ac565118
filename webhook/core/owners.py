"""Owner chains: from a Pod or ReplicaSet to the workload that Kubernetes made it from, each link checked.

Anyone can write an ownerReference. A link therefore counts only when the authenticated user is the controller
that makes this kind from that kind, and further links only as the snapshot knows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webhook.core.fields import metadata_of
from webhook.core.model import GroupKind, ObjectRef
from webhook.core.review import AdmissionRequest
from webhook.core.times import parse_time
from webhook.core.verdict import OwnerLack
from webhook.core.workloads import TEMPLATE_PATHS, template_digest, template_of

_POD = GroupKind("", "Pod")
_REVISION = GroupKind("apps", "ControllerRevision")
_CONTROLLERS: Mapping[tuple[GroupKind, GroupKind], str] = {
    (_POD, GroupKind("apps", "ReplicaSet")): "replicaset-controller",
    (_POD, GroupKind("apps", "StatefulSet")): "statefulset-controller",
    (_POD, GroupKind("apps", "DaemonSet")): "daemon-set-controller",
    (_POD, GroupKind("batch", "Job")): "job-controller",
    (_POD, GroupKind("", "ReplicationController")): "replication-controller",
    (GroupKind("apps", "ReplicaSet"), GroupKind("apps", "Deployment")): "deployment-controller",
    (GroupKind("batch", "Job"), GroupKind("batch", "CronJob")): "cronjob-controller",
    (_REVISION, GroupKind("apps", "StatefulSet")): "statefulset-controller",
    (_REVISION, GroupKind("apps", "DaemonSet")): "daemon-set-controller",
}
_MANAGER = "system:kube-controller-manager"
_LONGEST_CHAIN = 4


@dataclass(frozen=True, slots=True)
class Owner:
    """A workload or a ControllerRevision, as the snapshot knows it.

    Attributes:
        ref: which object.
        uid: its uid, which no one can choose.
        controller: the uid of the workload that made it; empty for none.
        created: its creationTimestamp, which the API server sets; None when unreadable.
        digest: of its pod template.
        workload: the object, reduced to metadata and template.
    """

    ref: ObjectRef
    uid: str
    controller: str
    created: datetime | None
    digest: str
    workload: Mapping[str, Any]

    @property
    def group_kind(self) -> GroupKind:
        """Its API group and kind."""
        return GroupKind(self.ref.group, self.ref.kind)


def parse_owner(obj: Mapping[str, Any]) -> Owner | None:
    """Return the owner in a workload's manifest; None where it has no uid or no template."""
    metadata = metadata_of(obj)
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    kind = str(obj.get("kind", ""))
    made = GroupKind(group, kind)
    if made == _REVISION:
        template = template_of(obj, ("data", "spec", "template"))
        if template is not None:
            template = {key: value for key, value in template.items() if key != "$patch"}
    else:
        path = TEMPLATE_PATHS.get(made)
        template = template_of(obj, path) if path else None
    uid = metadata.get("uid")
    if not isinstance(uid, str) or template is None:
        return None
    controller = controller_reference(metadata)
    maker = (made, _kind_of(controller or {}))
    try:
        created = parse_time(str(metadata.get("creationTimestamp")))
    except ValueError:
        created = None
    return Owner(
        ref=ObjectRef(
            group, version, kind, str(metadata.get("namespace", "")), str(metadata.get("name", ""))
        ),
        uid=uid,
        # What Kubernetes' own controllers don't make of another kind is the top of its chain.
        controller=str(controller.get("uid", "")) if controller and maker in _CONTROLLERS else "",
        created=created,
        digest=template_digest(template),
        workload=obj,
    )


def controller_reference(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the ownerReference that says ``controller: true``, or None."""
    references = metadata.get("ownerReferences")
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, Mapping) and reference.get("controller") is True:
            return reference
    return None


def _kind_of(reference: Mapping[str, Any]) -> GroupKind:
    group = str(reference.get("apiVersion", "")).rpartition("/")[0]
    return GroupKind(group, str(reference.get("kind", "")))


def is_made_from_workload(obj: Mapping[str, Any]) -> bool:
    """Tell whether an object says that Kubernetes made it of a workload: reports show that one instead."""
    reference = controller_reference(metadata_of(obj))
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    made = GroupKind(group, str(obj.get("kind", "")))
    return reference is not None and (made, _kind_of(reference)) in _CONTROLLERS


@dataclass(frozen=True, slots=True)
class Chain:
    """What made the object of a request, the nearest first; empty where nothing that can be trusted did.

    Attributes:
        owners: every link that holds.
        broken: why the chain ends where it names a further owner; empty where it simply ends.
        lack: the owner that the snapshot doesn't hold yet.
    """

    owners: tuple[Owner, ...] = ()
    broken: str = ""
    lack: OwnerLack | None = None


NO_CHAIN = Chain()


def chain_of(
    request: AdmissionRequest,
    owners: Mapping[str, Owner],
    workload_controllers: frozenset[str],
) -> Chain:
    """Return the chain of owners of the request's object.

    Args:
        request: a request that creates or updates it.
        owners: what the snapshot knows, by uid.
        workload_controllers: users that the RiskAppetite lets make Pods from workloads.
    """
    obj = request.object
    reference = controller_reference(metadata_of(obj))
    if reference is None or request.sub_resource:
        return NO_CHAIN
    made = GroupKind(request.kind[0], request.kind[2])
    maker = _kind_of(reference)
    controller = _CONTROLLERS.get((made, maker))
    if controller is None:
        return NO_CHAIN
    allowed = {f"system:serviceaccount:kube-system:{controller}", _MANAGER, *workload_controllers}
    name = f"{maker.kind} {reference.get('name')}"
    if request.user.username not in allowed:
        return Chain(
            broken=f"{request.user.username or 'the user'} is not the controller that makes it from {name}"
        )
    uid = str(reference.get("uid", ""))
    owner = owners.get(uid)
    if owner is None:
        lack = OwnerLack(request.namespace, maker.kind, str(reference.get("name", "")), uid)
        return Chain(broken=f"its owner {name} is not known yet", lack=lack)
    if (owner.group_kind, owner.ref.namespace, owner.ref.name) != (
        maker,
        request.namespace,
        reference.get("name"),
    ):
        return Chain(broken=f"its owner reference to {name} has another object's uid")
    template = template_of(obj or {}, TEMPLATE_PATHS[made]) if made in TEMPLATE_PATHS else None
    if template is not None and template_digest(template) != owner.digest:
        return Chain(broken=f"its template is not the present one of {name}")
    return _climb(owner, owners)


def _climb(first: Owner, owners: Mapping[str, Owner]) -> Chain:
    found = [first]
    while found[-1].controller and len(found) < _LONGEST_CHAIN:
        last = found[-1]
        above = owners.get(last.controller)
        if above is None:
            lack = OwnerLack(last.ref.namespace, "", "", last.controller)
            return Chain(tuple(found), f"the owner of {last.ref.kind} {last.ref.name} is not known yet", lack)
        if (
            above.ref.namespace != last.ref.namespace
            or (last.group_kind, above.group_kind) not in _CONTROLLERS
        ):
            return Chain(tuple(found), f"the owner of {last.ref.kind} {last.ref.name} makes no such object")
        if above.digest != last.digest:
            why = f"{last.ref.kind} {last.ref.name} does not hold the present template of {above.ref.name}"
            return Chain(tuple(found), why)
        found.append(above)
    return Chain(tuple(found))


def made_within(chain: Chain, owners: Mapping[str, Owner], start: datetime, end: datetime) -> bool:
    """Tell whether what holds the template of the chain's Pod was made between two times.

    That is the ReplicaSet or Job next to the Pod, or for a StatefulSet or DaemonSet a ControllerRevision with
    the same template; each has a creationTimestamp that only the API server sets.
    """
    if not chain.owners:
        return False
    first = chain.owners[0]
    holders = [first]
    if first.ref.kind in ("StatefulSet", "DaemonSet"):
        holders = [
            owner
            for owner in owners.values()
            if owner.ref.kind == "ControllerRevision"
            and owner.controller == first.uid
            and owner.digest == first.digest
        ]
    return any(owner.created is not None and start <= owner.created <= end for owner in holders)
