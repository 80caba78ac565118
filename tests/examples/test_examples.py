"""The examples do what they say, and mean the same to the webhook, to check and to verify."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from webhook import cli
from webhook.adapters import advice
from webhook.adapters.kinds import Kinds
from webhook.adapters.manifests import Document, read
from webhook.adapters.material import Material, Settings, gather, is_own
from webhook.adapters.offline import Judged, judge
from webhook.adapters.reports import accepted_data, violation_data
from webhook.adapters.schema.appetite import RISK_APPETITE
from webhook.adapters.schema.types import Schema
from webhook.adapters.signatures import check, public_key, sign, statement
from webhook.adapters.snapshots import Context, dump, load
from webhook.adapters.suite_runs import request_of
from webhook.adapters.suites import Case
from webhook.core.acceptance import digest_of
from webhook.core.evaluate import evaluate
from webhook.core.review import AdmissionRequest, response
from webhook.core.verdict import Verdict

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 12, 1, tzinfo=UTC)
SETTINGS = Settings()
GOVERNING = (
    *("policies/pss-restricted", "examples/policies", "examples/risk", "examples/risk-appetite.yaml"),
)


@pytest.fixture(autouse=True)
def _root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def gathered(*paths: str) -> Material:
    objects, governing = read(paths), read(GOVERNING)
    assert not objects.errors
    assert not governing.errors
    material = gather(objects.documents, governing.documents, SETTINGS)
    assert not material.errors
    return material


def judged(*paths: str) -> list[Judged]:
    material = gathered(*paths)
    found = list(judge(material.judged, material.snapshot, material.kinds, SETTINGS, NOW))
    assert advice.notes(material, found) == []
    return found


def found(one: Judged) -> tuple[bool, list[str], list[str]]:
    verdict = one.verdict
    violations = {f"{v.action} {v.policy}/{v.validation} {v.container}".strip() for v in verdict.violations}
    accepted = {f"{a.violation.policy} until {a.valid_until:%Y-%m-%d}" for a in verdict.accepted}
    return verdict.allowed, sorted(violations), sorted(accepted)


def test_nothing_is_said_of_the_good_shop() -> None:
    results = judged("examples/shop/good")
    assert len(results) == 10
    assert [one.document.key for one in results if found(one) != (True, [], [])] == []


def test_the_bad_shop_fails_as_its_files_say() -> None:
    results = {str(one.document.key): found(one) for one in judged("examples/shop/bad")}
    label = "warn required-labels/labels"
    assert results == {
        "Namespace shop-legacy": (True, [], []),
        "Role shop-legacy/report": (
            True,
            ["audit rbac-no-wildcards/resources", "audit rbac-no-wildcards/verbs"],
            [],
        ),
        "RoleBinding shop-legacy/report": (True, [], []),
        "Deployment shop-legacy/web": (
            False,
            [
                "deny pod-drop-all-capabilities/drop-all web",
                "deny pod-no-privilege-escalation/privilege-escalation web",
                "deny pod-run-as-non-root/run-as-non-root web",
                "deny pod-seccomp-required/seccomp-profile web",
                "deny trusted-registries/registry web",
            ],
            [],
        ),
        "Deployment shop-legacy/api": (
            False,
            [
                "deny pod-drop-all-capabilities/added-capabilities debug",
                "deny pod-drop-all-capabilities/drop-all api",
                "deny pod-no-extra-capabilities/added-capabilities debug",
                "deny pod-no-host-network/host-network",
                "deny pod-no-privilege-escalation/privilege-escalation api",
                "deny pod-no-privileged/privileged api",
                "deny trusted-registries/registry debug",
            ],
            [],
        ),
        "StatefulSet shop-legacy/db": (
            False,
            ["deny pod-no-host-path/host-path", "deny pod-volume-types-restricted/volume-types"],
            [],
        ),
        "CronJob shop-legacy/report": (
            False,
            ["deny pod-no-root-user/pod-user", "deny pod-run-as-non-root/run-as-non-root report", label],
            [],
        ),
        "Ingress shop-legacy/shop": (True, [label], []),
        "Deployment shop-legacy/billing": (True, [], ["pod-run-as-non-root until 2027-01-25"]),
        "Deployment shop-legacy/mailer": (False, ["deny pod-no-host-port/host-port relay"], []),
    }


def test_the_denial_names_the_acceptance_that_has_ended() -> None:
    (mailer,) = (one for one in judged("examples/shop/bad") if one.document.key.name == "mailer")
    assert (
        "RiskAcceptance shop-legacy/mailer-host-port does not cover this: it ended" in mailer.verdict.message
    )


def test_the_approvals_carry_the_digests_of_their_acceptances() -> None:
    objects = [document.object for document in read(["examples/risk"])]
    digests = {obj["metadata"]["name"]: digest_of(obj) for obj in objects if obj["kind"] == "RiskAcceptance"}
    approvals = [obj["spec"] for obj in objects if obj["kind"] == "RiskApproval"]
    assert len(approvals) == 3
    for approval in approvals:
        assert approval["digest"] == digests[approval["riskAcceptance"]]


def test_the_approvals_are_signed_by_the_keys_of_the_appetite() -> None:
    (appetite,) = [document.object for document in read(["examples/risk-appetite.yaml"])]
    keys = {
        signer["approver"]: signer["publicKey"].rpartition(" ")[0]
        for signer in appetite["spec"]["signers"][:2]
    }
    approvals = [one.object for one in read(["examples/risk"]) if one.object["kind"] == "RiskApproval"]
    for approval in approvals:
        spec = approval["spec"]
        key = Ed25519PrivateKey.from_private_bytes(
            hashlib.sha256(f"tidewaiter example: {spec['approver']}".encode()).digest()
        )
        assert public_key(key) == keys[spec["approver"]]
        assert check(spec).signed_by == keys[spec["approver"]], sign(key, statement(spec))


def fields(schema: Schema, path: str = "") -> Iterator[str]:
    if schema.items is not None:
        yield from fields(schema.items, path)
    for name, field in schema.fields.items():
        yield f"{path}.{name}"
        yield from fields(field, f"{path}.{name}")


def shown(value: Any, path: str = "") -> Iterator[str]:
    for item in value if isinstance(value, list) else ():
        yield from shown(item, path)
    for name, field in value.items() if isinstance(value, dict) else ():
        yield f"{path}.{name}"
        yield from shown(field, f"{path}.{name}")


def test_the_appetite_shows_every_field() -> None:
    (appetite,) = [document.object for document in read(["examples/risk-appetite.yaml"])]
    assert set(fields(RISK_APPETITE.spec)) - set(shown(appetite["spec"])) <= {".breakGlass.users"}


def test_every_suite_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["verify", "examples", "-o", "json"]) == 0
    summary = json.loads(capsys.readouterr().out)["summary"]
    assert summary["suites"] == 6
    assert summary["passed"] == summary["cases"]


@pytest.mark.parametrize("shop", ["good", "bad"])
def test_the_commands_of_the_readme(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        *("check", f"examples/shop/{shop}", "--policies", "policies/pss-restricted", "examples/policies"),
        *("--acceptances", "examples/risk", "examples/risk-appetite.yaml"),
        *("--at", "2026-12-01T00:00:00Z", "-o", "json"),
    ]
    assert cli.run(words) == (0 if shop == "good" else 1)
    assert json.loads(capsys.readouterr().out)["errors"] == []


def review(document: Document, kinds: Kinds) -> dict[str, Any]:
    """Return the AdmissionReview that the API server sends for applying an example."""
    obj = document.object
    group, _, version = obj["apiVersion"].rpartition("/")
    resource = {"group": group, "version": version, "resource": kinds.resource(obj).plural}
    kind = {"group": group, "version": version, "kind": obj["kind"]}
    metadata = obj["metadata"]
    in_namespace = metadata.get("namespace") or (metadata["name"] if obj["kind"] == "Namespace" else None)
    request: dict[str, Any] = {
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": metadata["name"],
        "operation": "CREATE",
        "userInfo": {"username": "", "groups": []},
        "object": obj,
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    if in_namespace:
        request["namespace"] = in_namespace
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def comparable(verdict: Verdict) -> dict[str, Any]:
    """Return what must be the same wherever an object is judged, the denial's text included."""
    answer = response("uid", verdict)["response"]
    return {
        "allowed": verdict.allowed,
        "status": answer.get("status"),
        "warnings": answer.get("warnings"),
        "violations": [violation_data(violation) for violation in verdict.violations],
        "accepted": [accepted_data(accepted) for accepted in verdict.accepted],
        "errors": verdict.errors,
    }


