"""Builders of Gatekeeper's manifests, and what we say of them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from webhook.adapters import gatekeeper
from webhook.adapters.gator_requests import plain_request
from webhook.adapters.gator_suites import results_of
from webhook.adapters.snapshots import Context, build
from webhook.core.evaluate import evaluate
from webhook.core.match import PolicyIndex
from webhook.core.snapshot import Snapshot
from webhook.dialects.gatekeeper.names import is_gatekeepers

Object = dict[str, Any]
NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


def cel_template(kind: str = "K8sRefused", *, version: str = "v1", **source: Any) -> Object:
    """Return a template in CEL; without parts it refuses everything, with the message ``refused``."""
    parts = source or {"validations": [{"expression": "false", "message": "refused"}]}
    return template(kind, {"engine": "K8sNativeValidation", "source": parts}, version=version)


def rego_template(
    rego: str, kind: str = "K8sRefused", *, libs: Iterable[str] = (), version: str = ""
) -> Object:
    """Return a template in Rego."""
    source: Object = {"rego": rego, "libs": list(libs)}
    if version:
        source["version"] = version
    return template(kind, {"engine": "Rego", "source": source})


def template(kind: str, *code: Object, version: str = "v1", schema: Any = "open") -> Object:
    """Return a template of some code; its parameters may be anything unless `schema` says otherwise."""
    validation: Object = {"legacySchema": False}
    if schema is not None:
        anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        validation["openAPIV3Schema"] = anything if schema == "open" else schema
    return {
        "apiVersion": f"templates.gatekeeper.sh/{version}",
        "kind": "ConstraintTemplate",
        "metadata": {"name": kind.lower()},
        "spec": {
            "crd": {"spec": {"names": {"kind": kind}, "validation": validation}},
            "targets": [{"target": "admission.k8s.gatekeeper.sh", "code": list(code)}],
        },
    }


def constraint(kind: str = "K8sRefused", name: str = "refused", **spec: Any) -> Object:
    """Return a constraint."""
    return {
        "apiVersion": "constraints.gatekeeper.sh/v1beta1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def thing(kind: str = "ConfigMap", name: str = "thing", api_version: str = "v1", **metadata: Any) -> Object:
    """Return an object of which only its metadata matters."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **metadata}}


def snapshot(*objects: Mapping[str, Any], context: Context = Context()) -> Snapshot:  # noqa: B008 - frozen
    """Return the snapshot of objects, as the webhook has it."""
    return build(copy.deepcopy(list(objects)), context)


def named(obj: Mapping[str, Any]) -> str:
    """Return what `oracle.judged` calls an object."""
    metadata = obj["metadata"]
    return f"{obj['kind']} {metadata.get('namespace', '')}/{metadata.get('name', '')}"


def as_gator(objects: Iterable[Mapping[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Return what `oracle.judged` gives, as we find it: gator judges every object, policies too."""
    known = list(objects)
    made = build([*known], Context(sync_everything=True, exempt_namespaces=()))
    assert not made.failures, made.failures
    assert not made.problems, made.problems
    policies = [
        replace(each, constraint=replace(each.constraint, operations=frozenset("*")))
        for each in made.policies
        if each.constraint is not None
    ]
    context = replace(
        made.constraints, points=("gator.gatekeeper.sh",), excludes=None, shows_namespaces=False
    )
    judging = replace(made, policies=tuple(policies), index=PolicyIndex(policies), constraints=context)
    found = []
    for obj in known:
        if is_gatekeepers(str(obj["apiVersion"]).partition("/")[0]):
            continue
        verdict = evaluate(plain_request(obj), judging, NOW)
        where = named(obj)
        for each in (*verdict.violations, *verdict.errors):
            name = each.policy.name
            action = {"deny": "deny", "warn": "warn", "audit": "dryrun"}[str(each.actions[0])]
            found.append((where, name, action, each.message))
    return sorted(found)


__all__ = [
    "NOW",
    "as_gator",
    "cel_template",
    "constraint",
    "gatekeeper",
    "named",
    "rego_template",
    "results_of",
    "snapshot",
    "template",
    "thing",
]
