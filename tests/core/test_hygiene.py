"""Acceptances that cover nothing, or less than they could, are found; the narrower scope covers the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.builders import NON_ROOT, NOW, acceptance, approval, container, pod, policy, request, snapshot
from webhook.core.acceptance import parse_acceptance
from webhook.core.coverage import mismatch
from webhook.core.evaluate import evaluate
from webhook.core.hygiene import Covered, Hygiene, covered_by, hygiene, narrower
from webhook.core.model import ObjectRef, PolicyRef

LEGACY = PolicyRef("RiskAcceptance", "shop", "legacy")
POLICY = PolicyRef("ClusterPolicy", "", "policy")


def deployment(name: str, namespace: str = "shop") -> ObjectRef:
    return ObjectRef("apps", "v1", "Deployment", namespace, name)


def covered(name: str = "web", container: str = "app", image: str = "r/app:1", **more: Any) -> Covered:
    return Covered(LEGACY, more.pop("policy", POLICY), deployment(name, **more), container, image)


def scope(*names: str, kinds: tuple[str, ...] = ("Deployment",), **more: Any) -> dict[str, Any]:
    given = {"names": list(names)} if names else {}
    return {"kinds": [{"group": "apps", "kind": kind} for kind in kinds], **given, **more}


@pytest.mark.parametrize(
    ("spec", "found", "proposal"),
    [
        ({"scope": scope("web")}, [covered()], {}),
        ({"scope": scope("web", "api")}, [covered()], {"scope.names": ["web"]}),
        ({"scope": scope("*")}, [covered("b"), covered("a")], {"scope.names": ["a", "b"]}),
        ({"scope": scope("w*", "a*")}, [covered(f"w{n}") for n in range(17)], {"scope.names": ["w*"]}),
        (
            {"scope": scope("web", kinds=("Deployment", "StatefulSet"))},
            [covered()],
            {"scope.kinds": [{"group": "apps", "kind": "Deployment"}]},
        ),
        ({"scope": scope("web", containers=["app", "proxy"])}, [covered()], {"scope.containers": ["app"]}),
        ({"scope": scope(images=["r/*"])}, [covered()], {"scope.images": ["r/app:1"]}),
        (
            {
                "policies": [
                    {"kind": "ClusterPolicy", "name": "policy", "validations": ["a"], "severity": "low"},
                    {"kind": "ClusterPolicy", "name": "other"},
                ],
                "scope": scope("web"),
            },
            [covered()],
            {
                "policies": [
                    {"kind": "ClusterPolicy", "name": "policy", "validations": ["a"], "severity": "low"}
                ]
            },
        ),
    ],
)
def test_the_narrower_scope_is_what_is_covered(
    spec: dict[str, Any], found: list[Covered], proposal: dict[str, Any]
) -> None:
    assert narrower(parse_acceptance(acceptance(**spec)), found) == proposal


def test_names_that_end_at_random_stay_patterns() -> None:
    asked = parse_acceptance(acceptance(scope={"kinds": [{"kind": "Pod"}], "names": ["web-*", "api-*"]}))
    target = ObjectRef("", "v1", "Pod", "shop", "web-x7k2p")
    assert narrower(asked, [Covered(LEGACY, POLICY, target)]) == {"scope.names": ["web-*"]}


def test_what_was_made_of_an_accepted_workload_says_nothing_of_its_name() -> None:
    asked = parse_acceptance(acceptance(scope=scope("*")))
    made = ObjectRef("", "v1", "Pod", "shop", "web-x7k2p")
    assert narrower(asked, [Covered(LEGACY, POLICY, made)]) == {}


def test_a_cluster_acceptance_is_narrowed_to_the_namespaces_it_covers() -> None:
    asked = parse_acceptance(
        acceptance(kind="ClusterRiskAcceptance", scope=scope("web", namespaces=["shop-*", "test"]))
    )
    found = [covered(namespace=name) for name in ("shop-1", "shop-2")]
    assert narrower(asked, found) == {"scope.namespaces": ["shop-1", "shop-2"]}


TEXTS = st.sampled_from(["web", "web-1", "api", "api-1", "x"])
PATTERNS = st.lists(st.sampled_from(["*", "web*", "api-*", "web", "x", "*-1"]), min_size=1, max_size=3)


@given(
    names=PATTERNS,
    images=st.none() | PATTERNS,
    found=st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=20),
)
@settings(max_examples=300, deadline=None)
def test_a_proposal_covers_everything_that_the_acceptance_covers(
    names: list[str], images: list[str] | None, found: list[tuple[str, str, str]]
) -> None:
    spec = scope(*names, kinds=("Deployment", "StatefulSet"), **({"images": images} if images else {}))
    asked = parse_acceptance(acceptance(scope=spec))
    violation = evaluate(request(pod()), snapshot(policy(NON_ROOT)), NOW).violations[0]
    all_covered = []
    for name, part, image in found:
        one = type(violation)(
            **{
                **{field: getattr(violation, field) for field in violation.__dataclass_fields__},
                "container": part,
                "image": image,
            }
        )
        if not mismatch(asked, one, deployment(name), None)[0]:
            all_covered.append((one, covered(name, part, image)))
    if not all_covered:
        return
    proposal = narrower(asked, [each for _, each in all_covered])
    narrowed = {**spec, **{part.removeprefix("scope."): value for part, value in proposal.items()}}
    after = parse_acceptance(acceptance(scope=narrowed))
    for one, each in all_covered:
        assert mismatch(after, one, each.target, None) == ("", True)


def tidied(*pods: dict[str, Any], days: float = 0, **spec: Any) -> tuple[Hygiene, ...]:
    risk = acceptance(**spec)
    around = snapshot(policy(NON_ROOT), risks=(risk,), approvals=(approval(risk),))
    at = NOW + timedelta(days=days)
    found = []
    for each in pods:
        asked = request(each)
        found += covered_by(evaluate(asked, around, at), asked.target)
    return hygiene(around.register, around.policies, found, at)


FINE = container(securityContext={"runAsNonRoot": True})


@pytest.mark.parametrize(
    ("pods", "obsolete"),
    [((), True), ((pod(name="api"),), True), ((pod(FINE),), True), ((pod(),), False)],
    ids=["nothing there", "nothing matches", "it complies now", "it is needed"],
)
def test_what_covers_nothing_is_obsolete(pods: tuple[dict[str, Any], ...], *, obsolete: bool) -> None:
    expected = (Hygiene(LEGACY, 0, obsolete=True),) if obsolete else ()
    assert tidied(*pods) == expected


def test_what_is_not_in_force_is_not_tidied() -> None:
    assert tidied(days=30) == ()
    assert tidied(revoked={"at": "2026-11-02T00:00:00Z"}) == ()


def test_a_new_acceptance_may_wait_a_day_for_what_it_is_for() -> None:
    fresh = {"validFrom": "2026-11-23T00:00:00Z"}
    assert tidied(**fresh) == ()
    assert tidied(days=0.6, **fresh) == (Hygiene(LEGACY, 0, obsolete=True),)


def test_what_could_be_narrower_says_how() -> None:
    both = {"kinds": [{"kind": "Pod"}, {"group": "apps", "kind": "Deployment"}], "names": ["web*"]}
    (found,) = tidied(pod(), scope=both)
    assert (found.covered, found.obsolete, found.broad) == (1, False, ("scope.kinds",))
    assert found.proposal == {"scope.kinds": [{"group": "", "kind": "Pod"}]}
