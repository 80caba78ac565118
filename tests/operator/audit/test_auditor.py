"""The auditor on a real API server: what it judges, as far as its rights reach, and what it reports."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.e2e.report_kinds import WGPOLICY
from webhook.adapters import snapshots
from webhook.adapters.openreports import Family
from webhook.operator.audit.auditor import Auditor
from webhook.operator.audit.facts import AuditFacts, PolicyFacts
from webhook.operator.client import ApiError, KubernetesClient, connect
from webhook.operator.informer import strip

pytestmark = pytest.mark.xdist_group("controlplane")

Until = Callable[..., Awaitable[None]]
_numbers = itertools.count(1)
_revisions = itertools.count(1)


def policy(
    name: str, space: str, resources: Sequence[str], expression: str = "false", **spec: Any
) -> dict[str, Any]:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": list(resources)}
    return {
        "apiVersion": "tidewaiter.dev/v1alpha1",
        "kind": "ClusterPolicy",
        "metadata": {"name": name, "generation": next(_revisions)},
        "spec": {
            "matchConstraints": {
                "resourceRules": [rule],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}},
            },
            "validations": [{"name": "check", "expression": expression, "message": "never"}],
            **spec,
        },
    }


def configmap(space: str, name: str, **labels: str) -> dict[str, Any]:
    metadata = {"namespace": space, "name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


class Site:
    """A namespace, what the operator would publish, and what the auditor said last."""

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        self.folder = folder
        self.space = f"audit-{next(_numbers)}"
        self.facts = AuditFacts()
        self.policies: dict[str, PolicyFacts] = {}
        folder.mkdir()
        self.make({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.space}})

    def make(self, *objects: Mapping[str, Any]) -> None:
        text = "\n---\n".join(map(json.dumps, objects))
        self.plane.kubectl("apply", "-f", "-", input=text, check=True)

    def publish(self, *objects: dict[str, Any]) -> None:
        _, found = self.plane.request("GET", f"/api/v1/namespaces/{self.space}")
        data = snapshots.dump([strip(found), *objects], snapshots.Context(trust_approvals=True))
        name = f"snapshot-{snapshots.digest(data)}.json"
        (self.folder / name).write_bytes(data)
        link = self.folder / ".current"
        link.symlink_to(name)
        link.rename(self.folder / "current")

    def tell(self, facts: AuditFacts) -> None:
        self.facts = AuditFacts.decode(facts.encode())
        self.policies |= {each.ref[2]: each for each in self.facts.policies}
        for _, _, name in self.facts.gone:
            self.policies.pop(name, None)

    def counts(self, name: str) -> tuple[int, bool]:
        found = self.policies.get(name)
        return (found.violations, found.complete) if found else (-1, False)


@pytest.fixture
def site(plane: ControlPlane, tmp_path: Path) -> Site:
    return Site(plane, tmp_path / "snapshot")


@contextlib.asynccontextmanager
async def auditing(
    client: KubernetesClient, site: Site, family: Family | None = None, check: float = 600.0
) -> AsyncIterator[Auditor]:
    site.facts, site.policies = AuditFacts(), {}
    auditor = Auditor(client, site.folder, family, site.tell, check)
    task = asyncio.create_task(auditor.run())
    try:
        yield auditor
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_a_policy_no_longer_finds_is_forgotten_and_what_it_newly_finds_is_there(
    client: KubernetesClient, site: Site, until: Until
) -> None:
    site.make(configmap(site.space, "a", app="a"), configmap(site.space, "b"))
    site.publish(policy("one", site.space, ["configmaps"], "has(object.metadata.labels)"))
    async with auditing(client, site) as auditor:
        await until(lambda: site.counts("one")[1], 30)
        before = site.counts("one")
        site.publish(policy("one", site.space, ["configmaps"], "!has(object.metadata.labels)"))
        await until(lambda: [top["name"] for top in site.policies["one"].top] == ["a"], 30)
        assert before[0] >= 1
        site.publish(policy("one", site.space, ["configmaps"], background=False))
        await until(lambda: "one" not in site.policies, 30)
        await until(lambda: not any(auditor.found.ledger.records.values()), 30)
        assert not auditor.found.ledger.counts


async def test_a_kind_that_may_not_be_read_is_named_and_the_others_are_judged(
    plane: ControlPlane, site: Site, until: Until
) -> None:
    site.make(configmap(site.space, "a"))
    site.publish(
        policy("one", site.space, ["configmaps"]), policy("two", site.space, ["services", "configmaps"])
    )
    plane.kubectl("create", "clusterrole", "maps", "--verb=list,watch,get", "--resource=configmaps")
    plane.kubectl("create", "clusterrolebinding", "maps", "--clusterrole=maps", "--user=auditor")
    limited = await connect(str(plane.kubeconfig_of("auditor")))
    try:
        async with auditing(limited, site):
            await until(lambda: site.counts("one")[1] and site.facts.complete, 30)
            assert site.counts("one")[0] >= 1
            assert site.counts("two")[0] >= 1
            found = site.policies["two"]
            assert (found.complete, found.reason) == (False, "NotReadable")
            assert "services" in found.message
            assert "cannot list" in site.facts.unreadable["services"]
    finally:
        await limited.close()


async def test_reports_are_written_as_soon_as_the_cluster_has_their_kinds(
    client: KubernetesClient, site: Site, until: Until
) -> None:
    site.make(configmap(site.space, "a"))
    site.publish(policy("one", site.space, ["configmaps"]))
    path = f"/apis/wgpolicyk8s.io/v1alpha2/namespaces/{site.space}/policyreports"

    def reported() -> list[str]:
        status, found = site.plane.request("GET", path)
        return sorted(each["scope"]["name"] for each in found["items"]) if status == 200 else []

    async with auditing(client, site, "wgpolicy"):
        await until(lambda: site.counts("one")[1], 30)
        assert "the cluster has no reports of wgpolicyk8s.io/v1alpha2" in site.facts.problem
        site.make(*WGPOLICY)
        await until(lambda: "a" in reported(), 90)
        await until(lambda: not site.facts.problem, 30)
    # Another leader: what says the same is not written again, and what nobody asks for goes.
    site.plane.request("DELETE", f"/api/v1/namespaces/{site.space}/configmaps/a")
    site.make(configmap(site.space, "b"))
    async with auditing(client, site, "wgpolicy"):
        await until(lambda: "b" in reported() and "a" not in reported(), 60)
        await until(lambda: site.facts.waiting == 0 and site.facts.written.get("removed"), 30)
        written = site.facts.written["written"]
    async with auditing(client, site, "wgpolicy"):
        await until(lambda: site.facts.complete and site.counts("one")[1], 30)
        await until(lambda: site.facts.waiting == 0, 30)
        assert written >= 1
        assert site.facts.written["written"] == 0


async def test_what_the_snapshot_does_not_know_yet_is_judged_again(
    client: KubernetesClient, site: Site, until: Until
) -> None:
    late = Site(site.plane, site.folder.parent / "late")
    site.make(configmap(late.space, "a"))
    rule = policy("one", late.space, ["configmaps"])
    site.publish(rule)
    async with auditing(client, site):
        await until(lambda: site.facts.complete, 30)
        found = site.policies["one"]
        assert found.errors >= 1
        assert found.violations == 0
        late.folder = site.folder
        late.publish(rule)
        await until(lambda: site.counts("one")[0] >= 1, 30)


async def test_a_report_that_was_edited_or_removed_by_hand_is_as_it_was(
    client: KubernetesClient, site: Site, until: Until
) -> None:
    site.make(*WGPOLICY, configmap(site.space, "a"), configmap(site.space, "b"))
    site.plane.kubectl("wait", "--for=condition=Established", "crd", "--all", check=True)
    site.publish(policy("one", site.space, ["configmaps"]))
    path = f"/apis/wgpolicyk8s.io/v1alpha2/namespaces/{site.space}/policyreports"

    def reported() -> dict[str, dict[str, Any]]:
        return {each["scope"]["name"]: each for each in site.plane.request("GET", path)[1]["items"]}

    def said() -> list[tuple[str, str, str]]:
        return sorted(
            (name, result["result"], result["message"])
            for name, each in reported().items()
            if name in "ab"
            for result in each["results"]
        )

    right = [("a", "fail", "never"), ("b", "fail", "never")]
    async with auditing(client, site, "wgpolicy", 0.5):
        await until(lambda: said() == right, 60)
        edit = {"results": [{"policy": "one", "result": "pass", "message": "all is well"}]}
        name = reported()["a"]["metadata"]["name"]
        words = ("patch", "policyreports", name, "-n", site.space, "--type=merge", "-p", json.dumps(edit))
        site.plane.kubectl(*words, check=True)
        await until(lambda: said() == right, 60)
        site.plane.kubectl("delete", "policyreports", "-n", site.space, "--all", check=True)
        await until(lambda: said() == right, 60)
        await until(lambda: site.facts.waiting == 0, 30)
        written = site.facts.written["written"]
        await asyncio.sleep(3)
        assert site.facts.written["written"] == written, "what is right is left alone"
        # What somebody makes with our label, and nobody asked for, goes.
        forged = copy.deepcopy(reported()["a"])
        forged["metadata"] = {
            "namespace": site.space,
            "name": "tidewaiter-x",
            "labels": forged["metadata"]["labels"],
        }
        site.make(forged)
        await until(lambda: site.plane.request("GET", f"{path}/tidewaiter-x")[0] == 404, 60)
    site.plane.kubectl(*words, check=True)
    async with auditing(client, site, "wgpolicy"):
        await until(lambda: said() == right, 60)


WIDGETS = "apis/audit.example.com"


def two_versions(preferred: str, other: str) -> dict[str, Any]:
    """Return a kind that is served in two versions."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.audit.example.com"},
        "spec": {
            "group": "audit.example.com",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
            "versions": [
                {"name": name, "served": True, "storage": name == preferred, "schema": schema}
                for name in (preferred, other)
            ],
        },
    }


