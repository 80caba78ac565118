"""`tidewaiter risk draft`: the narrowest scope, accepted by nobody; with approvals the same check passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from offline_manifests import NON_ROOT, acceptance, always, appetite, approval, deployment, policy, write

from webhook.adapters import signatures

pytestmark = pytest.mark.usefixtures("folder")

NOW = "2026-11-27T00:00:00Z"
AT = ("--at", NOW)
SAID = (
    *("--justification", "The vendor needs it.", "--owner", "jane.doe@example.com"),
    *("--requester", "john.roe@example.com"),
)
NO_LATEST = {
    "name": "no-latest",
    "forEach": "containers",
    "expression": "!container.image.endsWith(':latest')",
    "message": "no :latest",
}
PEOPLE = ("jane.doe@example.com", "max.muster@example.com")


def container(name: str, image: str = "registry.example.com/app:1") -> dict[str, Any]:
    return {"name": name, "image": image}


def workload(*containers: dict[str, Any], name: str = "web") -> dict[str, Any]:
    made = deployment(name)
    made["spec"]["template"]["spec"]["containers"] = list(containers)
    return made


def drafts(outcome: Any) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(outcome.out) if each]


def signing(number: int = 1) -> dict[str, Any]:
    """Return an appetite that wants signed approvals; write the people's keys to files of their names."""
    signers = []
    for who in PEOPLE:
        key = Ed25519PrivateKey.generate()
        form, plain = serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        Path(who).write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
        public = signatures.public_key(key)
        signers.append({"approver": who, "groups": ["risk-owners"], "publicKey": public})
    made = appetite(approvals=number)
    made["spec"]["signers"] = signers
    return made


def sign(run: Any, file: str, who: str) -> str:
    done = run("risk", "sign", file, "--key", who, "--approver", who, "--at", "2026-11-27T09:00:00Z")
    assert done.status == 0, done.err
    Path(f"approval-{who}.yaml").write_text(done.out)
    return f"approval-{who}.yaml"


@pytest.mark.parametrize("number", [1, 2], ids=["one approval", "two approvals"])
def test_a_draft_with_approvals_makes_the_same_check_pass(run: Any, number: int) -> None:
    files = (
        write("policy.yaml", policy()),
        write("appetite.yaml", signing(number)),
        write("web.yaml", deployment()),
    )
    later = ("--at", "2026-11-28T00:00:00Z")
    assert run("check", *files, *later).status == 1
    drafted = run("risk", "draft", *files, *AT, *SAID)
    assert (drafted.status, drafted.err) == (0, "")
    Path("draft.yaml").write_text(drafted.out)
    assert run("check", *files, "draft.yaml", *later).status == 1  # nobody has approved it
    approvals: list[str] = []
    for who in PEOPLE[:number]:
        assert run("check", *files, "draft.yaml", *approvals, *later).status == 1
        approvals.append(sign(run, "draft.yaml", who))
    passed = run("check", *files, "draft.yaml", *approvals, *later)
    assert passed.status == 0, passed.out
    assert run("check", *files, "draft.yaml", *approvals, "--at", "2027-02-25T00:00:00Z").status == 1


@pytest.mark.parametrize(
    "changed",
    [
        workload(container("app"), name="other"),
        workload(container("other")),
        workload(container("app", "registry.example.com/app:2")),
        workload(container("app"), container("more")),
    ],
    ids=["another name", "another container", "another image", "one container more"],
)
def test_it_covers_nothing_but_what_was_denied(run: Any, changed: dict[str, Any]) -> None:
    files = write("policy.yaml", policy()), write("appetite.yaml", signing())
    drafted = run("risk", "draft", *files, write("web.yaml", workload(container("app"))), *AT, *SAID)
    Path("draft.yaml").write_text(drafted.out)
    approved = sign(run, "draft.yaml", PEOPLE[0])
    later = ("--at", "2026-11-28T00:00:00Z")
    assert run("check", *files, "draft.yaml", approved, "web.yaml", *later).status == 0
    assert run("check", *files, "draft.yaml", approved, write("web.yaml", changed), *later).status == 1


