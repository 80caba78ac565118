"""OPA's own cases: found in the Go module cache, read, and judged; as a program it says what fails."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from webhook.core.activation import Budget
from webhook.core.errors import CompileError, EvaluationError
from webhook.rego.builtins import REFUSED, Context
from webhook.rego.numbers import number_of
from webhook.rego.order import ordered
from webhook.rego.plain_json import to_json
from webhook.rego.program import compile_modules
from webhook.rego.values import UNDEFINED, RegoSet

MODULE = "github.com/open-policy-agent/opa"
VERSION = "v1.17.1"
MISSING = f"needs OPA's cases: go mod download {MODULE}@{VERSION}, or set GOMODCACHE to a cache that has it"


@dataclass(frozen=True)
class Case:
    """One case, as OPA's file has it."""

    family: str
    note: str
    version: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a case: ``equal``, ``refused`` (detail: what), or ``wrong`` (detail: how)."""

    kind: str
    detail: str = ""


class _Loader(yaml.CSafeLoader):
    """YAML as OPA reads it: numbers keep their text, dates are strings."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _number(loader: yaml.CSafeLoader, node: yaml.ScalarNode) -> Any:
    text = loader.construct_scalar(node).replace("_", "")
    try:
        return number_of(text.lstrip("+"))
    except (ValueError, EvaluationError):
        return yaml.SafeLoader("").construct_yaml_float(node)


def _mapping(loader: yaml.CSafeLoader, node: yaml.MappingNode) -> Any:
    loader.flatten_mapping(node)
    pairs = [(loader.construct_object(k, True), loader.construct_object(v, True)) for k, v in node.value]
    return {k if isinstance(k, str) else json.dumps(k): v for k, v in pairs}


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _number)
_Loader.add_constructor("tag:yaml.org,2002:float", _number)


def module_cache() -> Path | None:
    """Return the folder of OPA's cases; where Go is there, it may say where its cache is."""
    caches = [os.environ.get("GOMODCACHE", "")]
    if shutil.which("go"):
        asked = subprocess.run(["go", "env", "GOMODCACHE"], capture_output=True, text=True, check=False)
        caches.append(asked.stdout.strip())
    caches.append(str(Path.home() / "go/pkg/mod"))
    for cache in filter(None, caches):
        folder = Path(cache) / f"{MODULE}@{VERSION}" / "v1/test/cases/testdata"
        if folder.is_dir():
            return folder
    return None


def cases(folder: Path, version: str) -> Iterator[Case]:
    """Give all cases of one version of Rego."""
    for file in sorted((folder / version).rglob("*.yaml")):
        loaded = yaml.load(file.read_text(), Loader=_Loader)
        for fields in loaded["cases"]:
            yield Case(file.parent.name, fields["note"], version, fields)


def judge(case: Case) -> Outcome:
    """Evaluate a case, and compare what comes of it with what OPA expects."""
    fields = case.fields
    before = dict(os.environ)
    os.environ.update(fields.get("env") or {})
    try:
        return _judge(case, fields)
    finally:
        for name in fields.get("env") or {}:
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


def _judge(case: Case, fields: dict[str, Any]) -> Outcome:
    modules = {f"test-{i}.rego": text for i, text in enumerate(fields.get("modules") or [])}
    context = Context(now_ns=time.time_ns(), seed=b"seed", budget=Budget(50_000_000))
    try:
        value = _input(fields, case.version)
        program = compile_modules(modules, version=case.version, queries=[fields["query"]])
    except CompileError as error:
        wanted = fields.get("want_error_code")
        if wanted is not None and wanted == getattr(error, "code", None):
            return Outcome("equal")
        return Outcome("refused", str(error))
    try:
        data = fields.get("data") or {}
        strict = bool(fields.get("strict_error"))
        results = program.results(fields["query"], value, data, context, strict=strict)
    except EvaluationError as error:
        return _failed(fields, error)
    if "want_result" not in fields:
        return Outcome("wrong", f"no error, but {to_json(results)!r:.300}")
    got = [to_json(one) for one in results]
    if fields.get("ignore_generated_vars"):
        got = [{k: v for k, v in one.items() if not k.startswith("__localq")} for one in got]
    if fields.get("sort_bindings"):
        got = [{k: ordered(v) for k, v in one.items()} for one in got]
    if RegoSet(got) == RegoSet(fields["want_result"] or []):
        return Outcome("equal")
    return Outcome("wrong", f"expected {fields['want_result']!r:.300}, got {got!r:.300}")


def _input(fields: dict[str, Any], version: str) -> Any:
    text = fields.get("input_term")
    if text is not None:
        query = f"x = {text}"
        program = compile_modules({}, version=version, queries=[query])
        (only,) = program.results(query, UNDEFINED, {}, Context())
        return only["x"]
    return fields.get("input", UNDEFINED)


def _failed(fields: dict[str, Any], error: EvaluationError) -> Outcome:
    code = getattr(error, "code", "")
    wanted, words = fields.get("want_error_code"), fields.get("want_error")
    if wanted is None and words is None:
        return Outcome("wrong", f"{type(error).__name__} {error}")
    if wanted is not None and wanted != code:
        return Outcome("wrong", f"expected {wanted}, got {code}: {error}")
    if words is not None and words not in str(error):
        return Outcome("wrong", f"expected the words {words!r}, got {error}")
    return Outcome("equal")


def refused_builtin(detail: str) -> str | None:
    """Return which refused builtin an error is about."""
    names = sorted((*REFUSED, "test.sleep"), key=len, reverse=True)
    return next((name for name in names if name in detail), None)


def main() -> int:
    """Print what fails, and the shares."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("family", nargs="*", help="only these folders")
    arguments.add_argument("--version", choices=["v0", "v1"], action="append")
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    folder = module_cache()
    if folder is None:
        print(MISSING, file=sys.stderr)
        return 2
    for version in options.version or ["v0", "v1"]:
        counted: Counter[str] = Counter()
        families: Counter[str] = Counter()
        for case in cases(folder, version):
            if options.family and case.family not in options.family:
                continue
            try:
                outcome = judge(case)
            except Exception as error:
                outcome = Outcome("crash", f"{type(error).__name__}: {error}")
            counted[outcome.kind] += 1
            if outcome.kind != "equal":
                families[case.family] += 1
                print(json.dumps([version, case.family, case.note, outcome.kind, outcome.detail]))
        print(version, dict(counted), families.most_common(60))
    return 0


if __name__ == "__main__":
    sys.exit(main())
