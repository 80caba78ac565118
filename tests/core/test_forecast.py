"""A forecast says what `evaluate` will say: at each ending, for what an acceptance lets through now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.core.builders import (
    APPETITE,
    NON_ROOT,
    acceptance,
    approval,
    container,
    pod,
    policy,
    request,
    snapshot,
    validation,
)
from webhook.core.evaluate import evaluate
from webhook.core.forecast import Forecast, Forecaster
from webhook.core.model import Action
from webhook.core.policy import AcceptanceLimits

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
YEAR = NOW + timedelta(days=365)
POLICY = policy(NON_ROOT)


def risk(name: str, until: str, since: str = "2026-11-01", **spec: Any) -> dict[str, Any]:
    window = {"validFrom": f"{since}T00:00:00Z", "validUntil": f"{until}T00:00:00Z"}
    return acceptance(name, **window, **spec)


def foretell(
    *risks: dict[str, Any],
    policies: tuple[Any, ...] = (POLICY,),
    pods: tuple[Any, ...] = (pod(),),
    until: datetime = YEAR,
    **around: Any,
) -> Forecast[str]:
    known = snapshot(*policies, risks=risks, approvals=tuple(map(approval, risks)), **around)
    requests = {each["metadata"]["name"]: request(each) for each in pods}
    forecaster: Forecaster[str] = Forecaster(
        lambda name, moment: evaluate(requests[name], known, moment),
        known.policies,
        known.register,
        NOW,
        until,
    )
    for name in requests:
        forecaster.take(name)
    return forecaster.forecast()


def ends(found: Forecast[str]) -> list[tuple[str, str]]:
    return [(each.acceptance.name, f"{each.at:%Y-%m-%d}") for each in found.endings]


def refused(found: Forecast[str]) -> list[tuple[str, str]]:
    return [(each.subject, f"{each.at:%Y-%m-%d}") for each in found.refusals]


def test_what_an_acceptance_lets_through_is_refused_from_its_end_on() -> None:
    found = foretell(risk("legacy", "2026-12-01"))
    assert ends(found) == [("legacy", "2026-12-01")]
    assert refused(found) == [("web", "2026-12-01")]
    (refusal,) = found.refusals
    assert "RiskAcceptance shop/legacy does not cover this: it ended" in refusal.verdict.message
    assert [str(each.acceptance) for each in refusal.ended] == ["shop/legacy"]
    assert found.endings[0].pods_until == refusal.at + timedelta(days=30)


@pytest.mark.parametrize("until", [timedelta(days=7, hours=11, minutes=59), timedelta(days=7, hours=12)])
def test_only_what_ends_by_then_is_told(until: timedelta) -> None:
    found = foretell(risk("legacy", "2026-12-01"), until=NOW + until)
    assert bool(found.endings) is bool(found.refusals) is (until == timedelta(days=7, hours=12))


def test_a_renewal_that_is_approved_keeps_it_running_until_that_ends_too() -> None:
    found = foretell(risk("legacy", "2026-12-01"), risk("renewal", "2027-01-10", since="2026-11-30"))
    assert ends(found) == [("legacy", "2026-12-01"), ("renewal", "2027-01-10")]
    assert refused(found) == [("web", "2027-01-10")]


def test_a_gap_before_the_renewal_is_told() -> None:
    found = foretell(risk("legacy", "2026-12-01"), risk("renewal", "2027-01-10", since="2026-12-05"))
    assert refused(found) == [("web", "2026-12-01")]


def test_an_end_that_the_policy_brings_forward_is_the_one_that_is_told() -> None:
    short = policy(NON_ROOT, name="short", limits=AcceptanceLimits(max_duration=timedelta(days=30)))
    named = [{"kind": "ClusterPolicy", "name": name} for name in ("policy", "short")]
    found = foretell(risk("legacy", "2027-01-15", policies=named), policies=(POLICY, short))
    assert ends(found) == [("legacy", "2026-12-01"), ("legacy", "2027-01-15")]
    assert [[str(ref) for ref in each.policies] for each in found.endings] == [["short"], ["policy"]]
    assert refused(found) == [("web", "2026-12-01")]
    assert "capped from 2027-01-15" in found.endings[0].reason


def test_what_is_refused_already_or_never_is_told_apart() -> None:
    fine = pod(container(securityContext={"runAsNonRoot": True}), name="fine")
    found = foretell(risk("legacy", "2026-12-01"), pods=(pod(name="api"), fine, pod()))
    assert found.refused_now == ("api",)
    assert refused(found) == [("web", "2026-12-01")]
    assert found.subjects == 3


def test_a_policy_that_only_warns_refuses_nothing_then() -> None:
    warns = policy(NON_ROOT, actions=(Action.WARN,))
    found = foretell(risk("legacy", "2026-12-01"), policies=(warns,))
    assert ends(found) == [("legacy", "2026-12-01")]
    assert refused(found) == []


def test_what_is_not_in_force_does_not_end() -> None:
    never = risk("never", "2026-12-01")
    never["spec"]["revoked"] = {"at": "2026-11-02T00:00:00Z"}
    past = risk("past", "2026-11-20")
    assert foretell(never, past).endings == ()


def test_the_moment_is_by_our_own_clock_as_the_webhook_judges_by_the_later_one() -> None:
    found = foretell(risk("legacy", "2026-12-01"), clock_skew=timedelta(minutes=10))
    (ending,) = found.endings
    assert ending.at == datetime(2026, 11, 30, 23, 50, tzinfo=UTC)
    assert [each.at for each in found.refusals] == [ending.at]


def test_where_nothing_keeps_running_no_such_time_is_told() -> None:
    strict = {**APPETITE, "spec": {**APPETITE["spec"], "afterExpiry": "Deny"}}
    assert foretell(risk("legacy", "2026-12-01"), appetite=strict).endings[0].pods_until is None


def test_only_what_an_acceptance_lets_through_is_judged_again() -> None:
    calls: list[str] = []
    counted = policy(
        validation(lambda activation: calls.append(activation.object["metadata"]["name"]) or True),  # type: ignore[func-returns-value]
        name="counted",
    )
    pods = tuple(pod(container(securityContext={"runAsNonRoot": True}), name=f"n{n}") for n in range(20))
    many = [risk(f"r{n}", f"2026-12-{n:02d}") for n in range(1, 20)]
    foretell(*many, policies=(POLICY, counted), pods=(*pods, pod()))
    assert calls.count("n0") == 1
    # The one that is accepted is judged again only when what accepts it ends: the last of all.
    assert calls.count("web") == 2
