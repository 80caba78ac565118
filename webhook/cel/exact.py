"""The exact tier: closures that give every expression CEL's own meaning, errors included.

``||``, ``&&``, ``all`` and ``exists`` absorb the errors of parts that don't decide; the ternary doesn't. A
spent budget is never absorbed. The tier runs only where the generated one gave up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, TypeAlias

from webhook.cel import operations as op
from webhook.cel.ast import (
    And,
    Apply,
    Choice,
    Has,
    Index,
    ListOf,
    Literal,
    Local,
    Loop,
    MapOf,
    Node,
    Not,
    OptionalElse,
    OptionalMap,
    Or,
    Root,
    Select,
)
from webhook.cel.complaints import PATTERNED
from webhook.cel.values import NONE, Optional
from webhook.core.activation import Activation, Program
from webhook.core.authorization import DecisionLacking
from webhook.core.errors import BudgetExceeded, EvaluationError

Closure: TypeAlias = Callable[[Activation, list[Any]], Any]
"""Takes the activation and the frame: the values of the comprehension variables by their slots."""

_NOT_BOOL = "no such overload"


def exact_program(node: Node, slots: int) -> Program:
    """Return a program that evaluates `node` exactly; its closures are made when it is first called."""
    made: list[Closure] = []

    def run(activation: Activation, /) -> Any:
        try:
            if not made:
                made.append(build(node))
            return made[0](activation, [None] * slots)
        except RecursionError:
            raise EvaluationError("the expression or its data is nested too deeply") from None
        except MemoryError:
            raise EvaluationError("the expression needs too much memory") from None
        except EvaluationError:
            raise
        except Exception as error:  # a fault of ours ends one policy's evaluation, not the request's
            raise EvaluationError(f"internal error: {error.__class__.__name__}") from error

    return run


def build(node: Node) -> Closure:
    """Return the closure of a resolved node."""
    return _BUILDERS[node.__class__](node)


def _literal(node: Literal) -> Closure:
    value = node.value
    return lambda activation, frame: value


def _root(node: Root) -> Closure:
    name = node.name
    if name == "variables":

        def variables(activation: Activation, frame: list[Any]) -> Any:
            raise EvaluationError("variables can only be read one by one, as variables.name")

        return variables
    return lambda activation, frame: getattr(activation, name)


def _local(node: Local) -> Closure:
    slot = node.slot
    return lambda activation, frame: frame[slot]


def _select(node: Select) -> Closure:
    field = node.field
    if node.operand.type == "@variables":
        if node.optional:
            return lambda activation, frame: Optional(activation.variable(field))
        return lambda activation, frame: activation.variable(field)
    operand = build(node.operand)
    read = op.select_optional if node.optional else op.select
    return lambda activation, frame: read(operand(activation, frame), field)


def _has(node: Has) -> Closure:
    field = node.field
    if (
        node.operand.type == "@variables"
    ):  # it exists, or compiling had failed; but as in Kubernetes it is evaluated

        def variable(activation: Activation, frame: list[Any]) -> bool:
            activation.variable(field)
            return True

        return variable
    operand = build(node.operand)
    return lambda activation, frame: op.has(operand(activation, frame), field)


def _index(node: Index) -> Closure:
    operand, index = build(node.operand), build(node.index)
    read = op.index_optional if node.optional else op.index_into

    def element(activation: Activation, frame: list[Any]) -> Any:
        value = operand(activation, frame)
        if value.__class__ is Optional and not value.present:
            return NONE  # the index isn't evaluated then
        return read(value, index(activation, frame))

    return element


def _logic(parts: tuple[Node, ...], decides: bool) -> Closure:
    closures = [build(part) for part in parts]
    return lambda activation, frame: _absorb(closures, decides, activation, frame)


def _absorb(steps: Iterable[Closure], decides: bool, activation: Activation, frame: list[Any]) -> bool:
    """Run steps until one is `decides`; a step's error counts only where none of them is."""
    error: EvaluationError | None = None
    for step in steps:
        try:
            value: object = step(activation, frame)
        except BudgetExceeded:
            raise
        except EvaluationError as failed:
            error = _weightier(error, failed)
            continue
        if value is decides:
            return decides
        if value is not True and value is not False:
            error = error or EvaluationError(_NOT_BOOL)
    if error is not None:
        raise error
    return not decides


def _weightier(error: EvaluationError | None, failed: EvaluationError) -> EvaluationError:
    """Return the first error, or sooner one that says which answer is lacking: it may decide."""
    if error is None or (failed.__class__ is DecisionLacking and error.__class__ is not DecisionLacking):
        return failed
    return error


def _not(node: Not) -> Closure:
    operand = build(node.operand)

    def negate(activation: Activation, frame: list[Any]) -> bool:
        return not _bool(operand(activation, frame))

    return negate


def _bool(value: Any) -> bool:
    if value is True or value is False:
        return value
    raise EvaluationError(_NOT_BOOL)


def _choice(node: Choice) -> Closure:
    test, yes, no = build(node.test), build(node.yes), build(node.no)

    def choose(activation: Activation, frame: list[Any]) -> Any:
        return (yes if _bool(test(activation, frame)) else no)(activation, frame)

    return choose


def _optional(value: Any) -> Optional:
    if value.__class__ is Optional:
        return value
    raise EvaluationError(_NOT_BOOL)


