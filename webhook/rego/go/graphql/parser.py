"""Parses what GraphQL's queries and schemas share (https://spec.graphql.org/October2021)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from webhook.rego.context import BuiltinError, Context, Halt
from webhook.rego.go.graphql.tokens import Lexer, Token, failed
from webhook.rego.value_text import quote

Node = dict[str, Any]

_LITERALS: Final = {"Int": 1, "Float": 2, "String": 3, "BlockString": 4}
_WORDS: Final = {"true": 5, "false": 5, "null": 6}
_MAX_DEPTH: Final = 150
_MAX_TEXT: Final = 1 << 18


def pruned(value: Any) -> Any:
    """Return a value without nulls, and without what is empty but for strings."""
    if isinstance(value, list):
        return [item for item in map(pruned, value) if item is not None and item not in ({}, [])]
    if isinstance(value, dict):
        found = ((name, pruned(item)) for name, item in value.items())
        return {name: item for name, item in found if item is not None and item not in ({}, [])}
    return value


class Parser:
    """Follows a document; raises at the first thing that is wrong."""

    def __init__(self, context: Context, text: str) -> None:
        if len(text) > _MAX_TEXT:
            raise Halt(f"a GraphQL document of {len(text)} characters is over the limit of {_MAX_TEXT}")
        context.spend(20 + 2 * len(text))
        self.lexer = Lexer(text)
        self.token: Token | None = None
        self.comment: Node | None = None
        self.depth = 0

    def peek(self) -> Token:
        """Return the next token; comments in front of it are kept until it is taken."""
        if self.token is None:
            comments = []
            token = self.lexer.read()
            while token.kind == "Comment":
                comments.append({"Value": token.value})
                token = self.lexer.read()
            self.token = token
            if comments:
                self.comment = {"List": comments}
        return self.token

    def next(self) -> Token:
        """Take the next token."""
        token = self.peek()
        if token.problem:
            raise failed(token.line, token.column, token.problem)
        self.token = self.comment = None
        return token

    def unexpected(self, token: Token | None = None) -> BuiltinError:
        """Return that a token may not stand where it does."""
        token = token or self.peek()
        return failed(token.line, token.column, f"Unexpected {token}")

    def expect(self, kind: str) -> Token:
        """Take the next token, which must be of a kind."""
        token = self.peek()
        if token.kind != kind:
            raise failed(token.line, token.column, f"Expected {kind}, found {token.kind}")
        return self.next()

    def keyword(self, word: str) -> Node | None:
        """Take a word; return the comments before it."""
        token = self.peek()
        comment = self.comment
        if token.kind != "Name" or token.value != word:
            raise failed(token.line, token.column, f"Expected {quote(word)}, found {token}")
        self.next()
        return comment

    def skip(self, kind: str) -> bool:
        """Take the next token if it is of a kind."""
        if self.peek().kind != kind:
            return False
        self.next()
        return True

    def name(self) -> str:
        """Take a name."""
        return self.expect("Name").value

    def some(self, start: str, end: str, read: Callable[[], Any]) -> tuple[list[Any], Node | None]:
        """Return what is between two signs, one thing at least if they are there, and the last comments."""
        if not self.skip(start):
            return [], None
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise Halt("GraphQL is nested too deeply")
        found = []
        while self.peek().kind != end:
            found.append(read())
        if not found:
            token = self.peek()
            raise failed(token.line, token.column, f"expected at least one definition, found {token.kind}")
        comment = self.comment
        self.next()
        self.depth -= 1
        return found, comment

    def value(self, constant: bool) -> Node:
        """Read a value."""
        token = self.peek()
        comment = self.comment
        if token.kind in ("[", "{"):
            return self.collection(constant, token.kind, comment)
        node: Node = {"Comment": comment, "ExpectedTypeHasDefault": False}
        if token.kind == "$":
            if constant:
                raise self.unexpected()
            return {**node, "Comment": None, "Raw": self.variable(), "Kind": 0}
        if token.kind == "Name":
            kind = _WORDS.get(token.value, 7)
        elif token.kind in _LITERALS:
            kind = _LITERALS[token.kind]
        else:
            raise self.unexpected()
        self.next()
        return {**node, "Comment": self.comment, "Raw": token.value, "Kind": kind}

    def collection(self, constant: bool, sign: str, comment: Node | None) -> Node:
        """Read a list or object."""
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise Halt("GraphQL is nested too deeply")
        end = "]" if sign == "[" else "}"
        children: list[Node] = []
        self.next()
        while self.peek().kind != end:
            if sign == "[":
                children.append({"Name": "", "Value": self.value(constant)})
                continue
            self.peek()
            child: Node = {"Comment": self.comment, "Name": self.name()}
            self.expect(":")
            children.append({**child, "Value": self.value(constant)})
        self.next()
        self.depth -= 1
        kind = 8 if sign == "[" else 9
        return {
            "Raw": "",
            "Children": children,
            "Kind": kind,
            "Comment": comment,
            "ExpectedTypeHasDefault": False,
        }

    def variable(self) -> str:
        """Read ``$name``."""
        self.expect("$")
        return self.name()

    def directives(self, constant: bool) -> list[Node]:
        """Read directives."""
        found = []
        while self.skip("@"):
            name = self.name()
            found.append({"Name": name, "Arguments": self.arguments(constant), "Location": ""})
        return found

    def arguments(self, constant: bool) -> list[Node]:
        """Read the arguments of a field or directive."""

        def read() -> Node:
            self.peek()
            node: Node = {"Comment": self.comment, "Name": self.name()}
            self.expect(":")
            return {**node, "Value": self.value(constant)}

        return self.some("(", ")", read)[0]

    def type(self) -> Node:
        """Read the name of a type, in brackets or not."""
        node: Node = {"NamedType": "", "Elem": None}
        if self.skip("["):
            self.depth += 1
            if self.depth > _MAX_DEPTH:
                raise Halt("GraphQL is nested too deeply")
            node["Elem"] = self.type()
            self.depth -= 1
            self.expect("]")
        else:
            node["NamedType"] = self.name()
        return {**node, "NonNull": self.skip("!")}
