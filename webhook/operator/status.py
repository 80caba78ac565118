"""What the statuses of policies and acceptances say; pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webhook.core.acceptance import Acceptance, parse_acceptance
from webhook.core.appetite import NAME as APPETITE_NAME
from webhook.core.appetite import parse_appetite
from webhook.core.coverage import Register
from webhook.core.ending import notice
from webhook.core.fields import generation_of
from webhook.core.model import PolicyRef
from webhook.core.policy import CompiledPolicy, PolicyFailure
from webhook.core.standing import Standing, State, best
from webhook.core.times import format_time, within
from webhook.operator.audit import statuses
from webhook.operator.audit.facts import PolicyFacts
from webhook.operator.webhooks import unsent

_NOTICES = {30: "WithinThirtyDays", 7: "WithinSevenDays", 1: "WithinOneDay"}
_LONGEST_MESSAGE = 1024

Condition = dict[str, Any]
Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Enforcement:
    """How far the enforcement of the policies has come.

    Attributes:
        registered: the webhook configuration is in place.
        workers: how many workers of this replica have spoken lately.
        generation: the oldest generation of the policy that one of them judges by; 0 when one has none yet.
    """

    registered: bool
    workers: int
    generation: int


def policy_status(
    obj: Mapping[str, Any],
    compiled: CompiledPolicy | None,
    failure: PolicyFailure | None,
    enforcement: Enforcement,
    observed: Mapping[str, Any],
    now: datetime,
    audit: PolicyFacts | None = None,
    *,
    audited: bool = False,
) -> Status:
    """Return the fields of a policy's status that are ours now.

    Args:
        obj: the policy.
        compiled: it, compiled; None where that failed.
        failure: why it failed; None where it didn't.
        enforcement: how far its enforcement has come.
        observed: its present status.
        now: the time.
        audit: what the audit said of it last; None for nothing yet.
        audited: there is an audit.
    """
    generation = generation_of(obj)
    fields: Status = {}
    if compiled is None:
        message = failure.message if failure else "not looked at yet"
        wanted = [
            _condition("Ready", False, "CompileError", message),
            _condition("Enforced", False, "CompileError", "a policy that does not compile is not enforced"),
        ]
    else:
        count = len(compiled.validations)
        ready = f"{count} validation{'s' if count != 1 else ''} compiled"
        wanted = [_condition("Ready", True, "Compiled", ready), _enforced(compiled, enforcement)]
        if audited:
            fields, judged = statuses.found(compiled, audit, observed)
            kept = judged or condition(observed, statuses.AUDITED)
            wanted += [_condition_of(kept)] if kept else []
    return {
        **fields,
        "observedGeneration": generation,
        "conditions": _dated(wanted, observed, generation, now),
    }


def _enforced(policy: CompiledPolicy, enforcement: Enforcement) -> Condition:
    resources, none_left = unsent(policy)
    if none_left:
        message = f"the API server sends no webhook: {', '.join(resources)}; `tidewaiter check` judges them"
        return _condition("Enforced", False, "NeverSentToWebhooks", message)
    if not enforcement.workers:
        return _condition("Enforced", False, "NoWorker", "no worker has acknowledged a snapshot lately")
    if enforcement.generation < policy.generation:
        return _condition("Enforced", False, "NotLoaded", "the workers have not loaded this generation yet")
    if not enforcement.registered:
        message = "the webhook configuration is not in place yet"
        return _condition("Enforced", False, "NotRegistered", message)
    also = f"; never sent to webhooks: {', '.join(resources)}" if resources else ""
    return _condition("Enforced", True, "Enforced", f"the workers judge by this generation{also}")


@dataclass(frozen=True, slots=True)
class AcceptanceStatus:
    """What holds of an acceptance at a time.

    Attributes:
        fields: those of its status that are ours.
        until: when it ends for the first of its policies, if it is in force; else None.
    """

    fields: Status
    until: datetime | None = None


def _ref(obj: Mapping[str, Any]) -> PolicyRef:
    metadata = obj["metadata"]
    return PolicyRef(str(obj.get("kind")), metadata.get("namespace", ""), metadata["name"])


def acceptance_status(
    obj: Mapping[str, Any],
    policies: Mapping[PolicyRef, CompiledPolicy],
    register: Register,
    observed: Mapping[str, Any],
    now: datetime,
) -> AcceptanceStatus:
    """Return what holds of an acceptance at a time.

    Args:
        obj: the acceptance.
        policies: those that compiled.
        register: approvals and appetite.
        observed: its present status.
        now: the time.
    """
    generation = generation_of(obj)
    try:
        acceptance = register.acceptance(_ref(obj))
        if acceptance is None or acceptance.generation != generation:
            acceptance = parse_acceptance(obj)
    except (ValueError, TypeError, AttributeError) as error:
        wanted = [
            _condition("Approved", False, "Invalid", str(error)),
            _condition("Active", False, "Invalid", str(error)),
        ]
        return AcceptanceStatus(
            {
                "observedGeneration": generation,
                "phase": "Invalid",
                "conditions": _dated(wanted, observed, generation, now),
            }
        )
    standings, unknown = _standings(acceptance, policies, register, now)
    latest, _ = register.surroundings.clocks(now)
    phase, conditions = _judged(standings, unknown, latest, break_glass=acceptance.break_glass)
    speaks = best(each for _, each in standings)
    fields = {
        "observedGeneration": generation,
        "phase": phase,
        "digest": acceptance.digest,
        "approvals": len(speaks.approvers) if speaks else 0,
        "conditions": _dated(conditions, observed, generation, now),
    }
    ends = [each.until for _, each in standings if each.state is State.ACTIVE]
    return AcceptanceStatus(fields, min(ends, default=None))


def _standings(
    acceptance: Acceptance,
    policies: Mapping[PolicyRef, CompiledPolicy],
    register: Register,
    now: datetime,
) -> tuple[list[tuple[PolicyRef, Standing]], list[PolicyRef]]:
    found, unknown = [], []
    for named in acceptance.policies:
        namespace = acceptance.ref.namespace if named.kind == "Policy" else ""
        ref = PolicyRef(named.kind, namespace, named.name)
        policy = policies.get(ref)
        if policy is None:
            unknown.append(ref)
        else:
            found.append((ref, register.standing(acceptance, policy, now)))
    return found, unknown


def appetite_status(obj: Mapping[str, Any], observed: Mapping[str, Any], now: datetime) -> Status:
    """Return the fields of a RiskAppetite's status that are ours: only the one named ``default`` holds."""
    generation = generation_of(obj)
    try:
        parse_appetite(obj)
        ready = _condition("Ready", True, "Holds", "it says which risks may be accepted")
    except (ValueError, TypeError, AttributeError) as error:
        ready = _condition("Ready", False, "Invalid", str(error))
    if obj["metadata"]["name"] != APPETITE_NAME:
        ready = _condition("Ready", False, "NotTheDefault", f"only the one named {APPETITE_NAME} holds")
    return {"observedGeneration": generation, "conditions": _dated([ready], observed, generation, now)}