async def test_each_policy_judges_the_version_that_it_names(
    client: KubernetesClient, site: Site, until: Until
) -> None:
    site.make(two_versions("v2", "v1beta1"), *WGPOLICY)
    site.plane.kubectl("wait", "--for=condition=Established", "crd", "--all", check=True)
    widget = {"apiVersion": "audit.example.com/v2", "kind": "Widget"}
    site.make({**widget, "metadata": {"namespace": site.space, "name": "a"}})
    named = {"new": ["v2"], "old": ["v1beta1"], "both": ["v1beta1", "v2"], "any": ["*"], "none": ["v1"]}
    rules = {
        name: {"apiGroups": ["audit.example.com"], "apiVersions": versions, "operations": ["CREATE"]}
        for name, versions in named.items()
    }
    policies = []
    for name, rule in rules.items():
        made = policy(name, site.space, ["widgets"])
        made["spec"]["matchConstraints"]["resourceRules"] = [{**rule, "resources": ["widgets"]}]
        made["spec"]["validations"][0]["messageExpression"] = "object.apiVersion"
        policies.append(made)
    site.publish(*policies)
    path = f"/apis/wgpolicyk8s.io/v1alpha2/namespaces/{site.space}/policyreports"

    def reported() -> dict[str, set[tuple[str, str]]]:
        found = site.plane.request("GET", path)[1]["items"]
        return {
            each["scope"]["apiVersion"].partition("/")[2]: {
                (result["policy"], result["message"].partition("/")[2]) for result in each["results"]
            }
            for each in found
        }

    expected = {"v2": {("new", "v2"), ("both", "v2"), ("any", "v2")}, "v1beta1": {("old", "v1beta1")}}
    async with auditing(client, site, "wgpolicy"):
        await until(lambda: all(site.counts(name)[1] for name in named), 60)
        assert {name: site.counts(name)[0] for name in named} == {**dict.fromkeys(named, 1), "none": 0}
        assert site.facts.objects == 1, "one object, however many versions it is judged in"
        await until(lambda: reported() == expected, 60)
        # Nobody names the old version any more: what was found in it goes, and the rest stays.
        site.publish(*(each for each in policies if each["metadata"]["name"] != "old"))
        await until(lambda: reported() == {"v2": expected["v2"]}, 60)
        site.plane.request("DELETE", f"/{WIDGETS}/v2/namespaces/{site.space}/widgets/a")
        await until(lambda: not reported(), 60)
    # The version that a policy names need not be the preferred one.
    site.make({**widget, "metadata": {"namespace": site.space, "name": "b"}})
    site.publish(policies[1])
    async with auditing(client, site, "wgpolicy"):
        await until(lambda: site.counts("old") == (1, True), 60)
        await until(lambda: reported() == {"v1beta1": {("old", "v1beta1")}}, 60)


async def test_an_answer_that_is_too_large_is_not_read(client: KubernetesClient) -> None:
    with pytest.raises(ApiError) as caught:
        await client.request("GET", "/api/v1/namespaces", most=10)
    assert caught.value.status == 413
    assert (await client.request("GET", "/api/v1/namespaces", most=2**20)).body["items"]
