"""What the passing of time will change: which acceptances end when, and what is refused from then on.

It asks the two functions that everything asks, `standing` for the moments and `evaluate` for each moment, so
that it says today what the webhook will say then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from webhook.core.coverage import Register
from webhook.core.model import PolicyRef
from webhook.core.policy import CompiledPolicy
from webhook.core.standing import State, turns
from webhook.core.times import later
from webhook.core.verdict import AcceptedViolation, Verdict

Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True)
class Ending:
    """An acceptance that is in force and ends.

    Attributes:
        acceptance: its kind, namespace and name.
        at: when it ends by our own clock, after every cap.
        policies: for which of its policies it ends then.
        reason: why, for a person.
        pods_until: until when Pods of an unchanged workload may be made again; None where they may not.
        break_glass: it is for an emergency.
    """

    acceptance: PolicyRef
    at: datetime
    policies: tuple[PolicyRef, ...]
    reason: str
    pods_until: datetime | None = None
    break_glass: bool = False


@dataclass(frozen=True, slots=True)
class Refusal(Generic[Subject]):
    """Something that passes now and will be refused.

    Attributes:
        subject: what it is.
        at: from when on.
        verdict: what will be said of it.
        ended: the accepted violations that will no longer be accepted.
    """

    subject: Subject
    at: datetime
    verdict: Verdict
    ended: tuple[AcceptedViolation, ...]


@dataclass(frozen=True, slots=True)
class Forecast(Generic[Subject]):
    """What changes between two moments.

    Attributes:
        endings: in the order of time.
        refusals: in the order of time, those of one moment in the order of their subjects.
        subjects: how many were judged.
        refused_now: those that are refused already.
    """

    endings: tuple[Ending, ...]
    refusals: tuple[Refusal[Subject], ...]
    subjects: int
    refused_now: tuple[Subject, ...]


class Forecaster(Generic[Subject]):
    """Takes what is there, one after another, and tells what is refused when.

    Only what an acceptance lets through can come to be refused by time alone, so the rest is judged once and
    not kept.

    Args:
        judge: judges a subject at a moment, as `evaluate` does.
        policies: those that compiled.
        register: the acceptances.
        start: the first moment, with its zone.
        until: the last.
    """

    def __init__(
        self,
        judge: Callable[[Subject, datetime], Verdict],
        policies: Sequence[CompiledPolicy],
        register: Register,
        start: datetime,
        until: datetime,
    ) -> None:
        self._judge = judge
        self._start = start
        self._endings = endings(policies, register, start, until)
        self._moments: dict[PolicyRef, list[datetime]] = {}
        for each in self._endings:
            self._moments.setdefault(each.acceptance, []).append(each.at)
        self._refusals: list[Refusal[Subject]] = []
        self._refused_now: list[Subject] = []
        self._count = 0

    def take(self, subject: Subject, *, made: bool = False) -> Verdict:
        """Take in a subject; return its verdict at the start.

        Args:
            subject: what it is.
            made: Kubernetes made it of a workload, which is taken in itself: it counts only where an
                acceptance is for it and not for the workload.
        """
        verdict = self._judge(subject, self._start)
        if made and not (verdict.allowed and verdict.accepted):
            return verdict
        self._count += 1
        if not verdict.allowed:
            self._refused_now.append(subject)
        elif verdict.accepted:
            refusal = self._first_refusal(subject, verdict)
            if refusal is not None:
                self._refusals.append(refusal)
        return verdict

    def forecast(self) -> Forecast[Subject]:
        """Return what changes for what was taken in."""
        refusals = sorted(self._refusals, key=lambda each: each.at)
        return Forecast(self._endings, tuple(refusals), self._count, tuple(self._refused_now))

    def _first_refusal(self, subject: Subject, before: Verdict) -> Refusal[Subject] | None:
        """Follow a subject from one ending of what accepts it to the next."""
        at = self._start
        while True:
            used = {each.acceptance for each in before.accepted}
            coming = [moment for ref in used for moment in self._moments.get(ref, ()) if moment > at]
            if not coming:
                return None
            at = min(coming)
            verdict = self._judge(subject, at)
            if not verdict.allowed:
                still = {each.violation.fingerprint for each in verdict.accepted}
                ended = tuple(each for each in before.accepted if each.violation.fingerprint not in still)
                return Refusal(subject, at, verdict, ended)
            before = verdict


def endings(
    policies: Sequence[CompiledPolicy], register: Register, start: datetime, until: datetime
) -> tuple[Ending, ...]:
    """Return every acceptance that is in force at some moment and no longer at a later one, in order."""
    by_ref = {policy.ref: policy for policy in policies}
    found: dict[tuple[datetime, PolicyRef, str], tuple[list[PolicyRef], datetime | None]] = {}
    for acceptance in register.acceptances:
        for named in dict.fromkeys((each.kind, each.name) for each in acceptance.policies):
            kind, name = named
            policy = by_ref.get(PolicyRef(kind, acceptance.ref.namespace if kind == "Policy" else "", name))
            if policy is None:
                continue
            approvals = register.approvals_of(acceptance)
            active = register.standing(acceptance, policy, start).state is State.ACTIVE
            for moment in turns(acceptance, approvals, policy, register.surroundings):
                if not start < moment <= until:
                    continue
                now = register.standing(acceptance, policy, moment)
                if active and now.state is not State.ACTIVE:
                    pods_until = _pods_until(register, moment) if now.state is State.EXPIRED else None
                    key = (moment, acceptance.ref, now.reason)
                    found.setdefault(key, ([], pods_until))[0].append(policy.ref)
                active = now.state is State.ACTIVE
    emergencies = {each.ref for each in register.acceptances if each.break_glass}
    return tuple(
        Ending(ref, at, tuple(sorted(of)), reason, pods_until, ref in emergencies)
        for (at, ref, reason), (of, pods_until) in sorted(found.items(), key=lambda item: item[0])
    )


def _pods_until(register: Register, ended: datetime) -> datetime | None:
    appetite = register.appetite
    if appetite is None or not appetite.keep_running:
        return None
    return later(ended, appetite.keep_running_for)
