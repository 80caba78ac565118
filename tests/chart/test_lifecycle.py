"""Install, upgrade, rollback and uninstall, on the real API server, with the rights that the chart gives."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests import emergency
from tests.chart.conftest import Site
from tests.chart.helm import CHART, NAMESPACE
from tests.chart.pod import Pod, probe
from tests.controlplane import _Authority
from tests.e2e.cluster import APPETITE, acceptance, configmap, deployment, eventually, namespace, policy
from tests.e2e.report_kinds import OPENREPORTS
from webhook.cli import group
from webhook.core.acceptance import digest_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/tidewaiter"
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/riskappetites.tidewaiter.dev"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:tidewaiter"
SPACE = "shop"
OLD = "there-before"


@pytest.fixture(scope="module", autouse=True)
def failed_before(request: pytest.FixtureRequest, site: Site) -> Iterator[int]:
    """Return how many tests had failed before these began; tell what the Pods said if one of these does."""
    failed = request.session.testsfailed
    yield failed
    if request.session.testsfailed > failed:
        print(site.kubelet.logs())
    assert site.kubelet.problem is None or isinstance(site.kubelet.problem, OSError)


@pytest.fixture(autouse=True)
def _in_order(request: pytest.FixtureRequest, failed_before: int) -> None:
    if request.session.testsfailed > failed_before:
        pytest.skip("a step before this one failed")


def values(site: Site, **more: Any) -> dict[str, Any]:
    """Return the values of these tests; the Service can't be reached here, so the API server gets a URL."""
    return {
        "webhook": {"url": f"https://127.0.0.1:{site.kubelet.service}"},
        "cluster": "test",
        "packs": {"pss-baseline": {"enabled": True}, "pss-restricted": {"enabled": True}},
        "exemptUsers": ["system:serviceaccount:backup:velero"],
        "exemptNamespaces": ["backup"],
        **more,
    }


def apply(site: Site, *items: Any) -> None:
    text = "\n---\n".join(json.dumps(each) for each in items)
    site.plane.kubectl("apply", "-f", "-", input=text, check=True)


def privileged(name: str = "bad") -> dict[str, Any]:
    container = {"name": "app", "image": "app:1", "securityContext": {"privileged": True}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": SPACE},
        "spec": {"containers": [container], "nodeName": "nowhere"},
    }


def dry_run(site: Site, item: Any, *flags: str) -> tuple[bool, str]:
    """Return whether the API server would take `item`, and what kubectl says."""
    done = site.plane.kubectl("create", "--dry-run=server", "-f", "-", *flags, input=json.dumps(item))
    return done.returncode == 0, done.stderr


def denied(site: Site) -> str:
    """Return the denial of a privileged Pod; empty when it is let through, or nobody answers."""
    taken, said = dry_run(site, privileged())
    return "" if taken or "denied the request" not in said else said


def ours(site: Site) -> list[Pod]:
    """Return the Pods of the Deployment that run now."""
    return [pod for pod in site.kubelet.pods.values() if len(pod.containers) == 2]


def test_a_fresh_cluster_is_enforcing_within_30_seconds(site: Site, capsys: Any) -> None:
    site.plane.kubectl("create", "-f", "-", input=json.dumps(namespace(SPACE)), check=True)
    old = deployment(OLD, "old", privileged=True)
    old["spec"]["replicas"] = 0
    older = {**old, "apiVersion": "v1", "kind": "ReplicationController"}
    older["spec"] = {**old["spec"], "selector": {"app": "old"}}
    apply(site, *OPENREPORTS, namespace(OLD), old, older)
    install = ["install", "tidewaiter", str(CHART), "--namespace", NAMESPACE, "--create-namespace"]
    site.helm.run(*install, values=values(site))
    first: Pod = eventually(lambda: ours(site), "a Pod of ours runs", 60)[0]
    said = eventually(lambda: denied(site), "a privileged Pod is denied", 120)
    took = time.monotonic() - first.started
    with capsys.disabled():
        print(f"\n{site.helm.program.name}: enforcing {took:.1f} s after the processes' start")
    assert "pod-no-privileged" in said
    assert took < 30


