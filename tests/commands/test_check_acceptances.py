"""`tidewaiter check` and accepted risks: what holds, until when, and what a denial says is missing."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from offline_manifests import acceptance, always, appetite, approval, deployment, pod, policy, write

from webhook.adapters import signatures

pytestmark = pytest.mark.usefixtures("folder")

SIGNATURE = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lH\n-----END SSH SIGNATURE-----\n"
TRUSTED = ("--trust-approvals", "--at", "2026-12-01T00:00:00Z")
LEGACY = acceptance()


def judge(run: Any, risk: list[Any], *words: str, obj: Any = None, rule: Any = None) -> Any:
    write("m.yaml", obj or pod())
    write("p.yaml", rule or policy())
    write("risk.yaml", *risk)
    return run("check", "-o", "json", "m.yaml", "--policies", "p.yaml", "--acceptances", "risk.yaml", *words)


def test_an_accepted_violation_is_let_through_and_reported(run: Any) -> None:
    outcome = judge(run, [LEGACY, approval(LEGACY), appetite()], *TRUSTED)
    assert outcome.status == 0
    (verdict,) = outcome.data["verdicts"]
    assert verdict["allowed"]
    assert verdict["violations"] == []
    (accepted,) = verdict["accepted"]
    assert accepted["policy"] == "non-root"
    assert accepted["action"] == "deny"
    assert accepted["acceptance"] == "shop/legacy"
    assert accepted["validUntil"] == "2027-01-25T00:00:00Z"
    assert "risk accepted by RiskAcceptance shop/legacy until 2027-01-25 00:00Z" in verdict["warnings"][0]
    assert outcome.data["summary"] == {"objects": 1, "denied": 0, "warned": 0, "accepted": 1, "errors": 0}


@pytest.mark.parametrize(
    ("risk", "words", "missing"),
    [
        ([LEGACY, approval(LEGACY), appetite()], (), "--trust-approvals if a cluster does"),
        ([LEGACY, appetite()], ("--trust-approvals",), "it has 0 of 1 approvals that count"),
        (
            [LEGACY, approval(LEGACY), appetite(approvals=2)],
            ("--trust-approvals",),
            "it has 1 of 2 approvals that count",
        ),
        ([LEGACY, approval(LEGACY)], ("--trust-approvals",), "no RiskAppetite named default"),
        (
            [LEGACY, approval(LEGACY, signature=SIGNATURE), appetite()],
            ("--trust-approvals",),
            "its signature does not hold: the signature is cut short",
        ),
        (
            [LEGACY, approval(acceptance(riskOwner="someone else")), appetite()],
            ("--trust-approvals",),
            "given for another version",
        ),
        (
            [LEGACY, approval(LEGACY, approver="john.roe@example.com"), appetite()],
            ("--trust-approvals",),
            "asked for the acceptance",
        ),
        (
            [LEGACY, approval(LEGACY), appetite()],
            ("--trust-approvals", "--at", "2027-01-25T00:00:00Z"),
            "it ended at 2027-01-25T00:00:00Z",
        ),
        (
            [LEGACY, approval(LEGACY), appetite()],
            ("--trust-approvals", "--at", "2026-11-01T00:00:00Z"),
            "it has 0 of 1 approvals that count",
        ),
        (
            [LEGACY, approval(LEGACY), appetite(maxDuration="10d")],
            ("--trust-approvals",),
            "it ended at 2026-11-11T00:00:00Z, capped from 2027-01-25T00:00:00Z",
        ),
        (
            [LEGACY, approval(LEGACY), appetite(severities=["low"])],
            ("--trust-approvals",),
            "the RiskAppetite accepts no medium risk",
        ),
    ],
    ids=[
        *(
            "unsigned in files",
            "unapproved",
            "one approval of two",
            "no appetite",
            "a signature that is none",
        ),
        *(
            "for another version",
            "by the requester",
            "ended",
            "before its approval",
            "capped",
            "not acceptable",
        ),
    ],
)
def test_a_denial_says_what_is_missing(
    run: Any, risk: list[Any], words: tuple[str, ...], missing: str
) -> None:
    words = words if "--at" in words else (*words, "--at", "2026-12-01T00:00:00Z")
    outcome = judge(run, risk, *words)
    assert outcome.status == 1
    assert outcome.data["summary"]["accepted"] == 0
    write("risk.yaml", *risk)
    text = run("check", "m.yaml", "--policies", "p.yaml", "--acceptances", "risk.yaml", *words).out
    assert "RiskAcceptance shop/legacy does not cover this: " in text
    assert missing in text


@pytest.mark.parametrize(
    ("cluster", "status"), [((), 1), (("--cluster", "berlin"), 1), (("--cluster", "hamburg"), 0)]
)
def test_an_acceptance_with_clusters_holds_only_where_the_name_is_known(
    run: Any, cluster: tuple[str, ...], status: int
) -> None:
    there = acceptance(clusters=["hamburg"])
    outcome = judge(run, [there, approval(there), appetite()], *TRUSTED, *cluster)
    assert outcome.status == status


def test_a_workloads_acceptance_covers_what_its_pods_would_meet(run: Any) -> None:
    risk = [LEGACY, approval(LEGACY), appetite()]
    outcome = judge(run, risk, *TRUSTED, obj=deployment(), rule=policy(podTemplates=False))
    assert outcome.status == 0
    assert outcome.data["verdicts"][0]["accepted"][0]["fieldPath"].startswith("spec.template.spec.")


def test_a_generated_name_matches_no_pattern(run: Any) -> None:
    everything = acceptance(scope={"kinds": [{"kind": "Pod"}], "names": ["*"]})
    obj = pod()
    obj["metadata"] = {"generateName": "web-", "namespace": "shop"}
    outcome = judge(run, [everything, approval(everything), appetite()], *TRUSTED, obj=obj)
    assert outcome.status == 1


@pytest.mark.parametrize(
    ("risk", "note"),
    [
        (
            [acceptance(scope={"kinds": [{"kind": "Pod"}], "names": ["web"], "containers": ["app"]})],
            "risk.yaml:2: RiskAcceptance shop/legacy covers nothing of non-root/never: its scope has c",
        ),
        (
            [acceptance(policies=[{"kind": "ClusterPolicy", "name": "non-rot"}])],
            "accepts violations of ClusterPolicy non-rot, which is not here",
        ),
        (
            [acceptance(policies=[{"kind": "ClusterPolicy", "name": "non-root", "validations": ["nevr"]}])],
            "names the validation nevr, which non-root does not have",
        ),
        ([approval(LEGACY)], "is for RiskAcceptance shop/legacy, which is not here"),
        (
            [LEGACY, approval(acceptance(riskOwner="x"))],
            "carries another digest than RiskAcceptance shop/legacy",
        ),
        (
            [{**appetite(), "metadata": {"name": "spare"}}],
            "RiskAppetite spare holds nowhere: only the one named default does",
        ),
        (
            [{**LEGACY, "kind": "ClusterRiskAcceptance", "metadata": {"name": "legacy"}}],
            "ClusterRiskAcceptance legacy covers no Pod: those are in namespaces",
        ),
    ],
    ids=[
        *("a scope that covers nothing", "an unknown policy", "an unknown validation"),
        *("an approval of nothing", "an outdated approval", "an appetite of another name"),
        "a cluster's acceptance without namespaces",
    ],
)
def test_what_was_meant_otherwise_is_noted_and_no_error(run: Any, risk: list[Any], note: str) -> None:
    outcome = judge(run, risk, *TRUSTED, rule=always("non-root"))
    assert outcome.status == 1
    assert outcome.data["errors"] == []
    assert note in outcome.err


@pytest.mark.parametrize(
    ("risk", "field", "message"),
    [
        (acceptance(validUntil="2026-10-01T00:00:00Z"), "spec.validUntil", "must be later than validFrom"),
        (acceptance(validUntil="soon"), "spec.validUntil", "is no RFC 3339 time"),
        (acceptance(scope={"kinds": [{"kind": "Pod"}]}), "spec.scope", "names or images must be given"),
        (acceptance(validTo="2027-01-01T00:00:00Z"), "spec.validTo", "did you mean validFrom?"),
        (approval(LEGACY, digest="sha256:1"), "spec.digest", "does not match"),
        (appetite(maxDuration="forever"), "spec.rules[0].maxDuration", "does not match"),
    ],
    ids=["reversed window", "no time", "too wide a scope", "unknown field", "no digest", "no duration"],
)
def test_what_cannot_be_read_is_an_error_and_does_not_hold(
    run: Any, risk: Any, field: str, message: str
) -> None:
    outcome = judge(run, [risk], *TRUSTED)
    assert outcome.status == 2
    assert outcome.data["summary"]["denied"] == 1
    assert any(field in error["message"] for error in outcome.data["errors"])
    assert any(message in error["message"] for error in outcome.data["errors"])
    assert all((error["file"], error["line"]) == ("risk.yaml", 2) for error in outcome.data["errors"])


KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))


def signed_by(key: Ed25519PrivateKey, **spec: Any) -> dict[str, Any]:
    """Return an approval as `tidewaiter risk sign` prints it."""
    given = approval(LEGACY, **spec)
    given["spec"].pop("groups", None)
    given["spec"]["signature"] = signatures.sign(key, signatures.statement(given["spec"]))
    return given


def listing(**more: Any) -> dict[str, Any]:
    known = appetite(routes=["Signature"])
    (group,) = known["spec"]["rules"][0]["approvers"]["groups"]
    approver = approval(LEGACY)["spec"]["approver"]
    signer = {"approver": approver, "groups": [group], "publicKey": f"{signatures.public_key(KEY)} a comment"}
    known["spec"]["signers"] = [{**signer, **more}]
    return known


@pytest.mark.parametrize(
    ("given", "known", "said"),
    [
        (signed_by(KEY), listing(), ""),
        (signed_by(OTHER), listing(), "the RiskAppetite lists no key SHA256:"),
        (signed_by(KEY), listing(validUntil="2026-01-01T00:00:00Z"), "was valid until 2026-01-01T00:00:00Z"),
        (signed_by(KEY), listing(revokedAt="2026-11-30T00:00:00Z"), "was revoked at 2026-11-30T00:00:00Z"),
        (signed_by(KEY), listing(groups=["developers"]), "none of the approvers"),
        (
            signed_by(KEY) | {"spec": {**signed_by(KEY)["spec"], "approvedAt": "2026-11-20T00:00:00Z"}},
            listing(),
            "it is not of this approver, time and digest",
        ),
        (approval(LEGACY), listing(), "needs an approval by Signature"),
    ],
    ids=["right", "unlisted", "expired", "revoked", "another group", "changed", "unsigned"],
)
def test_signed_approvals_mean_in_a_pull_request_what_they_mean_in_the_cluster(
    run: Any, given: dict[str, Any], known: dict[str, Any], said: str
) -> None:
    """Nothing needs to be trusted for them, and what a cluster adds makes them mean nothing else."""
    words = ("--at", "2026-12-01T00:00:00Z")
    offline = judge(run, [LEGACY, given, known], *words)
    in_cluster = [
        {**obj, "metadata": {**obj["metadata"], "uid": "1", "creationTimestamp": "2026-11-29T00:00:00Z"}}
        for obj in (LEGACY, given, known)
    ]
    online = judge(run, in_cluster, "--trust-approvals", *words)
    assert offline.status == online.status == (1 if said else 0)
    assert offline.data == online.data
    write("risk.yaml", LEGACY, given, known)
    told = run("check", "m.yaml", "--policies", "p.yaml", "--acceptances", "risk.yaml", *words).out
    assert said in told
