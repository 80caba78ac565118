"""What the ValidatingWebhookConfiguration must be, from what the policies match; pure functions."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webhook.core.match import versions_named
from webhook.core.model import GROUP
from webhook.core.policy import CompiledPolicy, Rule
from webhook.core.workloads import RESOURCES as WORKLOADS
from webhook.dialects.gatekeeper.names import CONSTRAINTS, TEMPLATES
from webhook.operator import guarding
from webhook.operator.client import Resource

CONFIGURATIONS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
)
TIMEOUT_SECONDS = 5
OWN_LABELS = {"app.kubernetes.io/name": "tidewaiter", "app.kubernetes.io/managed-by": "tidewaiter"}
SUFFIX = f".{GROUP}"
NAMESPACE_NAME = "kubernetes.io/metadata.name"
_ANY = "*"
_OPERATIONS = ("CREATE", "UPDATE", "DELETE", "CONNECT")

_NEVER_SENT = {
    "admissionregistration.k8s.io": frozenset(
        {
            "mutatingadmissionpolicies",
            "mutatingadmissionpolicybindings",
            "mutatingwebhookconfigurations",
            "validatingadmissionpolicies",
            "validatingadmissionpolicybindings",
            "validatingwebhookconfigurations",
        }
    )
}
"""What the API server sends to no webhook, so that a bad webhook can always be mended.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
"""

_KEPT_OUT = {
    "": frozenset({"events"}),
    "events.k8s.io": frozenset({"events"}),
    "coordination.k8s.io": frozenset({"leases"}),
    "authentication.k8s.io": frozenset({_ANY}),
    "authorization.k8s.io": frozenset({_ANY}),
    GROUP: frozenset({_ANY}),
    TEMPLATES: frozenset({_ANY}),
    CONSTRAINTS: frozenset({_ANY}),
}
"""What our conditions keep out of the policies' entries: heartbeats, access reviews, and our own kinds, which
must stay mendable; the risk kinds have entries of their own."""


_NOT_CONTROL_PLANE = (
    "request.userInfo.username != 'system:apiserver' && !("
    "(!has(request.namespace) || request.namespace == '') && ("
    "request.userInfo.username in ['system:kube-controller-manager', 'system:kube-scheduler', "
    "'system:cloud-controller-manager'] || (has(request.userInfo.groups) && ["
    "'system:bootstrappers', 'system:serviceaccounts:kube-system'"
    "].exists(group, group in request.userInfo.groups))))"
)
"""The API server's own writes, and what kube-system does to objects in no namespace: without them no node
joins or becomes ready, and none of our Pods could start where all are down."""

_NOT_OWN_DEFINITIONS = (
    "!(request.resource.group == 'apiextensions.k8s.io' && has(request.name) && "
    f"request.name.endsWith('{SUFFIX}'))"
)
"""The definitions of our kinds, which must be mendable while we are down."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API server reaches the data plane.

    Attributes:
        ca_bundle: PEM certificates that it trusts for it.
        url: the base URL; empty for a Service.
        service: the Service's name.
        namespace: its namespace.
        port: its port.
    """

    ca_bundle: bytes
    url: str = ""
    service: str = ""
    namespace: str = ""
    port: int = 443

    def client_config(self, path: str) -> dict[str, Any]:
        """Return the ``clientConfig`` of an entry."""
        bundle = base64.b64encode(self.ca_bundle).decode()
        if self.url:
            return {"url": self.url.rstrip("/") + path, "caBundle": bundle}
        service = {"name": self.service, "namespace": self.namespace, "path": path, "port": self.port}
        return {"service": service, "caBundle": bundle}


@dataclass(frozen=True, slots=True)
class Registration:
    """How the configuration is registered.

    Attributes:
        name: of the configuration.
        endpoint: where the data plane is.
        failure_policy: ``Fail`` or ``Ignore``: what the API server does when nobody answers. The guard of
            the risk kinds always fails closed.
        exempt_namespaces: not sent to policies, unless a policy names them.
        own_users: users whose requests are not sent to policies: our own service accounts.
        exempt_users: others of that sort, as the administrator named them.
        labels: more labels of the configuration, such as one that keeps a cloud from changing it.
    """

    name: str
    endpoint: Endpoint
    failure_policy: str = "Fail"
    exempt_namespaces: frozenset[str] = frozenset()
    own_users: tuple[str, ...] = ()
    exempt_users: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Atom:
    """One resource of one rule: where it is, what is judged, which versions the rule and its policy name."""

    group: str
    resource: str
    scope: str
    operations: frozenset[str]
    versions: str
    of_policy: str
    template: bool = False

    @property
    def place(self) -> tuple[str, str]:
        return self.group, self.resource.partition("/")[0]


def desired(policies: Iterable[CompiledPolicy], registration: Registration) -> dict[str, Any]:
    """Return the configuration that sends us what some policy judges, and nothing else.

    ClusterPolicies share one entry; Policies have their own, limited to their namespaces. Where policies name
    different versions of one resource there is an entry for each list of versions, since the API server
    converts an object to a version that the entry's rule names. The guard of the risk kinds has its entries
    whatever the policies are, so a configuration that is gone is one that somebody deleted.

    Args:
        policies: those that compiled.
        registration: how to register.
    """
    known = list(policies)
    of_cluster = [policy for policy in known if not policy.ref.namespace]
    namespaced = [policy for policy in known if policy.ref.namespace]
    named = frozenset().union(*(policy.named_namespaces for policy in of_cluster))
    exempt = sorted(registration.exempt_namespaces - named)
    outside = {"matchExpressions": [_expression("NotIn", exempt)]} if exempt else {}
    inside = {"matchExpressions": [_expression("In", sorted({p.ref.namespace for p in namespaced}))]}
    entries = _entries("cluster", of_cluster, outside, registration)
    entries += _entries("namespaced", namespaced, inside, registration)
    entries += guarding.entries(registration.endpoint.client_config, TIMEOUT_SECONDS)
    return {
        "apiVersion": CONFIGURATIONS.api_version,
        "kind": CONFIGURATIONS.kind,
        "metadata": {"name": registration.name, "labels": {**registration.labels, **OWN_LABELS}},
        "webhooks": entries,
    }


def path_of(scope: str, versions: str) -> str:
    """Return the path that asks for a selection of policies.

    A Service's path takes only DNS names between its slashes: ``any`` stands for ``*``, a dot for a comma.
    """
    return f"/admit/{scope}/{'any' if versions == _ANY else versions.replace(',', '.')}"


def unsent(policy: CompiledPolicy) -> tuple[list[str], bool]:
    """Return which resources that a policy names are never sent to webhooks, and whether those are all.

    Args:
        policy: a compiled policy.
    """
    found: set[str] = set()
    total = 0
    for rule in policy.rules:
        for group in rule.groups:
            for resource in rule.resources:
                total += 1
                base = resource.partition("/")[0]
                out = _NEVER_SENT.get(group, frozenset()) | _KEPT_OUT.get(group, frozenset())
                if base in out or _ANY in out:
                    found.add(f"{base}.{group}" if group else base)
                    total -= 1
    return sorted(found), bool(found) and total == 0


def _expression(operator: str, values: Sequence[str]) -> dict[str, Any]:
    return {"key": NAMESPACE_NAME, "operator": operator, "values": list(values)}


def _entries(
    scope: str,
    policies: Sequence[CompiledPolicy],
    namespace_selector: Mapping[str, Any],
    registration: Registration,
) -> list[dict[str, Any]]:
    atoms = [atom for policy in policies for atom in _atoms(policy)]
    split = _split(atoms)
    by_list: dict[str, list[_Atom]] = {}
    for atom in atoms:
        own = not atom.template and (atom.place, atom.of_policy) in split
        by_list.setdefault(atom.of_policy if own else _ANY, []).append(atom)
    entries = []
    for versions, chosen in sorted(by_list.items()):
        prefix = "" if versions == _ANY else versions.replace(",", ".") + "."
        entries.append(
            {
                "name": f"{prefix}{scope}{SUFFIX}",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": registration.failure_policy,
                "matchPolicy": "Equivalent",
                "timeoutSeconds": TIMEOUT_SECONDS,
                "clientConfig": registration.endpoint.client_config(path_of(scope, versions)),
                "matchConditions": _conditions(registration),
                "namespaceSelector": dict(namespace_selector),
                "objectSelector": {},  # labels are the workload author's to write: no way round us
                "rules": _rules(chosen),
            }
        )
    return entries


def _atoms(policy: CompiledPolicy) -> list[_Atom]:
    found = []
    for rule in policy.rules:
        scope = _scope(policy, rule)
        if scope is None:
            continue
        for group in rule.groups:
            for resource in rule.resources:
                base = resource.partition("/")[0]
                if base in _NEVER_SENT.get(group, ()):
                    continue
                versions = _ANY if _ANY in rule.versions else ",".join(sorted(rule.versions))
                named = versions_named(policy.rules, group, base)
                found.append(_Atom(group, resource, scope, rule.operations, versions, named))
        if policy.pod_templates and rule.scope != "Cluster" and _names_pods(rule):
            found += [
                _Atom(group, resource, "Namespaced", rule.operations - {"CONNECT"}, "v1", _ANY, template=True)
                for group, resource in WORKLOADS
                if rule.operations != {"CONNECT"}
            ]
    return found


def _names_pods(rule: Rule) -> bool:
    in_group = _ANY in rule.groups or "" in rule.groups
    return in_group and any(resource in ("pods", _ANY, "*/*") for resource in rule.resources)


def _scope(policy: CompiledPolicy, rule: Rule) -> str | None:
    """Return the scope of a rule; None for a namespaced Policy's rule for cluster-scoped objects."""
    if not policy.ref.namespace:
        return rule.scope
    return None if rule.scope == "Cluster" else "Namespaced"


