"""Rules that can't be together: of one path but different kinds, one inside another, or inside themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from webhook.rego.ast import Call, Expr, Location, Module, Ref, String, Term, chain, is_ground
from webhook.rego.errors import COMPILE, MAX_ERRORS, RECURSION, TYPE, Problems
from webhook.rego.node_text import show, show_import
from webhook.rego.passes.resolve import is_root
from webhook.rego.passes.rules import Entry, Graph, Node, RuleId, RuleTree
from webhook.rego.passes.walk import rule_expressions


def place(location: Location) -> str:
    """Return a location as OPA writes it inside of a message."""
    return f"{location.file}:{location.row}" if location.file else f"{location.row}:{location.column}"


def check_rules(tree: RuleTree, modules: Mapping[str, Module], problems: Problems) -> None:
    """Refuse rules that conflict."""
    stack = [tree.root]
    while stack:
        node = stack.pop()
        if node.entries and _conflict(node, problems):
            continue
        stack.extend(node.children.values())
    _packages(modules, problems)


def _conflict(node: Node, problems: Problems) -> bool:
    entries = node.entries
    first = entries[0]
    ground = [is_ground(one.path) for one in entries]
    inside: list[Ref] = []
    if node.children:
        if any(ground):
            inside = _below(node, functions=False)
        elif not all(ground):
            inside = _below(node, functions=True)
    name = show(entries[-1].path)
    if inside:
        listed = " ".join(map(show, inside))
        problems.add(TYPE, f"rule {name} conflicts with [{listed}]", first.rule.location)
        return True
    kinds = {one.rule.head.multi_value for one in entries}
    arities = {len(one.rule.head.args) for one in entries}
    complete = {not one.rule.head.multi_value and is_ground(one.rule.head.ref) for one in entries}
    if len(kinds) > 1 or len(arities) > 1 or len(complete) > 1:
        problems.add(TYPE, f"conflicting rules {name} found", first.rule.location)
        return True
    defaults = [one for one in entries if one.rule.default]
    if len(defaults) > 1:
        places = ", ".join(place(one.rule.location) for one in defaults)
        problems.add(TYPE, f"multiple default rules {name} found at {places}", defaults[0].module.location)
        return True
    return False


def _below(node: Node, *, functions: bool) -> list[Ref]:
    """Return the rules below a node, or only the functions, none of which is inside of another; in order."""
    paths: list[Ref] = []
    for child in node.children.values():
        for below in child.walk():
            for one in below.entries:
                if not functions or one.rule.head.args:
                    paths.append(one.path)
    kept = [one for one in dict.fromkeys(paths) if not _has_prefix(one, paths)]
    return sorted(kept, key=lambda one: tuple(map(show, one.terms)))


def _has_prefix(path: Ref, others: Iterable[Ref]) -> bool:
    return any(
        len(one.terms) < len(path.terms) and path.terms[: len(one.terms)] == one.terms for one in others
    )


def _packages(modules: Mapping[str, Module], problems: Problems) -> None:
    by_path: dict[tuple[Term, ...], list[Module]] = {}
    for name in sorted(modules):
        by_path.setdefault(modules[name].package.terms, []).append(modules[name])
    for name in sorted(modules):
        module = modules[name]
        for rule in module.rules:
            ref = rule.head.ref
            if not is_ground(ref):
                continue
            path = (*module.package.terms, String(ref.root or ""), *ref.terms[1:])
            for other in by_path.get(path, ()):
                package = Ref(other.package.terms[1:])
                shown = ".".join([part.value for part in package.terms if isinstance(part, String)])
                problems.add(
                    TYPE,
                    f"package {shown} conflicts with rule {show(ref)} defined at {place(rule.location)}",
                    module.location,
                )


def check_recursion(
    graph: Graph, entries: Mapping[RuleId, Entry], places: Mapping[RuleId, Location], problems: Problems
) -> None:
    """Refuse rules that refer to themselves, directly or through others.

    Args:
        graph: what rules refer to.
        entries: the rules in the tree, without their `else`.
        places: of all rules, and each of their `else`, in the order in which they are reported.
        problems: where errors go.
    """
    _, acyclic = graph.ordered()
    if acyclic:
        return

    def name(id_: RuleId) -> str:
        return show(entries[id_[0], id_[1], 0].path)

    recursive = graph.recursive()
    for id_, location in places.items():
        if len(problems.found) >= MAX_ERRORS:
            return
        if id_ in recursive:
            path = " -> ".join(map(name, graph.cycle(id_)))
            problems.add(RECURSION, f"rule {name(id_)} is recursive: {path}", location)


def check_imports(modules: Mapping[str, Module], problems: Problems) -> None:
    """Refuse two imports of one name, where v1's rules hold."""
    for name in sorted(modules):
        module = modules[name]
        if not module.strict:
            continue
        seen: dict[str, str] = {}
        for one in module.imports:
            if one.name in seen:
                problems.add(COMPILE, f"import must not shadow {seen[one.name]}", one.location)
            else:
                seen[one.name] = show_import(one)


def check_shadowing(modules: Mapping[str, Module], problems: Problems) -> None:
    """Refuse rules and variables called ``data`` or ``input``, where v1's rules hold."""
    for module in modules.values():
        if not module.strict:
            continue
        for rule in module.rules:
            name = rule.head.ref.root
            if name in ("data", "input"):
                message = f"rules must not shadow {name} (use a different rule name)"
                problems.add(COMPILE, message, rule.location)
        for rule in module.rules:
            for one in chain(rule):
                for expr in rule_expressions(one):
                    _shadowing(expr, problems)


def _shadowing(expr: Expr, problems: Problems) -> None:
    terms = expr.terms
    if isinstance(terms, Call) and terms.name == "assign" and terms.args and is_root(terms.args[0]):
        shown = show(terms.args[0])
        message = f"variables must not shadow {shown} (use a different variable name)"
        problems.add(COMPILE, message, expr.location)
