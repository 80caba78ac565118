"""What is seen of acceptances on objects: what each covers, and what of its scope it covers no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from webhook.adapters.risks import Cover, Risk, covers
from webhook.core.coverage import mismatch
from webhook.core.model import ObjectRef, PolicyRef
from webhook.core.verdict import Verdict


@dataclass(slots=True)
class Seen:
    """What was seen of one acceptance.

    Attributes:
        covered: violations that it covers.
        open: violations in its scope that nothing covers: it has ended, or isn't in force.
    """

    covered: list[Cover] = field(default_factory=list)
    open: list[Cover] = field(default_factory=list)


class Sightings:
    """Collects what verdicts say of acceptances.

    Args:
        risks: the acceptances.
    """

    def __init__(self, risks: Iterable[Risk]) -> None:
        self._of: dict[PolicyRef, Seen] = {}
        self._naming: dict[PolicyRef, list[Risk]] = {}
        self._risks = {risk.ref: risk for risk in risks}
        for risk in self._risks.values():
            for each in risk.policies:
                self._naming.setdefault(each.ref, []).append(risk)
        self.whole = True
        """Every object was looked at; set to False by whoever knows better."""

    def take(
        self, verdict: Verdict, target: ObjectRef, obj: Mapping[str, Any] | None, place: str = ""
    ) -> None:
        """Take the verdict on an object."""
        for ref in {each.acceptance for each in verdict.accepted}:
            if ref in self._risks:
                self.of(ref).covered.extend(covers(self._risks[ref], verdict, target, place))
        for violation in verdict.violations:
            for risk in self._naming.get(violation.policy, ()):
                acceptance = risk.acceptance
                if acceptance.ref.namespace not in ("", target.namespace):
                    continue
                if not acceptance.names_policy(violation.policy, violation.validation):
                    continue
                if not mismatch(acceptance, violation, target, obj)[0]:
                    self.of(risk.ref).open.append(Cover(target, violation, place))

    def of(self, ref: PolicyRef) -> Seen:
        """Return what was seen of an acceptance."""
        return self._of.setdefault(ref, Seen())
