"""The code of references: look-ups, loops over what free variables visit, rules and base documents."""

from __future__ import annotations

from typing import Any

from webhook.rego.ast import Expr, Ref, String, Term, Var
from webhook.rego.codegen.scope import Scope, has_free
from webhook.rego.codegen.writer import Writer
from webhook.rego.tree import Node, constant
from webhook.rego.values import UNDEFINED, key


class References(Writer):
    """Knows the code of references."""

    def __init__(self, root: Node, targets: frozenset[tuple[Any, ...]]) -> None:
        super().__init__()
        self.root = root
        self.targets = targets  # what `with` replaces below data, anywhere in the program
        self.keyed: set[tuple[int, int]] = set()  # rules that are asked at so many keys
        self.sets: set[str] = set()  # the names that hold sets for sure
        self.pending: list[Expr] = []  # filters further on in the body, which loops ask as early as they can

    def value(self, term: Term, scope: Scope) -> tuple[str, Scope]:
        """Write what computes `term`, which fails where it is undefined; return the name of its value."""
        raise NotImplementedError

    def match(self, pattern: Term, name: str, scope: Scope) -> Scope:
        """Write the unification of `pattern` with the value that `name` holds."""
        raise NotImplementedError

    def reference(self, term: Ref, scope: Scope) -> tuple[str, Scope]:
        """Write a reference; it may open loops over what its free variables visit."""
        head, *rest = term.terms
        if isinstance(head, Var) and head.name not in scope:
            if head.name == "input":
                name = self.input()
                if not rest:
                    self.check(f"{name} is U")
                    return name, scope
                return self.select(name, rest, scope)
            if head.name == "data":
                return self.document(rest, scope)
            self.emit(self.fail)
            return "None", scope
        name, scope = self.value(head, scope)
        return self.select(name, rest, scope)

    def select(self, name: str, rest: list[Term], scope: Scope, *, stored: bool = False) -> tuple[str, Scope]:
        """Write what `rest` selects from a value, or from the base documents (`stored`)."""
        position = 0
        while position < len(rest):
            names = []
            while position < len(rest) and isinstance(part := rest[position], String):
                names.append(part.value)
                position += 1
            if names:
                name = self.chain(name, names, stored=stored)
                continue
            part = rest[position]
            position += 1
            if has_free(part, scope):
                name, scope = self.visit(name, part, scope)
                continue
            wanted, scope = self.value(part, scope)
            found = self.name("t")
            if stored or not wanted.isidentifier():
                self.emit(f"{found} = {'STORED' if stored else 'LOOKUP'}({name}, {wanted})")
            else:
                quick = f"{name}.get({wanted}, U) if {name}.__class__ is DICT and {wanted}.__class__ is STR"
                self.emit(f"{found} = {quick} else LOOKUP({name}, {wanted})")
            self.check(f"{found} is U")
            name = found
        return name, scope

    def chain(self, name: str, names: list[str], *, stored: bool = False, leave: bool = True) -> str:
        """Write look-ups by constant names: quick for plain objects, exact for everything.

        Args:
            name: holds the value.
            names: the path in it.
            stored: whether it is a base document.
            leave: whether the code fails where nothing is found; else the result may be undefined.
        """
        known = self.seen.get((name, stored, *names))
        found = known.name if known is not None else self.look_up(name, names, stored)
        if leave and not (known is not None and known.defined):
            self.check(f"{found} is U")
        self.see((name, stored, *names), found, defined=leave or (known is not None and known.defined))
        return found

    def look_up(self, name: str, names: list[str], stored: bool) -> str:
        """Write the look-ups of `chain`; return the name of what they find, or U."""
        found = self.name("t")
        *first, last = [repr(one) for one in names]
        brackets = "".join(f"[{one}]" for one in first)
        every = ", ".join([*first, last])
        along = "ALONG_STORED" if stored else "ALONG"
        if name in self.sets:
            path = f"{name}.members.get({last if not first else first[0]}, U)"
            self.emit(
                f"{found} = {path}"
                if not first
                else f"{found} = ALONG({path}, {', '.join([*first[1:], last])})"
            )
        elif not first:
            self.emit(
                f"{found} = {name}.get({last}, U) if {name}.__class__ is DICT else {along}({name}, {last})"
            )
        else:
            self.emit(f"try: {found} = {name}{brackets}.get({last}, U)")
            self.emit(f"except MISSING: {found} = {along}({name}, {every})")
        return found

    def visit(self, name: str, part: Term, scope: Scope) -> tuple[str, Scope]:
        """Open a loop over a container; bind or match what stands in the brackets."""
        self.room(1)
        name, budget, found = self.named(name), self.budget(), self.name("v")
        order = "_IN_ORDER" if self.ordered else ""
        if isinstance(part, Var) and part.wildcard:
            if order:
                self.loop(f"for {found} in VISIT{order}({budget}, {name}, {{weight}}):")
                return found, scope
            values = self.name("t")
            self.emit(f"{values} = {name} if {name}.__class__ is LIST else VALUES({name})")
            self.loop(f"for {found} in {values}:", charge=f"LEN({values}) * {{weight}}")
            return found, scope
        at = self.name("i")
        self.loop(f"for {at}, {found} in ENTRIES{order}({budget}, {name}, {{weight}}):")
        scope = self.match(part, at, scope)
        if self.pending:
            self.filters(scope)
        return found, scope

    def filters(self, scope: Scope) -> None:
        """Write what of the rest of the body only filters by values that are known now."""
        raise NotImplementedError

    def document(self, rest: list[Term], scope: Scope) -> tuple[str, Scope]:
        """Write a reference below ``data``: rules where the tree has some, base documents elsewhere."""
        node, path, position = self.root, [], 0
        while position < len(rest):
            value = constant(rest[position])
            if value is UNDEFINED:
                return self.dynamic(node, rest, position, scope)
            path.append(value)
            child = node.children.get(key(value))
            position += 1
            if child is None:
                return self.base(rest, scope)
            node = child
            if node.number >= 0:
                keys = self.keys_asked(node, rest[position:], scope)
                if keys:
                    asked = rest[position : position + keys]
                    found, scope = self.rule_at(node, asked, scope)
                    return self.select(found, rest[position + keys :], scope)
                return self.select(self.rule_value(node), rest[position:], scope)
        return self.dynamic(node, rest, position, scope)

    def base(self, rest: list[Term], scope: Scope) -> tuple[str, Scope]:
        """Write a reference to base documents alone."""
        return self.select(f"{self.frame}.data", rest, scope, stored=True)

    def hideable(self, node: Node) -> bool:
        """Tell whether a `with` somewhere in the program replaces what a node is in."""
        return any(node.path[: len(target)] == target for target in self.targets)

    def rule_value(self, node: Node) -> str:
        """Write the value of a rule without arguments."""
        found = self.name("t")
        if node.function:
            self.emit(self.fail)
            return "None"
        call = f"r_{node.number}({self.frame})"
        if self.hideable(node):
            path = self.constant(node.path)
            self.emit(
                f"{found} = ALONG({self.frame}.data, *{path}) if HIDDEN({self.frame}, {path}) else {call}"
            )
        else:
            self.emit(f"{found} = {call}")
        self.check(f"{found} is U")
        return found

    def keys_asked(self, node: Node, rest: list[Term], scope: Scope) -> int:
        """Return how many keys of rules that may conflict are known here: OPA evaluates those alone."""
        raise NotImplementedError

    def rule_at(self, node: Node, keys: list[Term], scope: Scope) -> tuple[str, Scope]:
        """Write what rules without arguments have at some keys."""
        texts = []
        for one in keys:
            text, scope = self.value(one, scope)
            texts.append(text)
        found, where = self.name("t"), f"r_{node.number}"
        self.emit(f"{found} = AT({self.frame}, {where}, {where}_at_{len(keys)}, {', '.join(texts)})")
        self.check(f"{found} is U")
        self.keyed.add((node.number, len(keys)))
        return found, scope

    def dynamic(self, node: Node, rest: list[Term], position: int, scope: Scope) -> tuple[str, Scope]:
        """Write a reference that ends above rules, or goes on there by what only the run knows."""
        at, path = self.name("t"), self.constant(node.path)
        place = f"PLACE({self.frame}, {self.constant(node)}, {path})"
        if self.hideable(node):
            place = f"ALONG({self.frame}.data, *{path}) if HIDDEN({self.frame}, {path}) else {place}"
        self.emit(f"{at} = {place}")
        for part in rest[position:]:
            if has_free(part, scope):
                self.room(1)
            found = self.name("v")
            if has_free(part, scope):
                name = self.name("i")
                self.loop(f"for {name}, {found} in STEPS({at}, {{weight}}):")
                scope = self.match(part, name, scope)
            else:
                wanted, scope = self.value(part, scope)
                self.emit(f"{found} = STEP({at}, {wanted})")
            at = found
        found = self.name("t")
        self.emit(f"{found} = WHOLE({at})")
        self.check(f"{found} is U")
        return found, scope
