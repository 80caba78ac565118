"""`tidewaiter risk list` and `risk show` of files: phases, approvals and why they count or not, coverage."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from offline_manifests import acceptance, appetite, approval, deployment, policy, write

pytestmark = pytest.mark.usefixtures("folder")

AT = ("--at", "2026-11-27T00:00:00Z", "--trust-approvals")


def named(name: str, space: str = "shop", **spec: Any) -> dict[str, Any]:
    made = acceptance(name, **spec)
    made["metadata"]["namespace"] = space
    return made


def cluster_wide(name: str) -> dict[str, Any]:
    made = acceptance(name)
    del made["metadata"]["namespace"]
    made["kind"] = "ClusterRiskAcceptance"
    made["spec"]["scope"]["namespaces"] = ["shop"]
    return made


def world() -> str:
    """Write an acceptance of each phase, and return the file."""
    approved = named("approved")
    ended = named("ended", validUntil="2026-11-20T00:00:00Z")
    soon = named("soon", validUntil="2026-12-03T00:00:00Z")
    emergency = named("emergency", breakGlass=True, validFrom="2026-11-26T23:00:00Z")
    revoked = named("revoked", revoked={"at": "2026-11-10T00:00:00Z", "by": "jane", "reason": "misused"})
    unknown = named("unknown", policies=[{"kind": "ClusterPolicy", "name": "not-here"}])
    allowed = appetite()
    allowed["spec"]["breakGlass"] = {"maxDuration": "4h", "groups": ["risk-owners"]}
    return write(
        "all.yaml",
        policy(),
        allowed,
        approved,
        approval(approved),
        ended,
        approval(ended),
        soon,
        approval(soon),
        emergency,
        approval(emergency, approvedAt="2026-11-26T23:30:00Z"),
        revoked,
        unknown,
        named("asked", "other"),
        cluster_wide("everywhere"),
    )


def test_the_table_has_kubectls_columns_and_what_stands_out(run: Any) -> None:
    done = run("risk", "list", world(), *AT)
    assert (done.status, done.err) == (0, "")
    rows = [line.split("   ") for line in done.out.splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert cells[0] == ["NAMESPACE", "NAME", "PHASE", "UNTIL", "LEFT", "APPROVALS", "OWNER", "NOTES"]
    by_name = {row[1]: row for row in cells[1:]}
    assert list(by_name) == [
        "clusterriskacceptance/everywhere",
        "asked",
        "approved",
        "emergency",
        "ended",
        "revoked",
        "soon",
        "unknown",
    ]
    phases = {name: row[2] for name, row in by_name.items()}
    assert phases["approved"] == phases["soon"] == phases["emergency"] == "Active"
    assert (phases["ended"], phases["revoked"], phases["unknown"]) == ("Expired", "Revoked", "Unknown")
    assert phases["asked"] == "Pending"
    assert by_name["approved"][3:] == ["2027-01-25T00:00Z", "59d", "1/1", "jane.doe@example.com", "<none>"]
    assert by_name["ended"][4] == "-"
    assert by_name["soon"][-1] == "ends within 7 days"
    assert by_name["emergency"][3:5] == ["2026-11-27T03:00Z", "3h"]
    assert by_name["emergency"][-1] == "break-glass, ends within 1 day"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("-n", "other"), ["everywhere", "asked"]),
        (("-n", "other", "-A", "--phase", "Expired"), ["ended"]),
        (("--phase", "Active", "--sort-by", "until"), ["emergency", "soon", "approved"]),
        (("--phase", "Revoked", "--phase", "Unknown"), ["revoked", "unknown"]),
    ],
    ids=["one namespace", "all namespaces", "what ends first", "phases"],
)
def test_which_are_listed_and_in_which_order(run: Any, words: tuple[str, ...], names: list[str]) -> None:
    done = run("risk", "list", world(), *AT, *words, "-o", "name")
    assert [line.rpartition("/")[2] for line in done.out.splitlines()] == names


def test_names_are_kubectls(run: Any) -> None:
    done = run("risk", "list", world(), *AT, "-n", "other", "-o", "name")
    assert done.out.splitlines() == [
        "clusterriskacceptance.tidewaiter.dev/everywhere",
        "riskacceptance.tidewaiter.dev/asked",
    ]


def test_headers_can_be_left_out_and_columns_added(run: Any) -> None:
    bare = run("risk", "list", world(), *AT, "--no-headers")
    assert "NAMESPACE" not in bare.out
    wide = run("risk", "list", world(), *AT, "-o", "wide")
    assert "DIGEST" in wide.out.splitlines()[0]
    assert "sha256:" in wide.out


def test_json_and_yaml_hold_the_same(run: Any) -> None:
    as_json = run("risk", "list", world(), *AT, "-o", "json").data
    assert yaml.safe_load(run("risk", "list", world(), *AT, "-o", "yaml").out) == as_json
    by_name = {each["name"]: each for each in as_json["acceptances"]}
    emergency = by_name["emergency"]
    assert (emergency["breakGlass"], emergency["until"]) == (True, "2026-11-27T03:00:00Z")
    assert by_name["asked"]["approvals"] == []
    (given,) = by_name["approved"]["approvals"]
    assert (given["approver"], given["route"], given["counts"]) == (
        "jane.doe@example.com",
        "ClusterUser",
        True,
    )


def test_nothing_to_list_is_no_failure(run: Any) -> None:
    done = run("risk", "list", write("p.yaml", policy()), *AT)
    assert (done.status, done.out, done.err) == (0, "", "No risk acceptances found.\n")


def test_what_can_not_be_read_is_told_beside_the_rest(run: Any) -> None:
    broken = acceptance("broken")
    del broken["spec"]["validUntil"]
    done = run("risk", "list", world(), write("broken.yaml", broken), *AT)
    assert done.status == 2
    assert "approved" in done.out
    assert "broken.yaml:" in done.err


def test_text_that_steers_a_terminal_is_shown_as_text(run: Any) -> None:
    evil = acceptance("evil", riskOwner="jane\x1b[2J", title="a\u202eb")
    file = write("evil.yaml", evil, policy(), appetite())
    forms = (("-o", "yaml"), ())
    for words in ((*words, *form) for words in (("list", file), ("show", "evil", file)) for form in forms):
        done = run("risk", *words, *AT)
        assert done.status == 0
        assert "\x1b" not in done.out
        assert "\u202e" not in done.out


def test_show_says_all_of_one(run: Any) -> None:
    asked = acceptance(
        title="Legacy",
        ticket="https://tickets.example.com/1",
        remediation={"plan": "Rewrite it", "due": "2027-01-15"},
        compensatingControls=[{"description": "No network."}],
    )
    file = write("all.yaml", policy(), appetite(), asked, approval(asked), deployment())
    done = run("risk", "show", "legacy", file, *AT)
    assert done.status == 0, done.err
    for text in (
        "RiskAcceptance shop/legacy Active, until 2027-01-25T00:00:00Z",
        "Rewrite it (due 2027-01-15)",
        "No network.",
        "ClusterPolicy non-root: all validations",
        "medium severity, Active, until 2027-01-25T00:00:00Z",
        "kinds: Pod, Deployment.apps",
        "Approvals: 1 of 1 that it takes",
        "jane.doe@example.com, 2026-11-02T09:00:00Z, by ClusterUser: counts",
        "Covers: 1 violation",
        "all.yaml:10: Deployment shop/web: non-root/run-as-non-root (container app)",
    ):
        assert text in done.out


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"digest": "sha256:" + "0" * 64}, "it was given for another version of the acceptance"),
        ({"groups": ["others"]}, "is none of the approvers that the RiskAppetite names"),
        ({"approver": "john.roe@example.com"}, "john.roe@example.com asked for the acceptance"),
        ({"approvedAt": "2026-12-01T00:00:00Z"}, "it counts from 2026-12-01T00:00:00Z"),
    ],
    ids=["another version", "another group", "own request", "not yet"],
)
def test_an_approval_that_does_not_count_says_why(run: Any, given: dict[str, Any], why: str) -> None:
    asked = acceptance()
    file = write("all.yaml", policy(), appetite(), asked, approval(asked, **given))
    done = run("risk", "show", "legacy", file, *AT)
    assert "Approvals: 0 of 1 that it takes" in done.out
    assert "does not count" in done.out
    assert why in " ".join(done.out.split())


def test_of_two_by_one_person_one_counts_and_the_other_says_so(run: Any) -> None:
    asked = acceptance()
    again = approval(asked, approvedAt="2026-11-03T09:00:00Z")
    again["metadata"]["name"] = "again"
    file = write("all.yaml", policy(), appetite(approvals=2), asked, approval(asked), again)
    shown = run("risk", "show", "legacy", file, *AT, "-o", "json").data
    assert [(each["name"], each["counts"]) for each in shown["approvals"]] == [
        ("legacy-jane", False),
        ("again", True),
    ]
    assert shown["approvals"][0]["why"] == "another approval by the same person counts"
    assert (shown["approvalsCounting"], shown["approvalsRequired"], shown["phase"]) == (1, 2, "Pending")


@pytest.mark.parametrize(
    "user",
    [
        "system:serviceaccount:flux-system:kustomize-controller",
        "system:serviceaccount:argocd:argocd-application-controller",
    ],
)
def test_show_warns_of_shared_accounts_that_apply_every_tenants_repository(run: Any, user: str) -> None:
    asked = acceptance(appliedBy=user)
    trusting = appetite()
    trusting["spec"]["trustedAppliers"] = [{"user": user, "namespaces": ["shop"]}]
    file = write("all.yaml", policy(), trusting, asked, approval(asked, appliedBy=user))
    shown = run("risk", "show", "legacy", file, *AT, "-o", "json").data
    assert any("is by its name a shared account of Flux or Argo CD" in each for each in shown["warnings"])
    assert any("is a claim" in each for each in shown["warnings"])
    named = [{"kind": "ClusterPolicy", "name": "no-latest", "severity": "medium"}]
    own = write("own.yaml", policy(), appetite(), acceptance(policies=named))
    assert run("risk", "show", "legacy", own, *AT, "-o", "json").data["warnings"] == []


def test_show_warns_where_a_policy_that_is_edited_to_be_weaker_would_need_fewer_approvals(run: Any) -> None:
    policies = [{"kind": "ClusterPolicy", "name": name} for name in ("no-latest", "other")]
    policies.append({"kind": "ClusterPolicy", "name": "third", "severity": "high"})
    asked = acceptance(policies=policies)
    file = write("all.yaml", policy(), appetite(), asked, approval(asked))
    (warning,) = run("risk", "show", "legacy", file, *AT, "-o", "json").data["warnings"]
    assert "it names no severity for ClusterPolicy no-latest, ClusterPolicy other: should" in warning


def test_an_emergency_is_flagged(run: Any) -> None:
    done = run("risk", "show", "emergency", world(), *AT)
    assert "warning: it is for an emergency (break-glass)" in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "there is no RiskAcceptance nothing"),
        ("clusterriskacceptance/approved", "there is no clusterriskacceptance approved"),
        ("pod/approved", "there is no pod approved"),
        ("twice", "there are 2 of the name twice: say -n, one of a, b"),
    ],
)
def test_a_name_that_means_no_one_acceptance(run: Any, name: str, message: str) -> None:
    twice = write("twice.yaml", named("twice", "a"), named("twice", "b"))
    done = run("risk", "show", name, world(), twice, *AT)
    assert done.status == 2
    assert message in done.err


def test_the_cluster_kind_is_named_with_its_kind(run: Any) -> None:
    for name in ("clusterriskacceptance/everywhere", "cra/everywhere"):
        assert run("risk", "show", name, world(), *AT).out.startswith("ClusterRiskAcceptance everywhere")


def test_options_for_files_need_files(run: Any) -> None:
    done = run("risk", "list", "--kubeconfig", "nothing.yaml", *AT)
    assert done.status == 2
