"""Since when the floor of the guard has held, as the operator sees it."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from webhook.operator.client import KubernetesClient
from webhook.operator.floor import NEVER, Floor, holds

RULE = {
    "apiGroups": ["tidewaiter.dev"],
    "apiVersions": ["v1alpha1"],
    "operations": ["CREATE", "UPDATE"],
    "resources": ["riskapprovals"],
}


def policy(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [RULE], "namespaceSelector": {}, "objectSelector": {}},
            "validations": [{"expression": "true"}],
        },
    }


def binding(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }


@pytest.mark.parametrize(
    ("of_policy", "of_binding", "held"),
    [
        ({}, {}, True),
        ({}, {"validationActions": ["Deny", "Audit"]}, True),
        ({"failurePolicy": "Ignore"}, {}, False),
        ({"matchConditions": [{"name": "some", "expression": "false"}]}, {}, False),
        (
            {"matchConstraints": {"resourceRules": [RULE], "objectSelector": {"matchLabels": {"a": "b"}}}},
            {},
            False,
        ),
        (
            {"matchConstraints": {"resourceRules": [RULE], "namespaceSelector": {"matchLabels": {}}}},
            {},
            False,
        ),
        ({"matchConstraints": {"resourceRules": [RULE], "excludeResourceRules": [RULE]}}, {}, False),
        ({}, {"policyName": "another"}, False),
        ({}, {"validationActions": ["Audit"]}, False),
        ({}, {"matchResources": {"namespaceSelector": {"matchLabels": {"a": "b"}}}}, False),
    ],
)
def test_a_floor_with_a_hole_is_none(of_policy: Any, of_binding: Any, held: bool) -> None:
    one, other = copy.deepcopy(policy("guard-approvals")), copy.deepcopy(binding("guard-approvals"))
    one["spec"] |= of_policy
    other["spec"] |= of_binding
    assert holds(one, other) is held


async def test_without_a_name_there_is_nothing_to_wait_for(client: KubernetesClient) -> None:
    floor = Floor(client, "", lambda: None)
    assert floor.known
    assert floor.since == ""
    assert floor.problem == ""


@pytest.mark.e2e
@pytest.mark.xdist_group("operator")
async def test_the_floor_is_as_old_as_its_youngest_part(
    plane: ControlPlane, client: KubernetesClient, until: Callable[..., Awaitable[None]]
) -> None:
    changes: list[str] = []
    floor = Floor(client, "floor", lambda: changes.append(floor.since))
    assert not floor.known
    assert floor.since == NEVER, "nothing counts before it is known"
    assert floor.problem == ""
    task = asyncio.create_task(floor.run())

    def apply(*objects: dict[str, Any]) -> None:
        plane.kubectl("apply", "-f", "-", input="\n---\n".join(map(json.dumps, objects)), check=True)

    def created(kind: str, name: str) -> str:
        jsonpath = "-o=jsonpath={.metadata.creationTimestamp}"
        return plane.kubectl("get", kind, name, jsonpath, check=True).stdout

    try:
        await until(lambda: floor.known, 30)
        assert floor.since == NEVER
        assert "floor-acceptances or its binding is missing" in floor.problem
        await asyncio.to_thread(apply, policy("floor-acceptances"), policy("floor-approvals"))
        await asyncio.to_thread(apply, binding("floor-acceptances"))
        await asyncio.sleep(1.1)  # creation times are whole seconds
        assert floor.since == NEVER
        assert "floor-approvals or its binding is missing" in floor.problem
        await asyncio.to_thread(apply, binding("floor-approvals"))
        await until(lambda: floor.since != NEVER, 30)
        youngest = await asyncio.to_thread(created, "validatingadmissionpolicybinding", "floor-approvals")
        assert floor.since == youngest
        assert floor.problem == ""
        assert changes[-1] == youngest
        gone = ("delete", "validatingadmissionpolicy", "floor-acceptances")
        await asyncio.to_thread(plane.kubectl, *gone, check=True)
        await until(lambda: floor.since == NEVER, 30)
        assert "floor-acceptances" in floor.problem
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for kind in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
            await asyncio.to_thread(plane.kubectl, "delete", kind, "--all", check=True)
