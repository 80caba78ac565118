"""The floor of the guard comes before the roles that may write the risk kinds, however it is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm import CHART, NAMESPACE, ROOT, Helm
from tests.controlplane import ControlPlane
from tests.e2e.cluster import APPETITE, acceptance, configmap, eventually, namespace
from tests.faults.load import SPACE, load_policies
from tests.faults.world import World

FLOOR = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
RISK_KINDS = (
    "riskacceptances",
    "clusterriskacceptances",
    "riskapprovals",
    "clusterriskapprovals",
    "riskappetites",
)
WRITES = {"create", "update", "patch"}
REQUESTER, APPROVER = "john.roe@example.com", "jane.doe@example.com"


def may_write(role: dict[str, Any]) -> bool:
    """Tell whether a role lets somebody write the risk kinds."""
    return role["kind"] in ("ClusterRole", "Role") and any(
        {*RISK_KINDS, "*"} & {*rule.get("resources", ())} and {*WRITES, "*"} & {*rule["verbs"]}
        for rule in role["rules"]
        if "tidewaiter.dev" in rule["apiGroups"]
    )


def order(objects: list[dict[str, Any]]) -> tuple[int, int]:
    """Return where the floor ends and where the first role begins that may write the risk kinds."""
    floor = [place for place, each in enumerate(objects) if each["kind"] in FLOOR]
    roles = [place for place, each in enumerate(objects) if may_write(each)]
    assert len(floor) == 8
    assert roles
    return max(floor), min(roles)


def test_the_plain_manifests_make_the_floor_first() -> None:
    text = (ROOT / "deploy/tidewaiter.yaml").read_text()
    end, begin = order(list(yaml.load_all(text, Loader=yaml.CSafeLoader)))
    assert end < begin


def test_the_chart_makes_the_floor_first(helm: Helm) -> None:
    end, begin = order(helm.template({}, "--no-hooks"))
    assert end < begin


@pytest.fixture(scope="module")
def plane(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(assets, tmp_path_factory.mktemp("order")) as started:
        started.kubectl("apply", "-k", str(ROOT / "charts/tidewaiter/crds"), check=True)
        yield started


def apply(plane: ControlPlane, *objects: Any, user: str = "") -> None:
    """Apply objects, as a user with the rights that they have."""
    text = "\n---\n".join(map(json.dumps, objects))
    flags = (f"--as={user}", "--as-group=risk-owners", "--as-group=system:authenticated") if user else ()
    plane.kubectl("apply", "-f", "-", *flags, input=text, check=True)


def bind(role: str, user: str) -> dict[str, Any]:
    """Return a RoleBinding to one of the chart's roles for people."""
    api = {"apiGroup": "rbac.authorization.k8s.io"}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": role, "namespace": SPACE},
        "roleRef": {**api, "kind": "ClusterRole", "name": role},
        "subjects": [{**api, "kind": "User", "name": user}],
    }


BOUND = {
    "bind": {
        "requesters": {"users": [REQUESTER]},
        "approvers": {"users": [APPROVER], "namespaces": ["default"]},
    }
}
RESOURCES = (
    "clusterroles,clusterrolebindings,roles,rolebindings,"
    "validatingadmissionpolicies,validatingadmissionpolicybindings"
)


def listed(plane: ControlPlane) -> dict[str, str]:
    """Return the uids of the floor, the roles and the bindings of the chart that are there."""
    found = json.loads(plane.kubectl("get", RESOURCES, "-A", "-o", "json", check=True).stdout)["items"]
    return {
        f"{each['kind']} {each['metadata']['name']}": each["metadata"]["uid"]
        for each in found
        if each["metadata"]["name"].startswith("tidewaiter")
    }


def made(plane: ControlPlane) -> list[str]:
    """Return what Helm has made of those so far, in the order of the API server's audit log."""
    return [
        f"{event['objectRef']['resource']} {event['objectRef']['name']}"
        for event in plane.audit_events()
        if event["userAgent"].lower().startswith("helm")
        and event.get("responseStatus", {}).get("code") == 201
        and event["objectRef"]["resource"] in RESOURCES.split(",")
    ]


