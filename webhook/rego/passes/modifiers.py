"""The targets and values of ``with``: which may be replaced, and by what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from webhook.rego.ast import Body, Expr, Location, Ref, Term, Var, With, ref_text
from webhook.rego.builtins.declaration import Declaration
from webhook.rego.errors import COMPILE, TYPE, Problems
from webhook.rego.passes.hoist import bind
from webhook.rego.passes.names import Names
from webhook.rego.passes.rules import RuleTree
from webhook.rego.passes.walk import needs_evaluation
from webhook.rego.value_text import quote

_INVALID = "with keyword replacing built-in function: "


class Modifiers:
    """Checks modifiers, and moves values that need evaluation in front of their expressions."""

    def __init__(
        self,
        tree: RuleTree,
        builtins: Mapping[str, Declaration],
        refused: Mapping[str, str],
        names: Names,
        problems: Problems,
    ) -> None:
        self.tree = tree
        self.builtins = builtins
        self.refused = refused
        self.names = names
        self.problems = problems

    def body(self, body: Body) -> Body:
        """Return a body with its own modifiers checked; not those of bodies inside."""
        if not any(one.with_ for one in body):
            return body
        found: list[Expr] = []
        before = len(self.problems.found)
        for expr in body:
            if len(self.problems.found) > before:
                break  # what was hoisted has the same modifiers, and would have the same problems
            modifiers: list[With] = []
            for one in expr.with_:
                modifier, evaluate = self._one(one)
                if len(self.problems.found) > before:
                    break
                if evaluate:
                    new, unified = bind(self.names, modifier.value)
                    found.append(unified)
                    modifier = replace(modifier, value=new)
                modifiers.append(modifier)
            found.append(replace(expr, with_=tuple(modifiers)))
        return tuple(found)

    def _builtin(self, term: Term) -> Ref | None:
        """Return the name of a builtin, if a term is one."""
        if not isinstance(term, Var | Ref):
            return None
        ref = term if isinstance(term, Ref) else Ref((term,), term.location)
        name = ref_text(ref)
        if name in self.refused:
            unsafe = f"{_INVALID}target must not be unsafe: {quote(name)}"
            self.problems.add(COMPILE, unsafe, term.location)
        return ref if name in self.builtins else None

    def _one(self, modifier: With) -> tuple[With, bool]:
        """Return a modifier, and whether its value needs evaluation."""
        value = modifier.value
        if isinstance(value, Var) and (named := self._builtin(value)) is not None:
            value = named
            modifier = replace(modifier, value=value)
        target = modifier.target
        if isinstance(target, Ref) and target.root == "data":
            return modifier, self._data(target, value)
        if isinstance(target, Ref) and target.root == "input":
            return modifier, needs_evaluation(value)
        before = len(self.problems.found)
        named = self._builtin(target)
        if len(self.problems.found) > before:
            return modifier, False
        if named is None:
            message = "with keyword target must reference existing input, data, or a function"
            self.problems.add(TYPE, message, target.location)
            return modifier, False
        modifier = replace(modifier, target=named)
        if not self._replaceable(self.builtins[ref_text(named)], named, target.location):
            return modifier, False
        return modifier, not self._is_function(value) and needs_evaluation(value)

    def _data(self, target: Ref, value: Term) -> bool:
        node = self.tree.root
        for term in target.terms[:-1]:
            child = node.child(term)
            if child is None:
                break
            if child.entries:
                partial = "with keyword cannot partially replace virtual document(s)"
                self.problems.add(COMPILE, partial, target.location)
                return False
            node = child
        last = node.child(target.terms[-1])
        if last is not None and any(one.rule.head.args for one in last.entries) and self._is_function(value):
            return False
        if isinstance(value, Ref):
            found = self.tree.find(value)
            if found is not None and any(one.rule.head.args for one in found.entries):
                return False
        return needs_evaluation(value)

    def _is_function(self, value: Term) -> bool:
        if isinstance(value, Ref) and self.tree.find(value) is not None:
            return True
        return self._builtin(value) is not None

    def _replaceable(self, builtin: Declaration, target: Ref, location: Location) -> bool:
        name = builtin.name
        if name in ("eq", "rego.metadata.chain", "rego.metadata.rule"):
            message = f"replacement of {quote(name)} invalid"
        elif target.root == "internal":
            message = f"replacement of internal function {quote(ref_text(target))} invalid"
        elif builtin.relation:
            message = "target must not be a relation"
        elif builtin.result is None:
            message = "target must not be a void function"
        else:
            return True
        self.problems.add(COMPILE, _INVALID + message, location)
        return False