def _split(atoms: Iterable[_Atom]) -> set[tuple[tuple[str, str], str]]:
    """Return the places, with a policy's versions there, where another policy names other versions."""
    named = {(atom.place, atom.of_policy) for atom in atoms if not atom.template}
    return {
        (place, versions)
        for place, versions in named
        if any(other != versions and _overlap(place, elsewhere) for elsewhere, other in named)
    }


def _overlap(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return all(a == b or _ANY in (a, b) for a, b in zip(one, other, strict=True))


def _rules(atoms: Iterable[_Atom]) -> list[dict[str, Any]]:
    """Return the fewest plain rules for `atoms`: those that differ only in resource share one."""
    operations: dict[tuple[str, str, str, str], set[str]] = {}
    for atom in atoms:
        place = (atom.group, atom.versions, atom.scope, atom.resource)
        operations.setdefault(place, set()).update(atom.operations)
    resources: dict[tuple[str, str, str, tuple[str, ...]], list[str]] = {}
    for (group, versions, scope, resource), wanted in sorted(operations.items()):
        resources.setdefault((group, versions, scope, _ordered(wanted)), []).append(resource)
    return [
        {
            "apiGroups": [group],
            "apiVersions": versions.split(","),
            "operations": list(wanted),
            "resources": part,
            "scope": scope,
        }
        for (group, versions, scope, wanted), found in sorted(resources.items())
        for part in _apart(found)
    ]


def _ordered(operations: set[str]) -> tuple[str, ...]:
    if _ANY in operations or operations.issuperset(_OPERATIONS):
        return (_ANY,)
    return tuple(operation for operation in _OPERATIONS if operation in operations)


def _apart(resources: Sequence[str]) -> list[list[str]]:
    """Return `resources` in lists that the API server takes: nothing may stand beside a wildcard."""
    if "*/*" in resources:
        return [["*/*"]]
    wild = [resource for resource in resources if _ANY in resource]
    plain = [resource for resource in resources if _ANY not in resource]
    return [[resource] for resource in wild] + ([plain] if plain else [])


def _conditions(registration: Registration) -> list[dict[str, str]]:
    kept_out = ("authentication.k8s.io", "authorization.k8s.io", GROUP, TEMPLATES, CONSTRAINTS)
    reviews = f"[{', '.join(repr(group) for group in kept_out)}]"
    conditions = [
        {
            "name": "not-heartbeats",
            "expression": "!(request.resource.resource == 'leases' && request.resource.group == "
            "'coordination.k8s.io') && !(request.resource.resource == 'events' && "
            "request.resource.group in ['', 'events.k8s.io'])",
        },
        {"name": "not-reviews-nor-policies", "expression": f"!(request.resource.group in {reviews})"},
        {
            "name": "not-nodes",
            "expression": "!(has(request.userInfo.groups) && 'system:nodes' in request.userInfo.groups)",
        },
        {"name": "not-control-plane", "expression": _NOT_CONTROL_PLANE},
        {"name": "not-own-definitions", "expression": _NOT_OWN_DEFINITIONS},
    ]
    for name, users in (
        ("not-self", registration.own_users),
        ("not-exempt-users", tuple(sorted(registration.exempt_users))),
    ):
        if users:
            texts = ", ".join(map(_cel_text, users))
            conditions.append({"name": name, "expression": f"!(request.userInfo.username in [{texts}])"})
    return conditions


def _cel_text(text: str) -> str:
    """Return a CEL literal for any text; JSON's escapes are among CEL's.

    https://github.com/google/cel-spec/blob/master/doc/langdef.md#string-and-bytes-values
    """
    return json.dumps(text, ensure_ascii=False)
