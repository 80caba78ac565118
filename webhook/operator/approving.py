"""Approves a risk acceptance as the user of a kubeconfig: what is shown before, and what is written then."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from webhook.core.acceptance import digest_of
from webhook.core.errors import InputError
from webhook.core.fields import created_of
from webhook.core.model import API_VERSION
from webhook.core.times import format_time
from webhook.operator.client import ApiError, Client, get_or_none
from webhook.operator.inventory import OWN_RESOURCES

_ACCEPTANCES = {"riskacceptance": "RiskAcceptance", "clusterriskacceptance": "ClusterRiskAcceptance"}
_RESOURCES = {resource.kind: resource for resource in OWN_RESOURCES}
_WHO_AM_I = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody is about to approve, as it was read.

    Attributes:
        acceptance: the RiskAcceptance or ClusterRiskAcceptance.
        digest: of what it accepts; the approval carries it, so that it is for exactly this.
        approvers: who has approved this before, whether or not it counts.
        user: who the API server takes the user of the kubeconfig for.
        groups: those of that user's groups that the RiskAppetite names.
        at: the API server's time.
        outlived: names of approvals from before the acceptance was made again, which don't count any more.
    """

    acceptance: Mapping[str, Any]
    digest: str
    approvers: tuple[str, ...]
    user: str
    groups: tuple[str, ...]
    at: datetime
    outlived: frozenset[str] = frozenset()

    @property
    def approval(self) -> dict[str, Any]:
        """The approval to create."""
        metadata = self.acceptance["metadata"]
        who = re.sub(r"[^a-z0-9.-]+", "-", self.user.lower())
        name = f"{metadata['name']}-{self.digest.removeprefix('sha256:')[:8]}-{who}"
        name = name[:_LONGEST_NAME].strip(".-")
        if name in self.outlived:
            anew = f"-{self.at:%Y%m%d-%H%M%S}"
            name = name[: _LONGEST_NAME - len(anew)].strip(".-") + anew
        made: dict[str, Any] = {"name": name}
        if "namespace" in metadata:
            made["namespace"] = metadata["namespace"]
        return {
            "apiVersion": API_VERSION,
            "kind": str(self.acceptance["kind"]).replace("Acceptance", "Approval"),
            "metadata": made,
            "spec": {
                "riskAcceptance": metadata["name"],
                "digest": self.digest,
                "approver": self.user,
                "groups": list(self.groups),
                "approvedAt": format_time(self.at),
            },
        }


async def read(client: Client, name: str, namespace: str) -> Request:
    """Return what is to be approved.

    Args:
        client: the API server, as the approver.
        name: of a RiskAcceptance, or ``clusterriskacceptance/NAME``.
        namespace: of a RiskAcceptance.

    Raises:
        ApiError: the API server does not answer, or the user may not read it.
        InputError: there is none of that name.
    """
    acceptance = await acceptance_of(client, name, namespace)
    kind, called = acceptance["kind"], acceptance["metadata"]["name"]
    digest = digest_of(acceptance)
    approvals = await client.request("GET", _collection(kind.replace("Acceptance", "Approval"), namespace))
    items = approvals.body.get("items") or ()
    specs = [each.get("spec") or {} for each in items]
    approvers = {
        str(spec.get("approver"))
        for spec in specs
        if spec.get("riskAcceptance") == called and spec.get("digest") == digest
    }
    user, groups, at = await who_am_i(client)
    named = await _named_groups(client)
    return Request(
        acceptance,
        digest,
        tuple(sorted(approvers)),
        user,
        tuple(each for each in groups if each in named),
        at,
        frozenset(each["metadata"]["name"] for each in items if _outlived(each, acceptance)),
    )


def _outlived(approval: Mapping[str, Any], acceptance: Mapping[str, Any]) -> bool:
    came, asked = created_of(approval), created_of(acceptance)
    return came is not None and asked is not None and came <= asked


async def acceptance_of(client: Client, name: str, namespace: str) -> dict[str, Any]:
    """Return an acceptance as the API server has it now.

    Args:
        client: the API server.
        name: of a RiskAcceptance, or ``clusterriskacceptance/NAME``.
        namespace: of a RiskAcceptance.

    Raises:
        ApiError: the API server does not answer, or the user may not read it.
        InputError: there is none of that name.
    """
    kind, _, called = name.rpartition("/")
    try:
        kind = _ACCEPTANCES[kind.lower() or "riskacceptance"]
    except KeyError:
        known = " or ".join(_ACCEPTANCES)
        raise InputError(f"{name}: must be NAME, or {known} and a slash before it") from None
    found = await get_or_none(client, _RESOURCES[kind].path_of(namespace, called))
    if found is None:
        where = f" in the namespace {namespace}" if kind == "RiskAcceptance" else ""
        raise InputError(f"there is no {kind} {called}{where}")
    # The answer to one object says its kind, but nothing forces a server to.
    return {**found, "apiVersion": API_VERSION, "kind": kind}


async def approve(client: Client, request: Request) -> dict[str, Any]:
    """Create the approval and return it as it was stored.

    Raises:
        ApiError: it was refused; the message is the guard's or the API server's.
    """
    approval = request.approval
    path = _collection(approval["kind"], approval["metadata"].get("namespace", ""))
    return (await client.request("POST", path, body=approval)).body


def _collection(kind: str, namespace: str) -> str:
    return replace(_RESOURCES[kind], namespace=namespace).path


async def who_am_i(client: Client) -> tuple[str, list[str], datetime]:
    """Return user and groups as the API server takes them, and its time (KEP-3325)."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = await client.request("POST", _WHO_AM_I, body=body)
    info = (answer.body.get("status") or {}).get("userInfo") or {}
    at = datetime.now(UTC) + timedelta(seconds=answer.skew or 0.0)
    return str(info.get("username") or ""), [str(each) for each in info.get("groups") or ()], at


async def _named_groups(client: Client) -> frozenset[str]:
    """Return the groups that the RiskAppetite lets approve something."""
    try:
        appetite = (await client.request("GET", _RESOURCES["RiskAppetite"].path_of("", "default"))).body
    except ApiError as error:
        if error.status == 404:
            raise InputError(
                "there is no RiskAppetite named default, so nobody's approval counts: "
                "apply one first (examples/risk-appetite.yaml)"
            ) from None
        raise
    spec = appetite.get("spec") or {}
    named = [
        group for rule in spec.get("rules") or () for group in (rule.get("approvers") or {}).get("groups", ())
    ]
    return frozenset(map(str, (*named, *((spec.get("breakGlass") or {}).get("groups") or ()))))
