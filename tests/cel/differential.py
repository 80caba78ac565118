"""Compares our CEL with Kubernetes' own: reads corpora, runs the oracle, tells stage, type and value."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from webhook.cel import Expression, compile_expression
from webhook.cel.library import FUNCTIONS
from webhook.cel.opaque import Authorizer
from webhook.cel.values import Duration, Optional, Timestamp, Type
from webhook.core.activation import Activation, Budget
from webhook.core.authorization import AuthorizerCheck, AuthorizerDecision
from webhook.core.errors import CompileError, EvaluationError

CORPUS = Path(__file__).parent / "corpus"
GOLDEN = CORPUS / "golden"
_MAX = 2**63
_PLAIN = {"null_type", "bool", "int", "uint", "double", "string", "bytes", "list", "map", "type"}
_PLAIN |= {"google.protobuf.Timestamp", "google.protobuf.Duration", "optional_type"}


@dataclass(frozen=True)
class Case:
    """One line of a corpus."""

    corpus: str
    line: int
    source: str
    binding: str = "deployment"
    variables: Mapping[str, str] = field(default_factory=dict)
    marker: str = ""  # "", "checker" or "differs"

    @property
    def id(self) -> str:
        """Name the case in a report."""
        return f"{self.corpus}:{self.line}"


@dataclass(frozen=True)
class Answer:
    """What became of an expression: stage ok, compile or eval; for ok the value's type and the value."""

    stage: str
    type: str = ""
    value: Any = None
    error: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return what the golden file holds."""
        return (
            {"stage": self.stage, "type": self.type, "value": self.value}
            if self.stage == "ok"
            else {"stage": self.stage}
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Answer:
        """Read back what `to_json` wrote."""
        return cls(data["stage"], data.get("type", ""), data.get("value"))


def read_corpus(path: Path) -> list[Case]:
    """Read one corpus; the README beside it says what its lines mean."""
    cases, binding, variables = [], "deployment", {}
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = text.strip()
        if line.startswith("#@"):
            name, _, value = line[2:].partition(":")
            if name.strip() == "binding":
                binding = value.strip()
            elif name.strip() == "variables":
                variables = json.loads(value)
            else:
                raise ValueError(f"{path.name}:{number}: unknown directive {name.strip()}")
        elif line and not line.startswith("#"):
            marker = ""
            if found := re.match(r"@(checker|differs\([^)]*\))\s+", line):
                marker, line = found[1].partition("(")[0], line[found.end() :]
            cases.append(Case(path.stem, number, line.replace("\\N", "\n"), binding, variables, marker))
    return cases


def read_corpora() -> list[Case]:
    """Read every corpus."""
    return [case for path in sorted(CORPUS.glob("*.txt")) for case in read_corpus(path)]


def read_bindings() -> dict[str, dict[str, Any]]:
    """Read the bindings of the corpora, with numbers as Kubernetes reads them."""
    return {
        name: kubernetes_numbers(one)
        for name, one in json.loads((CORPUS / "bindings.json").read_text()).items()
    }


def kubernetes_numbers(value: Any) -> Any:
    """Turn integers that int64 can't hold into doubles, as Kubernetes' JSON reader does."""
    if value.__class__ is dict:
        return {key: kubernetes_numbers(item) for key, item in value.items()}
    if value.__class__ is list:
        return [kubernetes_numbers(item) for item in value]
    if value.__class__ is int and not -_MAX <= value < _MAX:
        return float(value)
    return value


def ask_oracle(folder: Path, cases: Sequence[Case], bindings: Mapping[str, Any]) -> list[Answer]:
    """Evaluate the cases with Kubernetes' own CEL."""
    document = {
        "bindings": bindings,
        "cases": [
            {
                "id": str(index),
                "expr": case.source,
                "b": case.binding,
                "variables": [{"name": name, "expression": text} for name, text in case.variables.items()],
            }
            for index, case in enumerate(cases)
        ],
    }
    done = subprocess.run(
        [folder / "cel-oracle"], input=json.dumps(document).encode(), capture_output=True, check=True
    )
    return [oracle_answer(data) for data in json.loads(done.stdout)]


def oracle_answer(data: Mapping[str, Any]) -> Answer:
    """Translate one of the oracle's answers."""
    if data["stage"] != "ok":
        return Answer(data["stage"], error=data.get("err", ""))
    kind = data["type"]
    return Answer("ok", kind, _oracle_value(kind, data.get("value")))


