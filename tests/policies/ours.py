"""What the shipped policies say of a pod, in the words of the Pod Security Standards."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from webhook.adapters import manifests, snapshots
from webhook.core.evaluate import evaluate
from webhook.core.review import AdmissionRequest
from webhook.core.snapshot import Snapshot

PACKS = Path(__file__).parents[2] / "policies"
NAMESPACE = "shop"
NOW = datetime.datetime(2026, 12, 1, tzinfo=datetime.UTC)

BASELINE = {
    "pod-no-privileged": "Privileged Containers",
    "pod-no-host-pid": "Host Namespaces: PID",
    "pod-no-host-ipc": "Host Namespaces: IPC",
    "pod-no-host-network": "Host Namespaces: network",
    "pod-no-host-port": "Host Ports",
    "pod-no-host-path": "HostPath Volumes",
    "pod-no-extra-capabilities": "Capabilities",
    "pod-no-probe-host": "Host Probes / Lifecycle Hooks",
    "pod-apparmor-allowed": "AppArmor",
    "pod-selinux-allowed": "SELinux",
    "pod-procmount-default": "/proc Mount Type",
    "pod-seccomp-not-unconfined": "Seccomp",
    "pod-safe-sysctls": "Sysctls",
    "pod-no-windows-hostprocess": "HostProcess",
}
"""The policies of pss-baseline and their controls."""

RESTRICTED = {
    "pod-volume-types-restricted": "Volume Types",
    "pod-no-privilege-escalation": "Privilege Escalation",
    "pod-run-as-non-root": "Running as Non-root",
    "pod-no-root-user": "Running as Non-root user",
    "pod-seccomp-required": "Seccomp",
    "pod-drop-all-capabilities": "Capabilities (restricted)",
    "pod-procmount-always-default": "/proc Mount Type",
}
"""What pss-restricted adds."""

CONTAINED = {"Capabilities": "Capabilities (restricted)", "HostPath Volumes": "Volume Types"}
"""Controls of the baseline level, and those of the restricted level that hold what they hold and more."""

Controls = Mapping[str, frozenset[str]]


def policies() -> list[dict[str, Any]]:
    """Return the policies of both packs, as the kustomization of pss-restricted names them."""
    read = manifests.read([str(PACKS / "pss-restricted")])
    assert not read.errors
    return [document.object for document in read]


def snapshot(version: str, *, whole_objects: bool = False) -> Snapshot:
    """Return a snapshot of the policies of both packs, pinned to a version of the standards.

    Args:
        version: as in the label of PodSecurity admission.
        whole_objects: judge what an UPDATE leaves as it was too, as PodSecurity does.
    """
    pinned = copy.deepcopy(policies())
    for policy in pinned:
        if "params" in policy["spec"]:
            policy["spec"]["params"] = {"version": version}
        if whole_objects:
            policy["spec"]["existingViolations"] = "Deny"
    built = snapshots.build(
        [*pinned, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}]
    )
    assert not built.failures, [failure.message for failure in built.failures]
    return built


def request(pod: dict[str, Any], old: dict[str, Any] | None = None) -> AdmissionRequest:
    """Return the request that creates `pod`, or that adds an ephemeral container to `old`."""
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    resource = {"group": "", "version": "v1", "resource": "pods"}
    asked = {
        "uid": "1",
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": pod["metadata"]["name"],
        "namespace": NAMESPACE,
        "operation": "UPDATE" if old else "CREATE",
        "userInfo": {"username": "jane.doe@example.com", "groups": ["system:authenticated"]},
        "object": pod,
        "oldObject": old,
        "dryRun": True,
        **(
            {"subResource": "ephemeralcontainers", "requestSubResource": "ephemeralcontainers"} if old else {}
        ),
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}
    return AdmissionRequest.parse(review)


def judge(snapshot: Snapshot, asked: AdmissionRequest) -> tuple[Controls, Controls]:
    """Return the controls of the baseline and of the restricted level that the request violates.

    As in PodSecurity's message a control of the restricted level takes the place of the baseline one that it
    contains. Each comes with the containers that violate it.
    """
    verdict = evaluate(asked, snapshot, NOW)
    assert not verdict.errors, verdict.errors
    assert verdict.allowed is not bool(verdict.violations)
    baseline: dict[str, frozenset[str]] = {}
    restricted: dict[str, frozenset[str]] = {}
    for violation in verdict.violations:
        name, container = violation.policy.name, frozenset({violation.container} - {""})
        control = BASELINE.get(name) or RESTRICTED[name]
        if name in BASELINE:
            baseline[control] = baseline.get(control, frozenset()) | container
        restricted[control] = restricted.get(control, frozenset()) | container
    for control, container_control in CONTAINED.items():
        if restricted.pop(control, None) is not None:
            assert container_control in restricted, control
    return baseline, restricted