def test_every_policy_is_enforced_and_every_pod_ready(site: Site) -> None:
    wait = ("wait", "--for=condition=Enforced", "--timeout=60s", "clusterpolicies", "--all")
    site.plane.kubectl(*wait, check=True)
    found = site.plane.kubectl("get", "clusterpolicies", "-o", "name", check=True).stdout.split()
    assert len(found) == 21
    rollout = ("rollout", "status", "deployment/tidewaiter", "-n", NAMESPACE, "--timeout=60s")
    site.plane.kubectl(*rollout, check=True)
    assert len(ours(site)) == 2


def test_the_probes_of_both_containers_answer(site: Site) -> None:
    for pod in ours(site):
        for container in pod.containers:
            for name in {"startupProbe", "livenessProbe", "readinessProbe"} & set(container.spec):
                status, text = probe(container, name)
                assert status == 200, (container.name, name, text)


def test_only_the_operator_holds_a_token(site: Site) -> None:
    pod = ours(site)[0]
    tokens = [name for name, folder in pod.volumes.items() if (folder / "token").exists()]
    assert tokens == ["token"]
    mounted = {
        container.name: [each["name"] for each in container.spec.get("volumeMounts", ())]
        for container in pod.containers
    }
    assert "token" in mounted["operator"]
    assert "token" not in mounted["webhook"]


def test_status_needs_no_more_than_the_roles_for_viewing(site: Site, tmp_path: Path) -> None:
    site.plane.kubectl("create", "serviceaccount", "viewer", "-n", SPACE, check=True)
    account = f"--serviceaccount={SPACE}:viewer"
    for kind, role, *place in (
        ("clusterrolebinding", "--clusterrole=tidewaiter-view"),
        ("rolebinding", "--role=tidewaiter-view", "-n", NAMESPACE),
    ):
        site.plane.kubectl("create", kind, "viewer", role, account, *place, check=True)
    token = site.plane.kubectl("create", "token", "viewer", "-n", SPACE, check=True).stdout.strip()
    config = json.loads(site.plane.kubeconfig.read_text())
    config["users"] = [{"name": "admin", "user": {"token": token}}]
    path = tmp_path / "viewer.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    command = ["status", "--kubeconfig", str(path), "--namespace", NAMESPACE, "-o", "json"]
    done = CliRunner().invoke(group, command, standalone_mode=False)
    told = json.loads(done.stdout)
    assert told["complete"], told["unknown"]
    assert done.return_value in (0, 1), done.output
    assert len(told["replicas"]) == 2
    assert told["settings"]["exemptUsers"] == ["system:serviceaccount:backup:velero"]
    assert {"backup", "kube-system", NAMESPACE} <= set(told["settings"]["exemptNamespaces"])


def test_the_audit_reports_what_was_there_before(site: Site) -> None:
    def found() -> dict[str, Any]:
        done = site.plane.kubectl("get", "reports.openreports.io", "-n", OLD, "-o", "json", check=True)
        return {each["scope"]["kind"]: each for each in json.loads(done.stdout)["items"]}

    known = eventually(lambda: len(seen := found()) == 2 and seen, "a report on each", 60)
    for report in known.values():
        assert "pod-no-privileged" in {each["policy"] for each in report["results"]}
    asked, _ = acceptance(
        {"metadata": {"name": "pod-no-privileged"}}, OLD, ("", "ReplicationController"), ["old"]
    )
    asked["spec"]["requester"] = "test-admin"
    apply(site, APPETITE, asked)  # whose approval is missing: it is looked at again, and still fails
    site.plane.kubectl("delete", "deployment", "old", "-n", OLD, check=True)
    eventually(lambda: set(found()) == {"ReplicationController"}, "the report gone with its object", 60)

    def status() -> dict[str, Any]:
        done = site.plane.kubectl("get", "clusterpolicy", "pod-no-privileged", "-o", "json", check=True)
        return dict(json.loads(done.stdout)["status"])

    eventually(lambda: status().get("violations") == 1, "the count", 60)
    assert status()["lastAudit"]


def test_exempt_users_and_namespaces_are_let_through(site: Site) -> None:
    taken, said = dry_run(
        site, privileged(), "--as=system:serviceaccount:backup:velero", "--as-group=system:masters"
    )
    assert taken, said
    site.plane.kubectl("create", "-f", "-", input=json.dumps(namespace("backup")), check=True)
    exempt = privileged()
    exempt["metadata"]["namespace"] = "backup"
    taken, said = dry_run(site, exempt)
    assert taken, said