def _oracle_value(kind: str, value: Any) -> Any:
    if kind in ("int", "uint", "google.protobuf.Duration"):
        return str(value)
    if kind == "double":
        return _double(float(value.replace("Inf", "inf")))
    if kind == "optional_type":
        return "none" if value == "none" else [value[0], _oracle_value(*value)]
    if kind == "map":
        rows = [[k, _oracle_value(k, kv), v, _oracle_value(v, vv)] for k, kv, v, vv in value or []]
        return sorted(rows, key=json.dumps)
    if kind == "list":
        return [[k, _oracle_value(k, v)] for k, v in value or []]
    if kind == "google.protobuf.Timestamp":
        return value
    return value if kind in _PLAIN else None  # opaque values are told by their type alone


def _double(value: float) -> str:
    return "nan" if math.isnan(value) else repr(value)


def tag(value: Any) -> list[Any]:
    """Return [type, value] of one of our values, in the form that `oracle_answer` gives."""
    kind = FUNCTIONS["type"].implementation(value).name
    plain: Any = None
    if kind in ("null_type", "bool", "string"):
        plain = value
    elif kind in ("int", "uint"):
        plain = str(int(value))
    elif kind == "double":
        plain = _double(value)
    elif kind == "bytes":
        plain = value.hex()
    elif kind == "list":
        plain = [tag(item) for item in value]
    elif kind == "map":
        plain = sorted(([*tag(key), *tag(item)] for key, item in value.items()), key=json.dumps)
    elif isinstance(value, Duration):
        plain = str(value.ns)
    elif isinstance(value, Timestamp):
        plain = _rfc3339(value.ns)
    elif isinstance(value, Optional):
        plain = tag(value.value) if value.present else "none"
    elif isinstance(value, Type):
        plain = value.name
    return [kind, plain]


def _rfc3339(ns: int) -> str:
    import datetime as dt

    seconds, fraction = divmod(ns, 10**9)
    moment = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds)
    text = f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}"
    return text + (f".{fraction:09}".rstrip("0") if fraction else "") + "Z"


@dataclass(frozen=True)
class Compiled:
    """A case's expression with the variables that it may use."""

    expression: Expression
    variables: Mapping[str, Expression]


def compiled(case: Case) -> Compiled | None:
    """Compile a case; None if it doesn't."""
    try:
        return _compile(case)
    except CompileError:
        return None


def _compile(case: Case) -> Compiled:
    variables: dict[str, Expression] = {}
    for name, text in case.variables.items():
        variables[name] = compile_expression(text, variables=tuple(variables))
    return Compiled(compile_expression(case.source, variables=tuple(variables)), variables)


def evaluate(programs: Compiled, binding: Mapping[str, Any], *, exact: bool) -> Answer:
    """Evaluate a compiled case; `exact` skips the first tier, for its variables too."""
    activation = activate(binding)
    activation.use_variables({n: (v.exact if exact else v.run) for n, v in programs.variables.items()})
    return answer(programs.expression.exact if exact else programs.expression.run, activation)


def ours(case: Case, binding: Mapping[str, Any], *, exact: bool = False) -> Answer:
    """Compile and evaluate a case with our CEL."""
    try:
        programs = _compile(case)
    except CompileError as error:
        return Answer("compile", error=str(error))
    return evaluate(programs, binding, exact=exact)


def answer(program: Any, activation: Activation) -> Answer:
    """Run a program and tell what became of it; any other exception than EvaluationError is ours to mend."""
    try:
        value = program(activation)
    except EvaluationError as error:
        if "internal error" in str(error):
            raise
        return Answer("eval", error=str(error))
    return Answer("ok", *tag(value))


def activate(binding: Mapping[str, Any], steps: int = 1_000_000) -> Activation:
    """Make an activation of a binding, with the oracle's own authorizer answers."""
    names = ("object", "oldObject", "request", "params", "namespaceObject")
    return Activation(
        *(binding.get(name) for name in names), authorizer=fake_authorizer(), budget=Budget(steps)
    )


def fake_authorizer() -> Any:
    """Return an authorizer that answers as the oracle's does: alice may get pods, and read /healthz."""

    def ask(check: AuthorizerCheck) -> AuthorizerDecision:
        allowed = (check.verb == "get" and check.resource == "pods") or check.path == "/healthz"
        return AuthorizerDecision(allowed, "fake allow" if allowed else "fake deny")

    return Authorizer(ask)


def differences(cases: Iterable[Case], expected: Iterable[Answer], got: Iterable[Answer]) -> list[str]:
    """Describe every case whose answers differ; markers `checker` and `differs` are left out."""
    found = []
    for case, want, have in zip(cases, expected, got, strict=True):
        if case.marker or want == have:
            continue
        found.append(f"{case.id}: {case.source}\n    expected {_show(want)}\n    got      {_show(have)}")
    return found


def _show(one: Answer) -> str:
    return (
        f"{one.stage} {one.type} {one.value!r}" if one.stage == "ok" else f"{one.stage} ({one.error[:160]})"
    )
