"""Adds up what the audit knows: what `AuditFacts` are made of."""

from __future__ import annotations

import resource as process_resource
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from webhook.adapters.findings import Result
from webhook.core.model import PolicyRef
from webhook.core.policy import CompiledPolicy
from webhook.operator.audit.facts import MOST_SERIES, OTHERS, PolicyFacts
from webhook.operator.audit.follower import Follower
from webhook.operator.audit.ledger import Ledger
from webhook.operator.client import Resource

REFRESH = 60.0
"""Seconds after which the same is said of a policy again, for its time."""

Series = tuple[str, str, str, str, str, str, int]


def name_of(resource: Resource) -> str:
    """Return a resource for people: ``deployments.apps``."""
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural


def objects(followers: Iterable[Follower]) -> int:
    """Return how many objects there are; each once, in however many versions it is judged."""
    return sum({(each.resource.group, each.resource.plural): each.count for each in followers}.values())


def heard(followers: Iterable[Follower]) -> float:
    """Return until when the API server was heard of everything that may be read."""
    return min((each.contact for each in followers if not each.refused), default=time.time())


def of(
    policy: CompiledPolicy, ledger: Ledger, matched: Sequence[Follower] | None, serial: int
) -> PolicyFacts:
    """Return what is known of a policy.

    Args:
        policy: the policy.
        ledger: what was found.
        matched: who follows what it matches; None while that isn't known.
        serial: of the change since which it judges as it does.
    """
    total = ledger.total(policy.ref)
    reason = message = ""
    at = 0.0
    if matched is None:
        reason, message = "NotListed", "what it matches is not known yet"
    else:
        refused = [each for each in matched if each.refused]
        pending = [each for each in matched if each.serial < serial and not each.refused]
        if refused:
            reason = "NotReadable"
            message = "; ".join(f"{name_of(each.resource)}: {each.error}" for each in refused)
        elif pending:
            reason = "NotListed"
            message = f"not judged yet: {', '.join(name_of(each.resource) for each in pending)}"
        else:
            at = heard(matched)
    return PolicyFacts(
        ref=(policy.ref.kind, policy.ref.namespace, policy.ref.name),
        generation=policy.generation,
        violations=total[Result.FAIL] + total[Result.WARN],
        accepted=total[Result.SKIP],
        errors=total[Result.ERROR],
        top=ledger.top(policy.ref),
        complete=not reason,
        at=at,
        reason=reason,
        message=message,
    )


def differs(now: PolicyFacts, said: PolicyFacts | None) -> bool:
    """Tell whether something is to be said of a policy: that the same still holds only now and then."""
    return said is None or replace(now, at=said.at) != said or now.at - said.at >= REFRESH


def findings(ledger: Ledger) -> dict[str, int]:
    """Return how many findings count how."""
    found = {str(result): 0 for result in Result}
    for (kind, _), number in ledger.counts.items():
        found[str(kind.result)] += number
    return found


def covered(ledger: Ledger) -> list[tuple[str, str, str, int]]:
    """Return how many violations each acceptance covers."""
    found: Counter[PolicyRef] = Counter()
    for (kind, _), number in ledger.counts.items():
        if kind.acceptance is not None:
            found[kind.acceptance] += number
    return [(ref.kind, ref.namespace, ref.name, number) for ref, number in sorted(found.items())]


def series(ledger: Ledger) -> list[Series]:
    """Return the counts by their labels: the largest, and the others of each policy together."""
    found: Counter[tuple[str, str, str, str, str, str]] = Counter()
    for (kind, namespace), number in ledger.counts.items():
        severity = "" if kind.severity is None else str(kind.severity)
        labels = (severity, str(kind.action or ""), str(kind.result))
        found[kind.policy.kind, str(kind.policy), namespace, *labels] += number
    if len(found) > MOST_SERIES:
        kept = dict(found.most_common(MOST_SERIES))
        rest: Counter[tuple[str, str, str, str, str, str]] = Counter(kept)
        for key, number in found.items():
            if key not in kept:
                rest[key[0], key[1], OTHERS, *key[3:]] += number
        found = rest
    return [(*key, number) for key, number in sorted(found.items())]


def resident() -> int:
    """Return the bytes of memory that this process has."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return process_resource.getrusage(process_resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * process_resource.getpagesize()
