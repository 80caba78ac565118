"""What a new snapshot makes the audit judge again, and no more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.core.builders import APPETITE, NON_ROOT, acceptance, approval, namespace, policy, snapshot
from tests.core.test_keep_running import DEPLOYMENT, END, REPLICASET
from webhook.core.model import PolicyRef
from webhook.core.policy import ParamSource
from webhook.core.selectors import Selector
from webhook.operator.audit.impact import Calendar, impact

ONE, TWO = policy(NON_ROOT, name="policy"), policy(NON_ROOT, name="two")
RISK = acceptance()
SECOND = timedelta(seconds=1)
AFFECTED = {(PolicyRef("ClusterPolicy", "", "policy"), "shop")}


def of_appetite(**spec: Any) -> dict[str, Any]:
    return {**APPETITE, "spec": {**APPETITE["spec"], **spec}}


def test_the_same_changes_nothing() -> None:
    known = snapshot(ONE, risks=(RISK,), approvals=(approval(RISK),))
    made = impact(known, known)
    assert (made.policies, made.namespaces, made.affected, made.owners) == ([], set(), set(), set())


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((), (ONE,), ["policy"]),
        ((ONE,), (), ["policy"]),
        ((ONE, TWO), (ONE, replace(TWO, generation=2)), ["two", "two"]),
        ((ONE,), (replace(ONE, background=False),), ["policy"]),
        ((replace(ONE, background=False),), (replace(ONE, background=False),), []),
    ],
    ids=["new", "gone", "changed: what it matched and matches", "left out from now on", "left out as before"],
)
def test_what_a_policy_matches_is_listed_when_it_changes(
    before: Any, after: Any, expected: list[str]
) -> None:
    made = impact(snapshot(*before), snapshot(*after))
    assert [each.ref.name for each in made.policies] == expected


def test_parameters_that_change_concern_the_policies_that_name_them() -> None:
    source = ParamSource("", "v1", "ConfigMap", "limits", None, "shop", required=True)
    with_params = replace(ONE, param_source=source)

    def limits(value: str) -> dict[str, Any]:
        metadata = {"name": "limits", "namespace": "shop"}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"most": value}}

    before = snapshot(with_params, TWO, params=(limits("1"),))
    assert impact(before, snapshot(with_params, TWO, params=(limits("1"),))).policies == []
    changed = impact(before, snapshot(with_params, TWO, params=(limits("2"),)))
    assert {each.ref.name for each in changed.policies} == {"policy"}


@pytest.mark.parametrize("selects", [True, False], ids=["a policy selects by labels", "none does"])
def test_a_namespaces_labels_count_where_a_policy_selects_by_them(*, selects: bool) -> None:
    selector = Selector.parse({"matchLabels": {"stage": "prod"}})
    chosen = replace(ONE, namespace_selector=selector) if selects else ONE
    before = snapshot(chosen, namespaces=(namespace(), namespace("other")))
    after = snapshot(chosen, namespaces=(namespace(stage="prod"), namespace("other"), namespace("new")))
    assert impact(before, after).namespaces == ({"shop"} if selects else set())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"risks": (RISK,)}),
        ({"risks": (RISK,)}, {}),
        ({"risks": (RISK,)}, {"risks": (RISK,), "approvals": (approval(RISK),)}),
        ({"risks": (RISK,)}, {"risks": (RISK,), "appetite": of_appetite(keepRunningFor="1d")}),
        ({"risks": (RISK,)}, {"risks": (acceptance(validUntil="2026-11-30T00:00:00Z"),)}),
        ({"risks": (RISK,)}, {"risks": (RISK,), "clock_skew": timedelta(seconds=60)}),
    ],
    ids=["new", "deleted", "approved", "another appetite", "changed", "another clock"],
)
def test_an_acceptance_concerns_what_violates_its_policies_in_its_namespace(before: Any, after: Any) -> None:
    assert impact(snapshot(ONE, **before), snapshot(ONE, **after)).affected == AFFECTED


def test_owners_that_change_concern_what_was_made_in_their_namespace() -> None:
    assert impact(
        snapshot(ONE, owners=(DEPLOYMENT,)), snapshot(ONE, owners=(DEPLOYMENT, REPLICASET))
    ).owners == {"shop"}


def test_each_moment_of_an_acceptance_is_known_to_the_second() -> None:
    calendar = Calendar(snapshot(ONE, risks=(RISK,), approvals=(approval(RISK),)))
    assert calendar.between(END - SECOND, END) == AFFECTED
    assert calendar.between(END, END + SECOND) == set()
    assert calendar.between(END - 3 * SECOND, END - SECOND) == set()
