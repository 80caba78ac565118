"""`tidewaiter risk import`: drafts of what other tools except, in force nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from offline_manifests import acceptance, always, appetite, approval, deployment, namespace, pod, write

from webhook.adapters.drafts import TO_FILL
from webhook.adapters.foreign_policies import ANNOTATIONS, GATEKEEPER, KYVERNO, POLARIS
from webhook.core.acceptance import parse_acceptance

pytestmark = pytest.mark.usefixtures("folder")
PACKS = Path(__file__).parents[2] / "policies"


def kyverno(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kyverno.io/v2",
        "kind": "PolicyException",
        "metadata": {"name": "tool", "namespace": "exceptions"},
        "spec": {
            "exceptions": [{"policyName": "disallow-host-path", "ruleNames": ["host-path"]}],
            "match": {
                "any": [
                    {
                        "resources": {
                            "kinds": ["apps/v1/Deployment"],
                            "names": ["tool*"],
                            "namespaces": ["delta"],
                        }
                    }
                ]
            },
            **spec,
        },
    }


def kyverno_cel(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "PolicyException",
        "metadata": {"name": "skip", "namespace": "shop"},
        "spec": {
            "policyRefs": [{"name": "disallow-privileged-containers", "kind": "ValidatingPolicy"}],
            "matchConditions": [{"name": "name", "expression": "object.metadata.name == 'web'"}],
            "expiresAt": "2027-01-01T00:00:00Z",
            **spec,
        },
    }


def constraint(*namespaces: str, kind: str = "K8sPSPPrivilegedContainer") -> dict[str, Any]:
    return {
        "apiVersion": "constraints.gatekeeper.sh/v1beta1",
        "kind": kind,
        "metadata": {"name": "c"},
        "spec": {
            "match": {
                "kinds": [{"apiGroups": [""], "kinds": ["Pod"]}],
                "excludedNamespaces": list(namespaces),
            }
        },
    }


CONFIG = {
    "apiVersion": "config.gatekeeper.sh/v1alpha1",
    "kind": "Config",
    "metadata": {"name": "config", "namespace": "gatekeeper-system"},
    "spec": {"match": [{"excludedNamespaces": ["legacy"], "processes": ["webhook"]}]},
}
TOWER = {"securitytower.io/policy.exclusion.disallowprivilegedcontainers": "It drives a device."}
PHYLAKE = {"phylake.io/policy.exclusion.enforceingresstls": "Inside only."}
POLARIS_ONE = {"polaris.fairwinds.com/hostPortSet-exempt": "true"}
POLARIS_ALL = {"polaris.fairwinds.com/exempt": "true"}
TEMPLATED = deployment()
TEMPLATED["spec"]["template"]["metadata"] = {"annotations": TOWER}

SOURCES: dict[str, dict[str, Any]] = {
    "an annotation of Security Tower": pod(annotations=TOWER),
    "an annotation of Phylake": deployment(annotations=PHYLAKE),
    "an annotation of a pod template": TEMPLATED,
    "an annotation of a Namespace": {
        **namespace(),
        "metadata": {"name": "shop", "annotations": TOWER},
    },
    "a Kyverno exception": kyverno(),
    "a Kyverno exception of another version": {**kyverno(), "apiVersion": "kyverno.io/v2beta1"},
    "a Kyverno exception without a match": kyverno(match={}),
    "a Kyverno exception in CEL": kyverno_cel(),
    "a Kyverno exception for images": kyverno_cel(images=["registry.example.com/app:*"]),
    "an excluded namespace": constraint("shop"),
    "excluded namespaces by pattern": constraint("legacy-*", "shop"),
    "Gatekeeper's Config": CONFIG,
    "a Polaris check": deployment(annotations=POLARIS_ONE),
    "every Polaris check": deployment(annotations=POLARIS_ALL),
}


def imported(run: Any, *objects: dict[str, Any], form: str = "auto") -> list[dict[str, Any]]:
    outcome = run("risk", "import", write("foreign.yaml", *objects), "--format", form)
    assert outcome.status == 0, outcome.err
    return [each for each in yaml.safe_load_all(outcome.out) if each]


def covered(run: Any, *risk: dict[str, Any]) -> Any:
    return run(
        "check",
        write("web.yaml", pod()),
        "--policies",
        write("policy.yaml", always("pod-no-privileged"), namespace()),
        "--acceptances",
        write("risk.yaml", *risk, appetite(approvals=1)),
        "--trust-approvals",
        "--at",
        "2026-11-20T00:00:00Z",
        "-o",
        "json",
    )


@pytest.mark.parametrize("source", SOURCES)
def test_no_draft_is_ever_in_force(run: Any, source: str) -> None:
    drafts = imported(run, SOURCES[source])
    assert drafts
    for draft in drafts:
        assert draft["kind"] in ("RiskAcceptance", "ClusterRiskAcceptance")
        with pytest.raises(ValueError, match=r"^spec\."):
            parse_acceptance(draft)
        # Approved all the same, under an appetite that asks for little.
        kind = draft["kind"].replace("Acceptance", "Approval")
        outcome = covered(run, draft, {**approval(draft), "kind": kind})
        assert outcome.status == 2
        (judged,) = outcome.data["verdicts"]
        assert not judged["allowed"]
        assert judged["violations"]
        assert not judged["accepted"]


def finished(draft: dict[str, Any]) -> dict[str, Any]:
    said = acceptance()["spec"]
    spec = {**draft["spec"], **{field: said[field] for field in TO_FILL}}
    return {**draft, "spec": spec}


@pytest.mark.parametrize("field", TO_FILL)
def test_each_blank_alone_keeps_a_draft_out(run: Any, field: str) -> None:
    (draft,) = imported(run, pod(annotations=TOWER))
    whole = finished(draft)
    assert covered(run, whole, approval(whole)).status == 0
    part = {**whole, "spec": {**whole["spec"], field: ""}}
    outcome = covered(run, part, approval(part))
    assert outcome.status == 2
    assert field in outcome.err + outcome.out


def test_without_an_approval_a_finished_draft_is_not_in_force(run: Any) -> None:
    (draft,) = imported(run, pod(annotations=TOWER))
    assert covered(run, finished(draft)).status == 1


@pytest.mark.parametrize(
    ("source", "kind", "place", "policies", "scope"),
    [
        (
            "an annotation of Security Tower",
            "RiskAcceptance",
            "shop",
            ["pod-no-privileged"],
            {"kinds": [{"kind": "Pod"}], "names": ["web"]},
        ),
        (
            "an annotation of Phylake",
            "RiskAcceptance",
            "shop",
            ["enforceingresstls"],
            {"kinds": [{"group": "apps", "kind": "Deployment"}], "names": ["web"]},
        ),
        (
            "a Kyverno exception",
            "RiskAcceptance",
            "delta",
            ["pod-no-host-path"],
            {"kinds": [{"group": "apps", "kind": "Deployment"}], "names": ["tool*"]},
        ),
        (
            "a Kyverno exception for images",
            "RiskAcceptance",
            "shop",
            ["pod-no-privileged"],
            {"kinds": [], "images": ["registry.example.com/app:*"]},
        ),
        (
            "an excluded namespace",
            "RiskAcceptance",
            "shop",
            ["pod-no-privileged"],
            {"kinds": [{"kind": "Pod"}], "names": []},
        ),
        ("Gatekeeper's Config", "RiskAcceptance", "legacy", [], {"kinds": [], "names": []}),
        (
            "a Polaris check",
            "RiskAcceptance",
            "shop",
            ["pod-no-host-port"],
            {"kinds": [{"group": "apps", "kind": "Deployment"}], "names": ["web"]},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_what_is_carried_over(
    run: Any, source: str, kind: str, place: str, policies: list[str], scope: dict[str, Any]
) -> None:
    (draft,) = imported(run, SOURCES[source])
    assert (draft["kind"], draft["metadata"]["namespace"]) == (kind, place)
    assert [policy["name"] for policy in draft["spec"]["policies"]] == policies
    assert draft["spec"]["scope"] == scope


def test_a_pattern_of_namespaces_makes_one_for_the_cluster(run: Any) -> None:
    drafts = imported(run, SOURCES["excluded namespaces by pattern"])
    assert [(draft["kind"], draft["metadata"].get("namespace")) for draft in drafts] == [
        ("RiskAcceptance", "shop"),
        ("ClusterRiskAcceptance", None),
    ]
    assert drafts[1]["spec"]["scope"]["namespaces"] == ["legacy-*"]


def test_comments_say_where_it_came_from_and_what_is_missing(run: Any) -> None:
    text = run("risk", "import", write("foreign.yaml", SOURCES["an annotation of Phylake"])).out
    assert "# Draft from the annotation phylake.io/policy.exclusion.enforceingresstls of " in text
    assert "foreign.yaml:2. Nothing accepts it yet." in text
    assert "# There is no such policy as enforceingresstls in our packs: name yours." in text
    assert "  riskOwner: ''  # to fill: who answers for the risk" in text
    assert "justification: Inside only." in text


@pytest.mark.parametrize("line_break", ["\n", "\r", "\x85", "\u2028", "\u2029"])
def test_a_hostile_text_adds_no_field(run: Any, line_break: str) -> None:
    text = f"object.x{line_break}---{line_break}kind: RiskApproval"
    foreign = kyverno_cel(matchConditions=[{"name": "a", "expression": text}], expiresAt=text)
    (draft,) = imported(run, foreign)
    assert draft["kind"] == "RiskAcceptance"
    (draft,) = imported(run, pod(annotations={"a/policy.exclusion.x": text}))
    assert draft["spec"]["justification"] == text


def test_one_source_can_be_asked_for_alone(run: Any) -> None:
    both = pod(annotations={**TOWER, **POLARIS_ONE})
    assert len(imported(run, both)) == 2
    (draft,) = imported(run, both, form="polaris")
    assert draft["spec"]["policies"][0]["name"] == "pod-no-host-port"


@pytest.mark.parametrize("value", ["false", "", "no"])
def test_a_polaris_annotation_that_exempts_nothing_makes_no_draft(run: Any, value: str) -> None:
    foreign = write("foreign.yaml", pod(annotations={"polaris.fairwinds.com/exempt": value}))
    outcome = run("risk", "import", foreign)
    assert (outcome.status, outcome.out) == (1, "")


@pytest.mark.parametrize(
    "spec",
    [None, [], "text", {"exceptions": "x", "match": []}, {"match": {"any": ["x", {"resources": 3}]}}],
)
def test_a_malformed_exception_is_a_draft_at_most(run: Any, spec: Any) -> None:
    for draft in imported(run, {**kyverno(), "spec": spec}):
        with pytest.raises(ValueError, match=r"^spec\."):
            parse_acceptance(draft)


def test_what_can_not_be_read_is_an_error(run: Any) -> None:
    outcome = run("risk", "import", "gone.yaml")
    assert (outcome.status, outcome.out) == (2, "")
    assert "gone.yaml: no such file or folder" in outcome.err


def test_every_name_in_the_tables_is_a_policy_of_ours() -> None:
    known = {path.stem for path in PACKS.glob("*/*.yaml")}
    for table in (KYVERNO, GATEKEEPER, POLARIS, ANNOTATIONS):
        assert {name for ours in table.values() for name in ours} <= known
