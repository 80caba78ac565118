"""The passes over parsed modules, in OPA's order, to rules from which code is generated.

What holds of the rules that `compile_modules` hands over, and needs no further check:

*Names.* A `Ref` whose head is the variable ``data`` or ``input`` is global; every other variable is local
to its rule. Imports are gone, and a package's path begins every reference to its rules. Variables that were
declared by ``:=``, ``some``, ``every`` or as an argument are called ``__local7__``, unique in all modules;
others keep their name; wildcards are ``$3``. An undeclared name in the body of a closure that also occurs
in the body around it is the same variable; if it only occurs in closures, each has its own.

*Expressions.* ``:=``, ``some`` and ``==`` are unifications (``eq``); only an ``equal`` whose result is
taken is left. ``print`` is erased. `Expr.terms` is a `Call`, an `Every`, a `Not`, or a term that must be
true.

*Calls.* There is no `Call` in a `Call`, a collection or a reference: nested ones stand in front, with one
more operand that their result is unified with: ``f(x, __local8__)``. So a call has as many operands as the
function has arguments (then its result must be true) or one more. What was nested in a negated expression
stands in front of it, not negated: an undefined operand makes the body undefined.

*References.* The head of a `Ref` is a `Var`. Operands, and what is in collections and brackets, have no
references and no comprehensions: they are variables that an ``eq`` in front binds. An operand of ``eq`` may
itself be one.

*With.* A target is a reference to ``input``, to ``data``, or the name of a builtin; a value is a constant,
variable, collection of these, or the reference of a function that replaces a function.

*Order.* When an expression is reached, every variable is bound that must be. The same holds inside
closures, where what the expressions before bind is bound too.

*Heads.* `key`, `value`, and what selects in `ref`, are constants, variables and collections of these.
`args` are patterns of the same; an argument that occurs twice must be equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from webhook.rego.ast import Module, Ref, Rule, chain, ref_text
from webhook.rego.builtins.declaration import DECLARATIONS, REFUSED, Declaration
from webhook.rego.construction import chained
from webhook.rego.errors import Problems, RegoError, limited
from webhook.rego.passes import conflicts, dynamics, modifiers, safety, unsafe
from webhook.rego.passes.calls import Calls, erase_prints
from webhook.rego.passes.constants import Constants
from webhook.rego.passes.hoist import Hoist
from webhook.rego.passes.local_variables import LocalVariables
from webhook.rego.passes.names import Names
from webhook.rego.passes.resolve import resolve
from webhook.rego.passes.rules import Graph, RuleId, RuleTree, by_id, full_path
from webhook.rego.passes.templates import Templates
from webhook.rego.passes.type_check import TypeChecker
from webhook.rego.passes.walk import head_terms, map_bodies, map_bodies_of, rebuild_head, variables
from webhook.rego.types import ANY, ARRAY_OF_ANY, BOOLEAN, STRING, Array


@dataclass(frozen=True, slots=True)
class Compiled:
    """Modules after all passes.

    Attributes:
        modules: by name.
        rules: every rule and each of its `else`, by what identifies it.
        paths: the full path of every rule, ``data.package.name``.
        order: all rules, each after those that it refers to.
        dependencies: the rules that a rule refers to directly.
        written: the names of variables as they were written, by their unique names.
    """

    modules: Mapping[str, Module]
    rules: Mapping[RuleId, Rule]
    paths: Mapping[RuleId, Ref]
    order: tuple[RuleId, ...]
    dependencies: Mapping[RuleId, tuple[RuleId, ...]]
    written: Mapping[str, str]


def compile_modules(
    modules: Mapping[str, Module], builtins: Mapping[str, Declaration] | None = None
) -> Compiled:
    """Run all passes.

    Args:
        modules: parsed, by name.
        builtins: the functions that are there, by name; all that are declared if None.

    Raises:
        RegoError: the modules can't be compiled.
    """
    return _Compilation(modules, _declared() if builtins is None else builtins).run()


#: What the language itself calls; the code generator makes these.
LANGUAGE = {
    one.name: one
    for one in (
        Declaration("eq", (ANY, ANY), BOOLEAN, None, infix="="),
        Declaration("assign", (ANY, ANY), BOOLEAN, None, infix=":="),
        Declaration("internal.member_2", (ANY, ANY), BOOLEAN, None, infix="in"),
        Declaration("internal.member_3", (ANY, ANY, ANY), BOOLEAN, None, infix="in"),
        Declaration("internal.template_string", (ARRAY_OF_ANY,), STRING, None),
        Declaration("walk", (ANY,), Array(static=(ARRAY_OF_ANY, ANY)), None, relation=True),
        Declaration("print", (), None, None, variadic=ANY),
    )
}


def _declared() -> Mapping[str, Declaration]:
    import webhook.rego.builtins  # noqa: F401 - declares them

    return {**LANGUAGE, **DECLARATIONS}


class _Compilation:
    """The modules on their way; each pass stops what follows if it finds problems."""

    def __init__(self, modules: Mapping[str, Module], builtins: Mapping[str, Declaration]) -> None:
        self.builtins = builtins
        self.problems = Problems()
        self.imports = modules
        self.modules: dict[str, Module] = {name: modules[name] for name in sorted(modules)}

    def run(self) -> Compiled:
        self.modules = resolve(self.modules, self.problems)
        self.problems.check()
        self.names = Names(self._all_variables())
        self._each(lambda rule: dynamics.head_reference(rule, self.names), first_only=True)
        conflicts.check_shadowing(self.modules, self.problems)
        self.problems.check()
        conflicts.check_imports(self.imports, self.problems)
        self.problems.check()
        self.tree = RuleTree(self.modules)
        self.safety = safety.Safety(self.arity)
        self._locals()
        self._templates()
        self.calls = Calls(self.builtins, REFUSED, self.arity, self.names, self.problems)
        self.calls.check_values(self._rules())
        self.problems.check()
        self._each(erase_prints)
        self._each(Hoist(self.names).rule)
        self._each(dynamics.ComprehensionTerms(self.names).rule)
        self._each(lambda rule: dynamics.heads(rule, self.names))
        self._modifiers()
        conflicts.check_rules(self.tree, self.modules, self.problems)
        self.problems.check()
        self.calls.check_functions(self._rules())
        self.problems.check()
        self._safety()
        self._each(lambda rule: replace(rule, body=dynamics.equals(rule.body)))
        bodies = dynamics.Dynamics(self.names)
        self._each(lambda rule: replace(rule, body=bodies.body(rule.body)))
        return self._checked()

    # --- help

    def _each(self, on_rule: Callable[[Rule], Rule], first_only: bool = False) -> None:
        """Replace all rules, and each of their `else` unless `first_only`."""
        for name, module in self.modules.items():
            rules: list[Rule] = []
            for rule in module.rules:
                first, *others = chain(rule)
                rules.append(chained([on_rule(first), *(others if first_only else map(on_rule, others))]))
            self.modules[name] = replace(module, rules=tuple(rules))

    def arity(self, ref: Ref) -> int:
        """How many arguments a function has; -1 if there is none."""
        declared = self.builtins.get(ref_text(ref))
        return len(declared.arguments) if declared is not None else self.tree.arity(ref)

    def _rules(self) -> Iterable[Rule]:
        """Return all rules, and each of their `else`."""
        return by_id(self.modules).values()

    def _all_variables(self) -> set[str]:
        found: set[str] = set()
        for rule in self._rules():
            found |= variables((*head_terms(rule), *rule.head.ref.terms, *rule.body))
        return found

    # --- passes

    def _locals(self) -> None:
        renamer = LocalVariables(self.names, self.problems)
        for name, module in self.modules.items():
            self.modules[name] = replace(module, rules=tuple([renamer.rule(one) for one in module.rules]))
        self.problems.check()

    def _templates(self) -> None:
        def relation(name: str) -> bool:
            return name in self.builtins and self.builtins[name].relation

        rewriter = Templates(self.names, self.safety, self.tree.always_defined, relation, self.problems)
        self._each(rewriter.rule)
        self.problems.check()

    def _modifiers(self) -> None:
        checker = modifiers.Modifiers(self.tree, self.builtins, REFUSED, self.names, self.problems)

        def on_rule(rule: Rule) -> Rule:
            body = checker.body(tuple([map_bodies(one, checker.body) for one in rule.body]))
            head = rebuild_head(rule.head, lambda term: map_bodies_of(term, checker.body), args=False)
            return replace(rule, head=head, body=body)

        self._each(on_rule)
        self.problems.check()

    def _safety(self) -> None:
        for rule in self._rules():
            unsafe.check_head(rule, self.names.original, self.problems)
        self.problems.check()
        self._each(self._ordered)
        self.problems.check()

    def _ordered(self, rule: Rule) -> Rule:
        outer = {"data", "input"} | variables(rule.head.args)
        lacking = unsafe.Unsafe()
        body = self.safety.order(rule.body, outer, lacking)
        if lacking.found:
            lacking.report(self.names.original, self.problems)
            return rule
        return replace(rule, body=body)

    def _checked(self) -> Compiled:
        rules = by_id(self.modules)
        entries = {entry.id: entry for node in self.tree.root.walk() for entry in node.entries}
        graph = Graph(rules, self.tree)
        conflicts.check_recursion(
            graph, entries, {one: rule.location for one, rule in rules.items()}, self.problems
        )
        self.problems.check()
        order, _ = graph.ordered()
        paths = {id_: self._path(id_, rule) for id_, rule in rules.items()}
        checker = TypeChecker(self.builtins, self.names)
        found = checker.rules((paths[id_], rules[id_]) for id_ in order)
        if found:
            raise RegoError(limited(found))
        strict = [rule for (name, _, _), rule in rules.items() if self.modules[name].strict]
        self.calls.check_deprecated(strict)
        self.problems.check()
        Constants(self.builtins, ((paths[id_], rules[id_]) for id_ in order), self.problems).check()
        self.problems.check()
        dependencies = {id_: tuple(dict.fromkeys(graph.edges(id_))) for id_ in rules}
        return Compiled(self.modules, rules, paths, tuple(order), dependencies, self.names.written)

    def _path(self, id_: RuleId, rule: Rule) -> Ref:
        return full_path(self.modules[id_[0]], rule.head)
