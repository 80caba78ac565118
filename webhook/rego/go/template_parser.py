"""Parses Go's text templates into nodes."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from webhook.rego.context import BuiltinError, Halt
from webhook.rego.go.template_functions import FUNCTIONS, OTHERS

_ACTION: Final = re.compile(r"\{\{(- )?\s*(.*?)\s*( -)?\}\}", re.S)
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>-?[0-9][0-9.]*)|(?P<field>(?:\.[A-Za-z_]\w*)+)"""
    r"""|(?P<variable>\$\w*(?:\.[A-Za-z_]\w*)*)|(?P<word>[A-Za-z_]\w*)|(?P<sign>:=|[.|(),=]))"""
)
_MAX_DEPTH: Final = 50

Node = tuple[Any, ...]


def _unsupported(what: str) -> Halt:
    return Halt(f"strings.render_template: {what} is not supported in templates here")


class Parser:
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
                unquoted(value)
            commands[-1].append((kind, value))
    if depth:
        raise BuiltinError("template: template: unclosed left paren")
    return commands, at


def _check_word(word: str, *, first: bool) -> None:
    if word in ("true", "false") or (first and word in FUNCTIONS):
        return
    if word != "nil" and word not in FUNCTIONS and word not in OTHERS:
        raise BuiltinError(f'template: template:1: function "{word}" not defined')
    raise _unsupported(f"the function {word}" if first and word != "nil" else word)


def unquoted(text: str) -> str:
    """Return the string that a literal in quotation marks writes.

    Raises:
        Halt: it has an escape that JSON doesn't know.
    """
    try:
        return json.loads(text)  # type: ignore[no-any-return]
    except ValueError:
        raise _unsupported(f"the string {text}") from None
