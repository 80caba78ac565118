"""Go's text templates over values of JSON (https://pkg.go.dev/text/template), with some of its functions.

Fields, variables, ``if``, ``with``, ``range``, ``else``, ``break``, ``continue``, comments and functions in
`_FUNCTIONS` are there. Anything else is refused: where the template is a constant when the policy is
compiled, else by stopping the query, since a text that Go would make can't be guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from webhook.rego.context import BuiltinError, Context, Halt, check_string
from webhook.rego.numbers import number_of, text_of

_ACTION: Final = re.compile(r"\{\{(- )?\s*(.*?)\s*( -)?\}\}", re.S)
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>-?[0-9][0-9.]*)|(?P<field>(?:\.[A-Za-z_]\w*)+)"""
    r"""|(?P<variable>\$\w*(?:\.[A-Za-z_]\w*)*)|(?P<word>[A-Za-z_]\w*)|(?P<sign>:=|[.|(),=]))"""
)
_MAX_DEPTH: Final = 50

Node = tuple[Any, ...]


class _NoValue:
    """What a key gives that isn't there."""


_NO_VALUE: Final = _NoValue()


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
    nodes, rest = _Parser(template).block(0, 0)
    if rest is not None:
        raise BuiltinError(f"template: template:1: unexpected {{{{{rest}}}}}")
    return nodes


def _unsupported(what: str) -> Halt:
    return Halt(f"strings.render_template: {what} is not supported in templates here")


class _Parser:
    """Splits a template into texts and actions, and these into nodes."""

    def __init__(self, template: str) -> None:
        self.pieces: list[tuple[str, str]] = []
        at, trim = 0, False
        for found in _ACTION.finditer(template):
            text = template[at : found.start()]
            text = text.lstrip() if trim else text
            text = text.rstrip() if found[1] else text
            self.pieces.append(("text", text))
            if not (found[2].startswith("/*") and found[2].endswith("*/")):
                self.pieces.append(("action", found[2]))
            at, trim = found.end(), bool(found[3])
        tail = template[at:].lstrip() if trim else template[at:]
        if "{{" in tail:
            raise BuiltinError("template: template:1: unclosed action")
        self.pieces.append(("text", tail))
        self.at = 0

    def block(self, depth: int, loops: int) -> tuple[list[Node], str | None]:
        """Return the nodes up to an ``end`` or ``else``, and that action."""
        if depth > _MAX_DEPTH:
            raise Halt("strings.render_template: a template is nested too deeply")
        nodes: list[Node] = []
        while self.at < len(self.pieces):
            kind, text = self.pieces[self.at]
            self.at += 1
            if kind == "text":
                nodes.append(("text", text))
                continue
            word = text.split(None, 1)[0] if text.split() else ""
            if word in ("end", "else"):
                return nodes, text
            if word in ("if", "with", "range"):
                nodes.append(self.control(word, text[len(word) :], depth, loops))
            elif word in ("break", "continue") and loops:
                nodes.append((word,))
            elif word in ("define", "template", "block", "break", "continue"):
                raise _unsupported(f"{{{{{word}}}}}")
            else:
                nodes.append(("pipe", *_pipeline(text)))
        return nodes, None

    def control(self, word: str, text: str, depth: int, loops: int) -> Node:
        """Return an ``if``, ``with`` or ``range`` up to its end."""
        head = _pipeline(text)
        body, ended = self.block(depth + 1, loops + (word == "range"))
        other: list[Node] = []
        if ended is not None and ended.startswith("else"):
            tail = ended[4:].strip()
            if not tail:
                other, ended = self.block(depth + 1, loops)
            elif tail.split(None, 1)[0] in ("if", "with"):
                inner = tail.split(None, 1)[0]
                other, ended = [self.control(inner, tail[len(inner) :], depth + 1, loops)], "end"
            else:
                raise BuiltinError(f"template: template: unexpected {tail} in else")
        if ended != "end":
            raise BuiltinError("template: template:1: unexpected EOF")
        return (word, head, body, other)


def _pipeline(text: str) -> tuple[tuple[str, ...], str, list[list[Any]]]:
    """Return the variables that are set, by which sign, and the commands of a pipeline."""
    tokens: list[tuple[str, str]] = []
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise _unsupported(f"{{{{{text}}}}}")
        kind, token = str(found.lastgroup), found[str(found.lastgroup)]
        if kind == "field" and tokens[-1:] == [("sign", ")")] and text[at] == ".":
            raise _unsupported(f"a field of what is in parentheses, {token},")
        tokens.append((kind, token))
        at = found.end()
    names: list[str] = []
    sign = ""
    place = next((i for i, (_, value) in enumerate(tokens) if value in (":=", "=")), -1)
    if place >= 0:
        names = [value for kind, value in tokens[:place] if kind == "variable"]
        sign, tokens = tokens[place][1], tokens[place + 1 :]
        if sign == "=":
            raise _unsupported("setting a variable anew")
    commands, rest = _commands(tokens, 0, 0)
    if rest < len(tokens) or not all(commands):
        raise BuiltinError("template: template: missing value for command")
    return tuple(names), sign, commands


