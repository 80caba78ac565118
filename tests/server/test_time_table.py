"""One table of moments through the webhook, the check, the forecast and the background audit: one answer.

The webhook answers over HTTP with a clock that the test sets; the commands read the same objects from files;
the audit judges the Pod as one that is there already.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.server.builders import Start, make_review
from webhook import cli
from webhook.adapters import signatures
from webhook.adapters.findings import Result
from webhook.adapters.snapshots import Context, build
from webhook.core.acceptance import digest_of
from webhook.core.model import API_VERSION
from webhook.core.times import format_time
from webhook.operator.audit import judging as audit
from webhook.operator.client import Resource
from webhook.server.judging import Judge

SECOND = timedelta(seconds=1)
KEY = Ed25519PrivateKey.generate()
PODS = Resource("", "v1", "pods", "Pod", namespaced=True)
POD: dict[str, Any] = make_review()["request"]["object"]


def at(text: str) -> datetime:
    """Return a moment of November 2026, or of the month and year that `text` names."""
    return datetime.fromisoformat(text if len(text) > 10 else f"{text}T00:00:00").replace(tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """An acceptance with what bounds it, and since and until when it is in force; None for never."""

    name: str
    since: str | None
    until: str | None
    spec: dict[str, Any] = field(default_factory=dict)
    approval: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, Any] = field(default_factory=dict)
    rule: dict[str, Any] = field(default_factory=dict)
    appetite: dict[str, Any] = field(default_factory=dict)
    signed: bool = False
    revoked: bool = False


EMERGENCY = {"maxDuration": "4h", "groups": ["risk-owners"]}
SIGNER = {
    "approver": "jane@example.com",
    "groups": ["risk-owners"],
    "publicKey": signatures.public_key(KEY),
}
CASES = (
    Case("its own window", "2026-11-10", "2026-12-20"),
    Case(
        "a window in another zone",
        "2026-11-10T02:00:00",
        "2026-12-20",
        spec={"validFrom": "2026-11-10T04:00:00+02:00", "validUntil": "2026-12-20T02:00:00+02:00"},
    ),
    Case("the policy's longest duration", "2026-11-10", "2026-11-20", limits={"maxDuration": "10d"}),
    Case("the appetite's longest duration", "2026-11-10", "2026-11-25", rule={"maxDuration": "15d"}),
    Case(
        "the shorter of both",
        "2026-11-10",
        "2026-11-17",
        limits={"maxDuration": "7d"},
        rule={"maxDuration": "15d"},
    ),
    Case(
        "the approval's age",
        "2026-11-10",
        "2026-11-21",
        approval={"approvedAt": "2026-11-01T00:00:00Z"},
        rule={"maxDuration": "20d"},
    ),
    Case(
        "an approval given later",
        "2026-11-15",
        "2026-12-20",
        approval={"approvedAt": "2026-11-15T00:00:00Z"},
    ),
    Case(
        "an emergency",
        "2026-11-10",
        "2026-11-10T04:00:00",
        spec={"breakGlass": True},
        appetite={"breakGlass": EMERGENCY},
    ),
    Case("taken back", None, None, spec={"revoked": {"at": "2026-11-12T00:00:00Z"}}),
    Case("its digest revoked", None, None, revoked=True),
    Case("no approval that counts", None, None, approval={"groups": ["others"]}),
    Case("two approvals wanted", None, None, limits={"approvals": 2}),
    Case("a risk that nobody may accept", None, None, rule={"acceptable": False}),
    Case("a signed approval", "2026-11-10", "2026-12-20", appetite={"signers": [SIGNER]}, signed=True),
    Case(
        "a key that is revoked",
        "2026-11-10",
        "2026-11-18",
        appetite={"signers": [{**SIGNER, "revokedAt": "2026-11-18T00:00:00Z"}]},
        signed=True,
    ),
    Case(
        "a key from before its time",
        None,
        None,
        appetite={"signers": [{**SIGNER, "validFrom": "2026-11-15T00:00:00Z"}]},
        signed=True,
    ),
)


def objects_of(case: Case) -> list[dict[str, Any]]:
    """Return the policy, the acceptance, its approval and the appetite."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    policy = {
        "apiVersion": API_VERSION,
        "kind": "ClusterPolicy",
        "metadata": {"name": "never"},
        "spec": {
            "severity": "medium",
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"name": "never", "expression": "false", "message": "not like this"}],
            "riskAcceptance": case.limits,
        },
    }
    asked = {
        "apiVersion": API_VERSION,
        "kind": "RiskAcceptance",
        "metadata": {"name": "legacy", "namespace": "shop"},
        "spec": {
            "policies": [{"kind": "ClusterPolicy", "name": "never"}],
            "scope": {"kinds": [{"kind": "Pod"}], "names": ["web"]},
            "justification": "It is old.",
            "riskOwner": "jane@example.com",
            "requester": "john@example.com",
            "validFrom": "2026-11-10T00:00:00Z",
            "validUntil": "2026-12-20T00:00:00Z",
            **case.spec,
        },
    }
    given: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "RiskApproval",
        "metadata": {"name": "jane", "namespace": "shop"},
        "spec": {
            "riskAcceptance": "legacy",
            "digest": digest_of(asked),
            "approver": "jane@example.com",
            "groups": ["risk-owners"],
            "approvedAt": "2026-11-10T00:00:00Z",
            **case.approval,
        },
    }
    if case.signed:
        del given["spec"]["groups"]
        given["spec"]["signature"] = signatures.sign(KEY, signatures.statement(given["spec"]))
    revoked = [{"digest": digest_of(asked), "at": "2026-11-12T00:00:00Z", "reason": "misused"}]
    appetite = {
        "apiVersion": API_VERSION,
        "kind": "RiskAppetite",
        "metadata": {"name": "default"},
        "spec": {
            "rules": [{"severities": ["medium"], "approvers": {"groups": ["risk-owners"]}, **case.rule}],
            **({"revoked": revoked} if case.revoked else {}),
            **case.appetite,
        },
    }
    if case.rule.get("acceptable") is False:
        appetite["spec"]["rules"] = [{"severities": ["medium"], "acceptable": False}]
    return [policy, asked, given, appetite]


