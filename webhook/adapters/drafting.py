"""From violations to risk acceptances of the narrowest scope, whole but for the approvals of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from webhook.adapters.drafts import Draft, draft, name_of
from webhook.core.appetite import Appetite
from webhook.core.errors import InputError
from webhook.core.model import GroupKind, ObjectRef, Severity, Violation
from webhook.core.policy import CompiledPolicy
from webhook.core.times import format_time, later

SCALARS = ("title", "reason", "residualRisk", "ticket")
"""Fields of the spec that hold one text and that a person may say."""
_LONGEST_TITLE = 256


@dataclass(frozen=True, slots=True)
class Violated:
    """A violation that nothing accepts.

    Attributes:
        target: the object.
        violation: what it violates.
        policy: the policy.
        place: its file and line, or what it is called; for people.
        hints: why acceptances that come near don't cover it.
    """

    target: ObjectRef
    violation: Violation
    policy: CompiledPolicy
    place: str = ""
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person says of an acceptance.

    Attributes:
        justification: why the risk is worth it.
        risk_owner: who answers for it.
        requester: who asks.
        start: its first moment.
        until: its last; None for the longest that is allowed.
        fields: other fields of the spec: `SCALARS`, ``compensatingControls``, ``remediation``.
        break_glass: an emergency.
        name: of the acceptance; empty for one made of its content.
    """

    justification: str
    risk_owner: str
    requester: str
    start: datetime
    until: datetime | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    break_glass: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Violations of one object that one acceptance covers, and nothing beside them.

    Attributes:
        target: the object.
        violated: what is covered.
        containers: whose violations; empty where they are of no container.
        image: of these containers.
    """

    target: ObjectRef
    violated: tuple[Violated, ...]
    containers: tuple[str, ...] = ()
    image: str = ""

    @property
    def policies(self) -> list[CompiledPolicy]:
        """The violated policies, each once."""
        return list({each.policy.ref: each.policy for each in self.violated}.values())

    def terms(self, appetite: Appetite, *, break_glass: bool) -> Terms:
        """Return on which terms they may be accepted."""
        graded = [(policy, policy.severity) for policy in self.policies]
        return terms(graded, appetite, break_glass=break_glass)

    @property
    def scope(self) -> dict[str, Any]:
        """The narrowest scope.

        Raises:
            InputError: nothing narrow can be said of the object.
        """
        kind = GroupKind(self.target.group, self.target.kind)
        made: dict[str, Any] = {
            "kinds": [{"group": kind.group, "kind": kind.kind} if kind.group else {"kind": kind.kind}]
        }
        if self.target.name:
            made["names"] = [self.target.name]
        if self.containers:
            made["containers"] = list(self.containers)
        # A star would stand for any text; an API server takes it in an image.
        if self.image and "*" not in self.image:
            made["images"] = [self.image]
        if "names" not in made and "images" not in made:
            raise InputError(
                f"{self.target.kind} of a generated name: name it, so that an acceptance can; or accept the "
                "object that it is made from"
            )
        return made


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a group's violations may be accepted.

    Attributes:
        longest: for how long; None for no limit.
        approvals: how many people must approve.
        routes: by which routes, where they are limited for one of the policies.
        groups: groups and people who may.
        required: fields of the spec that must say something.
    """

    longest: timedelta | None
    approvals: int
    routes: tuple[str, ...]
    groups: tuple[str, ...]
    required: tuple[str, ...]


def acceptable(
    violated: Iterable[Violated], appetite: Appetite, *, break_glass: bool
) -> tuple[list[Violated], list[str]]:
    """Return the violations that may be accepted, and why the others may not.

    Args:
        violated: what nothing accepts.
        appetite: the RiskAppetite.
        break_glass: in an emergency.
    """
    good: list[Violated] = []
    refused: dict[str, None] = {}
    for each in violated:
        rule = appetite.rule_for(each.policy.severity, break_glass=break_glass)
        why = ""
        if not each.policy.limits.allowed:
            why = "the policy allows no risk acceptance"
        elif rule is None or not rule.acceptable:
            emergency = " in an emergency" if break_glass else ""
            why = f"the RiskAppetite accepts no {each.policy.severity} risk{emergency}"
        if why:
            name = f"{each.target.namespace}/{each.target.name}".lstrip("/")
            refused[f"{each.target.kind} {name}: {each.policy.ref}: {why}"] = None
        else:
            good.append(each)
    return good, list(refused)


def groups(violated: Iterable[Violated]) -> list[Group]:
    """Return violations so that one acceptance of each group covers them and nothing else.

    An acceptance covers each of its validations for each of its containers and images. So containers go
    together only where the same validations are violated of the same image.
    """
    by_container: dict[tuple[ObjectRef, str, str], list[Violated]] = {}
    for each in violated:
        key = (each.target, each.violation.container, each.violation.image)
        by_container.setdefault(key, []).append(each)
    together: dict[tuple[ObjectRef, str, frozenset[Any]], list[tuple[str, list[Violated]]]] = {}
    for (target, container, image), some in by_container.items():
        said = frozenset((each.policy.ref, each.violation.validation) for each in some)
        alone = not container
        together.setdefault((target, "" if alone else image, said | {alone}), []).append((container, some))
    return [
        Group(
            target,
            tuple(each for _, some in members for each in some),
            tuple(sorted({container for container, _ in members if container})),
            image,
        )
        for (target, image, _), members in together.items()
    ]


