"""A cluster that comes up from nothing, with our configuration in it and nobody who answers, comes up."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.controlplane import ControlPlane
from tests.operator.replicas import (
    CONFIGURATIONS,
    CRDS,
    NAMESPACE,
    POLICIES,
    becomes,
    call,
    policy,
    replicas,
)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("operator")]

NAME = "cold"
PACK = Path(__file__).parents[2] / "policies/pss-baseline"
WIDE = [
    {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"], "scope": "*"},
]


@pytest.fixture(scope="module")
def cold(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(assets, tmp_path_factory.mktemp("cold"), kcm=True) as started:
        yield started


def _wide() -> dict[str, Any]:
    """Return a policy on everything that there is."""
    made = policy("judges-everything")
    made["spec"]["matchConstraints"]["resourceRules"] = WIDE
    return made


async def _as(plane: ControlPlane, user: str, groups: list[str], obj: Any, *words: str) -> str:
    """Write an object as somebody; return what went wrong, empty for nothing."""
    who = ["--as", user, *(word for group in groups for word in ("--as-group", group))]
    done = await asyncio.to_thread(plane.kubectl, *who, *words, input=json.dumps(obj))
    return done.stderr if done.returncode else ""


def _request() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, "system:node:fresh"),
        ]
    )
    signed = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


def _pod(name: str, namespace: str) -> dict[str, Any]:
    container = {
        "name": "one",
        "image": "registry.example.com/one:1",
        "securityContext": {"privileged": True},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [container], "nodeName": "fresh"},
    }


MASTERS = ["system:masters"]
ACCOUNT = "system:serviceaccount:kube-system:"
ACCOUNTS = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"]


def _node() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "fresh"}}


def _lease(namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": namespace},
    }


def _signing_request() -> dict[str, Any]:
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "fresh"},
        "spec": {
            "request": _request(),
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            "usages": ["digital signature", "client auth"],
        },
    }


async def test_a_cluster_comes_up_although_nobody_answers(cold: ControlPlane, tmp_path: Path) -> None:
    more: dict[str, Any] = {"failure_policy": "Fail"}
    async with replicas(cold, tmp_path / "before", 1, name=NAME, **more) as (replica,):
        await asyncio.to_thread(cold.kubectl, "apply", "-k", str(PACK), check=True)
        # Kubernetes makes its own roles anew when the API server starts, as after an upgrade.
        bootstrap = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:public-info-viewer"
        assert (await call(cold, "DELETE", bootstrap))[0] == 200
        assert (await call(cold, "POST", POLICIES, _wide()))[0] == 201

        async def everything() -> bool:
            _, found = await call(cold, "GET", f"{CONFIGURATIONS}/{NAME}")
            rules = [rule for entry in found.get("webhooks", ()) for rule in entry["rules"]]
            return any(rule["resources"] == ["*/*"] for rule in rules)

        await becomes(everything, True)
        await replica.kill()
        # From here on the configuration sends everything to where nobody listens.
        assert "failed calling webhook" in await _as(
            cold, "admin", MASTERS, _pod("one", "default"), "create", "-f", "-"
        )

        # Everything starts anew, and writes what it writes when it does.
        await asyncio.to_thread(cold.restart, "kube-apiserver")
        await asyncio.to_thread(cold.restart, "etcd")

        async def role() -> int:
            return int((await call(cold, "GET", bootstrap))[0])

        await becomes(role, 200, 60)

        node = ["system:nodes", *MASTERS]
        passes = {
            "a node registers": ("system:node:fresh", node, _node(), "create", "-f", "-"),
            "a node asks for a certificate": (
                "system:bootstrap:abcdef",
                ["system:bootstrappers", *MASTERS],
                _signing_request(),
                *("create", "-f", "-"),
            ),
            "its request is approved": (
                f"{ACCOUNT}certificate-controller",
                [*ACCOUNTS, *MASTERS],
                {},
                *("certificate", "approve", "fresh"),
            ),
            "a node's taint goes": (
                f"{ACCOUNT}node-controller",
                [*ACCOUNTS, *MASTERS],
                {},
                *("label", "node", "fresh", "ready=true"),
            ),
            "a node's heartbeat": (
                "system:node:fresh",
                node,
                _lease("kube-node-lease", "fresh"),
                *("create", "-f", "-"),
            ),
            "a leader's Lease anywhere": ("admin", MASTERS, _lease("default", "l"), "create", "-f", "-"),
            "a Pod of kube-system": ("admin", MASTERS, _pod("dns", "kube-system"), "create", "-f", "-"),
            "a Pod of ours": ("admin", MASTERS, _pod("ours", NAMESPACE), "create", "-f", "-"),
            "a Secret of ours": (
                *("admin", MASTERS, {}),
                *("-n", NAMESPACE, "create", "secret", "generic", "ours"),
            ),
            "an account of ours": ("admin", MASTERS, {}, "-n", NAMESPACE, "create", "serviceaccount", "ours"),
            "a token for it": ("admin", MASTERS, {}, "-n", NAMESPACE, "create", "token", "ours"),
            "our kinds": ("admin", MASTERS, {}, "apply", "-k", str(CRDS)),
            "our policies": ("admin", MASTERS, {}, "label", "clusterpolicy", "judges-everything", "a=b"),
            "an access review": ("admin", MASTERS, {}, "auth", "can-i", "get", "pods"),
        }
        for what, (user, groups, obj, *words) in passes.items():
            assert not await _as(cold, user, groups, obj, *words), what  # type: ignore[arg-type]

        # The controllers make what a Deployment of ours needs.
        labels = {"app": "own"}
        template = {"metadata": {"labels": labels}, "spec": _pod("x", "y")["spec"]}
        deployment = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "own", "namespace": NAMESPACE},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }
        assert not await _as(cold, "admin", MASTERS, deployment, "create", "-f", "-")

        async def pods() -> int:
            path = f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3Down"
            return len((await call(cold, "GET", path))[1]["items"])

        await becomes(pods, 1, 60)
        assert "failed calling webhook" in await _as(
            cold, "admin", MASTERS, _pod("two", "default"), "create", "-f", "-"
        ), "and all that time nothing was let through that is to be judged"

        # We start again from there: as the account of our own that the configuration leaves out, or as a
        # person, whose writes to our namespace and our kinds pass.
        async with replicas(cold, tmp_path / "after", 1, name=NAME, **more) as (again,):

            async def enforced() -> bool:
                _, found = await call(cold, "GET", f"{POLICIES}/judges-everything")
                conditions = (found.get("status") or {}).get("conditions") or ()
                return any(each["type"] == "Enforced" and each["status"] == "True" for each in conditions)

            await becomes(enforced, True, 60)

            async def leads() -> bool:
                return again.operator.elector.leading

            await becomes(leads, True, 60)
