"""The parser: tokens to nodes, with CEL's macros expanded.

Precedence and macros as in the CEL specification and in cel-go's extension libraries for optionals,
two-variable comprehensions and lists, which Kubernetes has. ``cel.bind`` isn't among them.
"""

from __future__ import annotations

from typing import Any

from webhook.cel.ast import (
    And,
    Call,
    Choice,
    Has,
    Index,
    ListOf,
    Literal,
    Loop,
    MapOf,
    Name,
    Not,
    OptionalElse,
    OptionalMap,
    Or,
    Select,
)
from webhook.cel.syntax import END, IDENTIFIER, LITERAL, QUOTED, RESERVED, checked, failure, tokenize
from webhook.core.errors import CompileError

MAX_DEPTH = 250

_PRECEDENCE = {
    "==": 1,
    "!=": 1,
    "<": 1,
    "<=": 1,
    ">": 1,
    ">=": 1,
    "in": 1,
    "+": 2,
    "-": 2,
    "*": 3,
    "/": 3,
    "%": 3,
}
_PREDICATES = {"all": "all", "exists": "exists", "exists_one": "exists_one"}
_PAIRS = {**_PREDICATES, "existsOne": "exists_one"}
_ACCUMULATORS = frozenset({"__result__", "@result"})
_EMPTY_MACRO = 5  # tokens of a macro besides its body: its name, parentheses, variable and comma
_TOKENS_A_STEP = 8  # evaluated in about a microsecond


def parse(source: str) -> Any:
    """Parse `source` into nodes as they are written.

    Raises:
        CompileError: a syntax error, or an expression that is nested too deeply.
    """
    return _Parser(source).whole()