@pytest.mark.e2e
@pytest.mark.xdist_group("chart-order")
@pytest.mark.parametrize("program", ["helm", "helm4"])
def test_helm_makes_the_floor_first_and_keeps_it(
    plane: ControlPlane, helms: Path, tmp_path: Path, program: str
) -> None:
    helm = Helm(helms / program, tmp_path, plane)
    for round_ in range(2):  # and again, after an uninstall
        before = len(made(plane))
        values: dict[str, Any] = {"rbac": BOUND, "crds": {"upgrade": False}, "uninstall": {"hook": False}}
        target = ("tidewaiter", str(CHART), "--namespace", NAMESPACE)
        helm.run("install", *target, "--create-namespace", values=values)
        created = made(plane)[before:]
        floor = [place for place, name in enumerate(created) if name.startswith("validatingadmission")]
        people = [place for place, name in enumerate(created) if "requester" in name or "approver" in name]
        assert len(floor) == 8, created
        assert len(people) == 5, created
        assert max(floor) < min(people), created
        installed = listed(plane)

        values["risk"] = {"administratorGroups": ["security"]}
        helm.run("upgrade", *target, values=values)
        said = plane.kubectl(
            "get", "validatingadmissionpolicy", "tidewaiter-guard-appetite", "-o", "yaml"
        ).stdout
        assert "security" in said
        assert listed(plane) == installed, "nothing is made anew"
        helm.run("rollback", "tidewaiter", "1", "--namespace", NAMESPACE)
        said = plane.kubectl(
            "get", "validatingadmissionpolicy", "tidewaiter-guard-appetite", "-o", "yaml"
        ).stdout
        assert "security" not in said
        assert listed(plane) == installed, "nothing is made anew"

        without = {**values, "risk": {"admissionPolicy": False}, "rbac": {"userRoles": False}}
        helm.run("upgrade", *target, values=without)
        assert not {name for name in listed(plane) if "guard" in name or "approver" in name}
        helm.run("upgrade", *target, values=values)
        assert listed(plane).keys() == installed.keys()
        helm.run("uninstall", "tidewaiter", "--namespace", NAMESPACE)
        eventually(lambda: not listed(plane), f"nothing is left, round {round_}", 60)


@pytest.mark.e2e
@pytest.mark.xdist_group("chart-order")
def test_what_is_written_before_the_floor_does_not_count(
    plane: ControlPlane, helms: Path, tmp_path: Path
) -> None:
    objects = Helm(helms / "helm", tmp_path).template(
        {"risk": {"administratorGroups": ["security"]}}, "--no-hooks"
    )
    floor = [each for each in objects if each["kind"] in FLOOR]
    rest = [each for each in objects if each not in floor]
    apply(plane, namespace(NAMESPACE), namespace(SPACE), APPETITE, *rest)
    apply(plane, bind("tidewaiter-requester", REQUESTER), bind("tidewaiter-approver", APPROVER))

    asked, given = acceptance(load_policies()[0], SPACE, ("", "ConfigMap"), ["early"])
    lied = json.loads(json.dumps(asked))
    lied["metadata"]["name"] = "lied"
    lied["spec"]["requester"] = "somebody.else@example.com"
    eventually(lambda: _may(plane, REQUESTER, "riskacceptances"), "the roles hold", 30)
    apply(plane, asked, lied, user=REQUESTER)
    apply(plane, given, user=APPROVER)

    apply(plane, *floor)
    eventually(
        lambda: not _takes(plane, {**lied, "metadata": {**lied["metadata"], "name": "late"}}), "the floor", 30
    )
    with World(plane, count=1, operator=("--guard-policy", "tidewaiter-guard")) as world:
        early = configmap(SPACE, "early", password="x")
        said = eventually(lambda: _denied(world, early, "guard"), "the reason is told", 30)
        assert "it came before the guard that is in place now: give it anew" in said
        _again(plane, given, APPROVER)
        said = eventually(lambda: _denied(world, early, "the acceptance"), "the reason is told", 30)
        assert "the acceptance came before the guard that is in place now: write and approve it anew" in said
        _again(plane, asked, REQUESTER)
        _again(plane, given, APPROVER)
        eventually(lambda: not _denied(world, early), "what is written and approved anew counts", 30)


def _may(plane: ControlPlane, user: str, what: str) -> bool:
    words = ("auth", "can-i", "create", f"{what}.tidewaiter.dev", "-n", SPACE, f"--as={user}")
    return plane.kubectl(*words).returncode == 0


def _takes(plane: ControlPlane, obj: dict[str, Any]) -> bool:
    flags = ("--dry-run=server", f"--as={REQUESTER}")
    return plane.kubectl("create", "-f", "-", *flags, input=json.dumps(obj)).returncode == 0


def _denied(world: World, obj: dict[str, Any], word: str = "") -> str:
    """Return why an object is denied, once the reason has such a word; empty where it is let in."""
    done = world.plane.kubectl("create", "-f", "-", "--dry-run=server", input=json.dumps(obj))
    return done.stderr if done.returncode and word in done.stderr else ""


def _again(plane: ControlPlane, obj: dict[str, Any], user: str) -> None:
    """Delete what is there, and write it anew."""
    words = ("delete", obj["kind"], obj["metadata"]["name"], "-n", SPACE)
    plane.kubectl(*words, check=True)
    apply(plane, obj, user=user)
