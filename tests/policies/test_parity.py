"""The packs pss-baseline and pss-restricted decide what Kubernetes' own PodSecurity admission decides.

Generated pods go to a real kube-apiserver as dry runs, into a namespace for each level and version, and to
the policies. Which controls are violated must be equal, and where PodSecurity names containers, those too.
"""

from __future__ import annotations

import collections
import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.policies import ours, pods, podsecurity

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("parity")]

VERSIONS = [*(f"v1.{minor}" for minor in range(25, 38)), "latest"]
ROOMY = ("privileged", "latest")

# PodSecurity names only the containers that say it themselves, if there are any.
CONTAINERS_DIFFER = {"restricted": {"Seccomp", "Running as Non-root"}, "baseline": set[str]()}


@dataclass
class Outcome:
    """What came of one level and version."""

    pods: int = 0
    denied: int = 0
    ephemeral: int = 0
    ephemeral_denied: int = 0
    sets: collections.Counter[frozenset[str]] = field(default_factory=collections.Counter)
    differences: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """A generated pod that the API server takes, as it was written and as it is with its defaults."""

    generated: pods.Generated
    forms: tuple[tuple[dict[str, Any], dict[str, Any] | None], ...]


@pytest.fixture(scope="module")
def plane(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("parity")
    silent = folder / "no-audit.json"
    silent.write_text(
        json.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "None"}]})
    )
    with ControlPlane(assets, folder / "plane", extra_apiserver=[f"--audit-policy-file={silent}"]) as running:
        pairs = [ROOMY, *((level, version) for level in ("baseline", "restricted") for version in VERSIONS)]
        podsecurity.make_namespaces(running, pairs, pods.ephemeral_bases())
        yield running


def test_a_sample_is_judged_as_podsecurity_does(plane: ControlPlane) -> None:
    outcomes = compare(plane, ("v1.25", "v1.34", "latest"), cases(plane, 180, 72))
    assert_equal(outcomes)
    for outcome in outcomes.values():
        assert outcome.pods >= 150
        assert outcome.ephemeral >= 48


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_every_version_is_judged_as_podsecurity_does(plane: ControlPlane) -> None:
    outcomes = compare(plane, VERSIONS, cases(plane, 3000, 1200))
    print(report(outcomes))
    assert_equal(outcomes)
    for (level, version), outcome in outcomes.items():
        place = f"{level} {version}"
        assert outcome.pods >= 2000, place
        assert outcome.pods / 3 <= outcome.denied <= outcome.pods * 2 / 3, place
        assert outcome.ephemeral_denied >= 200, place
        for control, count in decisive(level, version, outcome).items():
            assert count >= 20, (place, control)


def test_what_no_valid_pod_shows_is_refused_before(plane: ControlPlane) -> None:
    """Unmasked outside a user namespace violates baseline at every version, but no API server takes it."""
    context = {"procMount": "Unmasked"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "unmasked"},
        "spec": {"containers": [{"name": "web", "image": "shop/web:1", "securityContext": context}]},
    }
    answer = podsecurity.ask(plane, [podsecurity.Question(podsecurity.namespace_name(*ROOMY), pod)])[0]
    assert not answer.valid
    assert "`hostUsers` must be false" in answer.message
    for version in VERSIONS:
        baseline, restricted = ours.judge(ours.snapshot(version), ours.request(pod))
        assert baseline == {"/proc Mount Type": {"web"}}
        assert restricted["/proc Mount Type"] == {"web"}


def test_the_kustomizations_hold_every_policy(plane: ControlPlane) -> None:
    for pack, policies in (
        ("pss-baseline", ours.BASELINE),
        ("pss-restricted", {**ours.BASELINE, **ours.RESTRICTED}),
    ):
        rendered = plane.kubectl("kustomize", str(ours.PACKS / pack), check=True).stdout
        names = [line.split()[1] for line in rendered.splitlines() if line.startswith("  name: ")]
        assert sorted(names) == sorted(policies)
        files = {path.stem for path in (ours.PACKS / pack).glob("pod-*.yaml")}
        assert files <= set(policies)


def cases(plane: ControlPlane, count: int, ephemeral_count: int) -> list[Case]:
    """Return the generated pods that the API server takes at all."""
    roomy = podsecurity.namespace_name(*ROOMY)
    bases = pods.ephemeral_bases()
    stored = {
        base["metadata"]["name"]: plane.request(
            "GET", f"/api/v1/namespaces/{roomy}/pods/{base['metadata']['name']}"
        )[1]
        for base in bases
    }
    generated = [*pods.generate(count), *pods.generate_ephemeral(ephemeral_count, bases)]
    answers = podsecurity.ask(plane, [_question(roomy, each) for each in generated])
    found = []
    for each, answer in zip(generated, answers, strict=True):
        if not answer.valid:
            continue
        assert answer.object is not None, answer.message
        if each.ephemeral is None:
            forms: tuple[tuple[pods.Object, pods.Object | None], ...] = (
                (each.pod, None),
                (answer.object, None),
            )
        else:
            written = copy.deepcopy(each.pod)
            written["spec"]["ephemeralContainers"] = [each.ephemeral]
            forms = ((written, each.pod), (answer.object, stored[each.pod["metadata"]["name"]]))
        found.append(Case(each, forms))
    return found


