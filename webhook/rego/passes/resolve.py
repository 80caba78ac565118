"""Names to references: what rules and imports are called in a package becomes their full path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from webhook.rego.ast import (
    COMPREHENSIONS,
    ROOTS,
    Array,
    Body,
    Call,
    Every,
    Expr,
    Module,
    Not,
    Object,
    Ref,
    Rule,
    Set,
    Some,
    String,
    TemplateString,
    Term,
    Var,
    chain,
)
from webhook.rego.construction import chained, relocate
from webhook.rego.errors import COMPILE, Problems
from webhook.rego.node_text import show
from webhook.rego.passes.walk import inside, rebuild, rebuild_head, rebuild_with, variables


def resolve(modules: Mapping[str, Module], problems: Problems) -> dict[str, Module]:
    """Resolve the names of all modules; imports are gone from the result."""
    exported: dict[Ref, set[str]] = {}
    for module in modules.values():
        names = exported.setdefault(module.package, set())
        names.update(rule.head.ref.root or "" for rule in module.rules)
    return {
        name: _Resolver(_globals(module, exported[module.package]), problems).module(module)
        for name, module in modules.items()
    }


def _globals(module: Module, exported: set[str]) -> dict[str, Ref]:
    found = {name: Ref((*module.package.terms, String(name))) for name in exported}
    for imported in module.imports:
        if imported.path.root in ROOTS:
            found[imported.name] = imported.path
    return found


def declared(body: Body) -> set[str]:
    """Return the names that a body declares with ``:=`` or ``some``, outside of comprehensions."""
    found: set[str] = set()
    for expr in body:
        for node in inside(expr, lambda one: isinstance(one, COMPREHENSIONS)):
            if not isinstance(node, Expr):
                continue
            if isinstance(node.terms, Call) and node.operator == "assign" and len(node.terms.args) == 2:
                found |= variables(node.terms.args[0])
            elif isinstance(node.terms, Some):
                for symbol in node.terms.symbols:
                    targets = symbol.args[:-1] if isinstance(symbol, Call) else (symbol,)
                    found |= variables(targets)
    return found


def is_root(term: Term) -> bool:
    """Whether a term is just ``data`` or ``input``."""
    return isinstance(term, Ref) and len(term.terms) == 1 and term.root in ROOTS


class _Resolver:
    def __init__(self, names: dict[str, Ref], problems: Problems) -> None:
        self.names = names
        self.problems = problems
        self.hidden: list[set[str]] = []

    def module(self, module: Module) -> Module:
        rules = []
        for rule in module.rules:
            rules.append(chained([self.rule(one) for one in chain(rule)]))
        return replace(module, rules=tuple(rules), imports=())

    def rule(self, rule: Rule) -> Rule:
        head = rule.head
        args: set[str] = set()
        for arg in head.args:
            for node in inside(arg, lambda one: isinstance(one, (Set, Call, *COMPREHENSIONS))):
                if isinstance(node, Var):
                    args.add(node.name)
                elif is_root(node):  # type: ignore[arg-type]
                    shadow = f"args must not shadow {show(node)} (use a different variable name)"  # type: ignore[arg-type]
                    self.problems.add(COMPILE, shadow, rule.location)
                    return rule
        self.hidden = [args, declared(rule.body)]
        head = rebuild_head(head, self.term, args=False, ref=True)
        return replace(rule, head=head, body=self.body(rule.body))

    def body(self, body: Body) -> Body:
        return tuple([self.expr(one) for one in body])

    def expr(self, expr: Expr) -> Expr:
        terms = expr.terms
        if isinstance(terms, Every):
            self.hidden.append(
                variables(terms.value) | (variables(terms.key) if terms.key is not None else set())
            )
            terms = replace(terms, domain=self.term(terms.domain), body=self.body(terms.body))
            self.hidden.pop()
        elif isinstance(terms, Not):
            terms = replace(terms, body=self.body(terms.body))
        elif isinstance(terms, Some):
            if isinstance(terms.symbols[0], Call):
                terms = replace(terms, symbols=tuple([self.term(one) for one in terms.symbols]))
        else:
            terms = self.term(terms)
        return replace(expr, terms=terms, with_=rebuild_with(expr.with_, self.term))

    def _global(self, var: Var) -> Ref | None:
        if var.name not in self.names or any(var.name in names for names in self.hidden):
            return None
        return relocate(self.names[var.name], var.location)

    def term(self, term: Term) -> Term:
        if isinstance(term, Var):
            return self._global(term) or term
        if isinstance(term, Ref):
            return self._ref(term)
        if isinstance(term, COMPREHENSIONS):
            self.hidden.append(declared(term.body))
            term = rebuild(term, self.term, self.body)
            self.hidden.pop()
            return term
        if isinstance(term, Array | Object | Set | Call | TemplateString):
            return rebuild(term, self.term, self.body)
        return term

    def _ref(self, ref: Ref) -> Ref:
        found: list[Term] = []
        for position, term in enumerate(ref.terms):
            resolved = term if isinstance(term, TemplateString) else self.term(term)
            if position == 0 and isinstance(term, Var) and isinstance(resolved, Ref):
                found.extend(resolved.terms)
            else:
                found.append(resolved)
        return Ref(tuple(found), ref.location)
