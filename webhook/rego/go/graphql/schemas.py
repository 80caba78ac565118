"""Schemas of GraphQL, parsed into the objects that OPA shows."""

from __future__ import annotations

from typing import Final

from webhook.rego.go.graphql.parser import Node, Parser

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
_KINDS: Final = {
    "scalar": "SCALAR",
    "type": "OBJECT",
    "interface": "INTERFACE",
    "union": "UNION",
    "enum": "ENUM",
    "input": "INPUT_OBJECT",
}
_PARTS: Final = ("Interfaces", "Directives", "Fields", "Types", "EnumValues")


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
