"""A crowded cluster: many policies, acceptances and namespaces, made through the API server."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import orjson

from tests.controlplane import ControlPlane
from webhook.core.acceptance import digest_of
from webhook.core.times import format_time

GROUP_SIZE = 20
"""So many policies judge one object."""
_API = "tidewaiter.dev/v1alpha1"
_OURS = "/apis/tidewaiter.dev/v1alpha1"
_AT_ONCE = 16

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much there is, and how much of it changes.

    Attributes:
        policies: ClusterPolicies.
        acceptances: RiskAcceptances, each in a namespace of its own and with an approval.
        namespaces: Namespaces.
        changes: so many of the policies change, one after another.
        seconds: in so much time.
    """

    policies: int = 1000
    acceptances: int = 2000
    namespaces: int = 3000
    changes: int = 500
    seconds: float = 5.0


def policy_name(number: int) -> str:
    return f"policy-{number:04}"


def space_name(number: int) -> str:
    return f"space-{number:04}"


def acceptance_name(number: int) -> str:
    return f"accepted-{number:04}"


def group_of(number: int) -> str:
    """Return the label by which a policy's objects are found."""
    return f"group-{number // GROUP_SIZE:03}"


def policy(number: int, version: int = 0) -> Manifest:
    """Return a policy that notes its version in the audit log whenever it judges."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    return {
        "apiVersion": _API,
        "kind": "ClusterPolicy",
        "metadata": {"name": policy_name(number)},
        "spec": {
            "title": f"Rule {number}",
            "description": "A rule as long as those of a real pack, with a reason why it matters to anyone.",
            "remediation": "Change the object as the message says.",
            "severity": "medium",
            "matchConstraints": {
                "resourceRules": [rule],
                "objectSelector": {"matchLabels": {"group": group_of(number)}},
            },
            "variables": [{"name": "labels", "expression": "object.metadata.?labels.orValue({})"}],
            "validations": [
                {
                    "name": "value",
                    "expression": f"object.data.value != 'forbidden' && object.data.value != 'v{version}'",
                    "messageExpression": f"'must not be ' + object.data.value + ' in version {version}'",
                },
                {
                    "name": "labels",
                    "expression": "variables.labels.all(key, variables.labels[key].size() < 64)",
                    "message": "labels are short",
                },
            ],
            "auditAnnotations": [{"key": "version", "valueExpression": f"'{version}'"}],
        },
    }


def acceptance(number: int, size: Size) -> tuple[Manifest, Manifest]:
    """Return an acceptance of one policy's violations in one namespace, and its approval."""
    name, space = acceptance_name(number), space_name(number % size.namespaces)
    now = datetime.now(UTC)
    asked = {
        "apiVersion": _API,
        "kind": "RiskAcceptance",
        "metadata": {"name": name, "namespace": space},
        "spec": {
            "policies": [{"kind": "ClusterPolicy", "name": policy_name(number % size.policies)}],
            "scope": {"kinds": [{"group": "", "kind": "ConfigMap"}], "names": ["legacy-*"]},
            "justification": "The rewrite has begun; until then nothing else can be run.",
            "riskOwner": "jane.doe@example.com",
            "requester": "john.roe@example.com",
            "validFrom": format_time(now - timedelta(hours=2)),
            "validUntil": format_time(now + timedelta(days=60)),
        },
    }
    given = {
        "apiVersion": _API,
        "kind": "RiskApproval",
        "metadata": {"name": f"{name}-jane", "namespace": space},
        "spec": {
            "riskAcceptance": name,
            "digest": digest_of(asked),
            "approver": "jane.doe@example.com",
            "groups": ["risk-owners"],
            "approvedAt": format_time(now - timedelta(hours=2)),
        },
    }
    return asked, given


APPETITE: Manifest = {
    "apiVersion": _API,
    "kind": "RiskAppetite",
    "metadata": {"name": "default"},
    "spec": {
        "rules": [
            {
                "severities": ["medium"],
                "maxDuration": "90d",
                "approvals": 1,
                "approvers": {"groups": ["risk-owners"]},
            }
        ]
    },
}


def review(group: str, space: str, value: str) -> bytes:
    """Return the review of a ConfigMap that one group of policies judges."""
    resource = {"group": "", "version": "v1", "resource": "configmaps"}
    kind = {"group": "", "version": "v1", "kind": "ConfigMap"}
    metadata = {"name": "legacy-1", "namespace": space, "labels": {"group": group}}
    request = {
        "uid": "7b9b0c6e-5a1f-4f63-9d0a-6c8f2e0d1a11",
        "kind": kind,
        "resource": resource,
        "requestKind": kind,
        "requestResource": resource,
        "name": "legacy-1",
        "namespace": space,
        "operation": "CREATE",
        "userInfo": {"username": "alice", "groups": ["system:authenticated"]},
        "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}},
        "oldObject": None,
        "dryRun": False,
    }
    return orjson.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})


class Api:
    """The API server, asked by the admin through several connections."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send one request and return what was answered.

        Raises:
            RuntimeError: it was refused.
        """
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        data = None if body is None else orjson.dumps(body)
        async with self._session.request(method, path, data=data, headers={"Content-Type": kind}) as answer:
            text = await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
            return orjson.loads(text)

    async def all(self, wanted: Iterable[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Send many requests, some at once."""
        waiting = iter(wanted)

        async def work(requests: Iterator[tuple[str, str, Mapping[str, Any]]]) -> None:
            for each in requests:
                await self.send(*each)

        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(work(waiting))


@asynccontextmanager
async def api_of(plane: ControlPlane) -> AsyncIterator[Api]:
    """Give the API server of a control plane."""
    context = ssl.create_default_context(cafile=str(plane.ca_file))
    context.load_cert_chain(plane.cert_file, plane.key_file)
    connector = aiohttp.TCPConnector(ssl=context, limit=_AT_ONCE)
    async with aiohttp.ClientSession(plane.url, connector=connector) as session:
        yield Api(session)
    await asyncio.sleep(0.25)  # TLS connections end a moment later


def everything(size: Size) -> Iterator[tuple[str, str, Manifest]]:
    """Give the requests that make the crowd, what others lie in first."""
    for number in range(size.namespaces):
        labels = {"stage": "prod" if number % 3 else "dev", "team": f"team-{number % 40}"}
        metadata = {"name": space_name(number), "labels": labels}
        yield "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    yield "POST", f"{_OURS}/riskappetites", APPETITE
    for number in range(size.policies):
        yield "POST", f"{_OURS}/clusterpolicies", policy(number)
    for number in range(size.acceptances):
        asked, given = acceptance(number, size)
        yield "POST", _path("riskacceptances", asked), asked
        yield "POST", _path("riskapprovals", given), given


def _path(plural: str, manifest: Manifest) -> str:
    return f"{_OURS}/namespaces/{manifest['metadata']['namespace']}/{plural}"


async def change(api: Api, number: int, version: int) -> float:
    """Give a policy another version; return when the API server had taken it, by the monotonic clock."""
    await api.send(
        "PATCH", f"{_OURS}/clusterpolicies/{policy_name(number)}", {"spec": policy(number, version)["spec"]}
    )
    return time.monotonic()


async def withdraw(api: Api, number: int, size: Size) -> float:
    """Delete an acceptance; return when the API server had taken it, by the monotonic clock."""
    space = space_name(number % size.namespaces)
    await api.send("DELETE", f"{_OURS}/namespaces/{space}/riskacceptances/{acceptance_name(number)}")
    return time.monotonic()