def test_another_validation_of_the_policy_is_not_covered(run: Any) -> None:
    files = write("policy.yaml", policy("non-root", NON_ROOT, NO_LATEST)), write("a.yaml", appetite())
    (made,) = drafts(run("risk", "draft", *files, write("web.yaml", deployment()), *AT, *SAID))
    assert made["spec"]["policies"] == [
        {
            "kind": "ClusterPolicy",
            "name": "non-root",
            "validations": ["run-as-non-root"],
            "severity": "medium",
        }
    ]


def test_containers_go_together_only_where_that_adds_nothing(run: Any) -> None:
    same, latest = "registry.example.com/app:1", "registry.example.com/app:latest"
    judged = workload(container("a", same), container("b", same), container("c", latest))
    files = write("policy.yaml", policy("rules", NON_ROOT, NO_LATEST)), write("a.yaml", appetite())
    made = drafts(run("risk", "draft", *files, write("web.yaml", judged), *AT, *SAID))
    parts = [
        (each["spec"]["scope"]["containers"], each["spec"]["scope"]["images"], policies["validations"])
        for each in made
        for policies in each["spec"]["policies"]
    ]
    assert parts == [
        (["a", "b"], [same], ["run-as-non-root"]),
        (["c"], [latest], ["no-latest", "run-as-non-root"]),
    ]
    assert len({each["metadata"]["name"] for each in made}) == 2


def test_what_is_of_no_container_names_none(run: Any) -> None:
    files = write("p.yaml", policy(), always()), write("a.yaml", appetite())
    made = drafts(run("risk", "draft", *files, write("web.yaml", deployment()), *AT, *SAID))
    scopes = {each["spec"]["policies"][0]["name"]: each["spec"]["scope"] for each in made}
    kinds = [{"group": "apps", "kind": "Deployment"}]
    assert scopes["never"] == {"kinds": kinds, "names": ["web"]}
    assert scopes["non-root"] == {
        "kinds": kinds,
        "names": ["web"],
        "containers": ["app"],
        "images": ["registry.example.com/app:1"],
    }


def test_an_image_that_would_be_a_pattern_is_not_named(run: Any) -> None:
    files = write("p.yaml", policy()), write("a.yaml", appetite())
    judged = write("web.yaml", workload(container("app", "registry.example.com/*")))
    (made,) = drafts(run("risk", "draft", *files, judged, *AT, *SAID))
    assert "images" not in made["spec"]["scope"]


def test_a_digest_is_kept_and_a_tag_is_told(run: Any) -> None:
    files = write("p.yaml", policy()), write("a.yaml", appetite())
    pinned = f"registry.example.com/app@sha256:{'a' * 64}"
    done = run("risk", "draft", *files, write("w.yaml", workload(container("app", pinned))), *AT, *SAID)
    assert drafts(done)[0]["spec"]["scope"]["images"] == [pinned]
    assert "can be moved" not in done.out
    done = run("risk", "draft", *files, write("w.yaml", workload(container("app"))), *AT, *SAID)
    assert "The tag of registry.example.com/app:1 can be moved" in done.out


def test_a_generated_name_is_accepted_by_its_image_or_not_at_all(run: Any) -> None:
    nameless = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "web-", "namespace": "shop"},
        "spec": {"containers": [container("app")]},
    }
    files = write("a.yaml", appetite()), write("pod.yaml", nameless)
    (made,) = drafts(run("risk", "draft", write("p.yaml", policy()), *files, *AT, *SAID))
    scope = made["spec"]["scope"]
    assert ("names" in scope, scope["images"]) == (False, ["registry.example.com/app:1"])
    refused = run("risk", "draft", write("p.yaml", always()), *files, *AT, *SAID)
    assert (refused.status, refused.out) == (2, "")
    assert "of a generated name: name it" in refused.err


