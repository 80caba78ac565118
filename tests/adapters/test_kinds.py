"""Kinds have the resources and scopes that a cluster serves them with."""

from __future__ import annotations

import pytest

from webhook.adapters.kinds import Kinds, Resource, plural_of


def manifest(api_version: str, kind: str, namespace: str = "") -> dict[str, object]:
    metadata = {"name": "x", "namespace": namespace} if namespace else {"name": "x"}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def crd(**spec: object) -> dict[str, object]:
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": spec}


@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("Pod", "pods"),
        ("Endpoints", "endpoints"),
        ("Ingress", "ingresses"),
        ("IPAddress", "ipaddresses"),
        ("NetworkPolicy", "networkpolicies"),
        ("Gateway", "gateways"),
        ("StorageClass", "storageclasses"),
        ("Mesh", "meshes"),
        ("Box", "boxes"),
    ],
)
def test_plurals(kind: str, plural: str) -> None:
    assert plural_of(kind) == plural


@pytest.mark.parametrize(
    ("api_version", "kind", "namespaced"),
    [
        ("v1", "Pod", True),
        ("v1", "Namespace", False),
        ("apps/v1beta1", "Deployment", True),
        ("rbac.authorization.k8s.io/v1", "ClusterRole", False),
        ("resource.k8s.io/v1", "ResourceClaim", True),
        ("tidewaiter.dev/v1alpha1", "Policy", True),
        ("tidewaiter.dev/v1alpha1", "ClusterPolicy", False),
    ],
)
def test_the_scope_of_built_in_kinds(api_version: str, kind: str, namespaced: bool) -> None:
    for namespace in ("", "shop"):
        found = Kinds().resource(manifest(api_version, kind, namespace))
        assert found == Resource(plural_of(kind), namespaced, True)


def test_a_definition_tells_plural_and_scope() -> None:
    kinds = Kinds([crd(group="example.com", scope="Namespaced", names={"kind": "Ox", "plural": "oxen"})])
    assert kinds.resource(manifest("example.com/v1", "Ox")) == Resource("oxen", True, True)
    assert kinds.resource(manifest("example.org/v1", "Ox")) == Resource("oxes", False, False)


def test_a_definition_changes_no_built_in_kind_and_may_have_any_shape() -> None:
    broken = [
        crd(),
        crd(names=[]),
        crd(group=7, names={"kind": "A", "plural": "as"}),
        {**crd(), "spec": "text"},
    ]
    fake = crd(group="", scope="Cluster", names={"kind": "Pod", "plural": "pods"})
    kinds = Kinds([*broken, fake])
    assert kinds.resource(manifest("v1", "Pod")).namespaced


def test_what_nobody_described_is_guessed_from_its_manifest() -> None:
    assert Kinds().resource(manifest("example.com/v1", "Proxy", "shop")) == Resource("proxies", True, False)
    assert Kinds().resource(manifest("example.com/v1", "Proxy")) == Resource("proxies", False, False)
