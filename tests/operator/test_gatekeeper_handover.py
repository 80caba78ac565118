"""What a takeover refuses, and that it leaves what it refuses, and what fails, as it was."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from tests.gatekeeper.gk import cel_template, constraint
from webhook.adapters.snapshots import Context
from webhook.core.errors import InputError
from webhook.operator import gatekeeper_enforcers, gatekeeper_handover, live_snapshot
from webhook.operator.client import Answer, ApiError
from webhook.operator.gatekeeper_enforcers import Where
from webhook.operator.gatekeeper_handover import Moving
from webhook.operator.status_lines import Overview
from webhook.operator.webhooks import CONFIGURATIONS

Object = dict[str, Any]

ACTION, TAKEN = "tidewaiter.dev/enforcement-action", "tidewaiter.dev/taken-over"
PATH = "/apis/constraints.gatekeeper.sh/v1beta1/k8srefused/refused"
MATCH = {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}
UNUSABLE = cel_template(validations=[{"expression": "object.", "message": "m"}])


class Cluster:
    """An API server with one constraint, an installation, and what it judges by.

    Attributes:
        constraint: as it is now.
        refuses: the methods that it forbids.
        patches: what was changed, in order.
    """

    def __init__(self, made: Object, *others: Object, settings: Mapping[str, Any]) -> None:
        self.constraint = made
        self.refuses: set[str] = set()
        self.patches: list[Object] = []
        self.others = others
        self.configuration = True
        self.settings = settings

    async def request(self, method: str, path: str, *, body: Any = None, **_: Any) -> Answer:
        if method in self.refuses:
            raise ApiError(403, "Forbidden", "k8srefused is forbidden: User jane cannot do this")
        if path.startswith(CONFIGURATIONS.path) and self.configuration:
            return Answer({}, None)
        if path != PATH:
            raise ApiError(404, "NotFound", "there is none")
        if method == "PATCH":
            self.patches.append(body)
            for part in ("metadata", "spec"):
                self._change(self.constraint.setdefault(part, {}), body.get(part) or {})
        return Answer(copy.deepcopy(self.constraint), None)

    def _change(self, known: Object, change: Mapping[str, Any]) -> None:
        for name, value in change.items():
            if value is None:
                known.pop(name, None)
            elif isinstance(value, Mapping) and isinstance(known.get(name, {}), dict):
                self._change(known.setdefault(name, {}), value)
            else:
                known[name] = value


def existing(**spec: Any) -> Object:
    made = constraint(match=MATCH, **spec)
    made["metadata"] |= {"uid": "u", "resourceVersion": "1", "generation": 1}
    return made


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Return a cluster where everything is as it should be."""
    made = Cluster(existing(), cel_template(), settings={"gatekeeper": "beside"})

    async def looked(_: Where) -> tuple[Overview, None]:
        overview = Overview()
        overview.settings = dict(made.settings)
        return overview, None

    async def read(*_: Any) -> Any:
        objects = [*made.others, copy.deepcopy(made.constraint)]
        return SimpleNamespace(objects=objects, context=Context(gatekeeper="beside"))

    monkeypatch.setattr(gatekeeper_enforcers, "looked", looked)
    monkeypatch.setattr(live_snapshot, "read", read)
    return made


def where(cluster: Cluster, seconds: float = 0) -> Where:
    return Where(cluster, "tidewaiter-system", "tidewaiter", seconds)  # type: ignore[arg-type]


async def take(cluster: Cluster, name: str = "refused", *, dry: bool = False) -> Moving:
    (moved,) = await gatekeeper_handover.take_over(where(cluster), [("K8sRefused", name)], dry=dry)
    return moved


async def give(cluster: Cluster, seconds: float = 0) -> Moving:
    (moved,) = await gatekeeper_handover.give_back(
        where(cluster, seconds), [("K8sRefused", "refused")], dry=False
    )
    return moved


def own(obj: Object) -> set[str]:
    return {name for name in obj["metadata"].get("annotations") or {} if name.startswith("tidewaiter.dev/")}


async def test_it_is_taken_once_and_given_back_to_the_letter(cluster: Cluster) -> None:
    before = copy.deepcopy(cluster.constraint["spec"])
    moved = await take(cluster)
    assert not moved.problem
    assert own(cluster.constraint) == {ACTION, TAKEN}
    assert cluster.constraint["spec"]["enforcementAction"] == "scoped"
    patches = len(cluster.patches)
    assert patches == 2, "both enforce it before one no longer does"
    again = await take(cluster)
    assert (again.said, again.problem, len(cluster.patches)) == ("it was taken over already", "", patches)
    back = await give(cluster)
    assert not back.problem
    assert (cluster.constraint["spec"], own(cluster.constraint)) == (before, set())
    once_more = await give(cluster)
    assert (once_more.said, once_more.problem) == ("nothing was taken over", "")


