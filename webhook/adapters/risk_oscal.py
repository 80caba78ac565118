"""Risk acceptances as a Plan of Action and Milestones in OSCAL 1.1 JSON, for tools that auditors use.

Model: https://pages.nist.gov/OSCAL-Reference/models/v1.1.3/plan-of-action-and-milestones/. Each identifier
is a version 5 UUID of what it names, so that the same acceptance has the same one in every export.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from webhook import __version__
from webhook.adapters.risk_sightings import Seen, Sightings
from webhook.adapters.risks import Cover, Given, Risk
from webhook.core.times import format_time, parse_time
from webhook.core.verdict import describe

OSCAL_VERSION = "1.1.3"
NAMESPACE = "https://tidewaiter.dev/ns/oscal"
"""Names our properties; nothing has to answer there."""
_ROOT = uuid.uuid5(uuid.NAMESPACE_URL, NAMESPACE)
_ROLES = {
    "requester": "Asks for the acceptance",
    "approver": "Approves the acceptance",
    "risk-owner": "Answers for the risk",
}
_LAST_YEAR = 2999
"""The schema's pattern of times knows no later one."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def as_poam(risks: Sequence[Risk], sightings: Sightings, at: datetime, cluster: str) -> dict[str, Any]:
    """Return acceptances as a POA&M.

    Args:
        risks: at least one; the model wants an item.
        sightings: what was seen of them on objects.
        at: when.
        cluster: the system's name; empty for unknown.
    """
    return _Export(risks, sightings, at, cluster).document()


def status_of(risk: Risk, seen: Seen, *, whole: bool) -> str:
    """Return an acceptance as a risk's status.

    In force it is an approved deviation. One that waits is requested. One that ended is open, unless every
    object was looked at and nothing in its scope violates any more.
    """
    if risk.phase == "Active":
        return "deviation-approved"
    if risk.phase in ("Pending", "Unknown"):
        return "deviation-requested"
    return "closed" if whole and not seen.open and not seen.covered else "open"


