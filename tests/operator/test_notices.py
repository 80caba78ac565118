"""Which Events a change of a status is worth, and that none comes twice."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.operator.test_status import APPETITE, acceptance, approval, policy
from tests.operator.test_status_writer import FakeClient, FakeInventory
from webhook.adapters.snapshots import Context, build
from webhook.core.times import format_time
from webhook.operator.inventory import ACCEPTANCES
from webhook.operator.notices import notices
from webhook.operator.status import acceptance_status
from webhook.operator.status_writer import StatusReconciler

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def told_over(days: list[float], **spec: Any) -> list[list[str]]:
    """Return the Events of an acceptance that ends in 60 days, as its status is written anew each time."""
    obj = acceptance(validUntil=format_time(NOW + timedelta(days=60)), **spec)
    built = build([obj, approval(obj), policy(), APPETITE], Context(trust_approvals=True))
    policies = {each.ref: each for each in built.policies}
    observed: dict[str, Any] = {}
    told = []
    for day in days:
        now = NOW + timedelta(days=day)
        wanted = acceptance_status(obj, policies, built.register, observed, now).fields
        told.append([f"{each.reason} {each.key.partition(' ')[0]}" for each in notices(wanted, observed)])
        observed = wanted
    return told


def test_each_notice_and_the_end_are_told_once() -> None:
    days = [0, 29, 30, 31, 52, 53, 54, 58.9, 59, 59.5, 60, 61, 90]
    told = [[each.partition(" sha256:")[0] for each in some] for some in told_over(days)]
    expected: dict[float, list[str]] = {
        30: ["Expiring WithinThirtyDays"],
        53: ["Expiring WithinSevenDays"],
        59: ["Expiring WithinOneDay"],
        60: ["Expired"],
    }
    assert told == [expected.get(day, []) for day in days]


def test_after_a_long_time_without_a_leader_only_what_is_still_true_is_told() -> None:
    assert [[each.split()[0] for each in some] for some in told_over([0, 55, 70])] == [
        [],
        ["Expiring"],
        ["Expired"],
    ]


def test_a_revocation_is_told_once() -> None:
    told = told_over([0, 1], revoked={"at": format_time(NOW)})
    assert [[each.split()[0] for each in some] for some in told] == [["Revoked"], []]


class World:
    """One acceptance that ends soon, and whoever writes its status."""

    def __init__(self, until: timedelta) -> None:
        now = datetime.now(UTC)
        obj = acceptance(validFrom=format_time(now - timedelta(days=2)), validUntil=format_time(now + until))
        obj["metadata"]["uid"] = "1"
        given = approval(obj)
        given["spec"]["approvedAt"] = format_time(now - timedelta(days=1))
        self.snapshot = build([obj, given, policy(), APPETITE], Context(trust_approvals=True))
        self.client = FakeClient()
        self.client.objects[ACCEPTANCES.path_of("shop", "one")] = copy.deepcopy(obj)
        self.inventory = FakeInventory()
        self.inventory.own["RiskAcceptance"].items["shop", "one"] = obj
        self.events: list[dict[str, Any]] = []
        plain = self.client.request

        async def request(method: str, path: str, **named: Any) -> Any:
            if method == "POST":
                self.events.append(named["body"])
            return await plain(method, path, **named)

        self.client.request = request  # type: ignore[method-assign]

    async def round_of_a_new_leader(self) -> None:
        self.live = ()
        writer = StatusReconciler(self.client, self.inventory, self, self)  # type: ignore[arg-type]
        await writer.reconcile(self.snapshot, registered=True)
        await writer.reconcile(self.snapshot, registered=True)


@pytest.mark.parametrize(
    ("until", "reason", "says"),
    [
        (timedelta(days=6), "Expiring", "ends within 7 days, at "),
        (timedelta(days=-1), "Expired", "it ended at "),
    ],
)
async def test_the_event_is_on_the_acceptance_and_no_other_leader_repeats_it(
    until: timedelta, reason: str, says: str
) -> None:
    world = World(until)
    for _ in range(3):
        await world.round_of_a_new_leader()
    (event,) = world.events
    assert (event["reason"], event["type"]) == (reason, "Warning")
    assert says in event["message"]
    about = event["involvedObject"]
    assert (about["kind"], about["namespace"], about["name"], about["uid"]) == (
        "RiskAcceptance",
        "shop",
        "one",
        "1",
    )


@pytest.mark.parametrize("kind", ["Ready", "Expiring", "Expired", "Revoked"])
def test_a_status_in_which_nothing_changed_tells_nothing(kind: str) -> None:
    same = {"conditions": [{"type": kind, "status": "True", "reason": "CompileError", "message": "why"}]}
    assert notices(same, same) == []
