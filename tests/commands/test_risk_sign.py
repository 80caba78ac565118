"""`tidewaiter risk statement` and `risk sign`: the approval that they make counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from offline_manifests import acceptance, appetite, write

from webhook.adapters import signatures
from webhook.core.acceptance import digest_of

pytestmark = pytest.mark.usefixtures("folder")

JANE = ("--approver", "jane.doe@example.com")
AT = ("--at", "2026-11-02T09:00:00Z")


def key_file(key: Any, passphrase: bytes = b"") -> str:
    """Write a private key as ssh-keygen does; return its path."""
    encryption: Any = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    form = serialization.PrivateFormat.OpenSSH
    Path("id").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, encryption))
    return "id"


@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256R1()),
        rsa.generate_private_key(65537, 3072),
    ],
    ids=["Ed25519", "ECDSA", "RSA"],
)
def test_what_is_signed_is_an_approval_of_this_version_by_this_key(run: Any, key: Any) -> None:
    outcome = run(
        "risk",
        "sign",
        write("a.yaml", acceptance()),
        "--key",
        key_file(key),
        *JANE,
        *AT,
        "--comment",
        "Seen.",
    )
    assert outcome.status == 0, outcome.err
    made = yaml.safe_load(outcome.out)
    assert (made["kind"], made["metadata"]["namespace"]) == ("RiskApproval", "shop")
    spec = made["spec"]
    assert spec["digest"] == digest_of(acceptance())
    assert (spec["approvedAt"], spec["comment"]) == ("2026-11-02T09:00:00Z", "Seen.")
    assert signatures.check(spec) == signatures.Checked(signed_by=signatures.public_key(key))
    assert f"signed by {signatures.public_key(key)}" in outcome.err


def test_check_counts_it_where_the_appetite_lists_the_key(run: Any) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    listed = appetite()
    listed["spec"]["signers"] = [
        {
            "approver": "jane.doe@example.com",
            "groups": ["risk-owners"],
            "publicKey": signatures.public_key(key),
        }
    ]
    files = write("a.yaml", acceptance()), write("appetite.yaml", listed)
    signed = run("risk", "sign", files[0], "--key", key_file(key), *JANE, *AT)
    Path("approval.yaml").write_text(signed.out)
    policy = {
        "apiVersion": "tidewaiter.dev/v1alpha1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "non-root"},
        "spec": {
            "severity": "low",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["pods"],
                    }
                ]
            },
            "validations": [{"name": "never", "expression": "false", "message": "never"}],
        },
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": [{"name": "web", "image": "web:1"}]},
    }
    words = ("check", write("pod.yaml", pod), "--policies", write("policy.yaml", policy))
    moment = ("--at", "2026-11-03T00:00:00Z", "-o", "json")
    without = run(*words, "--acceptances", *files, *moment)
    assert without.status == 1
    accepted = run(*words, "--acceptances", *files, "approval.yaml", *moment)
    assert accepted.status == 0, accepted.out + accepted.err
    (verdict,) = json.loads(accepted.out)["verdicts"]
    assert [each["acceptance"] for each in verdict["accepted"]] == ["shop/legacy"]


def test_the_statement_is_what_sign_signs(run: Any) -> None:
    file = write("a.yaml", acceptance())
    said = run("risk", "statement", file, *JANE, *AT)
    assert said.status == 0
    wanted = {
        "approvedAt": "2026-11-02T09:00:00Z",
        "approver": "jane.doe@example.com",
        "digest": digest_of(acceptance()),
        "type": "tidewaiter.dev/RiskApproval/v1",
    }
    assert said.out == json.dumps(wanted, sort_keys=True, separators=(",", ":"))


def test_another_version_gets_an_approval_of_another_name(run: Any) -> None:
    key = key_file(ed25519.Ed25519PrivateKey.generate())
    names = set()
    for owner in ("jane", "joan"):
        file = write("a.yaml", acceptance(riskOwner=owner))
        names.add(yaml.safe_load(run("risk", "sign", file, "--key", key, *JANE).out)["metadata"]["name"])
    assert len(names) == 2
    assert all(name.startswith("legacy-jane-doe-example-com-") for name in names)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--approver", "john.roe@example.com"), "another person must approve it"),
        (("--approver", "system:serviceaccount:a:b"), "is no person"),
        (("--approver", " "), "is no person"),
        ((*JANE, "--at", "yesterday"), "Invalid value for '--at'"),
        ((*JANE, "--key", "gone"), "gone: the key can't be read: No such file or directory"),
        ((*JANE, "--key", "a.yaml"), "a.yaml: this is no OpenSSH private key"),
    ],
    ids=["the requester", "a service account", "nobody", "no time", "no file", "no key"],
)
def test_what_cannot_be_signed_is_said(run: Any, words: tuple[str, ...], message: str) -> None:
    key = key_file(ed25519.Ed25519PrivateKey.generate())
    outcome = run("risk", "sign", write("a.yaml", acceptance()), "--key", key, *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err


def test_one_acceptance_is_signed_at_a_time(run: Any) -> None:
    key = key_file(ed25519.Ed25519PrivateKey.generate())
    outcome = run("risk", "sign", write("a.yaml", acceptance(), acceptance("other")), "--key", key, *JANE)
    assert (outcome.status, outcome.out) == (2, "")
    assert "holds 2 acceptances" in outcome.err


def test_a_passphrase_is_asked_for_on_a_terminal_only(run: Any) -> None:
    pytest.importorskip("bcrypt")
    key = key_file(ed25519.Ed25519PrivateKey.generate(), b"secret")
    outcome = run("risk", "sign", write("a.yaml", acceptance()), "--key", key, *JANE)
    assert (outcome.status, outcome.out) == (2, "")
    assert "there is no terminal to ask for it" in outcome.err


def test_what_is_neither_a_file_nor_there_is_said(run: Any) -> None:
    outcome = run("risk", "sign", "no.yaml", *JANE)
    assert outcome.status == 2
    assert "no.yaml" in outcome.err
    outcome = run("risk", "sign", "legacy", *JANE, "--kubeconfig", "gone")
    assert (outcome.status, outcome.out) == (2, "")
    assert "there is no such kubeconfig" in outcome.err


def test_a_file_of_an_acceptances_name_is_not_signed_in_its_place(run: Any) -> None:
    Path("legacy").write_text(json.dumps(acceptance()))
    key = key_file(ed25519.Ed25519PrivateKey.generate())
    outcome = run("risk", "sign", "legacy", "--key", key, *JANE)
    assert (outcome.status, outcome.out) == (2, "")
    assert "legacy is a file, and may be a name: say ./legacy" in outcome.err
    assert run("risk", "sign", "./legacy", "--key", key, *JANE).status == 0