def examples() -> Iterator[str]:
    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        relative = path.relative_to(ROOT)
        if "reviews" not in relative.parts and "tests" not in relative.parts and path.stem != "kustomization":
            yield str(relative)


def wire(review: Mapping[str, Any]) -> Any:
    return json.loads(json.dumps(review))


@pytest.mark.parametrize("path", list(examples()))
def test_the_same_object_gets_the_same_verdict_from_webhook_check_and_verify(path: str) -> None:
    """The webhook's verdict is that of `evaluate` on the wire's AdmissionReview and the workers' snapshot."""
    documents = [document for document in read([path]) if not is_own(document)]
    material = gathered(path)
    by_check = list(judge(material.judged, material.snapshot, material.kinds, SETTINGS, NOW))
    published = load(dump(material.objects, Context(trust_approvals=True)))
    assert len(by_check) == len(documents)
    for one in by_check:
        webhook = evaluate(AdmissionRequest.parse(wire(review(one.document, material.kinds))), published, NOW)
        case = Case("same", (one.document.object,), None, {}, (), {}, "", "cases[0]")
        verify = evaluate(request_of(one.document.object, case, material.kinds), material.snapshot, NOW)
        assert comparable(webhook) == comparable(one.verdict)
        assert comparable(verify) == comparable(one.verdict)
