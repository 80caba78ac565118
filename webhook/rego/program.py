"""Rego modules as a program: compiled once, evaluated for one input and one set of data after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webhook.core.errors import BudgetExceeded, CompileError, EvaluationError
from webhook.rego.ast import Module, Rule, Version
from webhook.rego.builtins import Context
from webhook.rego.codegen.grouping import grouped
from webhook.rego.codegen.helpers import HELPERS
from webhook.rego.codegen.rules import Rules
from webhook.rego.codegen.survey import survey
from webhook.rego.compile import compile_modules as run_passes
from webhook.rego.metering import charge
from webhook.rego.parser import parse_module
from webhook.rego.parsing.reader import Tokens
from webhook.rego.queries import query_module
from webhook.rego.runtime.errors import QueryError
from webhook.rego.runtime.frames import Frame
from webhook.rego.runtime.places import Place, step, whole
from webhook.rego.tree import Node, rule_tree
from webhook.rego.values import RegoSet, Value, key


@dataclass(frozen=True, slots=True)
class RegoProgram:
    """Modules compiled to Python.

    Attributes:
        entry: the path below ``data`` that `evaluate` evaluates.
        source: the generated text.
        slots: how many values a frame may keep: of rules and of comprehensions.
        root: the tree of rules.
        queries: evaluate the queries that the program was compiled with.
        call: evaluates the entry in a frame.
    """

    entry: tuple[str, ...]
    source: str
    slots: int
    root: Node = field(repr=False)
    queries: Mapping[str, Any] = field(repr=False)
    call: Callable[[Frame], Value] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "call", _entry(self.root, self.entry))

    def evaluate(self, value: Value, data: Value, context: Context, *, strict: bool = False) -> Value:
        """Return what the entry is for an input and base documents, or UNDEFINED.

        Args:
            value: the input, or UNDEFINED.
            data: the base documents below ``data``: an object.
            context: what builtins ask, with the budget.
            strict: whether a builtin's error ends the query.

        Raises:
            EvaluationError: a conflict, a builtin's error where errors are strict, data nested too deeply.
            BudgetExceeded: the budget is spent.
        """
        return _guarded(self.call, Frame(value, data, self.slots, context, strict))

    def defines(self, *path: str) -> bool:
        """Tell whether a rule has this path below ``data``."""
        node: Node | None = self.root
        for name in path:
            node = node.children.get(key(name)) if node is not None else None
        return node is not None and node.number >= 0

    def results(
        self, query: str, value: Value, data: Value, context: Context, *, strict: bool = False
    ) -> RegoSet:
        """Return the distinct bindings of a query that the program was compiled with, each an object.

        Raises:
            EvaluationError: as `evaluate`.
        """
        frame = Frame(value, data, self.slots, context, strict)
        answer: RegoSet = _guarded(self.queries[query], frame)
        return answer


def _guarded(run: Callable[[Frame], Value], frame: Frame) -> Value:
    before = charge(frame.budget)
    try:
        return run(frame)
    except RecursionError:
        raise BudgetExceeded("the data are nested too deeply") from None
    except EvaluationError:
        raise
    except Exception as error:
        # Whatever a library raises at hostile operands is the policy's fault, and an answer names it.
        message = f"{type(error).__name__}: {error}"
        raise QueryError("eval_internal_error", message) from error
    finally:
        charge(before)


def compile_modules(
    modules: Mapping[str, str],
    *,
    version: Version = "v0",
    entry: Sequence[str] = (),
    queries: Sequence[str] = (),
) -> RegoProgram:
    """Compile modules.

    Args:
        modules: the texts by the names that errors give.
        version: of Rego, where a module doesn't say.
        entry: the path below ``data`` that is evaluated.
        queries: bodies that `RegoProgram.results` can be asked.

    Raises:
        CompileError: with the line and column, and OPA's code.
    """
    tokens = Tokens()
    parsed = {name: parse_module(text, name, version, tokens) for name, text in modules.items()}
    asked = {text: query_module(text, number) for number, text in enumerate(queries)}
    compiled = run_passes({**parsed, **{module.file: module for module in asked.values()}})
    passed = compiled.modules
    return generate(
        [module for name, module in passed.items() if name in parsed],
        tuple(entry),
        {text: passed[module.file].rules[0] for text, module in asked.items()},
    )


def generate(
    modules: Sequence[Module], entry: tuple[str, ...] = (), queries: Mapping[str, Rule] | None = None
) -> RegoProgram:
    """Return the program of modules that the passes have been over, and of queries by `query_module`.

    Raises:
        CompileError: the rules are too large, or nested too deeply, for Python.
    """
    root, numbered = rule_tree(modules)
    queries = queries or {}
    everything = [*[rule for module in modules for rule in module.rules], *queries.values()]
    seen = survey(everything)
    rules = Rules(root, seen.data_targets, seen.functions)
    rules.slots = len(numbered)
    rules.grouped = grouped(root, everything)
    try:
        for node in numbered:
            rules.rule(node)
        names = {text: rules.query(query) for text, query in queries.items()}
        rules.asked_at_keys(numbered)
        rules.kept_functions()
        namespace: dict[str, Any] = {**HELPERS, **rules.constants}
        for text in rules.finished:
            # One by one: while Python compiles no other thread runs, and it takes memory.
            exec(compile(text, "<rego>", "exec"), namespace)  # noqa: S102 - see tests/rego/test_generated.py
    except (RecursionError, MemoryError, SyntaxError) as error:
        raise CompileError(f"too large, or nested too deeply, to be compiled ({error})") from error
    for node in numbered:
        node.call = namespace[f"r_{node.number}"]
    functions = {text: namespace[name] for text, name in names.items()}
    return RegoProgram(entry, rules.source(), rules.slots, root, functions)


def _entry(root: Node, entry: tuple[str, ...]) -> Callable[[Frame], Value]:
    """Return what evaluates the path below ``data``: nearly always it is a rule of a package."""
    node: Node | None = root
    for name in entry:
        node = node.children.get(name) if node is not None else None
    if node is not None and node.call is not None and not node.function:
        return node.call

    def evaluate(frame: Frame) -> Value:
        at: Value = Place(frame, root, ())
        for name in entry:
            at = step(at, name)
        return whole(at)

    return evaluate
