"""Which resource a kind is served under, and whether it is namespaced: what a cluster would say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from webhook.core.model import GROUP, GroupKind


class Resource(NamedTuple):
    """How the API server serves a kind.

    Attributes:
        plural: the resource's name, such as ``deployments``.
        namespaced: its objects lie in a namespace.
        known: from a table or a CustomResourceDefinition; else both were guessed from the manifest.
    """

    plural: str
    namespaced: bool
    known: bool


# Kubernetes 1.37, `kubectl api-resources` with every version of every group served.
_NAMESPACED = {
    "": "Binding ConfigMap Endpoints Event LimitRange PersistentVolumeClaim Pod PodTemplate "
    "ReplicationController ResourceQuota Secret ServiceAccount Service",
    "apps": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "authorization.k8s.io": "LocalSubjectAccessReview",
    "autoscaling": "HorizontalPodAutoscaler",
    "batch": "CronJob Job",
    "certificates.k8s.io": "PodCertificateRequest",
    "coordination.k8s.io": "Lease LeaseCandidate",
    "discovery.k8s.io": "EndpointSlice",
    "events.k8s.io": "Event",
    "networking.k8s.io": "Ingress NetworkPolicy",
    "policy": "PodDisruptionBudget",
    "rbac.authorization.k8s.io": "Role RoleBinding",
    "resource.k8s.io": "ResourceClaim ResourceClaimTemplate",
    "storage.k8s.io": "CSIStorageCapacity",
    GROUP: "Policy RiskAcceptance RiskApproval",
}
_CLUSTER = {
    "": "ComponentStatus Namespace Node PersistentVolume",
    "admissionregistration.k8s.io": "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding "
    "MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding "
    "ValidatingWebhookConfiguration",
    "apiextensions.k8s.io": "CustomResourceDefinition",
    "apiregistration.k8s.io": "APIService",
    "authentication.k8s.io": "SelfSubjectReview TokenReview",
    "authorization.k8s.io": "SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
    "certificates.k8s.io": "CertificateSigningRequest ClusterTrustBundle",
    "flowcontrol.apiserver.k8s.io": "FlowSchema PriorityLevelConfiguration",
    "internal.apiserver.k8s.io": "StorageVersion",
    "networking.k8s.io": "IngressClass IPAddress ServiceCIDR",
    "node.k8s.io": "RuntimeClass",
    "rbac.authorization.k8s.io": "ClusterRole ClusterRoleBinding",
    "resource.k8s.io": "DeviceClass DeviceTaintRule ResourcePoolStatusRequest ResourceSlice",
    "scheduling.k8s.io": "PriorityClass",
    "storage.k8s.io": "CSIDriver CSINode StorageClass VolumeAttachment VolumeAttributesClass",
    "storagemigration.k8s.io": "StorageVersionMigration",
    GROUP: "ClusterPolicy ClusterRiskAcceptance ClusterRiskApproval RiskAppetite",
}

CONNECTED: Mapping[str, tuple[str, str]] = {
    "PodAttachOptions": ("pods", "attach"),
    "PodExecOptions": ("pods", "exec"),
    "PodPortForwardOptions": ("pods", "portforward"),
    "PodProxyOptions": ("pods", "proxy"),
    "ServiceProxyOptions": ("services", "proxy"),
    "NodeProxyOptions": ("nodes", "proxy"),
}
"""What a CONNECT carries as its object, and the resource and subresource that it goes to."""


def plural_of(kind: str) -> str:
    """Return the resource's name as nearly every kind forms it: lower case, English plural."""
    name = kind.lower()
    if name == "endpoints":
        return name
    if name.endswith(("s", "x", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}s"


class Kinds:
    """The kinds of Kubernetes itself, of Tidewaiter, and of the CustomResourceDefinitions it is given.

    Args:
        objects: any objects; the CustomResourceDefinitions among them count.
    """

    def __init__(self, objects: Iterable[Mapping[str, Any]] = ()) -> None:
        self._known: dict[GroupKind, Resource] = {}
        for table, namespaced in ((_NAMESPACED, True), (_CLUSTER, False)):
            for group, kinds in table.items():
                for kind in kinds.split():
                    self._known[GroupKind(group, kind)] = Resource(plural_of(kind), namespaced, True)
        for obj in objects:
            if obj.get("kind") == "CustomResourceDefinition":
                self._learn(obj.get("spec"))

    def _learn(self, spec: Any) -> None:
        names = spec.get("names") if isinstance(spec, Mapping) else None
        if not isinstance(names, Mapping):
            return
        group, kind, plural = spec.get("group"), names.get("kind"), names.get("plural")
        if isinstance(group, str) and isinstance(kind, str) and isinstance(plural, str):
            namespaced = spec.get("scope") == "Namespaced"
            self._known.setdefault(GroupKind(group, kind), Resource(plural, namespaced, True))

    def resource(self, obj: Mapping[str, Any]) -> Resource:
        """Return how the kind of a manifest is served.

        A kind that nobody described is guessed to be namespaced where its manifest names a namespace.
        """
        group = str(obj.get("apiVersion", "")).rpartition("/")[0]
        kind = str(obj.get("kind", ""))
        known = self._known.get(GroupKind(group, kind))
        if known is not None:
            return known
        return Resource(plural_of(kind), bool((obj.get("metadata") or {}).get("namespace")), False)
