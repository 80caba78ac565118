"""Writes to the risk kinds on a real API server: as several users, with workers and without any."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.chart.helm import Helm
from tests.conftest import _programs
from tests.controlplane import ControlPlane
from tests.e2e.cluster import (
    APPETITE,
    ROOT,
    acceptance,
    as_whom,
    eventually,
    policy,
    stamp,
)
from webhook.core.times import parse_time
from webhook.operator.certificates import next_bundle
from webhook.operator.webhooks import Endpoint, Registration, desired

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("guard")]

JOHN, JANE, EVE = "john.roe@example.com", "jane.doe@example.com", "eve@example.com"
MASTERS = "system:masters"
"""Stands for the rights that RBAC gives; the guard gives it nothing on acceptances and approvals."""
NO_SECRETS = "!has(object.data) || !('password' in object.data)"


def applier(space: str) -> str:
    return f"system:serviceaccount:{space}:applier"


def as_user(name: str, *groups: str) -> tuple[str, ...]:
    return ("--as", name, *(f"--as-group={group}" for group in (MASTERS, *groups)))


def write(
    plane: ControlPlane, obj: Mapping[str, Any], *flags: str, verb: str = "create"
) -> subprocess.CompletedProcess[str]:
    return plane.kubectl(verb, "-f", "-", *flags, input=json.dumps(obj))


def changed(obj: Mapping[str, Any], **spec: Any) -> dict[str, Any]:
    """Return `obj` with other fields in its spec, under another name; None takes a field away."""
    result = copy.deepcopy(dict(obj))
    result["spec"] = {name: value for name, value in {**obj["spec"], **spec}.items() if value is not None}
    return result


def named(obj: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "name": name}}


def risks(space: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an acceptance that John asks for, and Jane's approval of it."""
    asked, given = acceptance({"metadata": {"name": "any"}}, space, ("", "ConfigMap"), ["one"])
    return asked, given


def floor_of(plane: ControlPlane, helms: Path, home: Path) -> None:
    """Apply the chart's ValidatingAdmissionPolicies, and wait until the API server has checked them."""
    values = {
        "risk": {"administratorGroups": ["security", 'odd "group" \\']},
        "rbac": {"userRoles": False},
    }
    made = Helm(helms / "helm", home).template(values, "-s", "templates/guard-and-roles.yaml")
    plane.kubectl("apply", "-f", "-", input="\n---\n".join(map(json.dumps, made)), check=True)

    def checked() -> Any:
        found = json.loads(
            plane.kubectl("get", "validatingadmissionpolicies", "-o", "json", check=True).stdout
        )
        statuses = [each.get("status") or {} for each in found["items"]]
        return statuses if all(status.get("observedGeneration") for status in statuses) else None

    statuses = eventually(checked, "the API server's type check", 60)
    assert len(statuses) == 4
    warnings = [
        warning for status in statuses for warning in status["typeChecking"].get("expressionWarnings", ())
    ]
    assert not warnings