@pytest.mark.parametrize(
    ("rule", "limits", "words", "until"),
    [
        ({}, {}, (), "2027-02-25T00:00:00Z"),
        ({"maxDuration": "10d"}, {}, (), "2026-12-07T00:00:00Z"),
        ({}, {"maxDuration": "30d"}, (), "2026-12-27T00:00:00Z"),
        ({}, {}, ("--for", "7d"), "2026-12-04T00:00:00Z"),
        ({}, {}, ("--until", "2026-12-31"), "2027-01-01T00:00:00Z"),
        ({}, {}, ("--valid-from", "2026-12-01T00:00:00Z", "--for", "1d"), "2026-12-02T00:00:00Z"),
    ],
    ids=["the appetite's", "a shorter appetite's", "the policy's", "a duration", "a day", "a later start"],
)
def test_it_lasts_as_long_as_allowed_or_said(
    run: Any, rule: dict[str, Any], limits: dict[str, Any], words: tuple[str, ...], until: str
) -> None:
    files = write("p.yaml", policy(riskAcceptance=limits)), write("a.yaml", appetite(**rule))
    (made,) = drafts(run("risk", "draft", *files, write("w.yaml", deployment()), *AT, *SAID, *words))
    assert made["spec"]["validUntil"] == until


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--for", "91d"), "it may last until 2027-02-25T00:00:00Z at most"),
        (("--until", "2026-11-01"), "it must end after 2026-11-27T00:00:00Z"),
        (("--until", "2026-12-01", "--for", "1d"), "Give either --until or --for"),
        (("--for", "soon"), "is no duration"),
    ],
)
def test_a_window_that_can_not_be_is_said(run: Any, words: tuple[str, ...], message: str) -> None:
    files = write("p.yaml", policy()), write("a.yaml", appetite()), write("w.yaml", deployment())
    done = run("risk", "draft", *files, *AT, *SAID, *words)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_what_is_wanted_and_not_said_is_named_with_its_option(run: Any) -> None:
    files = (
        write("p.yaml", policy(riskAcceptance={"requireCompensatingControls": True})),
        write("a.yaml", appetite(required=["ticket", "remediation", "reason"])),
        write("w.yaml", deployment()),
    )
    done = run("risk", "draft", *files, *AT)
    assert (done.status, done.out) == (2, "")
    wanted = "--justification, --owner, --requester, --ticket, --plan, --reason, --control"
    assert f"missing for Deployment web: say {wanted}" in done.err
    whole = run(
        *("risk", "draft", *files, *AT, *SAID, "--ticket", "https://t/1", "--reason", "Waiver"),
        *("--plan", "Rewrite it", "--due", "2027-01-31"),
        *("--control", "No network=ClusterPolicy/deny-egress", "--control", "a = b is no policy"),
    )
    spec = drafts(whole)[0]["spec"]
    assert spec["remediation"] == {"plan": "Rewrite it", "due": "2027-01-31"}
    assert spec["compensatingControls"] == [
        {"description": "No network", "policy": {"kind": "ClusterPolicy", "name": "deny-egress"}},
        {"description": "a = b is no policy"},
    ]


def test_it_is_asked_for_on_a_terminal(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    files = (
        write("p.yaml", policy()),
        write("a.yaml", appetite(required=["ticket", "residualRisk", "compensatingControls"])),
        write("w.yaml", deployment()),
    )
    answers = iter(["It is old.", "jane", "john", "https://t/1", "low", "No network"])
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(answers))
    monkeypatch.setattr("webhook.commands.risk_draft.sys", Terminal())
    spec = drafts(run("risk", "draft", *files, *AT))[0]["spec"]
    assert (spec["justification"], spec["riskOwner"], spec["requester"]) == ("It is old.", "jane", "john")
    assert (spec["ticket"], spec["residualRisk"]) == ("https://t/1", "low")
    assert spec["compensatingControls"] == [{"description": "No network"}]


class Terminal:
    """A `sys` whose standard input is a terminal."""

    class stdin:  # noqa: N801 - as sys has it
        @staticmethod
        def isatty() -> bool:
            return True


