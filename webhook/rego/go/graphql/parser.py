"""Parses GraphQL documents into the objects that OPA shows (https://spec.graphql.org/October2021)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from webhook.rego.context import BuiltinError, Context, Halt
from webhook.rego.go.graphql.tokens import Lexer, Token, failed
from webhook.rego.texts import quote

Node = dict[str, Any]

LOCATIONS: Final = frozenset(
    [
        "QUERY",
        "MUTATION",
        "SUBSCRIPTION",
        "FIELD",
        "FRAGMENT_DEFINITION",
        "FRAGMENT_SPREAD",
        "INLINE_FRAGMENT",
        "SCHEMA",
        "SCALAR",
        "OBJECT",
        "FIELD_DEFINITION",
        "ARGUMENT_DEFINITION",
        "INTERFACE",
        "UNION",
        "ENUM",
        "ENUM_VALUE",
        "INPUT_OBJECT",
        "INPUT_FIELD_DEFINITION",
        "VARIABLE_DEFINITION",
    ]
)
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


class QueryParser(Parser):
    """Parses queries."""

    def document(self) -> Node:
        """Return the document."""
        operations, fragments = [], []
        while self.peek().kind != "<EOF>":
            token = self.peek()
            if token.kind == "{" or (
                token.kind == "Name" and token.value in ("query", "mutation", "subscription")
            ):
                operations.append(self.operation())
            elif token.kind == "Name" and token.value == "fragment":
                fragments.append(self.fragment())
            else:
                raise self.unexpected()
        return {"Operations": operations, "Fragments": fragments}

    def operation(self) -> Node:
        """Read an operation."""
        node: Node = {"Comment": self.comment, "Operation": "query", "Name": ""}
        if self.peek().kind == "{":
            # The library looks at its comments too late here.
            return {**node, "Comment": None, "SelectionSet": self.selections()}
        node["Operation"] = self.next().value
        if self.peek().kind == "Name":
            node["Name"] = self.next().value
        node["VariableDefinitions"] = self.variables()
        node["Directives"] = self.directives(False)
        node["SelectionSet"] = self.selections()
        return node

    def variables(self) -> list[Node]:
        """Read the definitions of variables."""

        def read() -> Node:
            self.peek()
            node: Node = {"Comment": self.comment, "Variable": self.variable(), "Used": False}
            self.expect(":")
            node["Type"] = self.type()
            if self.skip("="):
                node["DefaultValue"] = self.value(True)
            return {**node, "Directives": self.directives(False)}

        return self.some("(", ")", read)[0]

    def selections(self) -> list[Node]:
        """Read what is selected."""
        token = self.peek()
        if token.kind != "{":
            raise failed(token.line, token.column, f"Expected {{, found {token.kind}")
        return self.some("{", "}", self.selection)[0]

    def selection(self) -> Node:
        """Read a field, or a fragment that is spread."""
        if self.peek().kind != "...":
            return self.field()
        comment = self.comment
        self.next()
        token = self.peek()
        if token.kind == "Name" and token.value != "on":
            return {"Comment": comment, "Name": self.name(), "Directives": self.directives(False)}
        node: Node = {"Comment": comment, "TypeCondition": ""}
        if token.value == "on":
            self.next()
            node["TypeCondition"] = self.name()
        return {**node, "Directives": self.directives(False), "SelectionSet": self.selections()}

    def field(self) -> Node:
        """Read a field."""
        self.peek()
        node: Node = {"Comment": self.comment, "Alias": self.name()}
        node["Name"] = self.name() if self.skip(":") else node["Alias"]
        node["Arguments"] = self.arguments(False)
        node["Directives"] = self.directives(False)
        if self.peek().kind == "{":
            node["SelectionSet"] = self.selections()
        return node

    def fragment(self) -> Node:
        """Read the definition of a fragment."""
        self.peek()
        node: Node = {"Comment": self.comment}
        self.keyword("fragment")
        if self.peek().value == "on":
            raise self.unexpected()
        node["Name"] = self.name()
        node["VariableDefinition"] = self.variables()
        self.keyword("on")
        node["TypeCondition"] = self.name()
        return {**node, "Directives": self.directives(False), "SelectionSet": self.selections()}


class SchemaParser(Parser):
    """Parses schemas."""

    def document(self) -> Node:
        """Return the document."""
        result: Node = {
            name: [] for name in ("Schema", "SchemaExtension", "Directives", "Definitions", "Extensions")
        }
        while self.peek().kind != "<EOF>":
            description = self.description()
            token = self.peek()
            if token.kind != "Name":
                raise self.unexpected()
            if token.value in _KINDS:
                result["Definitions"].append(self.definition(description, self.keyword(token.value), False))
            elif token.value == "schema":
                result["Schema"].append(self.schema(description, self.keyword("schema")))
            elif token.value == "directive":
                result["Directives"].append(self.directive(description))
            elif token.value == "extend":
                if description["Description"]:
                    raise self.unexpected(self.described)
                self.extension(result)
            else:
                raise self.unexpected()
        self.peek()
        return {**result, "Comment": self.comment}

    def description(self) -> Node:
        """Read a description, if there is one."""
        token = self.peek()
        if token.kind not in ("String", "BlockString"):
            return {"Description": ""}
        comment = self.comment
        self.described = self.next()
        return {"Description": token.value, "BeforeDescriptionComment": comment}

    def inner_description(self) -> Node:
        """Read the description of a part of a definition; the comments of an empty one are lost."""
        found = self.description()
        if not found["Description"]:
            found = {"Description": ""}
        self.peek()
        return {**found, "AfterDescriptionComment": self.comment}

    def schema(self, description: Node, comment: Node | None) -> Node:
        """Read the root types of a schema."""

        def read() -> Node:
            self.peek()
            node: Node = {"Comment": self.comment}
            token = self.next()
            if token.value not in ("query", "mutation", "subscription"):
                raise self.unexpected(token)
            self.expect(":")
            return {**node, "Operation": token.value, "Type": self.name()}

        node = {**description, "AfterDescriptionComment": comment, "Directives": self.directives(True)}
        types, end = self.some("{", "}", read)
        return {**node, "OperationTypes": types, "EndOfDefinitionComment": end}

    def definition(self, description: Node, comment: Node | None, extends: bool) -> Node:
        """Read the definition of a type behind its keyword, or an extension of one."""
        word = self.word
        node: Node = {
            **description,
            "AfterDescriptionComment": comment,
            "Kind": _KINDS[word],
            "BuiltIn": False,
        }
        node["Name"] = self.name()
        if word == "type" or (word == "interface" and not extends):
            node["Interfaces"] = self.interfaces()
        node["Directives"] = self.directives(not (word == "input" and extends))
        end = None
        if word in ("type", "interface"):
            node["Fields"], end = self.some("{", "}", self.field)
        elif word == "input":
            node["Fields"], end = self.some("{", "}", self.input_field)
        elif word == "enum":
            node["EnumValues"], end = self.some("{", "}", self.enum_value)
        elif word == "union":
            node["Types"] = self.members()
        node["EndOfDefinitionComment"] = end
        if extends and not any(node.get(part) for part in _PARTS):
            raise self.unexpected()
        return node

    def keyword(self, word: str) -> Node | None:
        """Take a word, which is kept as the kind of what is defined; return the comments before it."""
        comment = super().keyword(word)
        self.word = word
        return comment

    def extension(self, result: Node) -> None:
        """Read an extension."""
        comment = self.keyword("extend")
        word = self.peek().value
        if word == "schema":
            self.keyword(word)
            node = self.schema({"Description": ""}, comment)
            if not node["Directives"] and not node["OperationTypes"]:
                raise self.unexpected()
            result["SchemaExtension"].append(node)
        elif word in _KINDS:
            self.keyword(word)
            result["Extensions"].append(self.definition({"Description": ""}, comment, True))
        else:
            raise self.unexpected()

    def interfaces(self) -> list[str]:
        """Read what a type implements."""
        if self.peek().value != "implements":
            return []
        self.next()
        self.skip("&")
        found = [self.name()]
        while self.skip("&"):
            found.append(self.name())
        return found

    def members(self) -> list[str]:
        """Read the types of a union."""
        if not self.skip("="):
            return []
        self.skip("|")
        found = [self.name()]
        while self.skip("|"):
            found.append(self.name())
        return found

    def field(self) -> Node:
        """Read the definition of a field."""
        node = self.inner_description()
        node["Name"] = self.name()
        node["Arguments"] = self.argument_definitions()
        self.expect(":")
        return {**node, "Type": self.type(), "Directives": self.directives(True)}

    def input_field(self) -> Node:
        """Read the definition of an argument, or of a field of an input."""
        node = self.inner_description()
        node["Name"] = self.name()
        self.expect(":")
        node["Type"] = self.type()
        if self.skip("="):
            node["DefaultValue"] = self.value(True)
        return {**node, "Directives": self.directives(True)}

    def argument_definitions(self) -> list[Node]:
        """Read the definitions of arguments."""
        return self.some("(", ")", self.input_field)[0]

    def enum_value(self) -> Node:
        """Read a value of an enumeration."""
        return {**self.inner_description(), "Name": self.name(), "Directives": self.directives(True)}

    def directive(self, description: Node) -> Node:
        """Read the definition of a directive."""
        comment = self.keyword("directive")
        self.expect("@")
        node: Node = {**description, "AfterDescriptionComment": comment, "Name": self.name()}
        node["Arguments"] = self.argument_definitions()
        token = self.peek()
        node["IsRepeatable"] = token.kind == "Name" and token.value == "repeatable"
        if node["IsRepeatable"]:
            self.next()
        self.keyword("on")
        self.skip("|")
        locations = [self.location()]
        while self.skip("|"):
            locations.append(self.location())
        return {**node, "Locations": locations}

    def location(self) -> str:
        """Read where a directive may stand."""
        token = self.expect("Name")
        if token.value not in LOCATIONS:
            raise self.unexpected(token)
        return token.value


_KINDS: Final = {
    "scalar": "SCALAR",
    "type": "OBJECT",
    "interface": "INTERFACE",
    "union": "UNION",
    "enum": "ENUM",
    "input": "INPUT_OBJECT",
}
_PARTS: Final = ("Interfaces", "Directives", "Fields", "Types", "EnumValues")