def _commands(tokens: list[tuple[str, str]], at: int, depth: int) -> tuple[list[list[Any]], int]:
    if depth > _MAX_DEPTH:
        raise Halt("strings.render_template: a template is nested too deeply")
    commands: list[list[Any]] = [[]]
    while at < len(tokens):
        kind, value = tokens[at]
        at += 1
        if value == ")" and kind == "sign":
            if not depth:
                raise BuiltinError("template: template: unexpected right paren")
            return commands, at
        if value == "(" and kind == "sign":
            inner, at = _commands(tokens, at, depth + 1)
            commands[-1].append(("pipe", inner))
        elif value == "|" and kind == "sign":
            commands.append([])
        elif value == "," and kind == "sign":
            raise _unsupported("a comma")
        else:
            if kind == "word":
                _check_word(value, first=not commands[-1])
            elif kind == "string" and value[0] == '"':
                _unquoted(value)
            commands[-1].append((kind, value))
    if depth:
        raise BuiltinError("template: template: unclosed left paren")
    return commands, at


def _check_word(word: str, *, first: bool) -> None:
    if word in ("true", "false") or (first and word in _FUNCTIONS):
        return
    if word != "nil" and word not in _FUNCTIONS and word not in _OTHERS:
        raise BuiltinError(f'template: template:1: function "{word}" not defined')
    raise _unsupported(f"the function {word}" if first and word != "nil" else word)


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
                chosen = _truth(found)
                self.run(node[2] if chosen else node[3], found if chosen and kind == "with" else dot, inner)

    def loop(self, node: Node, dot: Any, variables: dict[str, Any]) -> None:
        """Carry out a ``range``."""
        names, sign, commands = node[1]
        found = self.commands(commands, dot, variables)
        if isinstance(found, list):
            entries: Iterator[tuple[Any, Any]] = iter(enumerate(found))
        elif isinstance(found, dict):
            entries = iter(sorted(found.items()))
        elif found is None or found is _NO_VALUE:
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
                result = (_FUNCTIONS[first[1]](*values, *result),)
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
            return text[1:-1] if text[0] == "`" else _unquoted(text)
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
            value = value.get(name, _NO_VALUE)
            continue
        if value is _NO_VALUE:
            return value
        if value is None:
            raise BuiltinError(
                f"template: template: nil pointer evaluating interface {{}}.{'.'.join(names[index:])}"
            )
        raise BuiltinError(f"template: template: can't evaluate field {name} in type interface {{}}")
    return value


def _unquoted(text: str) -> str:
    import json

    try:
        return json.loads(text)  # type: ignore[no-any-return]
    except ValueError:
        raise _unsupported(f"the string {text}") from None


def _truth(value: Any) -> bool:
    if value is None or value is _NO_VALUE:
        return False
    if isinstance(value, str | list | dict):
        return len(value) > 0
    return bool(value)


def shown(value: Any, *, inside: bool = False) -> str:
    """Return a value as Go prints it."""
    if value is _NO_VALUE:
        return "<no value>"
    if value is None:
        return "<nil>" if inside else "<no value>"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "[" + " ".join(shown(item, inside=True) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{shown(v, inside=True)}" for k, v in sorted(value.items())) + "]"
    return text_of(value)


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, list | dict):
        return len(value)
    raise BuiltinError(f"template: template: error calling len: len of type {shown(value)}")


def _same(first: Any, *others: Any) -> bool:
    for other in others:
        if first.__class__ is not other.__class__ or not isinstance(first, str | int):
            raise BuiltinError(
                'template: template:1: executing "template": error calling eq: '
                "incompatible types for comparison"
            )
    return any(first == other for other in others)


_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "len": _length,
    "not": lambda value: not _truth(value),
    "and": lambda *values: next((value for value in values if not _truth(value)), values[-1]),
    "or": lambda *values: next((value for value in values if _truth(value)), values[-1]),
    "eq": _same,
    "ne": lambda first, other: not _same(first, other),
}

_OTHERS: Final = frozenset(
    ("call", "ge", "gt", "html", "index", "js", "le", "lt", "print", "printf", "println", "slice", "urlquery")
)
"""Go's own functions that aren't here."""
