"""The engine Rego: a template's modules as a program.

The entry's package becomes ``data.template`` and the libraries' ``data.lib.x`` becomes ``data.libs.lib.x``,
so that the places in OPA's messages are Gatekeeper's:
https://open-policy-agent.github.io/gatekeeper/website/docs/constrainttemplates
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from webhook.core.constraint import Found, Review
from webhook.core.errors import BudgetExceeded, CompileError, EvaluationError
from webhook.dialects.gatekeeper import refusal, rego_checks
from webhook.dialects.gatekeeper.fields import Object, text, texts
from webhook.dialects.gatekeeper.refusal import INVALID, TemplateError
from webhook.dialects.gatekeeper.rego_checks import ENTRY, LIB, RULE
from webhook.rego import UNDEFINED, Context, RegoProgram, RegoSet
from webhook.rego.ast import (
    Call,
    Every,
    Expr,
    Head,
    Import,
    Module,
    Not,
    Ref,
    Rule,
    Some,
    String,
    Var,
    With,
)
from webhook.rego.compile import compile_modules
from webhook.rego.context import CANCELLED, BuiltinError, Halt
from webhook.rego.errors import RegoError
from webhook.rego.go.float64 import through_float64
from webhook.rego.metering import metered
from webhook.rego.parser import parse_module
from webhook.rego.parsing.reader import Tokens
from webhook.rego.program import generate
from webhook.rego.raw_text import printable
from webhook.rego.value_text import printable_json
from webhook.rego.values import RegoObject, entries, key

_LIBS = "libs"
_ABSENT = object()

_READER = "reader"
_READING = f"""
package reader
found[{{"msg": result.msg, "details": object.get(result, "details", {{}})}}] {{
  data.{ENTRY}.{RULE}[result]
}}
"""
"""What reads the results, so that the types of both are checked together, as Gatekeeper has it."""

_Judge = Callable[[Review, Any], Sequence[Found]]


def compile_rego(source: Object, field: str) -> _Judge:
    """Return the program of a Rego source.

    Args:
        source: ``rego``, ``libs`` and ``version``.
        field: where they stand.

    Raises:
        CompileError: OPA or Gatekeeper would refuse a module, or it uses what isn't supported; with the line.
    """
    entry, libs = text(source, "rego", field), texts(source, "libs", field)
    if not entry:
        missing = "rego source missing required field"
        said = (
            f"{INVALID}{ENTRY}:0: rego_parse_error: empty module" if "rego" in source else f"{missing}: rego"
        )
        raise TemplateError(missing, f"{field}.rego", said=said)
    # Whatever isn't v1 is v0 to Gatekeeper.
    version: Any = "v1" if text(source, "version", field) == "v1" else "v0"
    places = {ENTRY: f"{field}.rego"}
    places |= {f'{_LIBS}["lib_{at}"]': f"{field}.libs[{at}]" for at in range(len(libs))}
    sources = dict(zip(places, (entry, *libs), strict=True))
    modules: dict[str, Module] = {}
    tokens = Tokens()
    for name, code in sources.items():
        try:
            modules[name] = parse_module(code, name, version, tokens)
        except RegoError as error:
            raise refusal.of(error, places[name], INVALID + refusal.listed(error.problems, sources)) from None
    rego_checks.check_entry(modules[ENTRY], places[ENTRY])
    for name, module in modules.items():
        rego_checks.check_module(module, name, places[name], entry=name == ENTRY)
    rewritten = {name: _rewritten(module, entry=name == ENTRY) for name, module in modules.items()}
    try:
        compiled = compile_modules({**rewritten, _READER: parse_module(_READING, _READER, "v0")})
        program = generate([compiled.modules[name] for name in rewritten], (ENTRY, RULE))
    except RegoError as error:
        file = error.problems[0].location.file
        if file == _READER:
            raise CompileError(f"each violation needs a msg: {error.message}", f"{field}.rego") from None
        said = f"unable to compile modules: {refusal.listed(error.problems, sources)}"
        raise refusal.of(error, places.get(file, field), said) from None
    except CompileError as error:
        raise error.within(f"{field}.rego") from None
    except (EvaluationError, RecursionError, MemoryError) as error:  # of constants, or nested too deeply
        raise CompileError(f"can't be compiled: {error}", f"{field}.rego") from None
    return _Program(program).judge


class _Program:
    """A template's program; its `judge` is what `template.Judge` is."""

    def __init__(self, program: RegoProgram) -> None:
        self._program = program

    def judge(self, review: Review, parameters: Any) -> Sequence[Found]:
        """Judge a review; see `template.Judge`."""
        asked = review.as_rego
        if asked is None:
            asked = review.as_rego = _Asked(review)
        context = Context(review.now_ns, asked.seed, asked.external, review.budget)
        given = {"review": asked.review, "parameters": parameters}
        try:
            found = self._program.evaluate(given, asked.data, context)
            if found is UNDEFINED or (found.__class__ is RegoSet and not found.some_twice()):
                return ()
            with metered(review.budget):  # what was found is gone through, too
                return _results(found)
        except Halt as error:
            if error.code != CANCELLED:
                raise
            raise BudgetExceeded(str(error)) from error