def moments(case: Case) -> list[tuple[datetime, bool]]:
    """Return moments around those at which something happens, and whether the Pod passes then."""
    since, until = (at(each) if each else None for each in (case.since, case.until))
    turning = {at("2026-11-01"), at("2026-11-10"), at("2026-12-20"), at("2027-06-01")}
    turning |= {each for each in (since, until) if each}
    around = sorted({each + step for each in turning for step in (-SECOND, timedelta(), SECOND)})
    return [(each, bool(since and until and since <= each < until)) for each in around]


async def by_webhook(start: Start, objects: list[dict[str, Any]], times: list[datetime]) -> list[bool]:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    snapshot = build([*objects, namespace], Context(trust_approvals=True))
    clock = iter(times)
    plane = await start(snapshot, judge=lambda current: Judge(current, clock=lambda: next(clock)))
    return [(await plane.verdict())["allowed"] for _ in times]


def by_audit(objects: list[dict[str, Any]], times: list[datetime]) -> list[bool]:
    judge = audit.Judge(build(objects, Context(trust_approvals=True)))
    found = [judge(POD, PODS, each).findings for each in times]
    return [not any(finding.result is Result.FAIL for finding in findings) for findings in found]


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    capsys.readouterr()
    status = cli.run([*words, "-o", "json", "--trust-approvals"])
    captured = capsys.readouterr()
    assert status < 2, captured.err
    return status, json.loads(captured.out)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_webhook_check_forecast_and_audit_give_the_same_answer(
    case: Case, start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    objects = objects_of(case)
    times, expected = zip(*moments(case), strict=True)
    file = tmp_path / "all.yaml"
    file.write_text("".join(f"---\n{json.dumps(each)}\n" for each in [*objects, POD]))

    assert await by_webhook(start, objects, list(times)) == list(expected)
    assert by_audit(objects, list(times)) == list(expected)
    for moment, passes in zip(times, expected, strict=True):
        status, _ = run(capsys, "check", str(file), "--at", format_time(moment))
        assert (status == 0) is passes, f"check at {moment}"

        until = format_time(moment + SECOND)
        _, told = run(capsys, "risk", "forecast", str(file), "--at", format_time(moment), "--until", until)
        assert (not told["refusedNow"]) is passes, f"forecast at {moment}"


@pytest.mark.parametrize("case", [case for case in CASES if case.since], ids=lambda case: case.name)
def test_the_forecast_names_the_moment_at_which_the_others_begin_to_refuse(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert case.since
    assert case.until
    file = tmp_path / "all.yaml"
    file.write_text("".join(f"---\n{json.dumps(each)}\n" for each in [*objects_of(case), POD]))
    words = ("risk", "forecast", str(file), "--at", format_time(at(case.since)), "--fail-on-refused")
    end = at(case.until)

    status, told = run(capsys, *words, "--until", format_time(end))
    assert status == 1
    assert [each["at"] for each in told["endings"]] == [format_time(end)]
    (refusal,) = told["refusals"]
    assert (refusal["at"], refusal["name"]) == (format_time(end), "web")
    assert refusal["acceptances"] == ["RiskAcceptance/shop/legacy"]

    status, told = run(capsys, *words, "--until", format_time(end - SECOND))
    assert status == 0
    assert told["endings"] == told["refusals"] == told["refusedNow"] == []