def test_what_the_operator_makes_has_an_owner(site: Site) -> None:
    status, configuration = site.plane.request("GET", CONFIGURATION)
    assert status == 200
    owners = [(each["kind"], each["name"]) for each in configuration["metadata"]["ownerReferences"]]
    assert owners == [("ClusterRole", "tidewaiter")]
    for path in (
        f"/api/v1/namespaces/{NAMESPACE}/secrets/tidewaiter-certificates",
        f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/tidewaiter-leader",
    ):
        status, found = site.plane.request("GET", path)
        assert status == 200, path
        owners = [(each["kind"], each["name"]) for each in found["metadata"].get("ownerReferences", ())]
        assert owners == [("Deployment", "tidewaiter")], path


def test_a_denied_controller_is_told_of_on_its_deployment(site: Site) -> None:
    only_pods = policy(SPACE, "!has(object.metadata.generateName)", resources=("pods",))
    silent = deployment(SPACE, "silent")
    for each in silent["spec"]["template"]["spec"]["containers"]:
        each["securityContext"] = {
            "allowPrivilegeEscalation": False,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    apply(site, only_pods)
    site.plane.kubectl(
        *(
            "wait",
            "--for=condition=Enforced",
            "--timeout=60s",
            f"clusterpolicy/{only_pods['metadata']['name']}",
        ),
        check=True,
    )
    apply(site, silent)
    name = only_pods["metadata"]["name"]

    def told() -> bool:
        found = site.plane.kubectl("get", "events", "-n", SPACE, "-o", "json", check=True)
        return any(
            each["involvedObject"]["kind"] == "Deployment" and name in each.get("message", "")
            for each in json.loads(found.stdout)["items"]
        )

    # The ReplicaSet's controller tries again and again, ever more slowly.
    eventually(told, "an Event on the Deployment", 120)
    site.plane.kubectl("delete", "deployment", "silent", "-n", SPACE, check=True)
    site.plane.kubectl("delete", "clusterpolicy", name, check=True)


def test_a_policy_may_ask_the_authorizer_and_an_acceptance_is_read(site: Site) -> None:
    asking = policy(SPACE, "authorizer.group('').resource('pods').check('delete').allowed()")
    apply(site, APPETITE, asking)
    name = asking["metadata"]["name"]
    wait = ("wait", "--for=condition=Enforced", "--timeout=60s", f"clusterpolicy/{name}")
    site.plane.kubectl(*wait, check=True)
    taken, said = dry_run(site, configmap(SPACE))
    assert taken, said
    asked, _ = acceptance(asking, SPACE, ("", "ConfigMap"), ["one"])
    # As who it says: the guard compares.
    metadata = asked["metadata"]
    asked["spec"]["requester"] = "test-admin"
    apply(site, asked)
    path = f"/apis/tidewaiter.dev/v1alpha1/namespaces/{SPACE}/riskacceptances/{metadata['name']}"
    eventually(lambda: site.plane.request("GET", path)[1].get("status"), "the acceptance has a status", 60)
    # What is revoked is remembered when it is gone.
    revoked = json.dumps({"spec": {"revoked": {"at": "2026-11-28T00:00:00Z"}}})
    named = ("riskacceptance", metadata["name"], "-n", SPACE)
    site.plane.kubectl("patch", *named, "--type=merge", "-p", revoked, check=True)
    site.plane.kubectl("delete", *named, check=True)
    record = f"/api/v1/namespaces/{NAMESPACE}/configmaps/tidewaiter-revocations"
    key = digest_of(asked).removeprefix("sha256:")
    eventually(lambda: key in (site.plane.request("GET", record)[1].get("data") or ()), "the record", 60)
    site.plane.kubectl("delete", "clusterpolicy", name, check=True)


def change_definition(site: Site, version: str, title: str) -> None:
    """Make the cluster's definition of RiskAppetite differ, as if a version of ours had written it."""
    _, definition = site.plane.request("GET", DEFINITION)
    annotations = {"tidewaiter.dev/version": version}
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["description"] = title
    body = {"metadata": {"annotations": annotations}, "spec": {"versions": definition["spec"]["versions"]}}
    status, answer = site.plane.request("PATCH", DEFINITION, body, "application/merge-patch+json")
    assert status == 200, answer


def definition_says(site: Site) -> tuple[str, str]:
    """Return version and description of the cluster's definition of RiskAppetite."""
    _, definition = site.plane.request("GET", DEFINITION)
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return definition["metadata"]["annotations"]["tidewaiter.dev/version"], schema["description"]


def rolled(site: Site, before: list[Pod]) -> Callable[[], bool]:
    """Return whether two Pods answer that weren't there `before`."""
    return lambda: (
        len(ours(site)) == 2 and not set(ours(site)) & set(before) and all(pod.ready for pod in ours(site))
    )


def test_an_upgrade_brings_the_kinds_up_to_date_and_rolls_the_pods(site: Site, tmp_path: Path) -> None:
    is_now = definition_says(site)
    change_definition(site, "0.0.1", "an old text")
    before = ours(site)
    (tmp_path / "helm").symlink_to(site.helm.program)
    emergency.run(site.plane, "only warn by Helm", tmp_path)
    assert definition_says(site) == is_now
    (hook,) = site.kubelet.named("tidewaiter-crds")
    assert "riskappetites.tidewaiter.dev changed" in hook.log()
    eventually(rolled(site, before), "both Pods are new", 120)
    _, said = eventually(
        lambda: (found := dry_run(site, privileged()))[0] and found, "a privileged Pod is let in", 60
    )
    assert "Warning: " in said
    assert "pod-no-privileged" in said


def test_a_rollback_enforces_again_and_leaves_newer_kinds(site: Site) -> None:
    change_definition(site, "99.0.0", "a newer text")
    before = ours(site)
    site.helm.run("rollback", "tidewaiter", "1", "--namespace", NAMESPACE)
    eventually(rolled(site, before), "both Pods are new", 120)
    assert "pod-no-privileged" in eventually(lambda: denied(site), "a privileged Pod is denied again", 60)
    assert definition_says(site) == ("99.0.0", "a newer text")


def test_an_upgrade_by_an_older_version_leaves_newer_kinds(site: Site) -> None:
    site.helm.run("upgrade", "tidewaiter", str(CHART), "--namespace", NAMESPACE, values=values(site))
    assert "riskappetites.tidewaiter.dev left alone" in site.kubelet.named("tidewaiter-crds")[-1].log()
    assert definition_says(site) == ("99.0.0", "a newer text")


NOT_SEEN = {
    ("openreports.io", "clusterreports", "create"),
    # No policy here is about these.
    *(
        (group, plural, verb)
        for group, plural in (
            ("autoscaling", "horizontalpodautoscalers"),
            ("gateway.networking.k8s.io", "gateways"),
            ("networking.k8s.io", "ingressclasses"),
            ("policy", "poddisruptionbudgets"),
            ("rbac.authorization.k8s.io", "clusterrolebindings"),
            ("storage.k8s.io", "storageclasses"),
        )
        for verb in ("get", "list", "watch")
        if (plural, verb) != ("clusterrolebindings", "get")  # a role of ours is read
    ),
    # What server-side apply creates is a patch in the audit log.
    ("", "configmaps", "create"),
    ("", "secrets", "create"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations", "create"),
    # Nobody here has such a workload whose Pods are denied, or that is looked at again.
    ("batch", "cronjobs", "get"),
}


def test_every_request_of_ours_was_within_its_rights_and_every_right_was_used(site: Site) -> None:
    prefix = f"system:serviceaccount:{NAMESPACE}:tidewaiter"
    used: set[tuple[str, str, str]] = set()
    refused = []
    for event in site.plane.audit_events():
        user = event["user"]["username"]
        if user.startswith(prefix) and event.get("responseStatus", {}).get("code") == 403:
            refused.append((user, event["verb"], event["requestURI"]))
        if user == OPERATOR:
            reference = event.get("objectRef") or {}
            resource = "/".join(filter(None, (reference.get("resource"), reference.get("subresource"))))
            used.add((reference.get("apiGroup", ""), resource, event["verb"]))
    assert refused == []
    # Each verb of each rule, for one of the rule's kinds at least.
    unused = {
        (group, rule["resources"][0], verb)
        for each in site.helm.template(values(site))
        if each["kind"] in ("Role", "ClusterRole") and each["metadata"]["name"] == "tidewaiter"
        for rule in each["rules"]
        for group in rule["apiGroups"]
        for verb in rule["verbs"]
        if not any((group, resource, verb) in used for resource in rule["resources"])
    }
    assert unused == NOT_SEEN


def test_an_uninstall_leaves_nothing_that_blocks_a_write(site: Site) -> None:
    kept = policy(SPACE, "false", resources=("pods",))
    site.plane.kubectl("apply", "-f", "-", input=json.dumps(kept), check=True)
    eventually(lambda: denied(site), "a privileged Pod is denied", 60)
    site.helm.run("uninstall", "tidewaiter", "--namespace", NAMESPACE)
    (hook,) = site.kubelet.named("tidewaiter-uninstall")
    assert [each.status for each in hook.containers] == [0]
    # At once, while Pods of ours may still end.
    assert site.plane.request("GET", CONFIGURATION)[0] == 404
    taken, said = dry_run(site, privileged())
    assert (taken, said) == (True, "")
    eventually(lambda: not ours(site), "our Pods are gone", 90)
    # It was not put back by them.
    assert site.plane.request("GET", CONFIGURATION)[0] == 404

    def left() -> str:
        kinds = "deployments,pods,jobs,services,secrets,leases,serviceaccounts,networkpolicies,pdb,roles"
        inside = site.plane.kubectl("get", kinds, "-n", NAMESPACE, "-o", "name", check=True).stdout
        kinds = (
            "clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings"
        )
        outside = site.plane.kubectl("get", kinds, "-o", "name", check=True).stdout
        names = [*inside.split(), *(name for name in outside.split() if "tidewaiter" in name)]
        return " ".join(name for name in names if name != "serviceaccount/default")

    eventually(lambda: not left(), "what the operator made is collected", 90)
    # What people wrote stays, and its kinds with it.
    found = site.plane.kubectl(
        "get", "clusterpolicies,riskappetites", "-o", "name", check=True
    ).stdout.split()
    assert sorted(found) == [
        f"clusterpolicy.tidewaiter.dev/{kept['metadata']['name']}",
        "riskappetite.tidewaiter.dev/default",
    ]
    # And can be changed and removed.
    for path in ("clusterpolicy/" + kept["metadata"]["name"], "riskappetite/default"):
        site.plane.kubectl("annotate", path, "tested=true", check=True)
        site.plane.kubectl("delete", path, "--timeout=20s", check=True)


def test_given_certificates_serve_and_without_hooks_an_uninstall_still_ends_in_peace(site: Site) -> None:
    authority = _Authority()
    certificate, key = authority.issue("webhook", hosts=("127.0.0.1",))
    files = {"tls.crt": certificate, "tls.key": key, "ca.crt": authority.pem}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "given", "namespace": NAMESPACE},
        "data": {name: base64.b64encode(data).decode() for name, data in files.items()},
    }
    apply(site, secret)
    given = values(site, tls={"mode": "existingSecret", "existingSecret": "given"}, replicas=1)
    # The kinds are there, newer than the chart's: Helm 3 leaves them, Helm 4 must be told to.
    install = ("install", "tidewaiter", str(CHART), "--namespace", NAMESPACE, "--skip-crds")
    site.helm.run(*install, values=given)
    assert "pod-no-privileged" in eventually(lambda: denied(site), "a privileged Pod is denied", 120)
    bundles = {
        each["clientConfig"]["caBundle"] for each in site.plane.request("GET", CONFIGURATION)[1]["webhooks"]
    }
    assert bundles == {secret["data"]["ca.crt"]}
    names = site.plane.kubectl("get", "secrets", "-n", NAMESPACE, "-o", "name", check=True).stdout
    assert "tidewaiter-certificates" not in names
    site.helm.run("uninstall", "tidewaiter", "--namespace", NAMESPACE, "--no-hooks")
    # Its owner is gone.
    eventually(lambda: site.plane.request("GET", CONFIGURATION)[0] == 404, "it is collected", 90)
    eventually(lambda: not ours(site), "our Pods are gone", 90)
    assert site.plane.request("GET", CONFIGURATION)[0] == 404
    assert dry_run(site, privileged()) == (True, "")