class _Export:
    def __init__(self, risks: Sequence[Risk], sightings: Sightings, at: datetime, cluster: str) -> None:
        self._risks, self._sightings = risks, sightings
        self._at, self._cluster = at, cluster
        self._parties: dict[str, str] = {}
        self._items: dict[str, dict[str, Any]] = {}
        self._tool = self._uuid("tool", "tidewaiter")

    def document(self) -> dict[str, Any]:
        observations = [
            self._observation(risk, each, covered=covered)
            for risk in self._risks
            for covered, some in self._seen(risk)
            for each in some
        ]
        risks = [self._risk(risk) for risk in self._risks]
        items = [self._item(risk) for risk in self._risks]
        system = self._cluster or "a cluster of unknown name"
        local: dict[str, Any] = {
            "components": [
                {
                    "uuid": self._tool,
                    "type": "software",
                    "title": "Tidewaiter",
                    "description": "Judges objects against policies, and whether a risk is accepted.",
                    "props": [{"name": "version", "value": __version__}],
                    "status": {"state": "operational"},
                }
            ]
        }
        if self._items:
            local["inventory-items"] = list(self._items.values())
        metadata = {
            "title": f"Accepted risks of {_line(system)}",
            "last-modified": format_time(self._at),
            "version": format_time(self._at),
            "oscal-version": OSCAL_VERSION,
            "roles": [{"id": name, "title": title} for name, title in _ROLES.items()],
        }
        if self._parties:
            metadata["parties"] = [
                {"uuid": number, "type": "person", "name": _line(name)}
                for name, number in sorted(self._parties.items())
            ]
        poam: dict[str, Any] = {
            "uuid": self._uuid("poam"),
            "metadata": metadata,
            "system-id": {
                "identifier-type": "http://ietf.org/rfc/rfc4122",
                "id": self._uuid("system"),
            },
            "local-definitions": local,
        }
        if observations:
            poam["observations"] = observations
        return {"plan-of-action-and-milestones": {**poam, "risks": risks, "poam-items": items}}

    def _uuid(self, *parts: str) -> str:
        # A length before each part: no two lists of parts are the same text.
        text = "".join(f"{len(part)}:{part}" for part in (self._cluster, *parts))
        return str(uuid.uuid5(_ROOT, text.encode("utf-8", "surrogatepass").hex()))

    def _of(self, risk: Risk, *parts: str) -> str:
        return self._uuid(*risk.ref, *parts)

    def _party(self, name: str) -> str:
        return self._parties.setdefault(name, self._uuid("party", name))

    def _actor(self, name: str, role: str) -> dict[str, Any]:
        return {"type": "party", "actor-uuid": self._party(name), "role-id": role}

    def _by_tool(self) -> list[dict[str, Any]]:
        return [{"actors": [{"type": "tool", "actor-uuid": self._tool}]}]

    def _seen(self, risk: Risk) -> Iterable[tuple[bool, Sequence[Cover]]]:
        seen = self._sightings.of(risk.ref)
        return (True, seen.covered), (False, seen.open)

    def _observation(self, risk: Risk, each: Cover, *, covered: bool) -> dict[str, Any]:
        violation, target = each.violation, each.target
        name = f"{target.kind} {target.namespace}/{target.name}".replace(" /", " ")
        subject = self._uuid("object", target.group, target.kind, target.namespace, target.name)
        if subject not in self._items:
            props = {"api-version": target.api_version, "kind": target.kind, "namespace": target.namespace}
            self._items[subject] = {
                "uuid": subject,
                "description": _line(name),
                "props": _props({**props, "name": target.name}),
            }
        stands = "accepted" if covered else "not accepted"
        return {
            "uuid": self._of(risk, "observation", violation.fingerprint),
            "title": _line(f"{name} violates {violation.policy}/{violation.validation}"),
            "description": _text(describe(violation)),
            "props": _props(
                {
                    "fingerprint": violation.fingerprint,
                    "policy": f"{violation.policy.kind} {violation.policy}",
                    "validation": violation.validation,
                    "container": violation.container,
                    "image": violation.image,
                    "standing": stands,
                    "kept-running": "true" if each.kept_running else "",
                    "place": each.place,
                }
            ),
            "methods": ["TEST"],
            "types": ["finding"],
            "origins": self._by_tool(),
            "subjects": [{"subject-uuid": subject, "type": "inventory-item"}],
            "collected": format_time(self._at),
        }

    def _related(self, risk: Risk) -> list[dict[str, str]]:
        return [
            {"observation-uuid": self._of(risk, "observation", each.violation.fingerprint)}
            for _, some in self._seen(risk)
            for each in some
        ]

    def _risk(self, risk: Risk) -> dict[str, Any]:
        acceptance, spec = risk.acceptance, risk.spec
        status = status_of(risk, self._sightings.of(risk.ref), whole=self._sightings.whole)
        made: dict[str, Any] = {
            "uuid": self._of(risk, "risk"),
            "title": _line(str(spec.get("title") or f"{risk.ref.kind} {risk.ref}")),
            "description": _text(_policies(risk)),
            "statement": _text(str(spec.get("justification") or "none is given")),
            "props": [*_props(_facts(risk)), *_standards(risk)],
            "status": status,
            "origins": [{"actors": [self._actor(acceptance.requester, "requester")]}],
            "characterizations": [
                {
                    "origin": self._by_tool()[0],
                    "facets": [
                        {"name": name, "system": NAMESPACE, "value": value}
                        for name, value in _facets(risk).items()
                    ],
                }
            ],
            "deadline": _moment(risk.until),
            "risk-log": {"entries": self._log(risk, status)},
        }
        controls = spec.get("compensatingControls") or ()
        if controls:
            made["mitigating-factors"] = [
                {
                    "uuid": self._of(risk, "control", str(number)),
                    "description": _text(str(control.get("description"))),
                    **_held(control),
                }
                for number, control in enumerate(controls)
            ]
        remediation = self._remediation(risk)
        if remediation:
            made["remediations"] = [remediation]
        related = self._related(risk)
        if related:
            made["related-observations"] = related
        return made

    def _remediation(self, risk: Risk) -> dict[str, Any] | None:
        said = risk.spec.get("remediation") or {}
        plan, due = str(said.get("plan") or ""), str(said.get("due") or "")
        if not plan and not due:
            return None
        made: dict[str, Any] = {
            "uuid": self._of(risk, "remediation"),
            "lifecycle": "planned",
            "title": "Remediation",
            "description": _text(plan or "by its due date"),
        }
        day = _day(due)
        if day is not None:
            made["tasks"] = [
                {
                    "uuid": self._of(risk, "milestone"),
                    "type": "milestone",
                    "title": "The violation has ended",
                    "timing": {"on-date": {"date": _moment(day)}},
                }
            ]
        return made

    def _log(self, risk: Risk, status: str) -> list[dict[str, Any]]:
        spec, acceptance = risk.spec, risk.acceptance
        entries = [
            {
                "uuid": self._of(risk, "log", "window"),
                "title": "Window",
                "start": _moment(acceptance.valid_from),
                "end": _moment(risk.until),
                "logged-by": [{"party-uuid": self._party(acceptance.requester), "role-id": "requester"}],
                "status-change": status,
            }
        ]
        entries += [self._approval(risk, each) for each in risk.given]
        revoked = spec.get("revoked") or {}
        moment = _parsed(revoked.get("at"))
        if moment is not None:
            who = str(revoked.get("by") or "")
            entries.append(
                {
                    "uuid": self._of(risk, "log", "revoked"),
                    "title": "Revoked",
                    "description": _text(str(revoked.get("reason") or "no reason is given")),
                    "start": _moment(moment),
                    **({"logged-by": [{"party-uuid": self._party(who)}]} if who.strip() else {}),
                    "status-change": "open",
                }
            )
        return entries

    def _approval(self, risk: Risk, given: Given) -> dict[str, Any]:
        approval = given.approval
        return {
            "uuid": self._of(risk, "log", approval.ref.name),
            "title": "Approval" if given.counts else "Approval that does not count",
            "description": _text(given.why or "It counts."),
            "start": _moment(approval.approved_at),
            "end": _moment(approval.approved_at),
            "props": _props(
                {
                    "route": given.route,
                    "counts": "true" if given.counts else "false",
                    "digest": approval.digest,
                    "name": approval.ref.name,
                }
            ),
            "logged-by": [{"party-uuid": self._party(approval.approver), "role-id": "approver"}],
        }

    def _item(self, risk: Risk) -> dict[str, Any]:
        owner = str(risk.spec.get("riskOwner") or risk.acceptance.requester)
        made: dict[str, Any] = {
            "uuid": self._of(risk, "item"),
            "title": _line(str(risk.spec.get("title") or f"{risk.ref.kind} {risk.ref}")),
            "description": _text(_policies(risk)),
            "props": [*_props(_facts(risk)), *_standards(risk)],
            "origins": [{"actors": [self._actor(owner, "risk-owner")]}],
            "related-risks": [{"risk-uuid": self._of(risk, "risk")}],
        }
        related = self._related(risk)
        if related:
            made["related-observations"] = related
        if risk.reason:
            made["remarks"] = _text(risk.reason)
        return made