def _judged(
    standings: Sequence[tuple[PolicyRef, Standing]],
    unknown: Iterable[PolicyRef],
    now: datetime,
    *,
    break_glass: bool,
) -> tuple[str, list[Condition]]:
    speaks = best(each for _, each in standings)
    reasons = list(dict.fromkeys(f"{ref}: {each.reason}" for ref, each in standings if each.reason))
    reasons += [f"{ref}: no such policy is applied, or it does not compile" for ref in unknown]
    why = "; ".join(reasons)
    if speaks is None:
        return "Pending", [
            _condition("Approved", False, "UnknownPolicy", why),
            _condition("Active", False, "UnknownPolicy", why),
        ]
    state = speaks.state
    have = f"{len(speaks.approvers)} of {speaks.required}: {', '.join(speaks.approvers)}".removesuffix(": ")
    approved = len(speaks.approvers) >= speaks.required and state is not State.REFUSED
    until = f"until {format_time(speaks.until)}" + (", in an emergency (break-glass)" if break_glass else "")
    active = state is State.ACTIVE
    phase = state.value
    active_text = f"{until}; {why}".removesuffix("; ") if active else why
    conditions = [
        _condition("Approved", approved, "Approved" if approved else phase, have if approved else why),
        _condition("Active", active, phase, active_text),
        _expiring(standings, now),
    ]
    for end in (State.EXPIRED, State.REVOKED):
        conditions.append(_condition(end.value, state is end, phase, why if state is end else ""))
    return phase, conditions


def _expiring(standings: Sequence[tuple[PolicyRef, Standing]], now: datetime) -> Condition:
    """Return whether it ends soon for any of its policies: its reason changes with each notice."""
    ending = [(ref, each, notice(each, now)) for ref, each in standings]
    days = min((days for _, _, days in ending if days is not None), default=None)
    if days is None:
        return _condition("Expiring", False, "NotSoon", "")
    first = min(each.until for _, each, due in ending if due == days)
    policies = ", ".join(str(ref) for ref, each, _ in ending if each.until == first)
    message = f"{within(days)}, at {format_time(first)}: {policies}"
    return _condition("Expiring", True, _NOTICES[days], message)


def condition(fields: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return the condition of a kind in a status; empty where there is none."""
    for each in fields.get("conditions") or ():
        if isinstance(each, Mapping) and each.get("type") == kind:
            return each
    return {}


def _condition_of(given: Mapping[str, Any]) -> Condition:
    return {name: given.get(name, "") for name in ("type", "status", "reason", "message")}


def _condition(kind: str, holds: bool, reason: str, message: str) -> Condition:
    if len(message) > _LONGEST_MESSAGE:
        message = message[: _LONGEST_MESSAGE - 1] + "…"
    return {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message}


def _dated(
    wanted: Sequence[Condition], observed: Mapping[str, Any], generation: int, now: datetime
) -> list[Condition]:
    """Return conditions with the time since when each has its status."""
    known = {each.get("type"): each for each in observed.get("conditions") or () if isinstance(each, Mapping)}
    dated = []
    for condition in wanted:
        before = known.get(condition["type"], {})
        same = before.get("status") == condition["status"] and before.get("lastTransitionTime")
        since = before["lastTransitionTime"] if same else format_time(now)
        dated.append({**condition, "observedGeneration": generation, "lastTransitionTime": since})
    return dated