def test_what_can_not_be_accepted_is_said_and_the_rest_is_drafted(run: Any) -> None:
    grave = always("grave", severity="critical")
    closed = always("closed", riskAcceptance={"allowed": False})
    files = (
        write("p.yaml", policy(), grave, closed),
        write("a.yaml", appetite()),
        write("w.yaml", deployment()),
    )
    done = run("risk", "draft", *files, *AT, *SAID)
    assert done.status == 2
    assert [each["spec"]["policies"][0]["name"] for each in drafts(done)] == ["non-root"]
    assert "Deployment shop/web: grave: the RiskAppetite accepts no critical risk" in done.err
    assert "Deployment shop/web: closed: the policy allows no risk acceptance" in done.err


def test_an_emergency_takes_its_own_rule(run: Any) -> None:
    made = appetite(approvals=2, required=["ticket"])
    files = write("p.yaml", policy(severity="high")), write("w.yaml", deployment())
    none = run("risk", "draft", *files, write("a.yaml", made), *AT, *SAID, "--break-glass")
    assert none.status == 2
    assert "the RiskAppetite accepts no high risk in an emergency" in none.err
    made["spec"]["breakGlass"] = {"groups": ["on-call"]}
    done = run("risk", "draft", *files, write("a.yaml", made), *AT, *SAID, "--break-glass")
    spec = drafts(done)[0]["spec"]
    assert (spec["breakGlass"], spec["validUntil"]) == (True, "2026-11-27T04:00:00Z")
    assert "before 1 approval by on-call" in done.out


def test_nothing_denied_drafts_nothing(run: Any) -> None:
    files = write("p.yaml", policy()), write("a.yaml", appetite())
    done = run("risk", "draft", *files, write("w.yaml", deployment(root=False)), *AT, *SAID)
    assert (done.status, done.out, done.err) == (1, "", "note: nothing is denied\n")


def test_what_could_not_be_evaluated_is_said_and_not_drafted(run: Any) -> None:
    broken = policy("broken", {"name": "x", "expression": "object.spec.nothing > 1", "message": "no"})
    files = write("p.yaml", broken), write("a.yaml", appetite())
    done = run("risk", "draft", *files, write("w.yaml", deployment()), *AT, *SAID)
    assert (done.status, done.out) == (1, "")
    assert "Deployment shop/web: broken could not be evaluated, which no acceptance covers" in done.err


def test_what_is_accepted_already_is_not_drafted_again(run: Any) -> None:
    asked = acceptance()
    files = write("p.yaml", policy()), write("a.yaml", appetite(), asked, approval(asked))
    words = ("risk", "draft", *files, write("w.yaml", deployment()), *SAID, "--trust-approvals")
    assert run(*words, *AT).status == 1
    ended = run(*words, "--at", "2027-02-01T00:00:00Z")
    assert ended.status == 0
    assert "# RiskAcceptance shop/legacy does not cover this: it ended at" in ended.out


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--object", "deployment/web"), {"web"}),
        (("--object", "Deployment.apps/api"), {"api"}),
        (("--policy", "never"), {"web", "api"}),
        (("--action", "warn", "--policy", "told"), {"web", "api"}),
        (("--policy", "told"), set()),
    ],
)
def test_what_is_drafted_can_be_narrowed(run: Any, words: tuple[str, ...], names: set[str]) -> None:
    files = (
        write("p.yaml", policy(), always(), always("told", validationActions=["Warn"])),
        write("a.yaml", appetite()),
        write("w.yaml", deployment(), deployment("api")),
    )
    done = run("risk", "draft", *files, *AT, *SAID, *words)
    assert {each["spec"]["scope"]["names"][0] for each in drafts(done)} == names
    assert done.status == int(not names)


@pytest.mark.parametrize("named", ["pod/web", "web", "deployment/nothere"])
def test_an_object_that_is_not_there_is_not_taken_for_one_that_nothing_denies(run: Any, named: str) -> None:
    files = write("p.yaml", policy()), write("a.yaml", appetite()), write("w.yaml", deployment())
    done = run("risk", "draft", *files, *AT, *SAID, "--object", named)
    assert (done.status, done.out) == (2, "")
    assert f"there is no {named} in these files that a policy may judge" in done.err


