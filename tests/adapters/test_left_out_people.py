"""A policy leaves out people and groups by a condition, without a change to what it demands."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.builders import NOW, namespace, pod, request
from webhook.adapters.snapshots import Context, build
from webhook.core.evaluate import evaluate

POLICY: dict[str, Any] = {
    "apiVersion": "tidewaiter.dev/v1alpha1",
    "kind": "ClusterPolicy",
    "metadata": {"name": "no-pods"},
    "spec": {
        "validationActions": ["Deny"],
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"]}
            ]
        },
        "matchConditions": [
            {
                "name": "not-on-call",
                "expression": "!('on-call' in request.userInfo.groups) && "
                "request.userInfo.username != 'system:serviceaccount:backup:restore'",
            }
        ],
        "validations": [{"name": "none", "expression": "false", "message": "no Pods"}],
    },
}


@pytest.mark.parametrize(
    ("user", "groups", "allowed"),
    [
        ("alice", (), False),
        ("alice", ("on-call",), True),
        ("alice", ("on-call-too",), False),
        ("system:serviceaccount:backup:restore", (), True),
        ("system:serviceaccount:backup:other", ("developers",), False),
    ],
)
def test_it_holds_for_everybody_else(user: str, groups: tuple[str, ...], allowed: bool) -> None:
    found = build([namespace(), POLICY], Context())
    assert not found.failures
    assert evaluate(request(pod(), user=user, groups=groups), found, NOW).allowed is allowed
