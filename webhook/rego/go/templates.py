"""Go's text templates over values of JSON (https://pkg.go.dev/text/template), with some of its functions.

Fields, variables, ``if``, ``with``, ``range``, ``else``, ``break``, ``continue``, comments and functions in
`FUNCTIONS` are there. Anything else is refused: where the template is a constant when the policy is
compiled, else by stopping the query, since a text that Go would make can't be guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from webhook.rego.context import BuiltinError, Context, check_string
from webhook.rego.go.template_functions import FUNCTIONS, NO_VALUE, shown, truth
from webhook.rego.go.template_parser import Node, Parser, unquoted
from webhook.rego.numbers import number_of, text_of


def _held(value: Any) -> Any:
    """Return a value as Go's template sees it: numbers of JSON are texts; others are the template's own."""
    if isinstance(value, list):
        return [_held(item) for item in value]
    if isinstance(value, dict):
        return {name: _held(item) for name, item in value.items()}
    if value is None or isinstance(value, bool | str):
        return value
    return text_of(value)


def render(context: Context, template: str, values: Any) -> str:
    """Return the template with its actions carried out.

    Raises:
        BuiltinError: it is no template, or an action fails.
        Halt: it uses what isn't there here, or makes too much.
    """
    nodes = check(context, template)
    writer = _Writer(context)
    held = _held(values)
    writer.run(nodes, held, {"$": held})
    return "".join(writer.parts)


def check(context: Context, template: str) -> list[Node]:
    """Return the nodes of a template.

    Raises:
        BuiltinError: it is no template.
        Halt: it uses what isn't there here.
    """
    context.spend(20 + len(template))
    nodes, rest = Parser(template).block(0, 0)
    if rest is not None:
        raise BuiltinError(f"template: template:1: unexpected {{{{{rest}}}}}")
    return nodes


class _Stop(Exception):  # noqa: N818 - never leaves this module
    """A ``break`` or ``continue``."""


class _Writer:
    """Carries out nodes; variables live up to the end of their block."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.parts: list[str] = []
        self.size = 0

    def put(self, text: str) -> None:
        """Write a text."""
        self.size += len(text)
        check_string(self.size)
        self.parts.append(text)

    def run(self, nodes: list[Node], dot: Any, variables: dict[str, Any]) -> None:
        """Carry out nodes in order."""
        for node in nodes:
            self.context.spend(2)
            kind = node[0]
            if kind == "text":
                self.put(node[1])
            elif kind == "pipe":
                found = self.pipe(node[1:], dot, variables)
                if not node[1]:
                    self.put(shown(found))
            elif kind in ("break", "continue"):
                raise _Stop(kind)
            elif kind == "range":
                self.loop(node, dot, variables)
            else:
                inner = dict(variables)
                found = self.pipe(node[1], dot, inner)
                chosen = truth(found)
                self.run(node[2] if chosen else node[3], found if chosen and kind == "with" else dot, inner)

    def loop(self, node: Node, dot: Any, variables: dict[str, Any]) -> None:
        """Carry out a ``range``."""
        names, sign, commands = node[1]
        found = self.commands(commands, dot, variables)
        if isinstance(found, list):
            entries: Iterator[tuple[Any, Any]] = iter(enumerate(found))
        elif isinstance(found, dict):
            entries = iter(sorted(found.items()))
        elif found is None or found is NO_VALUE:
            entries = iter(())
        else:
            raise BuiltinError(f"template: template: range can't iterate over {shown(found)}")
        empty = True
        for key, value in entries:
            empty = False
            inner = dict(variables)
            if sign:
                inner[names[-1]] = value
                if len(names) > 1:
                    inner[names[0]] = key
            try:
                self.run(node[2], value, inner)
            except _Stop as stop:
                if str(stop) == "break":
                    break
        if empty:
            self.run(node[3], dot, dict(variables))

    def pipe(self, pipeline: Any, dot: Any, variables: dict[str, Any]) -> Any:
        """Return a pipeline's value, and set its variable."""
        names, _, commands = pipeline
        found = self.commands(commands, dot, variables)
        if names:
            variables[names[0]] = found
        return found

    def commands(self, commands: list[list[Any]], dot: Any, variables: dict[str, Any]) -> Any:
        """Return the value of commands, each one's given to the next as the last operand."""
        result: tuple[Any, ...] = ()
        for command in commands:
            first, operands = command[0], command[1:]
            if first[0] == "word" and first[1] not in ("true", "false"):
                values = [self.operand(operand, dot, variables) for operand in operands]
                result = (FUNCTIONS[first[1]](*values, *result),)
            elif operands or result:
                raise BuiltinError("template: template: can't give argument to non-function")
            else:
                result = (self.operand(first, dot, variables),)
        return result[0]

    def operand(self, operand: Any, dot: Any, variables: dict[str, Any]) -> Any:
        """Return an operand's value."""
        kind, text = operand
        if kind == "pipe":
            return self.commands(text, dot, variables)
        if kind == "string":
            return text[1:-1] if text[0] == "`" else unquoted(text)
        if kind == "number":
            return number_of(text)
        if kind == "word":
            return text == "true"
        if text == ".":
            return dot
        if kind == "field":
            return _fields(dot, text[1:].split("."))
        name, *fields = text.split(".")
        if name not in variables:
            raise BuiltinError(f'template: template:1: undefined variable "{name}"')
        return _fields(variables[name], fields)


def _fields(value: Any, names: list[str]) -> Any:
    for index, name in enumerate(names):
        if isinstance(value, dict):
            value = value.get(name, NO_VALUE)
            continue
        if value is NO_VALUE:
            return value
        if value is None:
            raise BuiltinError(
                f"template: template: nil pointer evaluating interface {{}}.{'.'.join(names[index:])}"
            )
        raise BuiltinError(f"template: template: can't evaluate field {name} in type interface {{}}")
    return value
