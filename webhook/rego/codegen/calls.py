"""The code of calls: functions of the policy, builtins, `walk`; and what of a body only filters by values."""

from __future__ import annotations

from collections import Counter
from typing import Any

from webhook.core.errors import CompileError
from webhook.rego.ast import Array, Body, Call, Expr, Location, Number, Ref, String, Term, Var
from webhook.rego.builtins.declaration import DECLARATIONS, REFUSED, Declaration
from webhook.rego.codegen.alone import Alone
from webhook.rego.codegen.in_place import InPlace
from webhook.rego.codegen.raising import Raising
from webhook.rego.codegen.scope import Scope, has_free, is_free
from webhook.rego.tree import Node, constant
from webhook.rego.types import BOOLEAN
from webhook.rego.values import key


class Calls(InPlace):
    """Knows the code of calls."""

    def __init__(self, root: Node, targets: frozenset[tuple[Any, ...]], mocked: frozenset[str]) -> None:
        super().__init__(root, targets)
        self.raising = Raising(root)
        self.alone = Alone(root, targets, mocked)
        self.calls: Counter[int] = Counter()  # of the policy's functions, by the rules' numbers
        self.mocked = mocked  # the functions and builtins that `with` replaces, anywhere in the program

    def may_raise(self, body: Body) -> bool:
        """Tell whether a body may end the query."""
        return self.raising.body(body)

    def call(self, call: Call, scope: Scope) -> Scope:
        """Write a call: it goes on where the result isn't false, or matches the last operand."""
        name = call.name
        if name in ("eq", "assign") and len(call.args) == 2:
            return self.unify(call.args[0], call.args[1], scope)
        node = self.function_node(call.operator)
        if node is not None:
            return self.function(call, name, node, scope)
        if name == "walk":
            return self.walk(call, scope)
        declaration = self.declaration(call, name)
        arity = len(declaration.arguments)
        extra = len(call.args) - arity
        args, scope = self.arguments(call.args[:arity], scope)
        if extra == 0 and (condition := self.condition(name, call.args, args)) and name not in self.mocked:
            self.check(f"not ({condition})")
            return scope
        result = self.builtin(name, declaration, args, call.location)
        if declaration.result is None:
            return scope
        return self.outcome(call, extra, result, scope, boolean=declaration.result == BOOLEAN)

    def declaration(self, call: Call, name: str) -> Declaration:
        """Return what declares a builtin.

        Raises:
            CompileError: it is refused, or nothing has this name.
        """
        declaration = DECLARATIONS.get(name)
        if declaration is None:
            why = REFUSED.get(name)
            message = f"{name} is refused: {why}" if why else f"undefined function {name}"
            raise CompileError(message, "", call.location.row, call.location.column)
        return declaration

    def function_node(self, operator: Ref) -> Node | None:
        """Return the rules that a call is of."""
        if operator.root != "data":
            return None
        node: Node | None = self.root
        for term in operator.terms[1:]:
            node = node.children.get(key(constant(term))) if node is not None else None
        return node if node is not None and node.number >= 0 else None

    def arguments(self, terms: tuple[Term, ...], scope: Scope) -> tuple[list[str], Scope]:
        """Write the operands."""
        args = []
        for term in terms:
            text, scope = self.value(term, scope)
            args.append(text)
        return args, scope

    def function(self, call: Call, name: str, node: Node, scope: Scope) -> Scope:
        """Write the call of a function of the policy."""
        arity = len(node.rules[0][1].head.args)
        args, scope = self.arguments(call.args[:arity], scope)
        result = self.name("t")
        listed = ", ".join([self.frame, *args])
        self.mockable(result, name, args, f"r_{node.number}({listed})")
        self.called_from(node)
        return self.outcome(call, len(call.args) - arity, result, scope)

    def called_from(self, node: Node) -> None:
        """Count a place that calls a function; in two loops it is likely to do so again with the same."""
        self.calls[node.number] += 2 if self.loops > 1 else 1

    def mockable(self, result: str, name: str, args: list[str], text: str) -> None:
        """Write a call that `with` may redirect."""
        if name not in self.mocked:
            self.emit(f"{result} = {text}")
            return
        mock = self.name("t")
        listed = ", ".join([self.frame, mock, *args])
        self.emit(f"{mock} = {self.frame}.mocks.get({name!r})")
        self.emit(f"{result} = {text} if {mock} is None else CALLED({listed})")

    def outcome(self, call: Call, extra: int, result: str, scope: Scope, *, boolean: bool = False) -> Scope:
        """Write what becomes of a result: it is matched, or has to be something else than false.

        Args:
            call: the call.
            extra: how many operands it has beyond the arguments: one takes the result.
            result: the name that holds the result, which may be undefined.
            scope: the variables that are bound.
            boolean: whether the result is true, false or undefined for sure.
        """
        if extra > 0:
            self.check(f"{result} is U")
            return self.match(call.args[-1], result, scope)
        self.check(f"not {result}" if boolean else f"{result} is U or {result} is False")
        return scope

    def builtin(self, name: str, declaration: Declaration, args: list[str], location: Location) -> str:
        """Write the call of a builtin; return the name of its result, which may be undefined."""
        result = self.name("t")
        quick = None if name in self.mocked else self.quick(name, args)
        listed = ", ".join([f"{self.frame}.context", *args] if declaration.needs_context else args)
        text = f"{self.constant(declaration.implementation)}({listed})"
        self.emit("try:")
        self.indent += 1
        self.mockable(result, name, args, f"{quick} else {text}" if quick else text)
        self.indent -= 1
        failure = f"FAILURE({self.frame}, error, {name!r}, {self.place(location)})"
        self.emit(f"except FAILED as error: {result} = {failure}")
        self.emit(f"if {self.budget()}.left < 0: {self.budget()}.spend()")  # what was slow is seen here
        return result

    def keys_asked(self, node: Node, rest: list[Term], scope: Scope) -> int:
        """Return how many keys of rules that may conflict are known here: OPA evaluates those alone."""
        first = node.rules[0][1].head
        if node.function or not self.raising.rules(node) or self.hideable(node):
            return 0
        if node.document:
            most = max(len(path) + rule.head.multi_value for path, rule in node.rules)
        else:
            most = 1 if first.multi_value else 0
        known = 0
        while known < min(most, len(rest)) and not has_free(rest[known], scope):
            known += 1
        return known

    def movable(self, expr: Expr) -> bool:
        """Tell whether an expression only filters by values: it may be asked as soon as these are known."""
        terms = expr.terms
        if expr.negated or expr.with_ or not isinstance(terms, Call) or terms.name in self.mocked:
            return False
        declaration = DECLARATIONS.get(terms.name)
        if declaration is None or not declaration.pure or declaration.relation:
            return False
        if declaration.result != BOOLEAN or len(terms.args) != len(declaration.arguments):
            return False
        return all(isinstance(arg, Var | String | Number) for arg in terms.args)

    def filters(self, scope: Scope) -> None:
        """Write what of the rest of the body only filters by values that are known now.

        A filter is so asked once for all turns of the loops that follow, and not in each.
        """
        pending, self.pending = self.pending, []
        later = []
        for expr in pending:
            terms = expr.terms
            if isinstance(terms, Call) and not any(is_free(arg, scope) for arg in terms.args):
                self.call(terms, scope)
            else:
                later.append(expr)
        self.pending = later

    def walk(self, call: Call, scope: Scope) -> Scope:
        """Write a loop over all that is in a value: ``walk(x, [path, value])``."""
        text, scope = self.value(call.args[0], scope)
        output = call.args[1] if len(call.args) > 1 else Var("$walk")
        self.room(1)
        path, found, budget = self.name("i"), self.name("v"), self.budget()
        pattern = output.items if isinstance(output, Array) else None
        paths = True
        if pattern is not None and len(pattern) == 2:
            paths = not (isinstance(pattern[0], Var) and pattern[0].wildcard)
        elif isinstance(output, Var) and output.wildcard:
            paths = False
        self.loop(f"for {path}, {found} in WALK({budget}, {text}, {paths}, {{weight}}):")
        if pattern is not None and len(pattern) == 2:
            return self.elements([(pattern[0], path), (pattern[1], found)], scope)
        return self.match(output, f"[{path}, {found}]", scope)