def test_without_an_appetite_nothing_is_drafted(run: Any) -> None:
    done = run("risk", "draft", write("p.yaml", policy()), write("w.yaml", deployment()), *AT, *SAID)
    assert (done.status, done.out) == (2, "")
    assert "there is no RiskAppetite named default" in done.err


def test_messages_can_not_leave_their_comment(run: Any) -> None:
    rule = {**NON_ROOT, "message": "bad\nspec: {}\n---\nkind: Evil"}
    files = write("p.yaml", policy("p", rule)), write("a.yaml", appetite())
    (made,) = drafts(run("risk", "draft", *files, write("w.yaml", deployment()), *AT, *SAID))
    assert made["kind"] == "RiskAcceptance"


def cluster_role(name: str = "god") -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    }


ROLES = {
    "apiGroups": ["rbac.authorization.k8s.io"],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["clusterroles"],
}
NAMESPACES = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE"],
    "resources": ["namespaces"],
}
TEMPLATE = {
    "apiVersion": "templates.gatekeeper.sh/v1",
    "kind": "ConstraintTemplate",
    "metadata": {"name": "k8srefused"},
    "spec": {
        "crd": {"spec": {"names": {"kind": "K8sRefused"}}},
        "targets": [
            {
                "target": "admission.k8s.gatekeeper.sh",
                "code": [
                    {
                        "engine": "K8sNativeValidation",
                        "source": {"validations": [{"expression": "false", "message": "not like this"}]},
                    }
                ],
            }
        ],
    },
}
CONSTRAINT = {
    "apiVersion": "constraints.gatekeeper.sh/v1beta1",
    "kind": "K8sRefused",
    "metadata": {"name": "refused"},
    "spec": {"match": {"kinds": [{"apiGroups": ["apps"], "kinds": ["Deployment"]}]}},
}
ROUND_TRIPS: dict[str, tuple[tuple[dict[str, Any], ...], dict[str, Any], str, str]] = {
    "a cluster-scoped object": (
        (always("roles", rules=[ROLES], podTemplates=False),),
        cluster_role(),
        "ClusterRiskAcceptance",
        "ClusterPolicy",
    ),
    "a Namespace": (
        (always("spaces", rules=[NAMESPACES], podTemplates=False),),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
        "ClusterRiskAcceptance",
        "ClusterPolicy",
    ),
    "a policy of the namespace": (
        (always("own", namespace="shop"),),
        deployment(),
        "RiskAcceptance",
        "Policy",
    ),
    "a constraint of Gatekeeper's": ((TEMPLATE, CONSTRAINT), deployment(), "RiskAcceptance", "K8sRefused"),
}


@pytest.mark.parametrize("case", ROUND_TRIPS)
def test_whatever_is_denied_a_draft_with_an_approval_makes_it_pass(run: Any, case: str) -> None:
    rules, judged, kind, policy_kind = ROUND_TRIPS[case]
    files = (
        write("rules.yaml", *rules),
        write("appetite.yaml", signing()),
        write("judged.yaml", judged),
    )
    later = ("--at", "2026-11-28T00:00:00Z")
    assert run("check", *files, *later).status == 1
    drafted = run("risk", "draft", *files, *AT, *SAID)
    assert drafted.status == 0, drafted.err
    (made,) = drafts(drafted)
    assert (made["kind"], made["spec"]["policies"][0]["kind"]) == (kind, policy_kind)
    Path("draft.yaml").write_text(drafted.out)
    assert run("check", *files, "draft.yaml", *later).status == 1
    passed = run("check", *files, "draft.yaml", sign(run, "draft.yaml", PEOPLE[0]), *later)
    assert passed.status == 0, passed.out + passed.err
    name = f"{kind.lower()}/{made['metadata']['name']}"
    approved = f"approval-{PEOPLE[0]}.yaml"
    shown = run("risk", "show", name, *files, "draft.yaml", approved, *later, "-o", "json")
    assert (shown.data["phase"], len(shown.data["covers"])) == ("Active", 1)
    renewed = run("risk", "renew", name, *files, "draft.yaml", approved, *later)
    assert renewed.status == 0, renewed.err