def _policies(risk: Risk) -> str:
    names = [
        f"{each.ref.kind} {each.ref}"
        + (f" ({', '.join(sorted(each.named.validations))})" if each.named.validations else "")
        for each in risk.policies
    ]
    return f"Violations of {'; '.join(names)} are {_STATES.get(risk.phase, 'not accepted')}."


_STATES = {"Active": "accepted", "Pending": "asked to be accepted", "Expired": "not accepted any more"}
_STATES["Revoked"] = _STATES["Expired"]


def _facts(risk: Risk) -> dict[str, str]:
    spec, acceptance = risk.spec, risk.acceptance
    return {
        "kind": risk.ref.kind,
        "namespace": risk.ref.namespace,
        "name": risk.ref.name,
        "phase": risk.phase,
        "digest": acceptance.digest,
        "valid-from": format_time(acceptance.valid_from),
        "valid-until": format_time(acceptance.valid_until),
        "ends": format_time(risk.until),
        "break-glass": "true" if acceptance.break_glass else "",
        "deviation": str(spec.get("reason") or ""),
        "ticket": str(spec.get("ticket") or ""),
        "renews": acceptance.renews,
        "renewal": str(acceptance.renewal or ""),
        "approvals": f"{risk.counting} of {risk.required}",
        "applied-by": acceptance.applied_by,
    }


def _standards(risk: Risk) -> list[dict[str, str]]:
    return [each for text in risk.standards for each in _props({"standard": text})]


def _facets(risk: Risk) -> dict[str, str]:
    said = {
        "severity": str(risk.severity) if risk.severity is not None else "unknown",
        "residual-risk": str(risk.spec.get("residualRisk") or ""),
    }
    return {name: value for name, value in said.items() if value}


def _held(control: Mapping[str, Any]) -> dict[str, Any]:
    policy = control.get("policy") or {}
    if not policy:
        return {}
    return {"props": _props({"policy": f"{policy.get('kind')} {policy.get('name')}"})}


def _props(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {"name": name, "ns": NAMESPACE, "value": _line(value)}
        for name, value in values.items()
        if value.strip()
    ]


def _line(text: str) -> str:
    """Return text on one line, without blanks around it, as OSCAL's strings are."""
    return " ".join(_CONTROL.sub("\ufffd", text).split()) or "-"


def _text(text: str) -> str:
    return _CONTROL.sub("\ufffd", text).strip() or "-"


def _moment(moment: datetime) -> str:
    return format_time(min(moment, datetime(_LAST_YEAR, 12, 31, tzinfo=UTC)))


def _day(text: str) -> datetime | None:
    """Return the last moment of a day."""
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC) + timedelta(days=1, seconds=-1)
    except (ValueError, OverflowError):
        return None


def _parsed(text: Any) -> datetime | None:
    try:
        return parse_time(str(text))
    except ValueError:
        return None
