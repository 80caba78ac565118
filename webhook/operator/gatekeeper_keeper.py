"""What the leader does for Gatekeeper's kinds where Gatekeeper isn't there: definitions and statuses.

The constraints' kinds are defined as soon as their template is there. Each belongs to its template, and
goes with it. Statuses read as Gatekeeper's own, for the dashboards that read them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from webhook.adapters import gatekeeper
from webhook.core.constraint import AUDIT_POINT
from webhook.core.errors import CompileError
from webhook.core.fields import generation_of
from webhook.core.model import PolicyRef
from webhook.core.policy import CompiledPolicy
from webhook.core.snapshot import Snapshot
from webhook.core.times import format_time
from webhook.dialects.gatekeeper import kinds, refusal
from webhook.dialects.gatekeeper.crd import definition
from webhook.dialects.gatekeeper.template import Template
from webhook.operator.audit.facts import PolicyFacts
from webhook.operator.client import ApiError, Client, Resource, apply, get_or_none, merge
from webhook.operator.definitions import DEFINITIONS
from webhook.operator.gatekeeper_informers import TEMPLATES, GatekeeperInformers
from webhook.operator.informer import Object

_LOOK_AGAIN = 60.0  # for definitions that somebody deleted
_REFUSED = (400, 409, 422)  # what is wrong is the template
_LOOK = 5.0  # whether Gatekeeper is there
_POD_STATUSES = Resource(
    "status.gatekeeper.sh", "v1beta1", "constrainttemplatepodstatuses", "ConstraintTemplatePodStatus"
)
_ACTIONS = {"deny": "deny", "warn": "warn", "audit": "dryrun"}
ID = "tidewaiter"
"""What we call ourselves among the Pods of a status."""

logger = logging.getLogger(__name__)


class GatekeeperKeeper:
    """Keeps definitions and statuses of Gatekeeper's kinds.

    Args:
        client: the API server.
        informers: what there is.
        audited: gives what the audit found of a constraint; None while it has found nothing, or isn't there.
    """

    def __init__(
        self,
        client: Client,
        informers: GatekeeperInformers,
        audited: Callable[[PolicyRef], PolicyFacts | None] = lambda _: None,
    ) -> None:
        self._client = client
        self._informers = informers
        self._audited = audited
        self._cache = gatekeeper.GatekeeperCache()
        self._defined: dict[str, tuple[str, int, float]] = {}
        self._own_at = 0.0
        self._theirs = False
        self._looked_at = float("-inf")

    async def reconcile(self, snapshot: Snapshot) -> bool:
        """Take every step that is due; tell whether all went well.

        Args:
            snapshot: as compiled now.
        """
        if await self._gatekeeper_is_there():
            return True
        done = True
        try:
            await self._define_own()
        except ApiError as error:
            logger.warning("Gatekeeper's kinds: %s", error)
            done = False
        problems = {failure.ref: failure for failure in snapshot.failures}
        used: list[Template] = []
        for template in self._informers.templates:
            try:
                await self._keep_template(template, problems, used)
            except ApiError as error:
                logger.warning("ConstraintTemplate %s: %s", template["metadata"]["name"], error)
                done = False
        self._cache.keep(used)
        enforced = {policy.ref: policy for policy in snapshot.policies if policy.constraint is not None}
        for resource, constraint in self._informers.constraints:
            ref = PolicyRef(resource.kind, "", constraint["metadata"]["name"])
            problem = problems.get(ref)
            try:
                await self._keep_constraint(
                    resource, constraint, problem.message if problem else "", enforced.get(ref)
                )
            except ApiError as error:
                logger.warning("%s %s: %s", resource.kind, ref.name, error)
                done = False
        return done

    async def _gatekeeper_is_there(self) -> bool:
        """Tell whether Pods of Gatekeeper still keep kinds and statuses: two would undo each other's work.

        What a Pod of theirs says of a template belongs to that Pod, and goes with it.
        """
        now = time.monotonic()
        if now - self._looked_at < _LOOK:
            return self._theirs
        try:
            answer = await self._client.request("GET", _POD_STATUSES.path, params={"limit": "1"})
            theirs = bool(answer.body.get("items"))
        except ApiError as error:
            if error.status != 404:
                logger.warning("what Gatekeeper's Pods say: %s", error)
            theirs = False
        if theirs != self._theirs:
            logger.info(
                "Gatekeeper's Pods %s kinds and statuses of templates and constraints",
                "still keep the" if theirs else "no longer keep the",
            )
        if not theirs and self._theirs:
            self._defined.clear()
        self._theirs, self._looked_at = theirs, now
        return theirs

    async def _define_own(self) -> None:
        """Define Gatekeeper's kinds where the cluster lacks them; those that are there stay as they are."""
        if time.monotonic() - self._own_at < _LOOK_AGAIN and self._own_at:
            return
        for wanted in kinds.definitions():
            path = DEFINITIONS.path_of("", wanted["metadata"]["name"])
            if await get_or_none(self._client, path) is None:
                try:
                    await self._client.request("POST", DEFINITIONS.path, body=wanted)
                except ApiError as error:
                    if error.status != 409:
                        raise
        self._own_at = time.monotonic()

    async def _keep_template(
        self, template: Object, problems: Mapping[PolicyRef, Any], used: list[Template]
    ) -> None:
        metadata = template["metadata"]
        errors: list[dict[str, str]] = []
        try:
            # Off the loop: a large one takes seconds, in which the Lease must be renewed.
            made = await asyncio.to_thread(gatekeeper.template, template, self._cache)
        except CompileError as error:
            errors = [refusal.in_status(error)]
        else:
            used.append(made)
            wanted = definition(made)
            try:
                await self._define(template, wanted)
            except ApiError as error:
                if error.status not in _REFUSED:
                    raise
                path = DEFINITIONS.path_of("", wanted["metadata"]["name"])
                there = await get_or_none(self._client, path) is not None
                errors = [refusal.not_defined(error.message, there=there)]
        by_pod: dict[str, Any] = {
            "id": ID,
            "observedGeneration": generation_of(template),
            "operations": ["webhook"],
            "templateUID": metadata.get("uid", ""),
        }
        if errors:
            by_pod["errors"] = errors
        await self._write(TEMPLATES, template, {"created": not errors, "byPod": [by_pod]})

    async def _define(self, template: Object, wanted: dict[str, Any]) -> None:
        metadata = template["metadata"]
        key, now = metadata["name"], time.monotonic()
        known = self._defined.get(key)
        state = (str(metadata.get("uid", "")), generation_of(template))
        if known is not None and known[:2] == state and now - known[2] < _LOOK_AGAIN:
            return
        wanted["metadata"]["ownerReferences"] = [
            {
                "apiVersion": template["apiVersion"],
                "kind": template["kind"],
                "name": metadata["name"],
                "uid": metadata.get("uid", ""),
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ]
        await apply(self._client, DEFINITIONS.path_of("", wanted["metadata"]["name"]), wanted)
        self._defined[key] = (*state, now)

    async def _keep_constraint(
        self, resource: Resource, constraint: Object, problem: str, policy: CompiledPolicy | None
    ) -> None:
        metadata = constraint["metadata"]
        by_pod: dict[str, Any] = {
            "id": ID,
            "constraintUID": metadata.get("uid", ""),
            "observedGeneration": generation_of(constraint),
            "operations": ["webhook"],
        }
        if policy is not None:
            by_pod["enforced"] = True
        if problem:
            by_pod["errors"] = [{"code": "", "message": problem}]  # of constraints Gatekeeper gives no code
        wanted: dict[str, Any] = {"byPod": [by_pod]}
        if policy is not None:
            known = self._informers.statuses.get((resource.kind, ("", metadata["name"])), {})
            wanted |= _audit_status(constraint, policy, self._audited(policy.ref), known)
        await self._write(resource, constraint, wanted)

    async def _write(self, resource: Resource, obj: Object, wanted: Mapping[str, Any]) -> None:
        metadata = obj["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        known = self._informers.statuses.get((resource.kind, key), {})
        if all(known.get(name) == value for name, value in wanted.items()):
            return
        body = {"metadata": {"uid": metadata.get("uid")}, "status": wanted}
        try:
            found = await merge(self._client, resource.path_of(*key) + "/status", body)
        except ApiError as error:
            if error.status in (404, 409):
                return
            raise
        self._informers.statuses[resource.kind, key] = found.get("status") or {}


def _audit_status(
    constraint: Object, policy: CompiledPolicy, facts: PolicyFacts | None, known: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the audit found, as Gatekeeper's writes it; nothing before it has judged everything."""
    if facts is None or not facts.complete or facts.generation != policy.generation:
        return {}
    action = _action(constraint, policy)
    violations = [{"group": "", "version": "", **each, **action} for each in facts.top]
    found: dict[str, Any] = {
        "totalViolations": facts.violations + facts.errors,
        "violations": violations or None,
    }
    if any(known.get(name) != value for name, value in found.items()) or "auditTimestamp" not in known:
        found["auditTimestamp"] = format_time(datetime.fromtimestamp(int(facts.at), UTC))
    return found


def _action(constraint: Object, policy: CompiledPolicy) -> dict[str, Any]:
    """Return what a violation does where the audit finds it, as Gatekeeper says it."""
    action = (constraint.get("spec") or {}).get("enforcementAction") or "deny"
    if action != "scoped" or policy.constraint is None:
        return {"enforcementAction": action}
    actions = policy.constraint.actions_at((AUDIT_POINT,)) or ()
    return {"enforcementAction": action, "enforcementActions": [_ACTIONS[str(each)] for each in actions]}
