"""The code of expressions of which only counts whether they are true, where that takes no loop to leave."""

from __future__ import annotations

from webhook.rego.ast import SCALARS, Call, Expr, Ref, String, Term, Var
from webhook.rego.builtins.declaration import DECLARATIONS
from webhook.rego.codegen.calls import Calls
from webhook.rego.codegen.scope import Scope, is_free
from webhook.rego.types import BOOLEAN


class Asking(Calls):
    """Knows the code of expressions that only look at values and plain paths: most of what `not` negates."""

    def asked(self, expr: Expr, scope: Scope) -> str:
        """Write what an expression needs; return code for: it is true. Nothing where it isn't that plain."""
        terms = expr.terms
        if expr.with_ or expr.negated:
            return ""
        if isinstance(terms, Var | Ref):
            if not self.is_plain(terms, scope):
                return ""
            text, unless = self.plain_value(terms, scope)
            return f"{unless}{text} is not False"
        return self.asked_call(terms, scope) if isinstance(terms, Call) else ""

    def asked_call(self, call: Call, scope: Scope) -> str:
        """Do so for a call."""
        name, node = call.name, self.function_node(call.operator)
        declaration = DECLARATIONS.get("equal" if name == "eq" else name)
        if node is not None:
            arity = len(node.rules[0][1].head.args)
        elif declaration is not None and declaration.result == BOOLEAN and not declaration.relation:
            arity = len(declaration.arguments)
        else:
            return ""
        if name in self.mocked or len(call.args) != arity:
            return ""
        if not all(self.is_plain(arg, scope) for arg in call.args):
            return ""
        values = [self.plain_value(arg, scope) for arg in call.args]
        args, guards = [text for text, _ in values], "".join([unless for _, unless in values])
        if node is not None:
            result = self.name("t")
            text = f"r_{node.number}({', '.join([self.frame, *args])})"
            self.emit(f"{result} = {text}{f' if {guards[:-5]} else U' if guards else ''}")
            self.called_from(node)
            return f"{result} is not U and {result} is not False"
        assert declaration is not None  # noqa: S101 - one of both is there
        if condition := self.condition(declaration.name, call.args, args):
            return f"{guards}({condition})"
        return "" if guards else self.builtin(name, declaration, args, call.location)

    def is_plain(self, term: Term, scope: Scope) -> bool:
        """Tell whether a term is a scalar, a variable with a value, or a path of names from one or input."""
        if isinstance(term, SCALARS):
            return True
        if isinstance(term, Var):
            return not is_free(term, scope)
        if not isinstance(term, Ref) or not isinstance(term.terms[0], Var) or len(term.terms) < 2:
            return False
        root = term.terms[0].name
        return (root in scope or root == "input") and all(isinstance(part, String) for part in term.terms[1:])

    def plain_value(self, term: Term, scope: Scope) -> tuple[str, str]:
        """Write a plain term; return code for its value, and for: it has one (``… and ``)."""
        if not isinstance(term, Ref):
            return self.value(term, scope)[0], ""
        head, *rest = term.terms
        name = scope[head.name] if isinstance(head, Var) and head.name in scope else self.input()
        found = self.chain(name, [part.value for part in rest if isinstance(part, String)], leave=False)
        return found, f"{found} is not U and "