class _Parser:
    __slots__ = ("depth", "kinds", "offsets", "position", "source", "values")

    def __init__(self, source: str) -> None:
        self.source = source
        self.kinds, self.values, self.offsets = tokenize(source)
        self.position = 0
        self.depth = 0

    def whole(self) -> Any:
        node = self.expression()
        if self.kinds[self.position] is not END:
            raise self.unexpected("an operator or the end")
        return node

    def error(self, position: int, message: str) -> CompileError:
        return failure(self.source, self.offsets[position], message)

    def unexpected(self, wanted: str) -> CompileError:
        kind, value = self.kinds[self.position], self.values[self.position]
        got = kind if value is None else repr(value[1] if kind is LITERAL else value)
        return self.error(self.position, f"syntax error: unexpected {got}, expected {wanted}")

    def take(self, kind: str) -> None:
        if self.kinds[self.position] != kind:
            raise self.unexpected(repr(kind))
        self.position += 1

    def deeper(self, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self.error(self.position, f"the expression is nested more than {MAX_DEPTH} levels deep")

    def expression(self) -> Any:
        self.depth += 1
        self.deeper(self.depth)
        node = self.any_of()
        if self.kinds[self.position] == "?":
            offset = self.offsets[self.position]
            self.position += 1
            yes = self.any_of()
            self.take(":")
            node = Choice(offset, node, yes, self.expression())
        self.depth -= 1
        return node

    def any_of(self) -> Any:
        kinds = self.kinds
        node = self.all_of()
        if kinds[self.position] != "||":
            return node
        offset, parts = self.offsets[self.position], [node]
        while kinds[self.position] == "||":
            self.position += 1
            parts.append(self.all_of())
        return Or(offset, tuple(parts))

    def all_of(self) -> Any:
        kinds = self.kinds
        node = self.binary(self.unary(), 1)
        if kinds[self.position] != "&&":
            return node
        offset, parts = self.offsets[self.position], [node]
        while kinds[self.position] == "&&":
            self.position += 1
            parts.append(self.binary(self.unary(), 1))
        return And(offset, tuple(parts))

    def binary(self, left: Any, lowest: int) -> Any:
        """Parse left-associative binary operators that bind at least as tightly as `lowest`."""
        kinds, length = self.kinds, 0
        operator = kinds[self.position]
        while (binding := _PRECEDENCE.get(operator, 0)) >= lowest:
            length += 1
            self.deeper(length)
            offset = self.offsets[self.position]
            self.position += 1
            right = self.unary()
            following = kinds[self.position]
            if _PRECEDENCE.get(following, 0) > binding:
                right = self.binary(right, binding + 1)
                following = kinds[self.position]
            left = Call(offset, operator, None, (left, right))
            operator = following
        return left

    def unary(self) -> Any:
        kinds = self.kinds
        operator = kinds[self.position]
        if operator == "!":
            start = self.position
            while kinds[self.position] == "!":
                self.position += 1
            count = self.position - start
            operand = self.member()
            return Not(self.offsets[start], operand) if count % 2 else operand
        if operator == "-":
            start = self.position
            while kinds[self.position] == "-":
                self.position += 1
            if self.position == start + 1 and kinds[self.position] is LITERAL:
                self.position = start  # one minus before a number is the number's own
                if self.values[start + 1][0] in ("int", "double"):
                    return self.member()
                self.position += 1
            count = self.position - start
            operand = self.member()
            return Call(self.offsets[start], "-", None, (operand,)) if count % 2 else operand
        return self.member()

    def member(self) -> Any:
        node = self.primary()
        kinds, length = self.kinds, 0
        while True:
            kind = kinds[self.position]
            if kind == ".":
                node = self.field(node)
            elif kind == "[":
                offset = self.offsets[self.position]
                self.position += 1
                optional = self.accept("?")
                index = self.expression()
                self.take("]")
                node = Index(offset, node, index, optional)
            else:
                if kind == "{" and isinstance(node, Name | Select):
                    raise self.error(self.position, "messages can't be made here: there are no message types")
                return node
            length += 1
            self.deeper(length)

    def field(self, node: Any) -> Any:
        offset = self.offsets[self.position]
        self.position += 1
        optional = self.accept("?")
        kind, name = self.kinds[self.position], self.values[self.position]
        if kind is QUOTED:
            self.position += 1
            return Select(offset, node, name, optional)
        if kind is not IDENTIFIER:
            raise self.unexpected("a field's name")
        start = self.position
        self.position += 1
        if optional or self.kinds[self.position] != "(":
            return Select(offset, node, name, optional)
        self.position += 1
        args = self.list_until(")")
        return self.member_macro(start, offset, name, node, args) or Call(
            self.offsets[start], name, node, args
        )

    def accept(self, kind: str) -> bool:
        if self.kinds[self.position] == kind:
            self.position += 1
            return True
        return False

    def list_until(self, end: str) -> tuple[Any, ...]:
        if self.accept(end):
            return ()
        items = [self.expression()]
        while self.accept(","):
            items.append(self.expression())
        self.take(end)
        return tuple(items)

    def primary(self) -> Any:
        position = self.position
        kind, value, offset = self.kinds[position], self.values[position], self.offsets[position]
        self.position += 1
        if kind is IDENTIFIER:
            if self.accept("("):
                return self.call(position, value)
            if value in RESERVED:
                raise self.error(position, f"syntax error: {value!r} is a reserved word")
            return Name(offset, value)
        if kind is LITERAL:
            return Literal(offset, value[0], checked(value[0], value[1], self.source, offset))
        if kind == "(":
            node = self.expression()
            self.take(")")
            return node
        if kind == "[":
            return self.list_literal(offset)
        if kind == "{":
            return self.map_literal(offset)
        if kind == "-" and self.kinds[position + 1] is LITERAL:
            value = self.values[position + 1]
            if value[0] in ("int", "double"):
                self.position += 1
                return Literal(offset, value[0], checked(value[0], -value[1], self.source, offset))
        if kind == "." and self.kinds[position + 1] is IDENTIFIER:
            name = self.values[position + 1]
            self.position += 1
            if self.accept("("):
                return Call(offset, name, None, self.list_until(")"))
            if name in RESERVED:
                raise self.error(position + 1, f"syntax error: {name!r} is a reserved word")
            return Name(offset, name, True)
        self.position = position
        raise self.unexpected("a value")

    def list_literal(self, offset: int) -> Any:
        items: list[Any] = []
        optional: list[bool] = []
        if self.kinds[self.position] == "," and self.kinds[self.position + 1] == "]":
            self.position += 1
        while self.kinds[self.position] != "]":
            optional.append(self.accept("?"))
            items.append(self.expression())
            if not self.accept(","):
                break
        self.take("]")
        return ListOf(offset, tuple(items), tuple(optional) if True in optional else ())

    def map_literal(self, offset: int) -> Any:
        entries: list[tuple[Any, Any, bool]] = []
        if self.kinds[self.position] == "," and self.kinds[self.position + 1] == "}":
            self.position += 1
        while self.kinds[self.position] != "}":
            optional = self.accept("?")
            key = self.expression()
            self.take(":")
            entries.append((key, self.expression(), optional))
            if not self.accept(","):
                break
        self.take("}")
        return MapOf(offset, tuple(entries))

    def call(self, position: int, name: str) -> Any:
        args = self.list_until(")")
        if name == "has" and len(args) == 1:
            selected = args[0]
            if not isinstance(selected, Select) or selected.optional:
                raise self.error(position, "has() takes a field, as in has(object.spec)")
            return Has(self.offsets[position], selected.operand, selected.field)
        if name in RESERVED:
            raise self.error(position, f"syntax error: {name!r} is a reserved word")
        return Call(self.offsets[position], name, None, args)

    def variable(self, position: int, node: Any) -> str:
        if not isinstance(node, Name) or node.absolute:
            raise self.error(position, f"{self.values[position]}() takes a simple name as its variable")
        if node.name in _ACCUMULATORS:
            raise self.error(position, f"a variable can't be named {node.name}")
        return node.name

    def member_macro(self, position: int, offset: int, name: str, target: Any, args: tuple[Any, ...]) -> Any:
        """Expand ``target.name(args)`` if it is a macro, else return None."""
        count = len(args)
        if count == 2:
            if name in _PREDICATES or name in ("map", "filter"):
                variable = self.variable(position, args[0])
                return Loop(offset, name, target, variable, None, args[1], weight=self.weight(position))
            if name in ("optMap", "optFlatMap"):
                variable = self.variable(position, args[0])
                return OptionalMap(offset, target, variable, args[1], name == "optFlatMap")
            if name == "sortBy":
                variable = self.variable(position, args[0])
                keys = Loop(offset, "map", target, variable, None, args[1], weight=self.weight(position))
                return Call(offset, "@sortBy", None, (target, keys))
        elif count == 3 and name == "map":
            variable, weight = self.variable(position, args[0]), self.weight(position)
            return Loop(offset, name, target, variable, None, args[2], args[1], weight=weight)
        elif count == 3 and name in _PAIRS:
            return self.pairs(position, offset, _PAIRS[name], target, args, None)
        elif count in (3, 4) and name in ("transformList", "transformMap", "transformMapEntry"):
            kind = "map" if name == "transformList" else name
            return self.pairs(position, offset, kind, target, args, args[2] if count == 4 else None)
        elif count == 1 and name in ("or", "orValue"):
            return OptionalElse(offset, target, args[0], name == "or")
        return None

    def pairs(
        self, position: int, offset: int, kind: str, target: Any, args: tuple[Any, ...], condition: Any
    ) -> Any:
        first, second = self.variable(position, args[0]), self.variable(position, args[1])
        if first == second:
            raise self.error(
                position, f"{self.values[position]}() takes two different variables, got {first} twice"
            )
        weight = self.weight(position)
        return Loop(offset, kind, target, first, second, args[-1], condition, weight=weight)

    def weight(self, start: int) -> int:
        """Return the steps of one turn of the macro whose name is at `start`, and which was just parsed.

        A map that is made is the largest thing that few tokens build.
        """
        inside = self.kinds[start : self.position]
        return 1 + (len(inside) - _EMPTY_MACRO) // _TOKENS_A_STEP + inside.count("{")
