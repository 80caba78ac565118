"""gator's Suite files: read with all that they name, and run as gator runs them.

https://open-policy-agent.github.io/gatekeeper/website/docs/gator#the-gator-verify-subcommand
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from webhook.adapters import gatekeeper, gator_files
from webhook.adapters.case_filter import CaseFilter
from webhook.adapters.gator_requests import plain_request, problems_of, reviewed_request
from webhook.adapters.manifests import Document
from webhook.adapters.suite_runs import FAILED, PASSED, SKIPPED, CaseResult, SuiteResult
from webhook.adapters.suite_shape import as_gator_reads, misshapen_gator
from webhook.adapters.suites import Case, Suite
from webhook.core.constraint import GATOR_POINT, ConstraintContext, Expansion
from webhook.core.errors import CompileError, InputError
from webhook.core.evaluate import evaluate
from webhook.core.match import PolicyIndex
from webhook.core.model import Action, GroupKind
from webhook.core.policy import CompiledPolicy
from webhook.core.review import AdmissionRequest
from webhook.core.snapshot import Snapshot
from webhook.core.verdict import Verdict
from webhook.dialects.gatekeeper import names
from webhook.dialects.gatekeeper.config import Inventory, parse_expansion, without_circles
from webhook.dialects.gatekeeper.constraint import ACTIONS, compile_constraint
from webhook.dialects.gatekeeper.patterns import compile_pattern
from webhook.dialects.gatekeeper.schema import SchemaError
from webhook.dialects.gatekeeper.template import Template

_REVIEW = GroupKind("admission.k8s.io", "AdmissionReview")
_NAMESPACE = GroupKind("", "Namespace")


class _Problem(Exception):  # noqa: N818 - what a case has, not what went wrong in here
    """Why a test or case doesn't pass.

    Args:
        message: for people.
        place: the field of the suite that says otherwise; empty for the case's own.
    """

    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.place = place


@dataclass(frozen=True, slots=True)
class Result:
    """One result of a review, as gator counts it."""

    action: str
    message: str


def is_gator_suite(document: Document) -> bool:
    """Tell whether a document is a Suite of gator's."""
    return (document.key.group, document.key.kind) == names.SUITE


def is_unknown(problem: InputError) -> bool:
    """Tell whether all that is wrong is a field that there isn't."""
    return "there is no such field" in problem.message


def run(
    document: Document, now: datetime, notes: list[str], chosen: CaseFilter
) -> tuple[SuiteResult | None, list[InputError]]:
    """Run a suite of gator's.

    Args:
        document: the suite.
        now: the time to judge at.
        notes: takes what was read past, for people.
        chosen: the tests and cases that run; others aren't there.

    Returns:
        its result; or None and why it can't be used.
    """
    content = as_gator_reads(document.object)
    problems = [
        InputError(f"{document.key}: {field}: {message}", document.file, document.line_of(field))
        for field, message in misshapen_gator(content)
    ]
    if any(not is_unknown(problem) for problem in problems):
        return None, problems
    # gator reads past a field that it doesn't know; whoever misspelt one should hear of it.
    notes += map(str, problems)
    results: list[CaseResult] = []
    for position, test in enumerate(content.get("tests") or ()):
        place = f"tests[{position}]"
        named = [case.get("name") or "" for case in test.get("cases") or ()]
        if not chosen.takes_test(test.get("name") or "", named):
            continue
        if content.get("skip") or test.get("skip"):
            why = "the suite is skipped" if content.get("skip") else "the test is skipped"
            results.append(CaseResult(_case(test.get("name") or place, place), SKIPPED, (why,)))
            continue
        results += _Test(document, test, place, now, chosen).run()
    name = document.key.name or Path(document.file).absolute().parent.name
    cases = tuple(result.case for result in results)
    suite = Suite(name, document, (), (), "", False, None, cases)
    return SuiteResult(suite, tuple(results)), []


def _case(name: str, place: str) -> Case:
    return Case(name, (), None, {}, (), {}, "", place)


