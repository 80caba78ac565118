"""`tidewaiter risk renew` and `risk revoke` of files: what is written for a commit, and what it does then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from offline_manifests import acceptance, appetite, approval, deployment, policy, write

pytestmark = pytest.mark.usefixtures("folder")

AT = ("--at", "2026-11-27T00:00:00Z", "--trust-approvals")


def world(asked: dict[str, Any], given: dict[str, Any] | None = None, **limits: Any) -> tuple[str, ...]:
    return (
        write("policy.yaml", policy(riskAcceptance=limits), appetite()),
        write("risk.yaml", asked, approval(asked) if given is None else given),
    )


def renewed(run: Any, *words: str) -> dict[str, Any]:
    done = run("risk", "renew", *words, *AT)
    assert done.status == 0, done.err
    (made,) = yaml.safe_load_all(done.out)
    found: dict[str, Any] = made
    return found


def test_a_renewal_goes_on_where_the_old_one_ends(run: Any) -> None:
    asked = acceptance(ticket="https://t/1", validUntil="2026-12-20T00:00:00Z")
    made = renewed(run, "legacy", *world(asked))
    assert made["metadata"] == {"name": "legacy-renewal-1", "namespace": "shop"}
    spec = made["spec"]
    assert (spec["renews"], spec["renewal"]) == ("legacy", 1)
    assert (spec["validFrom"], spec["validUntil"]) == ("2026-12-20T00:00:00Z", "2027-03-20T00:00:00Z")
    kept = ("policies", "scope", "justification", "riskOwner", "requester", "ticket")
    assert {name: spec[name] for name in kept} == {name: asked["spec"][name] for name in kept}


def test_it_is_accepted_once_others_approve_it_and_not_before(run: Any) -> None:
    asked = acceptance(validUntil="2026-11-20T00:00:00Z")
    files = world(asked)
    made = renewed(run, "legacy", *files, "--requester", "ann@example.com")
    check = ("check", *files, write("renewal.yaml", made), write("web.yaml", deployment()))
    moment = ("--at", "2026-11-28T00:00:00Z", "--trust-approvals")
    assert run(*check, *moment).status == 1
    given = write("given.yaml", approval(made, approvedAt="2026-11-27T09:00:00Z"))
    assert run(*check, given, *moment).status == 0
    done = run("risk", "renew", "legacy-renewal-1", *files, "renewal.yaml", given, "--for", "1d", *moment)
    again = yaml.safe_load(done.out)
    assert again["metadata"]["name"] == "legacy-renewal-2"
    assert (again["spec"]["renews"], again["spec"]["renewal"]) == ("legacy-renewal-1", 2)


def test_what_an_option_says_replaces_the_old(run: Any) -> None:
    made = renewed(
        run,
        *("legacy", *world(acceptance())),
        *("--justification", "Still old.", "--owner", "ann", "--ticket", "https://t/2", "--name", "next"),
        *("--valid-from", "2026-12-01T00:00:00Z", "--until", "2026-12-31"),
    )
    spec = made["spec"]
    assert made["metadata"]["name"] == "next"
    assert (spec["justification"], spec["riskOwner"], spec["ticket"]) == ("Still old.", "ann", "https://t/2")
    assert (spec["validFrom"], spec["validUntil"]) == ("2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z")


REVOKED = {"at": "2026-11-10T00:00:00Z", "by": "jane", "reason": "misused"}


@pytest.mark.parametrize(
    ("spec", "limits", "words", "message"),
    [
        ({}, {"maxRenewals": 0}, (), "this would be renewal 1, and non-root allows 0"),
        ({"renews": "x", "renewal": 2}, {"maxRenewals": 2}, (), "this would be renewal 3"),
        ({"revoked": REVOKED}, {}, (), "can't be renewed: non-root: it was revoked"),
        ({"policies": [{"kind": "ClusterPolicy", "name": "gone"}]}, {}, (), "there is no ClusterPolicy gone"),
        ({}, {"allowed": False}, (), "can't be renewed"),
        ({}, {"requireTicket": True}, (), "it must fill in spec.ticket"),
        ({}, {}, ("--for", "200d"), "it may last until"),
        ({}, {}, ("--break-glass",), "An emergency is not declared by a renewal"),
        ({}, {}, ("--create",), "--create is for a cluster"),
    ],
    ids=[
        "none allowed",
        "one too many",
        "revoked",
        "no such policy",
        "not acceptable now",
        "a field is wanted now",
        "too long",
        "an emergency",
        "files can't be created",
    ],
)
def test_what_can_not_be_renewed_says_why(
    run: Any, spec: dict[str, Any], limits: dict[str, Any], words: tuple[str, ...], message: str
) -> None:
    done = run("risk", "renew", "legacy", *world(acceptance(**spec), **limits), *words, *AT)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_what_was_never_in_force_is_not_renewed(run: Any) -> None:
    asked = acceptance()
    given = approval(asked, groups=["others"])
    done = run("risk", "renew", "legacy", *world(asked, given), *AT)
    assert (done.status, done.out) == (2, "")
    assert "can't be renewed: non-root: it has 0 of 1 approvals that count" in done.err


def test_a_revoked_manifest_is_written_and_holds(run: Any) -> None:
    files = (*world(acceptance()), write("web.yaml", deployment()))
    assert run("check", *files, *AT).status == 0
    done = run("risk", "revoke", "legacy", *files, *AT, "--by", "jane", "--reason", "misused")
    assert done.status == 0, done.err
    made = yaml.safe_load(done.out)
    assert made["spec"]["revoked"] == {"at": "2026-11-27T00:00:00Z", "by": "jane", "reason": "misused"}
    assert "Covers: 1 violation" in done.err
    assert (
        "From then on whatever is created or changed with the 1 violation that it covers is denied"
        in done.err
    )
    given = approval(acceptance())
    write("risk.yaml", made, given)
    denied = run("check", *files, *AT)
    assert denied.status == 1
    assert "it was revoked" in denied.out
    again = run("risk", "revoke", "legacy", *files, *AT, "--by", "jane")
    assert (again.status, again.out) == (2, "")
    assert "is revoked already" in again.err


def test_a_revocation_says_what_signatures_make_possible(run: Any) -> None:
    asked = acceptance()
    signature = "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"
    for given, said in ((approval(asked), False), (approval(asked, signature=signature), True)):
        done = run("risk", "revoke", "legacy", *world(asked, given), *AT, "--by", "jane")
        assert done.status == 0, done.err
        assert ("Its approvals are signed" in done.err) is said


def test_an_entry_for_the_appetite_is_written_and_holds(run: Any) -> None:
    files = (*world(acceptance()), write("web.yaml", deployment()))
    done = run("risk", "revoke", "legacy", *files, *AT, "--how", "digest", "--reason", "misused")
    made = appetite()
    made["spec"] |= yaml.safe_load(done.out)
    Path("policy.yaml").unlink()
    write("policy.yaml", policy(), made)
    denied = run("check", *files, *AT)
    assert denied.status == 1
    assert "the RiskAppetite revokes its digest" in denied.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "With PATH say who revokes it: --by"),
        (("--how", "delete"), "To delete it, remove its manifest"),
        (("--by", "jane", "-n", "other"), "there is no RiskAcceptance legacy"),
    ],
)
def test_what_can_not_be_revoked_says_why(run: Any, words: tuple[str, ...], message: str) -> None:
    done = run("risk", "revoke", "legacy", *world(acceptance()), *AT, *words)
    assert (done.status, done.out) == (2, "")
    assert message in done.err
