"""Variables that nothing binds: noted while bodies are ordered, and reported in OPA's words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from webhook.rego.ast import Call, Expr, Location, Rule
from webhook.rego.errors import UNSAFE, Problems
from webhook.rego.lexer import FUTURE_KEYWORDS, IMPORTED_KEYWORDS
from webhook.rego.passes.walk import SAFETY, head_terms, inside, variables

_KEYWORDS = IMPORTED_KEYWORDS | FUTURE_KEYWORDS | {"and", "or"}


@dataclass(slots=True)
class Unsafe:
    """Expressions with the variables that they need and nothing binds."""

    found: dict[int, tuple[Expr, set[str]]] = field(default_factory=dict)

    def note(self, expr: Expr, names: set[str]) -> None:
        """Add to what an expression lacks."""
        before = self.found.get(id(expr))
        self.found[id(expr)] = (expr, names if before is None else before[1] | names)

    def update(self, other: Unsafe) -> None:
        """Add what another body lacks."""
        for expr, names in other.found.values():
            self.note(expr, names)

    def report(self, original: Callable[[str], str], problems: Problems) -> None:
        """Report variables by the names that were written; else expressions, once for each variable."""
        places: dict[str, Location] = {}
        for expr, names in self.found.values():
            for name in names:
                if name not in places or expr.location.order < places[name].order:
                    places[name] = expr.location
        before = len(problems.found)
        for name, location in sorted(places.items(), key=lambda one: (one[1].order, one[0])):
            written = original(name)
            if written.startswith("__local"):
                continue
            shown = "_" if written.startswith("$") else written
            message = f"var {shown} is unsafe"
            if written in _KEYWORDS:
                message += f" (hint: `import future.keywords.{shown}` to import a future keyword)"
            problems.add(UNSAFE, message, location)
        if len(problems.found) > before:
            return
        seen: set[str] = set()
        for expr, names in sorted(self.found.values(), key=lambda one: one[0].location.order):
            generated = {name for name in names if name.startswith("__local")}
            if generated - seen:
                seen |= generated
                problems.add(UNSAFE, "expression is unsafe", expr.location)


def check_head(rule: Rule, original: Callable[[str], str], problems: Problems) -> None:
    """Refuse a rule whose head has a variable that its body hasn't."""
    head = rule.head
    bound = variables(rule.body, SAFETY) | variables(head.args)
    needed = (*head.ref.terms[1:], *(one for one in head_terms(rule)))
    missing = variables(needed) - bound
    if not missing:
        return
    reported: set[str] = set()
    for node in (node for term in needed for node in inside(term)):
        name = getattr(node, "name", None)
        if name in missing and name not in reported and not isinstance(node, Call):
            reported.add(name)
            written = original(name)
            if not written.startswith("__local"):
                shown = "_" if written.startswith("$") else written
                problems.add(UNSAFE, f"var {shown} is unsafe", node.location)
