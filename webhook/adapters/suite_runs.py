"""Suites, run: each case judged as the webhook would judge it, and compared with what it expects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webhook.adapters.kinds import CONNECTED, Kinds
from webhook.adapters.material import Settings, bare_namespace, gather, namespace_of, placed
from webhook.adapters.reading import Cache
from webhook.adapters.reports import accepted_data, violation_data
from webhook.adapters.snapshots import build
from webhook.adapters.suites import Case, Suite
from webhook.core.errors import InputError, ReviewError
from webhook.core.evaluate import evaluate
from webhook.core.review import AdmissionRequest
from webhook.core.verdict import Verdict

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one case went: ``passed``, ``failed`` or ``skipped``, with what differed or why it was skipped."""

    case: Case
    status: str
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """How the cases of one suite went."""

    suite: Suite
    cases: tuple[CaseResult, ...]


def run(suite: Suite, now: datetime) -> tuple[SuiteResult | None, list[InputError]]:
    """Run a suite.

    Args:
        suite: the suite.
        now: the time to judge at where the suite names none.

    Returns:
        its result; or None and what makes it unusable, such as a policy that doesn't compile.
    """
    settings = Settings(cluster=suite.cluster, trust_approvals=suite.trust_approvals)
    cache = Cache()
    material = gather((), suite.material, settings, cache)
    if material.errors:
        return None, list(material.errors)
    document = suite.document
    if not material.snapshot.policies:
        message = f"{document.key}: its policies hold none"
        return None, [InputError(message, document.file, document.line_of("policies"))]
    results = []
    for case in suite.cases:
        if case.skip:
            results.append(CaseResult(case, SKIPPED, (case.skip,)))
            continue
        kinds = Kinds([*material.objects, *suite.context, *case.context, *case.objects])
        try:
            requests = [request_of(obj, case, kinds) for obj in case.objects]
        except ReviewError as error:
            message = f"{document.key}: case {case.name!r}: {error}"
            return None, [InputError(message, document.file, document.line_of(case.place))]
        there = [placed(obj, kinds.resource(obj), "") for obj in (*suite.context, *case.context)]
        named = [bare_namespace(request.namespace) for request in requests if request.namespace]
        given = [placed(obj, kinds.resource(obj), "") for obj in case.objects if obj["kind"] == "Namespace"]
        snapshot = build([*named, *material.objects, *there, *given], settings.context, cache)
        verdicts = [(request, evaluate(request, snapshot, suite.at or now)) for request in requests]
        problems = tuple(differences(case.expect, verdicts))
        results.append(CaseResult(case, FAILED if problems else PASSED, problems))
    return SuiteResult(suite, tuple(results)), []


def request_of(obj: Mapping[str, Any], case: Case, kinds: Kinds) -> AdmissionRequest:
    """Return the request that a case makes of one of its objects.

    Raises:
        ReviewError: its parts make no request.
    """
    more = case.request
    group, _, version = obj["apiVersion"].rpartition("/")
    resource = kinds.resource(obj)
    plural, sub_resource = resource.plural, ""
    operation = "UPDATE" if case.old_object else "CREATE"
    namespace = namespace_of(obj, resource, "")
    if group == "" and obj["kind"] in CONNECTED:
        plural, sub_resource = CONNECTED[obj["kind"]]
        operation, namespace = "CONNECT", "default" if plural != "nodes" else ""
    else:
        obj = placed(obj, resource, "")
        if (group, obj["kind"]) == ("", "Namespace"):
            namespace = str((obj.get("metadata") or {}).get("name") or "")
    operation = more.get("operation", operation)
    old = case.old_object
    if old is not None:
        old = placed(old, kinds.resource(old), "")
    raw = {
        "uid": "suite",
        "kind": {"group": group, "version": version, "kind": obj["kind"]},
        "resource": {"group": group, "version": version, "resource": more.get("resource", plural)},
        "subResource": more.get("subResource", sub_resource),
        "name": more.get("name", (obj.get("metadata") or {}).get("name") or ""),
        "namespace": more.get("namespace", namespace),
        "operation": operation,
        "userInfo": more.get("userInfo", {"username": "", "groups": []}),
        "dryRun": more.get("dryRun", False),
        "object": None if operation == "DELETE" else obj,
        "oldObject": obj if operation == "DELETE" else old,
    }
    raw["requestKind"], raw["requestResource"] = raw["kind"], raw["resource"]
    if "options" in more:
        raw["options"] = more["options"]
    return AdmissionRequest.of(raw)


def differences(
    expect: Mapping[str, Any], verdicts: Sequence[tuple[AdmissionRequest, Verdict]]
) -> Iterator[str]:
    """Yield what of the verdicts isn't as expected.

    Lists are compared as sets: every entry that is expected must be met, and nothing else may be there. An
    entry is compared on the keys it gives; a message or warning may be a part of the whole.

    Args:
        expect: the case's ``expect``.
        verdicts: of all its objects.
    """
    allowed = all(verdict.allowed for _, verdict in verdicts)
    if "allowed" in expect and expect["allowed"] is not allowed:
        words = {True: "allowed", False: "denied"}
        yield f"expected to be {words[expect['allowed']]}, and was {words[allowed]}"
    violations = [
        {**violation_data(violation), "object": request.name}
        for request, verdict in verdicts
        for violation in verdict.violations
    ]
    accepted = [
        {**accepted_data(each), "object": request.name}
        for request, verdict in verdicts
        for each in verdict.accepted
    ]
    warnings = [warning for _, verdict in verdicts for warning in verdict.warnings]
    errors = [f"{error.policy}: {error.message}" for _, verdict in verdicts for error in verdict.errors]
    if "violations" in expect or (not allowed and "allowed" not in expect):
        yield from _compared("violation", expect.get("violations", []), violations, _meets, _shown)
    elif expect.get("allowed") is True and not allowed:
        yield from (f"got the violation {_shown(violation)}" for violation in violations)
    if "accepted" in expect:
        yield from _compared("accepted violation", expect["accepted"], accepted, _meets, _shown)
    if "warnings" in expect:
        yield from _compared("warning", expect["warnings"], warnings, _within, repr)
    yield from _compared("evaluation error", expect.get("errors", []), errors, _within, repr)


def _compared(
    what: str,
    expected: Sequence[Any],
    got: Sequence[Any],
    meets: Callable[[Any, Any], bool],
    shown: Callable[[Any], str],
) -> Iterator[str]:
    for wanted in expected:
        if not any(meets(each, wanted) for each in got):
            yield f"expected the {what} {shown(wanted)}, and it did not come"
    for each in got:
        if not any(meets(each, wanted) for wanted in expected):
            yield f"got the {what} {shown(each)}, which is not expected"


def _meets(got: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    for name, value in wanted.items():
        if name == "message":
            if value not in got["message"]:
                return False
        elif got.get(name) != value:
            return False
    return True


def _within(got: str, wanted: str) -> bool:
    return wanted in got


def _shown(entry: Mapping[str, str]) -> str:
    order = ("policy", "validation", "object", "container", "fieldPath", "action", "acceptance", "message")
    parts = [f"{name} {entry[name]!r}" for name in order if entry.get(name)]
    parts += [
        f"{name} {value!r}" for name, value in entry.items() if name not in order and "message" not in entry
    ]
    return ", ".join(parts)