def compare(
    plane: ControlPlane, versions: Sequence[str], judged: Sequence[Case]
) -> dict[tuple[str, str], Outcome]:
    """Ask both of every case at both levels of each version."""
    outcomes = {}
    for version in versions:
        shipped, whole = ours.snapshot(version), ours.snapshot(version, whole_objects=True)
        answers = {}
        for level in ("baseline", "restricted"):
            namespace = podsecurity.namespace_name(level, version)
            answers[level] = podsecurity.ask(plane, [_question(namespace, case.generated) for case in judged])
            outcomes[level, version] = Outcome()
        for number, case in enumerate(judged):
            truth = {level: answers[level][number] for level in answers}
            for level, answer in truth.items():
                _count(outcomes[level, version], case, answer)
            for obj, old in case.forms:
                asked = ours.request(obj, old)
                verdicts = [ours.judge(whole, asked)]
                if old is not None:
                    ratcheted = ours.judge(shipped, asked)
                    before = ours.judge(shipped, ours.request(old))
                    # What an UPDATE leaves as it was differs on purpose: see the README of the pack.
                    verdicts.append(
                        (
                            ratcheted[0] if not before[0] else verdicts[0][0],
                            ratcheted[1] if not before[1] else verdicts[0][1],
                        )
                    )
                for baseline, restricted in verdicts:
                    for level, mine in (("baseline", baseline), ("restricted", restricted)):
                        difference = _difference(level, mine, truth[level])
                        if difference:
                            outcomes[level, version].differences.append(
                                f"{level} {version} {case.generated.changes}: {difference}\n{json.dumps(obj)}"
                            )
    return outcomes


def assert_equal(outcomes: Mapping[tuple[str, str], Outcome]) -> None:
    differences = [each for outcome in outcomes.values() for each in outcome.differences]
    assert not differences, f"{len(differences)} differences:\n" + "\n".join(differences[:10])


def decisive(level: str, version: str, outcome: Outcome) -> dict[str, int]:
    """Return for each control how many pods it alone denied.

    The API server takes HostProcess only on the host network, and privileged only without the promise of no
    privilege escalation: there the pair counts.
    """
    minor = 1000 if version == "latest" else int(version.split(".")[1])
    controls = {*ours.BASELINE.values()}
    if minor < 34:
        controls.discard("Host Probes / Lifecycle Hooks")
    if level == "restricted":
        controls |= {*ours.RESTRICTED.values()}
        controls -= {*ours.CONTAINED}
    elif minor >= 35:
        controls.discard("/proc Mount Type")  # see test_what_no_valid_pod_shows_is_refused_before
    counts = {}
    for control in sorted(controls):
        smallest = {control}
        if control == "HostProcess":
            smallest.add("Host Namespaces: network")
        if control == "Privileged Containers" and level == "restricted":
            smallest.add("Privilege Escalation")
        counts[control] = outcome.sets[frozenset(smallest)]
    return counts


def report(outcomes: Mapping[tuple[str, str], Outcome]) -> str:
    """Return a table of what was compared."""
    lines = []
    for (level, version), outcome in outcomes.items():
        control, count = min(decisive(level, version, outcome).items(), key=lambda item: item[1])
        lines.append(
            f"{level:10} {version:7} pods {outcome.pods} ({outcome.denied / outcome.pods:.0%} denied), "
            f"ephemeral {outcome.ephemeral} ({outcome.ephemeral_denied} denied), "
            f"differences {len(outcome.differences)}, alone decisive at least {count} times ({control})"
        )
    return "\n".join(lines)


def _question(namespace: str, generated: pods.Generated) -> podsecurity.Question:
    return podsecurity.Question(namespace, generated.pod, generated.ephemeral)


def _count(outcome: Outcome, case: Case, answer: podsecurity.Answer) -> None:
    if case.generated.ephemeral is None:
        outcome.pods += 1
        outcome.denied += bool(answer.controls)
        outcome.sets[frozenset(answer.controls)] += 1
    else:
        outcome.ephemeral += 1
        outcome.ephemeral_denied += bool(answer.controls)


def _difference(level: str, mine: ours.Controls, answer: podsecurity.Answer) -> str:
    assert answer.valid, answer.message
    if set(mine) != set(answer.controls):
        return f"only here {sorted(set(mine) - set(answer.controls))}, only there {answer.message}"
    for control, containers in answer.controls.items():
        if control not in CONTAINERS_DIFFER[level] and containers != mine[control]:
            return f"{control}: here {sorted(mine[control])}, there {answer.message}"
    return ""