class _Test:
    """One test of a suite: a template, a constraint, and cases."""

    def __init__(
        self, document: Document, test: Mapping[str, Any], place: str, now: datetime, chosen: CaseFilter
    ) -> None:
        self._document = document
        self._test = test
        self._place = place
        self._name = test.get("name") or place
        self._now = now
        self._chosen = chosen

    def run(self) -> Iterator[CaseResult]:
        test, place = self._test, self._place
        try:
            template = self._template()
            constraint = self._constraint(template)
            expansions = self._expansions()
        except _Problem as problem:
            yield self._failed(self._name, place, problem)
            return
        if constraint is None or not test.get("cases"):
            yield CaseResult(_case(self._name, place), PASSED)
            return
        for position, case in enumerate(test["cases"]):
            if not self._chosen.takes_case(test.get("name") or "", case.get("name") or ""):
                continue
            where = f"{place}.cases[{position}]"
            name = f"{self._name} / {case.get('name') or where}"
            if case.get("skip"):
                yield CaseResult(_case(name, where), SKIPPED, ("the case is skipped",))
                continue
            try:
                self._check(case, where, constraint, expansions)
            except _Problem as problem:
                yield self._failed(name, where, problem)
            else:
                yield CaseResult(_case(name, where), PASSED)

    def _failed(self, name: str, place: str, problem: _Problem) -> CaseResult:
        return CaseResult(_case(name, problem.place or place), FAILED, tuple(str(problem).split("\n")))

    def _template(self) -> Template:
        given = self._first("template", f"{self._place}.template")
        if (given.key.group, given.key.kind) != names.TEMPLATE:
            raise _Problem(f"{given.file}: not a ConstraintTemplate", f"{self._place}.template")
        try:
            return gatekeeper.template(given.object, gatekeeper.GatekeeperCache())
        except CompileError as error:
            raise _Problem(
                str(gatekeeper.placed(given, f"the template can't be used: {error}", error)),
                f"{self._place}.template",
            ) from None

    def _constraint(self, template: Template) -> CompiledPolicy | None:
        """Return the constraint; None where it is one that the template must refuse, and it does."""
        place = f"{self._place}.constraint"
        given = self._first("constraint", place)
        if given.key.group != names.CONSTRAINTS:
            raise _Problem(f"{given.file}: not a Constraint", place)
        try:
            made = compile_constraint(_enforced(given.object), template, gatekeeper.plural)
        except SchemaError as error:
            if self._test.get("invalid"):
                return None
            raise _Problem(str(gatekeeper.placed(given, f"the constraint: {error}", error)), place) from None
        except CompileError as error:
            raise _Problem(str(gatekeeper.placed(given, f"the constraint: {error}", error)), place) from None
        if self._test.get("invalid"):
            raise _Problem("the constraint should have failed schema validation", f"{self._place}.invalid")
        assert made.constraint is not None  # noqa: S101 - it was made of one
        # gator doesn't ask the template's operations, nor whether an action is one.
        return replace(made, constraint=replace(made.constraint, operations=frozenset("*")))

    def _expansions(self) -> tuple[Expansion, ...]:
        if not self._test.get("expansion"):
            return ()
        place = f"{self._place}.expansion"
        found = []
        for document in self._read(self._test["expansion"], place):
            if document.key.group == "mutations.gatekeeper.sh":
                raise _Problem(f"{document.file}:{document.line}: mutators can't be applied", place)
            if (document.key.group, document.key.kind) != names.EXPANSION:
                raise _Problem(f"{document.file}:{document.line}: not an ExpansionTemplate", place)
            try:
                found.append(parse_expansion(document.object))
            except CompileError as error:
                raise _Problem(str(gatekeeper.placed(document, str(error), error)), place) from None
        return tuple(without_circles(found)[0])

    def _check(
        self, case: Mapping[str, Any], place: str, policy: CompiledPolicy, expansions: tuple[Expansion, ...]
    ) -> None:
        if not case.get("object"):
            raise _Problem("must define object", place)
        if not case.get("assertions"):
            raise _Problem("assertions must be non-empty", place)
        objects = self._read(case["object"], f"{place}.object")
        if len(objects) != 1:
            raise _Problem(f"{case['object']} defines {len(objects)} objects", f"{place}.object")
        inventory = Inventory()
        namespaces = {}
        for position, name in enumerate(case.get("inventory") or ()):
            for document in self._read(name, f"{place}.inventory[{position}]"):
                inventory.add(document.object)
                if document.key[:2] == _NAMESPACE:
                    namespaces[document.key.name] = document.object
        is_review = objects[0].key[:2] == _REVIEW
        context = ConstraintContext(
            points=(GATOR_POINT,),
            inventory=inventory.data,
            expansions=() if is_review else expansions,
            shows_namespaces=False,
        )
        snapshot = Snapshot(
            policies=(policy,),
            index=PolicyIndex((policy,)),
            namespaces=namespaces,
            exempt_namespaces=frozenset(),
            constraints=context,
        )
        verdict = evaluate(self._request(objects[0], f"{place}.object"), snapshot, self._now)
        for error in verdict.errors:
            if error.policy.kind == names.EXPANSION.kind:
                raise _Problem(error.message, f"{place}.object")
        results = results_of(verdict)
        for position, assertion in enumerate(case["assertions"]):
            _assert(assertion, results, f"{place}.assertions[{position}]")

    def _request(self, document: Document, place: str) -> AdmissionRequest:
        if document.key[:2] != _REVIEW:
            return plain_request(document.object)
        wrong = [
            str(InputError(f"{field}: {message}", document.file, document.line_of(field)))
            for field, message in problems_of(document.object)
        ]
        if wrong:
            raise _Problem("\n".join(wrong), place)
        return reviewed_request(document.object)

    def _first(self, name: str, place: str) -> Document:
        if not self._test.get(name):
            raise _Problem(f"missing {name}", self._place)
        return self._read(self._test[name], place)[0]

    def _read(self, name: str, place: str) -> Sequence[Document]:
        # What looks like a path from the root isn't one to gator.
        path = Path(os.path.normpath(Path(self._document.file).parent / name.lstrip("/")))
        try:
            found = gator_files.read(path)
        except InputError as error:
            raise _Problem(str(error), place) from None
        if not found:
            raise _Problem(f"{path}: defines no objects", place)
        return found


