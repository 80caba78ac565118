"""Verdicts as data: the JSON that `check` writes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from webhook.adapters.offline import Judged
from webhook.core.errors import InputError
from webhook.core.model import Action, Violation
from webhook.core.times import format_time
from webhook.core.verdict import AcceptedViolation


def report(judged: Sequence[Judged], errors: Sequence[InputError]) -> dict[str, Any]:
    """Return the report on what was judged.

    Args:
        judged: every object with its verdict.
        errors: what could not be used or not be evaluated.
    """
    return {
        "verdicts": [verdict_data(one) for one in judged],
        "errors": [{"file": e.file, "line": e.line, "message": e.message} for e in errors],
        "summary": summary(judged, len(errors)),
    }


def summary(judged: Sequence[Judged], errors: int) -> dict[str, int]:
    """Return how many objects were judged, denied, warned about and let through by an acceptance."""
    return {
        "objects": len(judged),
        "denied": sum(not one.verdict.allowed for one in judged),
        "warned": sum(any(v.action is Action.WARN for v in one.verdict.violations) for one in judged),
        "accepted": sum(bool(one.verdict.accepted) for one in judged),
        "errors": errors,
    }


def evaluation_errors(judged: Iterable[Judged]) -> tuple[list[InputError], list[str]]:
    """Return what could not be evaluated: under failurePolicy Fail as errors, under Ignore as notes."""
    errors, ignored = [], []
    for one in judged:
        for error in one.verdict.errors:
            message = f"{one.document.key}: {error.policy} could not be evaluated: {error.message}"
            found = InputError(message, one.document.file, one.document.line)
            if error.actions:
                errors.append(found)
            else:
                ignored.append(f"{found} (its failurePolicy is Ignore)")
    return errors, ignored


def verdict_data(one: Judged) -> dict[str, Any]:
    """Return one object's verdict."""
    target, verdict = one.request.target, one.verdict
    return {
        "object": {
            "apiVersion": target.api_version,
            "kind": target.kind,
            "namespace": target.namespace,
            "name": target.name,
        },
        "source": {"file": one.document.file, "line": one.document.line},
        "allowed": verdict.allowed,
        "violations": [violation_data(violation) for violation in verdict.violations],
        "accepted": [accepted_data(accepted) for accepted in verdict.accepted],
        "warnings": list(verdict.warnings),
    }


def violation_data(violation: Violation) -> dict[str, Any]:
    """Return one violation."""
    return {
        "policy": str(violation.policy),
        "validation": violation.validation,
        "message": violation.message,
        "fieldPath": violation.field_path,
        "container": violation.container,
        "severity": str(violation.severity),
        "action": str(violation.action),
        "fingerprint": violation.fingerprint,
    }


def accepted_data(accepted: AcceptedViolation) -> dict[str, Any]:
    """Return one accepted violation, with what accepts it until when."""
    return {
        **violation_data(accepted.violation),
        "acceptance": str(accepted.acceptance),
        "validUntil": format_time(accepted.valid_until),
        "approvers": list(accepted.approvers),
        "breakGlass": accepted.break_glass,
        "keptRunning": accepted.kept_running,
    }


def as_json(data: Any) -> str:
    """Return `data` as indented JSON."""
    try:
        return orjson.dumps(data, option=orjson.OPT_INDENT_2).decode()
    except TypeError:  # a file name that is not UTF-8: orjson has no escape for it
        return json.dumps(data, indent=2)
