"""From an acceptance to the one that goes on with it, and to the same one taken back; pure functions."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from webhook.adapters.drafting import Terms, end_of, terms
from webhook.adapters.drafts import Draft
from webhook.adapters.risks import Risk
from webhook.core.appetite import Appetite
from webhook.core.errors import InputError
from webhook.core.model import API_VERSION
from webhook.core.standing import State
from webhook.core.times import format_time

_NUMBERED = re.compile(r"-renewal-\d{1,3}\Z")
_LONGEST_NAME = 253
_NOT_KEPT = ("revoked", "appliedBy", "renews", "renewal", "validFrom", "validUntil", "requester")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person says of a renewal.

    Attributes:
        requester: who asks.
        start: its first moment; None for when the old one ends, or now where it has.
        until: its last; None for the longest that is allowed.
        name: of the renewal; empty for one made of the old one's.
        fields: fields of the spec that are not as they were.
    """

    requester: str
    start: datetime | None = None
    until: datetime | None = None
    name: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def renewal_of(risk: Risk, appetite: Appetite, asked: Asked, at: datetime) -> Draft:
    """Return an acceptance that renews another; nobody has approved it.

    Args:
        risk: the old one.
        appetite: the RiskAppetite.
        asked: what a person says.
        at: the time.

    Raises:
        InputError: it can't be renewed; the text says why.
    """
    number = risk.acceptance.renewal + 1
    on = _terms(risk, appetite, number)
    start = asked.start or (risk.until if risk.phase == "Active" else at)
    until = end_of(on, start, asked.until)
    spec = {name: value for name, value in copy.deepcopy(dict(risk.spec)).items() if name not in _NOT_KEPT}
    spec |= asked.fields
    missing = [name for name in ("justification", "riskOwner", *on.required) if not spec.get(name)]
    if missing:
        raise InputError(f"it must fill in {', '.join(f'spec.{name}' for name in missing)}")
    spec |= {
        "requester": asked.requester,
        "validFrom": format_time(start),
        "validUntil": format_time(until),
        "renews": risk.ref.name,
        "renewal": number,
    }
    name = asked.name or f"{_NUMBERED.sub('', risk.ref.name)[: _LONGEST_NAME - 12]}-renewal-{number}"
    metadata = {"name": name, **({"namespace": risk.ref.namespace} if risk.ref.namespace else {})}
    made = {"apiVersion": API_VERSION, "kind": risk.ref.kind, "metadata": metadata, "spec": spec}
    return Draft(made, _notes(risk, on))


def _terms(risk: Risk, appetite: Appetite, number: int) -> Terms:
    name = f"{risk.ref.kind} {risk.ref}"
    graded = []
    for each in risk.policies:
        if each.policy is None or each.standing is None or each.severity is None:
            raise InputError(f"{name} can't be renewed: there is no {each.ref.kind} {each.ref}")
        limits = each.policy.limits
        if limits.max_renewals is not None and number > limits.max_renewals:
            raise InputError(
                f"{name} can't be renewed: this would be renewal {number}, and {each.ref} allows "
                f"{limits.max_renewals}; mend it, or ask for a risk of its own"
            )
        standing = each.standing
        if standing.state is State.REVOKED or standing.since is None:
            why = standing.reason or "it was never in force"
            raise InputError(f"{name} can't be renewed: {each.ref}: {why}")
        rule = appetite.rule_for(each.severity, break_glass=risk.acceptance.break_glass)
        if rule is None or not rule.acceptable or not limits.allowed:
            raise InputError(f"{name} can't be renewed: {each.ref}: this risk may not be accepted any more")
        graded.append((each.policy, each.severity))
    return terms(graded, appetite, break_glass=risk.acceptance.break_glass)


def _notes(risk: Risk, on: Terms) -> tuple[str, ...]:
    ending = "ends" if risk.phase == "Active" else "ended"
    people = f"{on.approvals} approval{'' if on.approvals == 1 else 's'}"
    routes = " or ".join(on.routes) or "the routes that each of its policies needs"
    return (
        f"Renews {risk.ref.kind} {risk.ref}, which {ending} at {format_time(risk.until)}.",
        "Read it again: is its justification still true, its scope still needed?",
        f"It is in force nowhere before {people} by {', '.join(on.groups)}, by {routes}.",
    )


def revoked(risk: Risk, at: datetime, by: str, reason: str) -> dict[str, Any]:
    """Return an acceptance taken back for good.

    Raises:
        InputError: it is already.
    """
    if risk.acceptance.revoked:
        raise InputError(f"{risk.ref.kind} {risk.ref} is revoked already")
    made = copy.deepcopy(dict(risk.object))
    made.pop("status", None)
    made["spec"] = {**(made.get("spec") or {}), "revoked": revocation(at, by, reason)}
    return made


def revocation(at: datetime, by: str, reason: str) -> dict[str, str]:
    """Return ``spec.revoked`` of an acceptance."""
    said = {"at": format_time(at), "by": by, "reason": reason}
    return {name: text for name, text in said.items() if text}
