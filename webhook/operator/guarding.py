"""The webhook entries for writes to our own kinds; they depend on no policy and on no option."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from webhook.core.model import GROUP, VERSION

PATH = "/guard"
DELETED_PATH = "/guard/deleted"
RECORDED_PATH = "/guard/recorded"

_NAMESPACED = ("riskacceptances", "riskapprovals")
_CLUSTER = ("clusterriskacceptances", "clusterriskapprovals", "riskappetites")

_SPEC_CHANGES = {
    "name": "spec-changes",
    "expression": "request.operation != 'UPDATE' || object.?spec != oldObject.?spec",
}
"""Labels and finalizers say nothing about a risk, and a finalizer must be able to go while we are down."""

_NO_DRY_RUN = "!has(request.dryRun) || !request.dryRun"
_DELETES = {"name": "deletes", "expression": _NO_DRY_RUN}
_WRITES = {"name": "writes", "expression": _NO_DRY_RUN}


def entries(client_config: Callable[[str], dict[str, Any]], timeout: int) -> list[dict[str, Any]]:
    """Return the entries of the guard.

    The first always fails closed. It exempts no namespace and no user: our own account writes only
    ``/status``, which its rules don't match. The second only learns who deleted what in a namespace: were it
    to fail closed, no namespace could be deleted while we are down. The third only learns who wrote which
    policy, for the decision log: a policy must be mendable while we are down.

    Args:
        client_config: returns the ``clientConfig`` for a path.
        timeout: seconds that the API server waits.
    """
    every = ["CREATE", "UPDATE"]
    guard = _entry("guard", client_config(PATH), timeout, "Fail")
    guard["matchConditions"] = [_SPEC_CHANGES]
    guard["rules"] = [
        _rule("Namespaced", every, _NAMESPACED),
        _rule("Cluster", [*every, "DELETE"], _CLUSTER),
    ]
    deleted = _entry("deleted.guard", client_config(DELETED_PATH), timeout, "Ignore")
    deleted["matchConditions"] = [_DELETES]
    deleted["rules"] = [_rule("Namespaced", ["DELETE"], _NAMESPACED)]
    recorded = _entry("recorded.guard", client_config(RECORDED_PATH), timeout, "Ignore")
    recorded["matchConditions"] = [_SPEC_CHANGES, _WRITES]
    recorded["rules"] = [
        _rule("Namespaced", [*every, "DELETE"], ("policies",)),
        _rule("Cluster", [*every, "DELETE"], ("clusterpolicies",)),
    ]
    return [guard, deleted, recorded]


def _entry(name: str, config: dict[str, Any], timeout: int, failure_policy: str) -> dict[str, Any]:
    return {
        "name": f"{name}.{GROUP}",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": failure_policy,
        "matchPolicy": "Equivalent",
        "timeoutSeconds": timeout,
        "clientConfig": config,
        "namespaceSelector": {},
        "objectSelector": {},
    }


def _rule(scope: str, operations: list[str], resources: tuple[str, ...]) -> dict[str, Any]:
    return {
        "apiGroups": [GROUP],
        "apiVersions": [VERSION],
        "operations": operations,
        "resources": list(resources),
        "scope": scope,
    }
