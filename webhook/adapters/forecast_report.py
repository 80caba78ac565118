"""A forecast as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from webhook.adapters.text_report import Style, printable
from webhook.core.forecast import Ending, Forecast, Refusal
from webhook.core.hygiene import Hygiene
from webhook.core.model import ObjectRef
from webhook.core.review import AdmissionRequest
from webhook.core.times import format_time
from webhook.core.verdict import describe


@dataclass(frozen=True, slots=True)
class Live:
    """An object that exists, or will.

    Attributes:
        request: to create it.
        place: the file and line that it comes from; empty for a cluster.
    """

    request: AdmissionRequest
    place: str = ""

    @property
    def target(self) -> ObjectRef:
        """Which object it is."""
        return self.request.target


def lines(
    forecast: Forecast[Live], until: datetime, style: Style, untidy: Sequence[Hygiene] = ()
) -> Iterator[str]:
    """Yield a forecast as text: each ending with what is refused from then on.

    Args:
        forecast: what changes.
        until: the last moment it looks at.
        style: colours, or none.
        untidy: acceptances that cover nothing, or less than they could.
    """
    left = list(forecast.refusals)
    for ending in forecast.endings:
        emergency = " (break-glass)" if ending.break_glass else ""
        what = f"{ending.acceptance.kind} {ending.acceptance}{emergency}: {ending.reason}"
        yield style("strong", format_time(ending.at)) + " " + style("warned", printable(what))
        if ending.pods_until is not None:
            yield "  Pods of unchanged workloads may be made again until " + format_time(ending.pods_until)
        mine = [each for each in left if each.at == ending.at and _ended_by(each, ending)]
        for refusal in mine:
            left.remove(refusal)
            yield from _refusal(refusal, style)
    for each in untidy:
        what = f"{each.acceptance.kind} {each.acceptance}"
        if each.obsolete:
            yield printable(f"{what} covers nothing now: no object in its scope violates its policies")
        else:
            yield printable(f"{what} covers {each.covered} violations, and could be narrower:")
            for part, value in (each.proposal or {}).items():
                yield printable(f"  spec.{part}: {orjson.dumps(value).decode()}")
    yield _summary(forecast, until)


def _ended_by(refusal: Refusal[Live], ending: Ending) -> bool:
    return any(each.acceptance == ending.acceptance for each in refusal.ended)


def _refusal(refusal: Refusal[Live], style: Style) -> Iterator[str]:
    place = f"{refusal.subject.place}: " if refusal.subject.place else ""
    yield f"  {style('denied', 'refused then')} " + printable(f"{place}{_name(refusal.subject.target)}")
    for violation in refusal.verdict.denying:
        yield printable(f"      {describe(violation)}")


def _name(target: ObjectRef) -> str:
    name = target.name or "(name to be generated)"
    return f"{target.kind} {target.namespace}/{name}" if target.namespace else f"{target.kind} {name}"


def _summary(forecast: Forecast[Live], until: datetime) -> str:
    ending = len({each.acceptance for each in forecast.endings})
    return (
        f"{ending} acceptance{'' if ending == 1 else 's'} "
        f"{'ends' if ending == 1 else 'end'} by {format_time(until)}; "
        f"of {forecast.subjects} object{'' if forecast.subjects == 1 else 's'} "
        f"{len(forecast.refusals)} would then be refused, {len(forecast.refused_now)} refused already"
    )


def as_json(
    forecast: Forecast[Live], start: datetime, until: datetime, untidy: Sequence[Hygiene] = ()
) -> dict[str, Any]:
    """Return a forecast as plain JSON data; see `lines`."""
    return {
        "from": format_time(start),
        "until": format_time(until),
        "endings": [_ending(each) for each in forecast.endings],
        "refusals": [_refusal_json(each) for each in forecast.refusals],
        "refusedNow": [_object(each) for each in forecast.refused_now],
        "untidy": [_untidy(each) for each in untidy],
        "summary": {
            "objects": forecast.subjects,
            "acceptancesEnding": len({each.acceptance for each in forecast.endings}),
            "refused": len(forecast.refusals),
            "refusedNow": len(forecast.refused_now),
        },
    }


def _ending(ending: Ending) -> dict[str, Any]:
    ref = ending.acceptance
    return {
        "at": format_time(ending.at),
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "policies": [f"{policy.kind}/{policy}" for policy in ending.policies],
        "reason": ending.reason,
        "podsUntil": format_time(ending.pods_until) if ending.pods_until else None,
        "breakGlass": ending.break_glass,
    }


def _untidy(each: Hygiene) -> dict[str, Any]:
    ref = each.acceptance
    return {
        "kind": ref.kind,
        "namespace": ref.namespace,
        "name": ref.name,
        "covered": each.covered,
        "obsolete": each.obsolete,
        "proposal": dict(each.proposal or {}),
    }


def _refusal_json(refusal: Refusal[Live]) -> dict[str, Any]:
    violations: list[Mapping[str, Any]] = [
        {
            "policy": str(violation.policy),
            "validation": violation.validation,
            "container": violation.container,
            "message": violation.message,
            "fingerprint": violation.fingerprint,
        }
        for violation in refusal.verdict.denying
    ]
    ended = dict.fromkeys(f"{each.acceptance.kind}/{each.acceptance}" for each in refusal.ended)
    return {
        "at": format_time(refusal.at),
        **_object(refusal.subject),
        "acceptances": list(ended),
        "violations": violations,
    }


def _object(live: Live) -> dict[str, Any]:
    target = live.target
    return {
        "group": target.group,
        "kind": target.kind,
        "namespace": target.namespace,
        "name": target.name,
        "place": live.place,
    }