def _enforced(constraint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a constraint whose violations count, since gator doesn't ask whether its action is one."""
    spec = constraint.get("spec")
    if not isinstance(spec, Mapping):
        return constraint
    action = spec.get("enforcementAction")
    if not isinstance(action, str) or action in ACTIONS:
        return constraint
    return {**constraint, "spec": {**spec, "enforcementAction": "deny"}}


def results_of(verdict: Verdict) -> list[Result]:
    """Return what gator would count, in its order; what keeps a constraint from being judged counts too."""
    found = [(v.actions, v.message) for v in (*verdict.violations, *verdict.existing)]
    found += [(error.actions, error.message) for error in verdict.errors]
    names_of = {Action.DENY: "deny", Action.WARN: "warn", Action.AUDIT: "dryrun"}
    results = [Result(names_of[actions[0]] if actions else "", message) for actions, message in found]
    return sorted(results, key=lambda each: (each.action, each.message))


def _assert(assertion: Mapping[str, Any], results: Sequence[Result], place: str) -> None:
    """Hold results against one assertion.

    Raises:
        _Problem: it isn't met; it says what came instead.
    """
    pattern = assertion.get("message")
    matching = len(results)
    if pattern is not None and results:  # gator compiles it for the first one
        try:
            compiled = compile_pattern(str(pattern))
        except ValueError as error:
            raise _Problem(f"message: {error}", f"{place}.message") from None
        matching = sum(compiled.search(result.message) is not None for result in results)
    wanted = assertion.get("violations")
    if wanted is None:
        wanted = "yes"
    if isinstance(wanted, int) and not isinstance(wanted, bool) and 0 <= wanted < 2**31:
        met, text = matching == wanted, f"exactly {wanted}"
    elif wanted == "yes":
        met, text = matching > 0, "at least 1"
    elif wanted == "no":
        met, text = matching == 0, "none"
    else:
        raise _Problem('violations must be a nonnegative integer, "yes", or "no"', f"{place}.violations")
    if met:
        return
    containing = f" containing {str(pattern)!r}" if pattern is not None else ""
    lines = [f"got {matching} violations{containing}, and {text} must come"]
    lines += [f"  got: {result.message}" for result in results] or ["  got no violation at all"]
    raise _Problem("\n".join(lines), place)
