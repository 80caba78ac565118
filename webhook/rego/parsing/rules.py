"""Rules: their heads, bodies, `else`, defaults, and further bodies of one head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from webhook.rego import ast
from webhook.rego.ast import ROOTS, Body, Boolean, Call, Head, Location, Ref, Rule, Term, Var
from webhook.rego.construction import chained, relocate, true_body
from webhook.rego.lexer import EOF, IDENTIFIER, WHITESPACE
from webhook.rego.node_text import kind, show
from webhook.rego.parsing.expressions import ExpressionParser
from webhook.rego.parsing.terms import OPERATORS


class RuleParser(ExpressionParser):
    """Reads rules, with those that are chained to them."""

    def rules(self) -> list[Rule] | None:
        """One rule, and those that are chained to it; None if this is no rule."""
        location = self.location
        self.look_ahead_ref()
        default = False
        if self.kind == "default":
            self.scan()
            default = True
            self.look_ahead_ref()
        if self.kind != IDENTIFIER:
            return None
        head = self._head(default)
        if head is None:
            return None
        if default:
            return self._default(head, location)
        contains = "contains" in head.keywords
        has_if = self.kind == "if"
        if has_if and not contains and len(head.ref.terms) == 2:
            key = head.ref.terms[1]
            if (not ast.is_ground(key) or isinstance(key, Ref)) and not head.args:
                head = replace(head, key=key)
            if head.value is None:
                head = replace(head, value=Boolean(True, head.location), generated_value=True)
            elif head.ref.root is None:
                return None
            else:
                head = replace(head, name=head.ref.root or "")
        if not has_if and not contains and not head.args and len(head.ref.terms) == 2:
            first, key = head.ref.terms
            if head.ref.root is None:
                return None
            head = replace(head, name=head.ref.root or "", key=key)
            if head.value is None:
                head = replace(head, ref=Ref((first,), head.ref.location))
        return self._bodies(head, location, contains, has_if)

    def _bodies(self, head: Head, location: Location, contains: bool, has_if: bool) -> list[Rule] | None:
        body: Body | None = None
        if has_if:
            head = replace(head, keywords=head.keywords | {"if"})
            self.scan()
            start = self.save()
            expr = self.literal()
            if expr is not None and not isinstance(expr.terms, ast.Set):
                body = (expr,)
            else:
                self.restore(start)
        if body is None:
            if has_if or self.kind == "{":
                body = self.braced()
                if body is None:
                    return None
            elif contains:
                return [Rule(head, true_body(location), False, None, head.location, True)]
            else:
                return None
        rule = Rule(head, body, False, None, location)
        if self.kind == "else" and not self.look_ahead_ref():
            if len(head.ref.terms) > 1 and not ast.is_ground(head.ref):
                self.error(self.location, "else keyword cannot be used on rules with variables in head")
                return None
            if head.key is not None:
                self.error(self.location, "else keyword cannot be used on multi-value rules")
                return None
            otherwise = self._else(head)
            if otherwise is None:
                return None
            rule = replace(rule, else_=otherwise)
        return self._chained(rule)

    def _chained(self, rule: Rule) -> list[Rule] | None:
        rules = [rule]
        while self.kind == "{":
            if rule.else_ is not None:
                self.error(self.location, "expected else keyword")
                return None
            location = self.location
            body = self.braced()
            if body is None:
                return None
            head = relocate(self._fresh_wildcards(rule.head), location)
            rules.append(Rule(head, body, False, None, location))
        return rules

    def _fresh_wildcards(self, head: Head) -> Head:
        args = tuple(
            self.wildcard(arg.location) if isinstance(arg, Var) and arg.wildcard else arg for arg in head.args
        )
        return replace(head, args=args)

    def _else(self, head: Head) -> Rule | None:
        """Return the chain of `else` after a rule."""
        links: list[Rule] = []
        while True:
            one = self._one_else(head)
            if one is None:
                return None
            links.append(one)
            self.check_depth(len(links))
            if self.kind != "else" or one.generated_body:
                break
        return chained(links)

    def _one_else(self, head: Head) -> Rule | None:
        location = self.location
        head = replace(
            self._fresh_wildcards(head), location=location, generated_value=False, keywords=frozenset()
        )
        self.scan()
        if self.kind in ("{", "if"):
            head = replace(head, value=Boolean(True), generated_value=True)
        elif self.kind in ("assign", "eq"):
            assign = self.kind == "assign"
            self.scan()
            value = self.infix()
            if value is None:
                return None
            head = replace(head, value=value, assign=assign)
        else:
            self.illegal("expected else value term or rule body")
            return None
        has_if = self.kind == "if"
        if not has_if and self.kind != "{":
            return Rule(head, true_body(location), False, None, location, True)
        if has_if:
            head = replace(head, keywords=head.keywords | {"if"})
            self.scan()
        if self.kind == "{":
            body = self.braced()
            if body is None:
                return None
        elif self.kind != EOF:
            expr = self.literal()
            if expr is None:
                return None
            body = relocate((expr,), location)
        else:
            self.illegal("rule body expected")
            return None
        return Rule(head, body, False, None, location)

    def _default(self, head: Head, location: Location) -> list[Rule] | None:
        """Check a default rule's value and arguments."""
        if head.value is None:
            self.error(location, "illegal default rule (must have a value)")
            return None
        bad: list[Term] = [
            term for term in _outside_closures(head.value) if isinstance(term, Ref | Var | Call)
        ]
        for term in bad:
            self.error(location, f"illegal default rule (value cannot contain {kind(term)})")
        if bad:
            return None
        seen: set[str] = set()
        for arg in head.args:
            if not isinstance(arg, Var):
                bad.append(arg)
                self.error(location, f"illegal default rule (arguments cannot contain {kind(arg)})")
            elif arg.name in seen:
                bad.append(arg)
                repeated = f"illegal default rule (arguments cannot be repeated {show(arg)})"
                self.error(location, repeated)
            else:
                seen.add(arg.name)
        if bad:
            return None
        return [Rule(head, true_body(location), True, None, location)]

    def _head(self, default: bool) -> Head | None:
        location = self.location
        first = self.var()
        term = self._head_finish(first)
        if term is None:
            return None
        args: tuple[Term, ...] = ()
        if isinstance(term, Call):
            if not isinstance(term.operator.terms[0], Var):
                self.illegal(f"rule head ref {show(term.operator)} invalid")
                return None
            args = term.args
            call, term = True, term.operator
        else:
            call = False
        if isinstance(term, Var):
            term = Ref((term,), term.location)
        name = term.root or "" if len(term.terms) < 2 else ""
        head = Head(name, term, args, None, None, False, location)
        shown = show(term)
        if self.kind == "contains":
            if call:
                example = f"{shown} contains <VALUE> {{ ... }}"
                self.illegal(
                    "the contains keyword can only be used with multi-value rule definitions "
                    f"(e.g., {example})"
                )
            self.scan()
            key = self.infix()
            if key is None:
                self.illegal(f"expected rule key term (e.g., {shown} contains <VALUE> {{ ... }})")
            return replace(head, key=key, keywords=frozenset(("contains",)))
        if self.kind in ("eq", "assign"):
            head = self._head_value(head, shown, default)
        if head.value is None and (len(term.terms) != 2 or call):
            head = replace(head, value=Boolean(True, location), generated_value=True)
        return head

    def _head_value(self, head: Head, shown: str, default: bool) -> Head:
        assign = self.kind == "assign"
        self.scan()
        value = self.infix()
        if value is None:
            if not assign:
                self.illegal(f"expected rule value term (e.g., {shown}[<nil>] = <VALUE> {{ ... }})")
            elif head.args:
                self.illegal(f"expected function value term (e.g., {shown}(...) := <VALUE> {{ ... }})")
            elif default:
                self.illegal(f"expected default rule value term (e.g., default {shown} := <VALUE>)")
            else:
                self.illegal(f"expected rule value term (e.g., {shown} := <VALUE> {{ ... }})")
        return replace(head, value=value, assign=assign)

    def _head_finish(self, head: Var) -> Var | Ref | Call | None:
        self.scan(skip=False)
        if self.kind in OPERATORS:
            self.illegal()
        elif self.kind == WHITESPACE:
            self.scan()
        if self.kind in ("(", ".", "["):
            term = self.ref(head)
            if term is None:
                self.illegal("expected rule head name")
                return None
            return term if isinstance(term, Ref | Call) else None
        if self.kind == WHITESPACE:
            self.scan()
        return Ref((head,), head.location) if head.name in ROOTS else head


def _outside_closures(term: Term) -> Iterator[Term]:
    """`term` and what is in it; nothing inside closures, calls, or below a reference."""
    yield term
    if isinstance(term, ast.Array | ast.Set | ast.Object):
        for inner in ast.operands(term):
            yield from _outside_closures(inner)
