"""The example reviews of the demonstration: what each expects, and whether an answer is that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from webhook.adapters import manifests
from webhook.core.acceptance import digest_of
from webhook.core.errors import InputError

WRITTEN = date(2026, 11, 23)
"""The day that the dates in the examples' acceptances are meant for."""

_MOVED = frozenset({"validFrom", "validUntil", "approvedAt", "due"})
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(.*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Case:
    """One example.

    Attributes:
        title: what it shows.
        review: the AdmissionReview.
        allowed: whether it must be let in.
        violations: exactly the violations that must deny, as policy/validation.
        accepted: exactly the acceptances that must be used.
        warnings: parts of warnings, one for each that must come.
        message: part of the denial.
    """

    title: str
    review: Mapping[str, Any]
    allowed: bool
    violations: frozenset[str]
    accepted: frozenset[str]
    warnings: tuple[str, ...]
    message: str

    def differences(self, response: Mapping[str, Any]) -> list[str]:
        """Return how an AdmissionResponse differs from what is expected; empty when it doesn't."""
        status = response.get("status") or {}
        message = str(status.get("message") or "")
        warnings = response.get("warnings") or []
        found = []
        if response.get("allowed") is not self.allowed:
            found.append(f"allowed is {response.get('allowed')}")
        causes = (status.get("details") or {}).get("causes") or []
        violations = {str(cause.get("message")).partition(": ")[0] for cause in causes}
        if violations != self.violations:
            found.append(f"the violations are {', '.join(sorted(violations)) or 'none'}")
        used = frozenset(accepted_in(response))
        if used != self.accepted:
            found.append(f"the acceptances are {', '.join(sorted(used)) or 'none'}")
        if self.message not in message:
            found.append(f"the message does not say {self.message!r}")
        if len(warnings) != len(self.warnings) or not all(
            any(part in warning for warning in warnings) for part in self.warnings
        ):
            found.append(f"there are {len(warnings)} warnings")
        return found


def accepted_in(response: Mapping[str, Any]) -> Iterable[str]:
    """Yield namespace and name of the acceptances that an AdmissionResponse says were used."""
    notes = (response.get("auditAnnotations") or {}).get("accepted", "")
    for note in filter(None, notes.split(";")):
        _, _, by = note.partition(" by ")
        yield by.split(" ")[0].partition("/")[2]


def read_cases(folder: Path) -> list[Case]:
    """Return the examples in a folder, by the numbers that their files begin with.

    Raises:
        InputError: a file can't be read, or is no example.
    """
    cases = []
    for file in sorted(folder.glob("[0-9]*.yaml")):
        for decoded, _ in manifests.decode(file.read_bytes(), str(file)):
            try:
                cases.append(_case(decoded.value))
            except (KeyError, TypeError, AttributeError) as error:
                text = f"not an example with title, expect and review: {error!r}"
                raise InputError(text, str(file), decoded.line) from None
    return cases


def _case(content: Mapping[str, Any]) -> Case:
    expect = content["expect"]
    return Case(
        title=content["title"],
        review=content["review"],
        allowed=expect["allowed"],
        violations=frozenset(expect.get("violations") or ()),
        accepted=frozenset(expect.get("accepted") or ()),
        warnings=tuple(expect.get("warnings") or ()),
        message=expect.get("message") or "",
    )


def moved(objects: Iterable[Mapping[str, Any]], today: date | None = None) -> list[dict[str, Any]]:
    """Return copies of acceptances and approvals that stand to today as the originals stand to `WRITTEN`.

    An approval is bound to the digest of its acceptance; each copy of one gets the digest of the copy.

    Args:
        objects: the originals.
        today: another day than the present one.
    """
    days = (today or datetime.now(UTC).date()) - WRITTEN
    copies = [_move(deepcopy(dict(obj)), days) for obj in objects]
    digests = {_key(copy): digest_of(copy) for copy in copies if "riskAcceptance" not in copy.get("spec", {})}
    for copy in copies:
        spec = copy.get("spec", {})
        if "riskAcceptance" in spec:
            kind, namespace, _ = _key(copy)
            spec["digest"] = digests[
                kind.replace("Approval", "Acceptance"), namespace, spec["riskAcceptance"]
            ]
    return copies


def _key(obj: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = obj.get("metadata") or {}
    return str(obj.get("kind")), str(metadata.get("namespace") or ""), str(metadata.get("name"))


def _move(value: Any, days: timedelta) -> Any:
    if isinstance(value, list):
        return [_move(item, days) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _moved_text(item, days) if name in _MOVED else _move(item, days) for name, item in value.items()
    }


def _moved_text(text: Any, days: timedelta) -> Any:
    match = _DATE.match(text) if isinstance(text, str) else None
    return f"{date.fromisoformat(match[1]) + days}{match[2]}" if match else text
