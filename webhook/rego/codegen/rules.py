"""The code of rules: one function for all definitions of a name, which finds conflicts; and of queries."""

from __future__ import annotations

from collections.abc import Sequence

from webhook.rego.ast import Boolean, Expr, Object, Rule, String, Term, Var, chain
from webhook.rego.codegen.left_out import LeftOut
from webhook.rego.codegen.modes import Collect, Return
from webhook.rego.codegen.raising import one_value
from webhook.rego.codegen.scope import Scope, visits
from webhook.rego.passes.walk import is_constant
from webhook.rego.tree import Node, constant_of
from webhook.rego.values import Value


def table_of(rules: list[Rule]) -> dict[str, Value]:
    """Return the constants that definitions give for texts, if they do nothing else; else nothing."""
    table: dict[str, Value] = {}
    for rule in rules:
        (argument,), value = rule.head.args, rule.head.value
        plain = rule.else_ is None and all(expr == Expr(Boolean(True)) for expr in rule.body)
        if not plain or not isinstance(argument, String) or argument.value in table:
            return {}
        if value is None or not is_constant(value):
            return {}
        table[argument.value] = constant_of(value)
    return table


class Rules(LeftOut):
    """Knows the code of rules."""

    def rule(self, node: Node) -> None:
        """Write the function of a node's rules."""
        rules = [rule for _, rule in node.rules]
        if node.document:
            self.document_rule(node)
        elif rules[0].head.multi_value:
            self.set_rule(node)
        else:
            self.complete_rule(node, rules)

    def query(self, query: Rule) -> str:
        """Write the function of a query, made by `webhook.rego.queries`; return its name."""
        name, result = self.function_name("q"), self.name("r")
        self.begin("return", Collect(result))
        self.own.add(result)
        self.emit(f"{result} = SET()")
        self.once()

        def add(scope: Scope) -> None:
            text, _ = self.value(query.head.key or Object(()), scope)
            self.emit(self.collect(result, text))

        self.body(query.body, {}, add)
        self.close(0)
        self.emit(f"return {result}")
        self.end(f"def {name}(F0):")
        return name

    def asked_at_keys(self, numbered: Sequence[Node]) -> None:
        """Write the functions of rules that are asked at some keys; these may ask for more.

        Args:
            numbered: the nodes with rules, by number.
        """
        written: set[tuple[int, int]] = set()
        while todo := self.keyed - written:
            for number, keys in sorted(todo):
                self.rules_at(numbered[number], keys)
            written |= todo

    def cached(self, node: Node) -> None:
        """Write: the value that this frame has already."""
        found = self.name("c")
        self.emit(f"{found} = F0.cache[{node.number}]")
        self.emit(f"if {found} is not NOT_YET: return {found}")

    def keep(self, node: Node, text: str) -> None:
        """Write: the value is kept and returned."""
        self.emit(f"F0.cache[{node.number}] = {text}")
        self.emit(f"return {text}")

    def rules_at(self, node: Node, keys: int) -> None:
        """Write what a node's rules have at some keys: their heads are matched before their bodies."""
        params = [self.name("a") for _ in range(keys)]
        if node.document:
            self.document_rule(node, params)
        else:
            self.set_rule(node, params)

    def heads(self, parts: tuple[Term, ...], params: list[str]) -> Scope:
        """Write the matches of a head with the keys that are asked for."""
        scope: Scope = {}
        for part, param in zip(parts, params, strict=False):
            scope = self.match(part, param, scope)
        return scope

    def finish_at(self, node: Node, params: list[str], result: str) -> None:
        """Write the end of a function: the whole is kept, or what is at the keys is returned."""
        if params:
            self.emit(f"return ALONG({', '.join([result, *params])})")
            self.end(f"def r_{node.number}_at_{len(params)}({', '.join(['F0', *params])}):")
        else:
            self.keep(node, result)
            self.end(f"def r_{node.number}(F0):")

    def set_rule(self, node: Node, params: list[str] | None = None) -> None:
        """Write a partial set, or whether it has the one member that is asked for."""
        result, params = self.name("r"), params or []
        self.begin("return", Collect(result))
        self.own.update([result, *params])
        if not params:
            self.cached(node)
        self.index(node)
        self.ask_index([])
        self.emit(f"{result} = SET()")
        for _, rule in node.rules:
            head = rule.head.key
            assert head is not None  # noqa: S101 - that is what a partial set is
            self.once()
            self.unless_left_out(rule)
            start = self.heads((head,), params)

            def add(scope: Scope, head: Term = head) -> None:
                text, _ = self.value(head, scope)
                self.emit(self.collect(result, text))

            self.body(self.body_of(rule), start, add)
            self.close(0)
        self.finish_at(node, params, result)

    def document_rule(self, node: Node, params: list[str] | None = None) -> None:
        """Write rules whose references go on with variables: an object, or a tree of objects."""
        simple = all(len(rest) == 1 and not rule.head.multi_value for rest, rule in node.rules)
        result, params = self.name("r"), params or []
        self.begin("return", Collect(result))
        self.own.update([result, *params])
        if not params:
            self.cached(node)
        self.index(node)
        self.ask_index([])
        self.emit(f"{result} = {'BUILDER' if simple else 'DOCUMENT'}({self.budget()})")
        for rest, rule in node.rules:
            place = self.place(rule.head.location)

            def put(
                scope: Scope, rest: tuple[Term, ...] = rest, rule: Rule = rule, place: str = place
            ) -> None:
                path = []
                for term in rest:
                    text, scope = self.value(term, scope)
                    path.append(text)
                leaf = rule.head.key if rule.head.multi_value else rule.head.value
                assert leaf is not None  # noqa: S101 - a head has a key or a value
                text, scope = self.value(leaf, scope)
                where = path[0] if simple else f"({', '.join(path)},)"
                add = "add" if rule.head.multi_value else "put"
                self.emit(f"{result}.{add}({where}, {text}, {place})")

            self.once()
            self.unless_left_out(rule)
            member = (rule.head.key,) if rule.head.multi_value and rule.head.key is not None else ()
            start = self.heads((*rest, *member), params)
            self.body(self.body_of(rule), start, put)
            self.close(0)
        built = self.name("t")
        self.emit(f"{built} = {result}.finish()")
        self.finish_at(node, params, built)

    def complete_rule(self, node: Node, rules: list[Rule]) -> None:
        """Write a complete rule or a function."""
        defaults = [rule for rule in rules if rule.default]
        rules = [rule for rule in rules if not rule.default]
        arity = len((rules or defaults)[0].head.args)
        if arity == 1 and not defaults and (table := table_of(rules)):
            self.table_rule(node, table)
            return
        result = self.name("r")
        params = [self.name("a") for _ in range(arity)]
        name = f"r_{node.number}"
        kept = self.kept(node, arity)
        inner = name if arity and not kept else f"{name}_value"
        kind = "function" if arity else "complete"
        links = [[*chain(rule)] for rule in rules]
        self.index(node)
        alone = len(links) == 1 and len(links[0]) == 1 and not any(map(visits, rules[0].body))
        first = alone or one_value(links)
        early = "" if first else self.early_function(node, links, params, defaults)
        self.begin("return U", Return())
        self.own.update([result, *params])
        self.is_function = arity > 0
        if arity:
            self.charge("4")
        self.ask_index(params, early=bool(early))
        if early and self.indexed is not None:
            listed = ", ".join(["F0", self.left, *params])
            self.emit(f"if {self.left} & {self.indexed.early}: return {early}({listed})")
        if first:
            self.first_value(links, params, kind, last=not defaults)
        else:
            self.emit(f"{result} = U")
            for one in links:
                self.links(one, params, result, kind, last=one is links[-1] and not defaults)
            self.emit(f"if {result} is not U: return {result}")
        for rule in defaults[:1]:
            self.clause(rule, params, "", kind)
        self.emit("return U")
        self.end(f"def {inner}({', '.join(['F0', *params])}):")
        if kept:
            self.keeping.append((node, arity))
        if not arity:
            self.begin("return U", Return())
            self.cached(node)
            self.emit(f"F0.cache[{node.number}] = t = {inner}(F0)")
            self.emit("return t")
            self.end(f"def {name}(F0):")

    def first_value(self, links: list[list[Rule]], params: list[str], kind: str, *, last: bool) -> None:
        """Write definitions of which the first that is true decides."""
        clauses = [rule for one in links for rule in one]
        for rule in clauses:
            self.clause(rule, params, "", kind, last=last and rule is clauses[-1])

    def early_function(
        self, node: Node, links: list[list[Rule]], params: list[str], defaults: list[Rule]
    ) -> str:
        """Write the function for what the index leaves where all of that has one value; return its name.

        The first that is true decides there, and what may end the query isn't reached.
        """
        raises = any(self.raising.body(rule.body) for one in links for rule in one)
        if self.indexed is None or not self.indexed.index.alike or not raises:
            return ""
        name, kind = f"r_{node.number}_early", "function" if params else "complete"
        self.begin("return U", Return())
        self.left = self.name("i")
        self.own.update(params)
        self.is_function = bool(params)
        self.first_value(links, params, kind, last=not defaults)
        for rule in defaults[:1]:
            self.clause(rule, params, "", kind)
        self.emit("return U")
        self.end(f"def {name}({', '.join(['F0', self.left, *params])}):")
        return name

    def table_rule(self, node: Node, table: dict[str, Value]) -> None:
        """Write a function that gives a constant for each of some texts."""
        self.begin("return U", Return())
        param = self.name("a")
        self.charge("4")
        self.emit(f"return {self.constant(table)}.get({param}, U) if {param}.__class__ is STR else U")
        self.end(f"def r_{node.number}(F0, {param}):")

    def links(
        self, links: list[Rule], params: list[str], result: str, kind: str, *, last: bool = False
    ) -> None:
        """Write a definition and its `else`: the first link that is true has the value; see `clause`."""
        if len(links) == 1:
            self.clause(links[0], params, result, kind, last=last)
            return
        mark = self.mark()
        own = self.name("r")
        self.emit(f"{own} = U")
        self.once()
        for position, link in enumerate(links):
            self.clause(link, params, own, kind)
            if position < len(links) - 1:
                self.emit(f"if {own} is not U: break")
        self.close(mark)
        place = self.place(links[0].location)
        self.emit(f"if {own} is not U: {result} = AGREE({result}, {own}, {kind!r}, {place})")

    def clause(self, rule: Rule, params: list[str], result: str, kind: str, *, last: bool = False) -> None:
        """Write one body: its value is returned, or agrees with what `result` is already.

        Args:
            rule: the link of a definition whose body it is.
            params: the names of the function's parameters.
            result: the name of the value so far; empty where the first value is returned.
            kind: of conflict, as `documents.agree` takes it.
            last: whether it leaves the function where it fails; others are blocks that are left.
        """
        mark, mode, fail = self.mark(), self.mode, self.fail
        if last:
            self.fail = f"return {result or 'U'}"
        else:
            self.once()
        self.unless_left_out(rule)
        self.mode = Collect(result) if result else Return()
        scope: Scope = {}
        for pattern, param in zip(rule.head.args, params, strict=True):
            if isinstance(pattern, Var) and not pattern.wildcard and pattern.name not in scope:
                scope = {**scope, pattern.name: param}
            else:
                scope = self.match(pattern, param, scope)

        def finish(scope: Scope) -> None:
            assert rule.head.value is not None  # noqa: S101 - a complete rule has a value
            text, _ = self.value(rule.head.value, scope)
            if not result:
                self.emit(f"return {text}")
                return
            agree = f"AGREE({result}, {text}, {kind!r}, {self.place(rule.location)})"
            self.emit(f"{result} = {text} if {result} is U else {agree}")

        self.body(self.body_of(rule), scope, finish)
        self.close(mark)
        self.mode, self.fail = mode, fail
