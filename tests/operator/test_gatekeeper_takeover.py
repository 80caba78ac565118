"""What `tidewaiter gatekeeper takeover` changes in a constraint, and how it puts it back."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from webhook.core.errors import InputError
from webhook.operator.gatekeeper_takeover import giving_back, merged, taking_over, with_annotations


def constraint(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "constraints.gatekeeper.sh/v1beta1",
        "kind": "K8sAllowedRepos",
        "metadata": {"name": "prod-repos", "resourceVersion": "7", "uid": "u", "labels": {"a": "b"}},
        "spec": {"match": {"scope": "*"}, **spec},
        "status": {"totalViolations": 3},
    }


def scoped(*entries: tuple[str, list[str]]) -> dict[str, Any]:
    return {
        "enforcementAction": "scoped",
        "scopedEnforcementActions": [
            {"action": action, "enforcementPoints": [{"name": point} for point in points]}
            for action, points in entries
        ],
    }


AUDIT, GATOR = "audit.gatekeeper.sh", "gator.gatekeeper.sh"
WEBHOOK, VAP = "validation.gatekeeper.sh", "vap.k8s.io"


@pytest.mark.parametrize(
    ("before", "after", "ours"),
    [
        ({}, scoped(("deny", [AUDIT, GATOR])), "deny"),
        ({"enforcementAction": "warn"}, scoped(("warn", [AUDIT, GATOR])), "warn"),
        (scoped(("deny", [WEBHOOK])), scoped(), "deny"),
        (scoped(("deny", [WEBHOOK, AUDIT])), scoped(("deny", [AUDIT])), "deny"),
        (scoped(("deny", ["*"])), scoped(("deny", [AUDIT, GATOR])), "deny"),
        (scoped(("warn", [WEBHOOK]), ("deny", [AUDIT, VAP])), scoped(("deny", [AUDIT, VAP])), "warn"),
        (scoped(("warn", [WEBHOOK]), ("deny", [WEBHOOK])), scoped(), "deny"),
    ],
)
def test_enforcement_moves_and_comes_back(before: Any, after: Any, ours: str) -> None:
    original = constraint(**before)
    change = taking_over(original)
    assert change is not None
    both = with_annotations(original, change)
    assert both["spec"] == original["spec"], "Gatekeeper goes on until we enforce it"
    assert taking_over(both) == change, "what was begun can be ended"
    taken = merged(original, change)
    assert {name: taken["spec"][name] for name in after} == after
    assert taken["metadata"]["annotations"]["tidewaiter.dev/enforcement-action"] == ours
    assert taken["metadata"]["labels"] == {"a": "b"}
    assert "status" not in taken
    assert taking_over(taken) is None, "it was taken over already"
    back = giving_back({**taken, "metadata": {**taken["metadata"], "resourceVersion": "8"}})
    assert back is not None
    restored = merged(taken, back)
    assert restored["spec"] == original["spec"]
    assert "annotations" not in restored["metadata"]
    assert giving_back(restored) is None


def test_what_held_at_our_point_before_holds_there_again() -> None:
    original = constraint(enforcementAction="dryrun")
    original["metadata"]["annotations"] = {"tidewaiter.dev/enforcement-action": "warn"}
    change = taking_over(original)
    assert change is not None
    taken = merged(original, change)
    assert taken["metadata"]["annotations"]["tidewaiter.dev/enforcement-action"] == "warn"
    back = giving_back(taken)
    assert back is not None
    assert merged(taken, back)["metadata"]["annotations"] == original["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (scoped(("deny", [AUDIT])), "does not enforce it at admission"),
        (scoped(), "does not enforce it at admission"),
        ({"enforcementAction": "never"}, "'never' is no enforcementAction"),
        ({"enforcementAction": "scoped", "scopedEnforcementActions": [{"action": "deny"}]}, "can't be read"),
        (scoped(("never", [WEBHOOK])), "an action that is none"),
    ],
)
def test_what_can_not_be_taken_over_says_why(spec: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        taking_over(constraint(**spec))


def test_a_note_that_can_not_be_read_is_refused() -> None:
    broken = copy.deepcopy(constraint())
    broken["metadata"]["annotations"] = {"tidewaiter.dev/taken-over": "{"}
    with pytest.raises(InputError, match="can't be read"):
        giving_back(broken)