async def test_a_dry_run_changes_nothing(cluster: Cluster) -> None:
    moved = await take(cluster, dry=True)
    assert moved.said.startswith("would be: deny is enforced by Tidewaiter")
    assert not cluster.patches


@pytest.mark.parametrize(
    ("others", "change", "why"),
    [
        ((), {}, "Tidewaiter can't enforce it, so Gatekeeper keeps it: there is no ConstraintTemplate for"),
        (
            (UNUSABLE,),
            {},
            "Tidewaiter can't use its ConstraintTemplate, so Gatekeeper keeps it: spec.targets[0].code[0].",
        ),
        (
            (cel_template(),),
            {"match": {"labelSelector": {"matchExpressions": [{"key": "a", "operator": "Never"}]}}},
            "Tidewaiter can't enforce it, so Gatekeeper keeps it: spec.match.labelSelector",
        ),
        (
            (cel_template(),),
            {"enforcementAction": "scoped", "scopedEnforcementActions": []},
            "there is nothing to take over",
        ),
    ],
)
async def test_what_nobody_would_enforce_stays_where_it_is(
    cluster: Cluster, others: Sequence[Object], change: Any, why: str
) -> None:
    cluster.others = tuple(others)
    cluster.constraint["spec"] |= change
    moved = await take(cluster)
    assert why in moved.problem
    assert not cluster.patches


async def test_one_that_is_not_there_says_where_to_look(cluster: Cluster) -> None:
    moved = await take(cluster, "none")
    assert moved.problem == (
        "there is no K8sRefused none: kubectl get constraints lists those that there are"
    )


async def test_a_note_that_can_not_be_read_says_how_to_do_without_it(cluster: Cluster) -> None:
    cluster.constraint["metadata"]["annotations"] = {TAKEN: "{"}
    for moved in (await take(cluster), await give(cluster)):
        assert f"the annotation {TAKEN} can't be read: '{{'" in moved.problem
        assert f"remove {TAKEN} and {ACTION}" in moved.problem
    assert not cluster.patches


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_who_has_no_right_is_told_which_is_needed(cluster: Cluster, method: str) -> None:
    cluster.refuses = {method}
    if method == "GET":
        with pytest.raises(ApiError, match="cannot do this"):
            await take(cluster)
    else:
        problem = (await take(cluster)).problem
        assert problem.startswith("403: k8srefused is forbidden: User jane cannot do this")
        assert problem.endswith("Who moves a constraint must be allowed to get and patch it")
    assert not cluster.patches


@pytest.mark.parametrize("settings", [{}, {"gatekeeper": "off"}])
async def test_an_installation_that_leaves_constraints_alone_says_how_it_would_not(
    cluster: Cluster, settings: Mapping[str, Any]
) -> None:
    cluster.settings = settings
    with pytest.raises(InputError, match=r"gatekeeper\.mode=beside, or name its namespace by --namespace"):
        await take(cluster)
    assert not cluster.patches


async def test_without_a_webhook_configuration_nobody_would_enforce_it(cluster: Cluster) -> None:
    cluster.configuration = False
    with pytest.raises(InputError, match="or name its webhook configuration by --webhook-name"):
        await take(cluster)
    assert not cluster.patches


async def test_one_that_changes_meanwhile_is_left_to_who_changed_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def annotate(of: Where, each: Moving, annotations: Mapping[str, Any]) -> None:
        cluster.constraint["spec"]["enforcementAction"] = "warn"
        each.object = copy.deepcopy(cluster.constraint)

    monkeypatch.setattr(gatekeeper_handover, "_annotate", annotate)
    moved = await take(cluster)
    assert moved.problem == "it was changed meanwhile: look at it, and try again"
    assert cluster.constraint["spec"]["enforcementAction"] == "warn"


async def test_it_is_kept_until_gatekeeper_says_that_it_enforces_it(cluster: Cluster) -> None:
    await take(cluster)
    pod = {"id": "gatekeeper-0", "operations": ["webhook"], "observedGeneration": 1}
    for status, why in (
        ({}, "no Pod of its webhook is in status.byPod"),
        ({"byPod": [pod]}, "gatekeeper-0: it is not enforced"),
        ({"byPod": [{**pod, "errors": [{"message": "bad"}]}]}, "gatekeeper-0: bad"),
        ({"byPod": [{**pod, "observedGeneration": 0}]}, "gatekeeper-0 has not seen the change"),
    ):
        cluster.constraint["status"] = status
        moved = await give(cluster, seconds=0.01)
        assert why in moved.problem
        assert moved.problem.endswith("both may until this is done again")
        assert own(cluster.constraint) == {ACTION, TAKEN}, "we go on"
    cluster.constraint["status"] = {"byPod": [{**pod, "enforced": True}]}
    assert not (await give(cluster, seconds=10)).problem
    assert own(cluster.constraint) == set()
