"""The running Gatekeeper and Tidewaiter with the same objects, as functions from a review to a response."""

from __future__ import annotations

import json
import os
import ssl
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench import gatekeeper_kinds
from bench.manager import Manager
from bench.process import Process, ready
from bench.tree import free_port
from tests.controlplane import ControlPlane
from tests.e2e.cluster import eventually
from webhook.dialects.gatekeeper.kinds import definitions
from webhook.server.selfsigned import write_pair

Object = dict[str, Any]
Ask = Callable[[Object], Object]

_SECONDS = 120.0  # on a busy machine
_TOLD = ("constraintpodstatuses", "expansiontemplatepodstatuses", "providerpodstatuses")
_STATUSES = "/apis/status.gatekeeper.sh/v1beta1"


@dataclass(frozen=True)
class Sides:
    """Both webhooks.

    Attributes:
        theirs: asks Gatekeeper's.
        ours: asks Tidewaiter's.
        plane: the API server that Gatekeeper has its objects from.
    """

    theirs: Ask
    ours: Ask
    plane: ControlPlane


def matching(*kinds: str, group: str = "", **more: Any) -> Object:
    return {"kinds": [{"apiGroups": [group], "kinds": list(kinds)}], **more}


def scoped(action: str, *points: str, then: Sequence[Object] = ()) -> Object:
    named = [{"name": point} for point in points]
    return {
        "enforcementAction": "scoped",
        "scopedEnforcementActions": [{"action": action, "enforcementPoints": named}, *then],
    }


def review(
    kind: str = "ConfigMap", operation: str = "CREATE", namespace: str = "shop", **more: Any
) -> Object:
    """Return an AdmissionReview; `more` changes the request, and ``group`` and ``metadata`` the object."""
    group, metadata = more.pop("group", ""), more.pop("metadata", {"name": "one"})
    resource = more.pop("resource", f"{kind.lower()}s")
    place = {"namespace": namespace} if namespace else {}
    obj = {
        "apiVersion": f"{group}/v1" if group else "v1",
        "kind": kind,
        "metadata": {**metadata, **place},
        **more.pop("content", {}),
    }
    request = {
        "uid": "u1",
        "kind": {"group": group, "version": "v1", "kind": kind},
        "resource": {"group": group, "version": "v1", "resource": resource},
        "operation": operation,
        "userInfo": {"username": "jane", "groups": ["a", "system:authenticated"]},
        "object": None if operation == "DELETE" else obj,
        "oldObject": obj if operation in ("UPDATE", "DELETE") else None,
        "dryRun": False,
        **place,
        **({"name": metadata["name"]} if "name" in metadata else {}),
        **more,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


@dataclass(frozen=True)
class Gatekeeper:
    """A running Gatekeeper.

    Attributes:
        plane: its API server.
        manager: brings objects there.
        ask: asks its webhook.
    """

    plane: ControlPlane
    manager: Manager
    ask: Ask


@contextmanager
def gatekeeper(
    assets: Path, program: Path, folder: Path, objects: Sequence[Object], *operations: str
) -> Iterator[Gatekeeper]:
    """Start Gatekeeper's webhook, without ValidatingAdmissionPolicies of its own; it ends with the context.

    Its certificate is ``gatekeeper/tls.crt`` in `folder`.

    Args:
        assets: the folder of the control plane's programs.
        program: ``gatekeeper-manager``.
        folder: an own one.
        objects: what is there before it starts.
        operations: what it does beside its webhook and making kinds.
    """
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(assets, folder / "plane"))
        manager = Manager(program, plane, folder / "gatekeeper")
        known = {each["metadata"]["name"]: each for each in (*gatekeeper_kinds.KINDS, *definitions())}
        namespaces = [each for each in objects if each["kind"] == "Namespace"]
        manager.apply([*gatekeeper_kinds.OWN, *known.values(), *namespaces])
        _established(plane)
        rest = [each for each in objects if each["kind"] != "Namespace"]
        if rest:
            manager.apply(rest)
        # Policies that the API server would judge by are nobody's webhook's business.
        more = (
            "--default-create-vap-binding-for-constraints=false",
            "--default-create-vap-for-templates=false",
        )
        process, port, health = manager.start(stack, "webhook", "generate", *operations, more=more)
        process.wait_for(lambda: ready(health), "readiness of Gatekeeper")
        yield Gatekeeper(plane, manager, _asking(port, "/v1/admit", manager.certificate))