@pytest.fixture(scope="module")
def down(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Return a cluster with the floor, and with our webhook configuration but nobody who answers."""
    helms = _programs("KUBEBUILDER_ASSETS", ("helm",), "helm")
    folder = tmp_path_factory.mktemp("guard")
    with ControlPlane(assets, folder / "plane", kcm=True) as plane:
        plane.kubectl("apply", "-k", str(ROOT / "charts/tidewaiter/crds"), check=True)
        for crd in ("riskacceptances", "riskappetites"):
            plane.kubectl(
                "wait",
                "--for=condition=Established",
                f"crd/{crd}.tidewaiter.dev",
                "--timeout=60s",
                check=True,
            )
        floor_of(plane, helms, folder)
        appetite = changed(APPETITE, trustedAppliers=[{"user": applier("floor"), "namespaces": ["floor"]}])
        eventually(
            lambda: (
                "tidewaiter-guard-appetite"
                in write(plane, appetite, *as_user(EVE), "--dry-run=server").stderr
            ),
            "the floor",
        )
        for space in ("floor", "closed", "ending"):
            plane.kubectl("create", "namespace", space, check=True)
        assert write(plane, appetite, *as_user("admin", "security")).returncode == 0
        eventually(
            lambda: (
                "lists no"
                in write(
                    plane,
                    changed(risks("floor")[0], appliedBy=applier("x")),
                    *as_user(applier("x")),
                    "--dry-run=server",
                ).stderr
            ),
            "the appetite in the floor",
        )
        yield plane


@pytest.fixture
def closed(down: ControlPlane) -> Iterator[ControlPlane]:
    """Return the cluster with our webhook configuration in place and nobody behind it."""
    bundle = next_bundle(None, ["127.0.0.1"], datetime.now(UTC))
    # Port 9 discards: nobody answers there.
    registration = Registration("tidewaiter", Endpoint(bundle.trusted, "https://127.0.0.1:9"), "Ignore")
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    status, made = down.request("POST", path, desired([], registration))
    assert status == 201, made
    asked = risks("floor")[0]
    eventually(
        lambda: "failed calling webhook" in write(down, asked, *as_user(JOHN), "--dry-run=server").stderr,
        "the configuration",
    )
    yield down
    down.request("DELETE", f"{path}/tidewaiter")
    eventually(
        lambda: write(down, asked, *as_user(JOHN), "--dry-run=server").returncode == 0, "no configuration"
    )


ASKED, GIVEN = risks("floor")
STARTED = datetime.now(UTC)
FLOOR = {
    "the requester writes": (ASKED, as_user(JOHN), ""),
    "another requester": (ASKED, as_user(EVE), f"must be {EVE}"),
    "an account for a person": (ASKED, as_user(applier("floor")), "spec.appliedBy"),
    "a listed applier": (changed(ASKED, appliedBy=applier("floor")), as_user(applier("floor")), ""),
    "an applier that is not listed": (
        changed(ASKED, appliedBy=applier("other")),
        as_user(applier("other")),
        "lists no system:serviceaccount:other:applier",
    ),
    "a person as an applier": (changed(ASKED, appliedBy=applier("floor")), as_user(JOHN), f"must be {JOHN}"),
    "the approver writes": (GIVEN, as_user(JANE, "risk-owners"), ""),
    "another approver": (GIVEN, as_user(EVE, "risk-owners"), f"must be {EVE}"),
    "a group that the approver lacks": (GIVEN, as_user(JANE), "is not in risk-owners"),
    "an approval from long ago": (
        changed(GIVEN, approvedAt=stamp(timedelta(hours=-1))),
        as_user(JANE, "risk-owners"),
        "given when it is written",
    ),
    "an approval ahead of time": (
        changed(GIVEN, approvedAt=stamp(timedelta(hours=1))),
        as_user(JANE, "risk-owners"),
        "given when it is written",
    ),
    "a signed approval by any applier": (
        changed(
            GIVEN, signature="-----BEGIN SSH SIGNATURE-----\nAAAA\n", approvedAt=stamp(timedelta(days=-1))
        ),
        as_user("system:serviceaccount:flux-system:kustomize-controller"),
        "",
    ),
    "a signed approval that another applier brought before": (
        changed(GIVEN, signature="-----BEGIN SSH SIGNATURE-----\nAAAA\n", appliedBy=applier("before")),
        as_user("system:serviceaccount:velero:velero"),
        "",
    ),
    "an unsigned approval by an account": (
        GIVEN,
        as_user(applier("floor"), "risk-owners"),
        "must be system:",
    ),
    "an approval by a listed applier": (
        changed(GIVEN, appliedBy=applier("floor")),
        as_user(applier("floor")),
        "",
    ),
    "an appetite by anybody": (named(APPETITE, "other"), as_user(EVE), "none of the groups"),
    "an appetite by an administrator": (named(APPETITE, "other"), as_user(EVE, "security"), ""),
    "an administrator of an odd group": (named(APPETITE, "other"), as_user(EVE, 'odd "group" \\'), ""),
}


@pytest.mark.parametrize("case", FLOOR)
def test_the_floor_holds_while_nothing_of_ours_is_there(down: ControlPlane, case: str) -> None:
    obj, flags, said = FLOOR[case]
    if "approvedAt" in obj["spec"]:  # as long from now as it was when the tests were collected
        obj = changed(obj, approvedAt=stamp(parse_time(obj["spec"]["approvedAt"]) - STARTED))
    done = write(down, obj, *flags, "--dry-run=server")
    if said:
        assert done.returncode, done.stdout
        assert "ValidatingAdmissionPolicy 'tidewaiter-guard-" in done.stderr
        assert said in done.stderr
    else:
        assert done.returncode == 0, done.stderr


def test_the_floor_judges_changes(down: ControlPlane) -> None:
    asked, given = (named(each, f"{each['metadata']['name']}-kept") for each in risks("floor"))
    assert write(down, asked, *as_user(JOHN)).returncode == 0
    assert write(down, given, *as_user(JANE, "risk-owners")).returncode == 0
    wider = changed(asked, title="Wider")
    assert "guard-acceptances" in write(down, wider, *as_user(EVE), verb="replace").stderr
    assert write(down, wider, *as_user(JOHN), verb="replace").returncode == 0
    both = changed(wider, title="Wider still", revoked={"at": stamp()})
    assert "guard-acceptances" in write(down, both, *as_user(EVE), verb="replace").stderr
    revoked = changed(wider, revoked={"at": stamp()})
    assert write(down, revoked, *as_user(EVE), verb="replace").returncode == 0
    said = write(down, changed(given, comment="more"), *as_user(JANE, "risk-owners"), verb="replace").stderr
    assert "never changes" in said


def test_the_appetite_is_deleted_by_administrators_and_never_with_what_it_revokes(down: ControlPlane) -> None:
    revoking = named(changed(APPETITE, revoked=[{"digest": "sha256:" + "0" * 64}]), "revoking")
    narrow = named(changed(APPETITE, administrators={"groups": ["board"]}), "narrow")
    security, board = as_user("admin", "security"), as_user("admin", "security", "board")
    for obj in (revoking, narrow):
        assert write(down, obj, *security).returncode == 0
    gone = ("delete", "riskappetite")
    assert "none of the groups" in down.kubectl(*gone, "narrow", *as_user(EVE, "board")).stderr
    assert "spec.administrators" in down.kubectl(*gone, "narrow", *security).stderr
    down.kubectl(*gone, "narrow", *board, check=True)
    assert "stays revoked" in down.kubectl(*gone, "revoking", *security).stderr


def test_the_guard_fails_closed_where_the_floor_lets_through(closed: ControlPlane) -> None:
    asked, given = risks("closed")
    for obj in (asked, given):
        done = write(closed, obj, *as_whom(obj))
        assert done.returncode
        assert 'failed calling webhook "guard.tidewaiter.dev"' in done.stderr
    wrong = write(closed, asked, *as_user(EVE))
    assert "ValidatingAdmissionPolicy" in wrong.stderr
    assert closed.kubectl("delete", "riskappetite", "default", *as_user("admin", "security")).returncode


def test_statuses_finalizers_and_labels_pass_while_nobody_answers(
    down: ControlPlane, request: pytest.FixtureRequest
) -> None:
    asked = named(risks("closed")[0], "held")
    asked["metadata"] = {**asked["metadata"], "finalizers": ["example.com/held"]}
    assert write(down, asked, *as_user(JOHN)).returncode == 0
    request.getfixturevalue("closed")
    operator = as_user("system:serviceaccount:tidewaiter-system:tidewaiter")
    held = ("riskacceptance", "held", "-n", "closed")
    status = json.dumps({"status": {"phase": "Pending"}})
    down.kubectl("patch", *held, "--subresource=status", "--type=merge", "-p", status, *operator, check=True)
    down.kubectl("label", *held, "team=a", *as_user(EVE), check=True)
    down.kubectl("delete", *held, "--wait=false", *as_user(EVE), check=True)
    free = json.dumps({"metadata": {"finalizers": None}})
    down.kubectl("patch", *held, "--type=merge", "-p", free, *as_user(EVE), check=True)
    eventually(lambda: down.kubectl("get", *held).returncode, "the end of the acceptance")


def test_a_namespace_ends_while_nobody_answers(down: ControlPlane, request: pytest.FixtureRequest) -> None:
    for obj in risks("ending"):
        assert write(down, obj, *as_whom(obj)).returncode == 0
    request.getfixturevalue("closed")
    down.kubectl("delete", "namespace", "ending", "--wait=false", check=True)
    eventually(lambda: down.kubectl("get", "namespace", "ending").returncode, "the end of the namespace", 60)


def test_a_policy_can_be_mended_while_nobody_answers(closed: ControlPlane) -> None:
    closed.kubectl("apply", "-f", "-", input=json.dumps(policy("closed", NO_SECRETS)), check=True)