class _Asked:
    """What every template is asked with for one review: all but its parameters."""

    __slots__ = ("data", "external", "review", "seed")

    def __init__(self, review: Review) -> None:
        self.review = through_float64(review.document)
        # Where nothing is synced the inventory isn't defined.
        self.data = {"inventory": review.inventory} if review.inventory else {}
        self.external = None if review.external is None else _asking(review.external)
        self.seed = str(review.request.get("uid") or "").encode()


def _asking(external: Callable[[str, Sequence[str]], Mapping[str, Any]]) -> Callable[[Any], Any]:
    def ask(request: Any) -> Any:
        provider = request.get("provider") if isinstance(request, Mapping) else None
        keys = request.get("keys") if isinstance(request, Mapping) else None
        if not isinstance(provider, str | None) or not isinstance(keys, list | None):
            raise BuiltinError("external_data: provider must be a string and keys a list of strings")
        if not all(isinstance(each, str) for each in keys or ()):
            raise BuiltinError("external_data: keys must be strings")
        return external(printable(provider or ""), [printable(each) for each in keys or ()])

    return ask


def _results(found: Any) -> Sequence[Found]:
    """Return what the rule found: each different message with its details, once.

    An element that is no object, or has no ``msg``, says nothing; a ``msg`` that is no string is an error.
    """
    results: dict[Any, Found] = {}
    for each in _elements(found):
        message = _get(each, "msg")
        if message is _ABSENT:
            continue
        if message.__class__ is not str:
            raise EvaluationError(
                f"extracting message binding: msg must be a string: {printable_json(message)!r}"
            )
        details = _get(each, "details")
        details = {} if details is _ABSENT else details
        results.setdefault((message, key(details)), Found(printable(message), printable_json(details)))
    return list(results.values())


def _elements(found: Any) -> Iterator[Any]:
    """Give what ``violation[r]`` binds: the elements of a set, the keys of an object."""
    if isinstance(found, RegoSet | dict):
        yield from found
    elif isinstance(found, RegoObject):
        yield from (name for name, _ in entries(found))


def _get(value: Any, name: str) -> Any:
    if value.__class__ is dict:
        return value.get(name, _ABSENT)
    if isinstance(value, RegoObject):
        return next((item for each, item in entries(value) if each == name), _ABSENT)
    return _ABSENT


def _rewritten(module: Module, *, entry: bool) -> Module:
    package = Ref((Var("data"), String(ENTRY))) if entry else _moved(module.package)
    imports = tuple(
        Import(_moved(each.path), each.alias or each.name, each.location)
        if each.path.root == "data"
        else each
        for each in module.imports
    )
    return replace(module, package=package, imports=imports, rules=tuple(_map(rule) for rule in module.rules))


def _moved(ref: Ref) -> Ref:
    """Return a reference to a library where the libraries are."""
    if not ref.starts_with(*LIB):
        return ref
    return Ref((ref.terms[0], String(_LIBS), *ref.terms[1:]), ref.location)


def _map(node: Any) -> Any:
    """Return a node with its references moved: those that are terms of expressions and heads themselves.

    Gatekeeper leaves those inside calls, collections and comprehensions as they are; so they are undefined.
    """
    if isinstance(node, tuple):
        return tuple(map(_map, node))
    if isinstance(node, Ref):
        return _moved(node)
    if isinstance(node, Expr) and isinstance(node.terms, Call):
        call = node.terms
        moved = replace(call, operator=_moved(call.operator), args=_map(call.args))
        return replace(node, terms=moved, with_=_map(node.with_))
    if isinstance(node, Rule | Head | Expr | Some | Every | Not | With):
        parts = {
            field.name: getattr(node, field.name)
            for field in fields(node)
            if field.name not in ("ref", "location")
        }
        return replace(node, **{name: _map(part) for name, part in parts.items()})
    return node
