"""Whether a webhook answered as it must: the verdict, and exactly the policies that had to deny."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from bench.rules import Policy

_CONSTRAINT = re.compile(r"^\[([^\]]+)\]", re.MULTILINE)

Deniers = Callable[[Mapping[str, Any]], set[str]]
"""Reads from a response which policies denied."""


class WrongAnswerError(Exception):
    """A webhook answered what it must not; the figures of such a run say nothing."""


def tidewaiter(response: Mapping[str, Any]) -> set[str]:
    """Return the ClusterPolicies that denied: one of the notes for the audit log names them all."""
    return set(response.get("auditAnnotations", {}).get("denied-by", "").split(","))


def gatekeeper(response: Mapping[str, Any]) -> set[str]:
    """Return the constraints that denied: each line of the message starts with one in brackets."""
    return set(_CONSTRAINT.findall(response.get("status", {}).get("message", "")))


def expected(policies: Iterable[Policy], denied_by: Iterable[str]) -> frozenset[str]:
    """Return the policies that must deny what those rules deny."""
    rules = set(denied_by)
    return frozenset(policy.name for policy in policies if policy.rule.name in rules)


def check(body: bytes, uid: bytes, denying: frozenset[str], deniers: Deniers) -> None:
    """Compare one answer with what it must be.

    Args:
        body: the answer, an AdmissionReview.
        uid: of the request.
        denying: the policies that must have denied; none: it must be allowed.
        deniers: reads from the answer which did.

    Raises:
        WrongAnswerError: it says something else.
    """
    try:
        response = orjson.loads(body)["response"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise WrongAnswerError(f"no AdmissionReview: {body[:200]!r}") from None
    if response["uid"] != uid.decode():
        raise WrongAnswerError(f"answered {response['uid']} to {uid.decode()}")
    if response["allowed"] is not (not denying):
        raise WrongAnswerError(f"allowed: {response['allowed']}, where {len(denying)} policies must deny")
    if denying and deniers(response) != denying:
        wrong = ", ".join(sorted(deniers(response) ^ denying))
        raise WrongAnswerError(f"denied by too many or too few policies: {wrong}")
