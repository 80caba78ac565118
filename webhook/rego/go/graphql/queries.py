"""Queries of GraphQL, parsed into the objects that OPA shows."""

from __future__ import annotations

from webhook.rego.go.graphql.parser import Node, Parser
from webhook.rego.go.graphql.tokens import failed


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