def _list_of(node: ListOf) -> Closure:
    closures = [build(item) for item in node.items]
    if not node.optional:
        return lambda activation, frame: [item(activation, frame) for item in closures]
    flagged = list(zip(closures, node.optional, strict=True))

    def optionals(activation: Activation, frame: list[Any]) -> list[Any]:
        found = []
        for item, optional in flagged:
            value = item(activation, frame)
            if not optional:
                found.append(value)
            elif _optional(value).present:
                found.append(value.value)
        return found

    return optionals


def _map_of(node: MapOf) -> Closure:
    entries = [(build(key), build(value), optional) for key, value, optional in node.entries]

    def make(activation: Activation, frame: list[Any]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key_of, value_of, optional in entries:
            key, value = key_of(activation, frame), value_of(activation, frame)
            if optional:
                if not _optional(value).present:
                    op.check_key(key)
                    found.pop(key, None)  # as Kubernetes does: none takes an earlier entry away
                    continue
                value = value.value
            op.put(found, key, value)
        return found

    return make


def _apply(node: Apply) -> Closure:
    closures = [build(one) for one in node.args]
    function = node.function
    if function.name in PATTERNED and len(node.args) > 1 and node.args[1].__class__ is Literal:
        function = replace(function, name=PATTERNED[function.name])
    special = _SPECIAL.get(node.name)
    if special is not None:
        left, right = closures
        return lambda activation, frame: special(
            activation.budget, left(activation, frame), right(activation, frame)
        )
    return lambda activation, frame: op.call(
        activation.budget, function, *[one(activation, frame) for one in closures]
    )


_SPECIAL: dict[str, Callable[..., Any]] = {"==": op.equal, "!=": op.unequal, "in": op.contains, "+": op.add}


def _optional_map(node: OptionalMap) -> Closure:
    operand, body, slot, flat = build(node.operand), build(node.body), node.variable.slot, node.flat

    def optional_map(activation: Activation, frame: list[Any]) -> Optional:
        found = _optional(operand(activation, frame))
        if not found.present:
            return NONE
        frame[slot] = found.value
        result = body(activation, frame)
        return _optional(result) if flat else Optional(result)

    return optional_map


def _optional_else(node: OptionalElse) -> Closure:
    operand, other, optional = build(node.operand), build(node.other), node.optional

    def optional_else(activation: Activation, frame: list[Any]) -> Any:
        found = _optional(operand(activation, frame))
        if found.present:
            return found if optional else found.value
        value = other(activation, frame)
        return _optional(value) if optional else value

    return optional_else


def _turns(node: Loop) -> Callable[[Activation, list[Any]], Any]:
    """Return a generator function that sets the loop's variables and yields once for each turn, charged."""
    items, first, weight = build(node.range), node.first.slot, node.weight
    second = None if node.second is None else node.second.slot

    def turns(activation: Activation, frame: list[Any]) -> Any:
        values = op.iterable(items(activation, frame))
        op.charge(activation.budget, len(values) * weight)
        if second is None:
            for value in values:
                frame[first] = value
                yield value
        else:
            for key, value in values.items() if values.__class__ is dict else enumerate(values):
                frame[first] = key
                frame[second] = value
                yield key

    return turns


def _loop(node: Loop) -> Closure:
    turns, body = _turns(node), build(node.body)
    if node.kind in ("all", "exists"):
        return _quantifier(turns, body, node.kind == "exists")
    if node.kind == "filter":
        kept = _kept(turns, body)
        return lambda activation, frame: list(kept(activation, frame))
    if node.kind == "exists_one":
        kept = _kept(turns, body)
        return lambda activation, frame: sum(1 for _ in kept(activation, frame)) == 1
    kept = turns if node.condition is None else _kept(turns, build(node.condition))
    if node.kind == "map":
        return lambda activation, frame: [body(activation, frame) for _ in kept(activation, frame)]
    whole = node.kind == "transformMapEntry"

    def transform(activation: Activation, frame: list[Any]) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key in kept(activation, frame):
            if whole:
                op.insert(found, body(activation, frame))
            else:
                found[key] = body(activation, frame)
        return found

    return transform


def _kept(turns: Closure, condition: Closure) -> Closure:
    """Return a generator function that yields at the turns where the condition holds.

    As in Kubernetes the loop goes on after a condition's error, and the last one is what is said.
    """

    def kept(activation: Activation, frame: list[Any]) -> Any:
        error: EvaluationError | None = None
        for value in turns(activation, frame):
            try:
                holds = _bool(condition(activation, frame))
            except EvaluationError as failed:
                if failed.__class__ is not EvaluationError:  # it says more than its text
                    raise
                error = failed
                continue
            if holds and error is None:
                yield value
        if error is not None:
            raise error

    return kept


def _quantifier(turns: Closure, body: Closure, decides: bool) -> Closure:
    def quantifier(activation: Activation, frame: list[Any]) -> bool:
        steps = (body for _ in turns(activation, frame))  # each turn sets the loop's variables in the frame
        return _absorb(steps, decides, activation, frame)

    return quantifier


_BUILDERS: dict[Any, Callable[[Any], Closure]] = {
    Literal: _literal,
    Root: _root,
    Local: _local,
    Select: _select,
    Has: _has,
    Index: _index,
    Or: lambda node: _logic(node.parts, True),
    And: lambda node: _logic(node.parts, False),
    Not: _not,
    Choice: _choice,
    ListOf: _list_of,
    MapOf: _map_of,
    Apply: _apply,
    Loop: _loop,
    OptionalMap: _optional_map,
    OptionalElse: _optional_else,
}