@contextmanager
def both(
    assets: Path,
    program: Path,
    folder: Path,
    templates: Sequence[Object],
    constraints: Sequence[Object],
    others: Sequence[Object] = (),
    namespaces: Sequence[Object] = (),
    present: Sequence[Object] = (),
) -> Iterator[Sides]:
    """Start both with the same objects; they end with the context.

    Their certificates are ``gatekeeper/tls.crt`` and ``ours/tls.crt`` in `folder`.

    Args:
        assets: the folder of the control plane's programs.
        program: ``gatekeeper-manager``.
        folder: an own one.
        templates: ConstraintTemplates.
        constraints: of their kinds.
        others: what else configures them.
        namespaces: those that there are.
        present: other objects that there are.
    """
    with ExitStack() as stack:
        before = [*namespaces, *present, *others, *templates]
        started = stack.enter_context(gatekeeper(assets, program, folder, before))
        plane = started.plane
        for template in templates:
            kind = f"crd/{template['metadata']['name']}.constraints.gatekeeper.sh"
            eventually(lambda kind=kind: plane.kubectl("get", kind).returncode == 0, kind, _SECONDS)
        _established(plane)
        started.manager.apply(constraints)
        told = [*constraints, *(each for each in others if each["kind"] in ("Provider", "ExpansionTemplate"))]
        eventually(lambda: len(_taken(plane)) == len(told), "that Gatekeeper has taken everything", _SECONDS)
        objects = [_live(plane, each) for each in (*namespaces, *present)]
        ours = _ours(stack, folder / "ours", [*objects, *others, *templates, *constraints])
        yield Sides(started.ask, ours, plane)


def _established(plane: ControlPlane) -> None:
    plane.kubectl("wait", "--for=condition=Established", "--timeout=120s", "crd", "--all", check=True)


def _live(plane: ControlPlane, obj: Object) -> Object:
    """Return an object as the API server has it, but for what the operator leaves out of snapshots."""
    metadata = obj["metadata"]
    words = ("get", obj["kind"].lower(), metadata["name"], "-n", metadata.get("namespace", ""), "-o", "json")
    found: Object = json.loads(plane.kubectl(*words, check=True).stdout)
    del found["metadata"]["resourceVersion"]
    return found


def _taken(plane: ControlPlane) -> list[Object]:
    """Return what Gatekeeper's Pod says that it has taken without errors."""
    found = []
    for resource in _TOLD:
        _, answer = plane.request("GET", f"{_STATUSES}/namespaces/{gatekeeper_kinds.NAMESPACE}/{resource}")
        found += answer["items"]
    errors = [each["status"]["errors"] for each in found if (each.get("status") or {}).get("errors")]
    assert not errors, errors
    return found


def _ours(stack: ExitStack, folder: Path, objects: Sequence[Object]) -> Ask:
    source = folder / "policies"
    source.mkdir(parents=True)
    # A cluster has these, and they are never among the files of a policy.
    for number, each in enumerate(objects):
        (source / f"{number:03}.yaml").write_text(yaml.safe_dump(each))
    pair = write_pair(folder)
    port, plain = free_port(), free_port()
    arguments = (
        *(sys.executable, "-m", "webhook", "serve", "--policies", source, "--workers", "1"),
        *("--listen", f"127.0.0.1:{port}", "--metrics-listen", f"127.0.0.1:{plain}"),
        *("--tls-cert", pair.certificate, "--tls-key", pair.key),
    )
    process = stack.enter_context(Process(arguments, folder / "log", dict(os.environ)))
    process.wait_for(lambda: ready(plain), "readiness of tidewaiter serve")
    return _asking(port, "/admit", Path(pair.certificate))


def _asking(port: int, path: str, authority: Path) -> Ask:
    context = ssl.create_default_context(cafile=str(authority))

    def ask(asked: Object) -> Object:
        request = urllib.request.Request(
            f"https://127.0.0.1:{port}{path}?timeout=25s",
            json.dumps(asked).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, context=context, timeout=30) as answer:
            response: Object = json.loads(answer.read())["response"]
        return response

    return ask


def shown(response: Mapping[str, Any]) -> Object:
    """Return what must be the same in both responses."""
    status = response.get("status") or {}
    allowed = response["allowed"]
    said = {name: None if allowed else status.get(name) for name in ("code", "reason", "message")}
    return {"allowed": allowed, **said, "warnings": response.get("warnings") or []}


def settled(ask: Ask, asked: Object) -> Object | None:
    """Return the answer once it is twice the same: a constraint is enforced a moment after it is there."""
    one, other = shown(ask(asked)), shown(ask(asked))
    return one if one == other else None
