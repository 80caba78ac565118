"""Renewals: a new acceptance that goes on with an old one, counted in its own spec.

The number stands in the spec, so that the digest, and with it each approval, is of it: deleting the old
acceptance changes no count. When a renewal is written the guard compares it with the old one.
"""

from __future__ import annotations

from collections.abc import Iterator

from webhook.core.acceptance import Acceptance, AcceptedPolicy, Scope
from webhook.core.coverage import any_matches


def problems(asked: Acceptance, old: Acceptance) -> Iterator[tuple[str, str]]:
    """Give each field of a renewal that is wrong beside the acceptance that it renews, and why.

    Args:
        asked: the renewal.
        old: the acceptance of the name that it gives.
    """
    if asked.renewal != old.renewal + 1:
        yield "spec.renewal", f"must be {old.renewal + 1}: {_ordinal(old)}"
    if not all(any(_is_same(policy, known) for known in old.policies) for policy in asked.policies):
        yield "spec.policies", f"accepts more than {old.ref.name}, which it renews: ask for that anew"
    wider = wider_part(asked.scope, old.scope)
    if wider:
        yield f"spec.scope.{wider}", f"takes in more than {old.ref.name}, which it renews: ask for that anew"
    if old.clusters and not (asked.clusters and asked.clusters <= old.clusters):
        yield "spec.clusters", f"takes in more than {old.ref.name}, which it renews: ask for that anew"


def _ordinal(old: Acceptance) -> str:
    return f"{old.ref.name} is renewal {old.renewal}" if old.renewal else f"{old.ref.name} is no renewal"


def _is_same(asked: AcceptedPolicy, known: AcceptedPolicy) -> bool:
    """Tell whether a policy is accepted no further than before."""
    return (asked.kind, asked.name) == (known.kind, known.name) and (
        not known.validations or bool(asked.validations and asked.validations <= known.validations)
    )


def wider_part(asked: Scope, old: Scope) -> str:
    """Return the first part of a scope that takes in more than the same part of another; empty for none."""
    if not asked.kinds <= old.kinds:
        return "kinds"
    if old.selector and asked.selector != old.selector:
        return "objectSelector"
    if not all(any_matches(old.namespaces, name) for name in asked.namespaces):
        return "namespaces"
    if old.containers and not (asked.containers and asked.containers <= old.containers):
        return "containers"
    for part, now, before in (("names", asked.names, old.names), ("images", asked.images, old.images)):
        # A star of the new pattern is a text like any other here: only a star of the old one takes it in.
        if before and not (now and all(any_matches(before, pattern) for pattern in now)):
            return part
    return ""