def terms(
    policies: Sequence[tuple[CompiledPolicy, Severity]], appetite: Appetite, *, break_glass: bool
) -> Terms:
    """Return on which terms violations of policies may be accepted together: the strictest of all.

    Args:
        policies: each with the severity that the appetite's rule is for; it accepts each of these.
        appetite: the RiskAppetite.
        break_glass: in an emergency.
    """
    found = [appetite.rule_for(severity, break_glass=break_glass) for _, severity in policies]
    rules = [rule for rule in found if rule is not None]
    limits = [policy.limits for policy, _ in policies]
    durations = [rule.max_duration for rule in rules] + [each.max_duration for each in limits]
    approvals = max(rule.approvals for rule in rules)
    if not break_glass:
        approvals = max(approvals, *(each.approvals for each in limits))
    required = dict.fromkeys(name for rule in rules for name in rule.required)
    if any(each.require_ticket for each in limits):
        required["ticket"] = None
    if any(each.require_compensating_controls for each in limits):
        required["compensatingControls"] = None
    routes = frozenset.intersection(*(rule.routes for rule in rules))
    allowed = {name for rule in rules for name in (*rule.groups, *rule.users)}
    return Terms(
        min((each for each in durations if each is not None), default=None),
        approvals,
        tuple(sorted(routes)),
        tuple(sorted(allowed)),
        tuple(required),
    )


def missing(group: Group, on: Terms, wish: Wish) -> list[str]:
    """Return the fields of the spec that must say something and don't yet."""
    said = {
        "justification": wish.justification,
        "riskOwner": wish.risk_owner,
        "requester": wish.requester,
        **wish.fields,
    }
    found = [name for name in ("justification", "riskOwner", "requester", *on.required) if not said.get(name)]
    if wish.until is None and on.longest is None:
        found.append("validUntil")
    return list(dict.fromkeys(found))


def draft_of(group: Group, on: Terms, wish: Wish, *, alone: bool) -> Draft:
    """Return an acceptance of a group's violations; nobody has approved it.

    Args:
        group: what it covers.
        on: on which terms.
        wish: what a person says; nothing may be missing.
        alone: it is the only one, so that it may have the name that the person gave.

    Raises:
        InputError: the window is no window, or longer than allowed.
    """
    until = end_of(on, wish.start, wish.until)
    policies = []
    for policy in group.policies:
        names = {each.violation.validation for each in group.violated if each.policy.ref == policy.ref}
        policies.append(
            {
                "kind": policy.ref.kind,
                "name": policy.ref.name,
                "validations": sorted(names),
                # With it a policy that becomes weaker makes no weaker approvals enough.
                "severity": str(policy.severity),
            }
        )
    spec: dict[str, Any] = {
        "title": wish.fields.get("title") or _title(group),
        **{name: value for name, value in wish.fields.items() if value and name != "title"},
        "justification": wish.justification,
        "riskOwner": wish.risk_owner,
        "requester": wish.requester,
        "validFrom": format_time(wish.start),
        "validUntil": format_time(until),
    }
    if wish.break_glass:
        spec["breakGlass"] = True
    name = wish.name
    if not name or not alone:
        told = [each["name"] for each in policies]
        parts = (group.target.name or group.target.kind, *group.containers, *map(str, told))
        name = name_of(*([name] if name else []), *parts, group.image)
    return draft(
        policies,
        group.scope,
        group.target.namespace,
        name=name,
        notes=_notes(group, on),
        spec=spec,
    )


def end_of(on: Terms, start: datetime, wanted: datetime | None) -> datetime:
    """Return when an acceptance ends: when it is wanted to, else after the longest that is allowed.

    Raises:
        InputError: that is no window, or longer than allowed.
    """
    longest = later(start, on.longest) if on.longest is not None else None
    until = wanted or longest
    if until is None:
        raise InputError("nothing limits how long it lasts: say --until")
    if until <= start:
        raise InputError(f"it must end after {format_time(start)}, when it starts")
    if longest is not None and until > longest:
        raise InputError(
            f"it may last until {format_time(longest)} at most, by the policy or the RiskAppetite"
        )
    return until


def _title(group: Group) -> str:
    names = list(dict.fromkeys(policy.title or policy.ref.name for policy in group.policies))
    text = f"{group.target.kind} {group.target.name or 'of a generated name'}: {'; '.join(names)}"
    return text if len(text) <= _LONGEST_TITLE else text[: _LONGEST_TITLE - 1] + "…"


def _notes(group: Group, on: Terms) -> Sequence[str]:
    found = [f"Drafted for {each.place}" for each in group.violated if each.place]
    found += [
        f"{each.policy.ref}/{each.violation.validation}"
        + (f" (container {each.violation.container})" if each.violation.container else "")
        + f": {each.violation.message}"
        for each in group.violated
    ]
    people = f"{on.approvals} approval{'' if on.approvals == 1 else 's'}"
    routes = " or ".join(on.routes) or "the routes that each of its policies needs"
    found.append(f"It is in force nowhere before {people} by {', '.join(on.groups)}, by {routes}.")
    if group.image and "@" not in group.image:
        found.append(f"The tag of {group.image} can be moved to another image: a digest would name this one.")
    found += [hint for each in group.violated for hint in each.hints]
    return list(dict.fromkeys(found))
