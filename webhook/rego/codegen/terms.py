"""The code of values: scalars, collections, comprehensions and references."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from webhook.core.errors import CompileError
from webhook.rego.ast import (
    SCALARS,
    Array,
    ArrayComprehension,
    Body,
    Call,
    Comprehension,
    Expr,
    Object,
    ObjectComprehension,
    Ref,
    Set,
    SetComprehension,
    String,
    TemplateString,
    Term,
    Var,
)
from webhook.rego.codegen.scope import Scope, has_free, is_constant, is_free
from webhook.rego.codegen.writer import Collect, Writer
from webhook.rego.tree import Node, constant
from webhook.rego.values import UNDEFINED, RegoSet, key, object_of

_SMALL: Final = 10**15


class Terms(Writer):
    """Knows the code of terms."""

    def __init__(self, root: Node, targets: frozenset[tuple[Any, ...]]) -> None:
        super().__init__()
        self.root = root
        self.targets = targets  # what `with` replaces below data, anywhere in the program
        self.keyed: set[tuple[int, int]] = set()  # rules that are asked at so many keys
        self.pending: list[Expr] = []  # filters further on in the body, which loops ask as early as they can

    def body(self, body: Body, scope: Scope, result: Callable[[Scope], None]) -> None:
        """Write a body, and `result` where all of it is true."""
        raise NotImplementedError

    def unify(self, left: Term, right: Term, scope: Scope) -> Scope:
        """Write a unification; return the variables that are bound after it."""
        raise NotImplementedError

    def match(self, pattern: Term, name: str, scope: Scope) -> Scope:
        """Write the unification of `pattern` with the value that `name` holds."""
        raise NotImplementedError

    def value(self, term: Term, scope: Scope) -> tuple[str, Scope]:
        """Write what computes `term`, which fails where it is undefined; return the name of its value."""
        if isinstance(term, SCALARS):
            return self.literal(constant(term)), scope
        if isinstance(term, Var):
            if is_free(term, scope):
                if term.name == "input":
                    return self.reference(Ref((term,), term.location), scope)
                raise CompileError(f"var {term.name} is unsafe", "", term.location.row, term.location.column)
            return scope[term.name], scope
        if isinstance(term, Ref):
            return self.reference(term, scope)
        if isinstance(term, ArrayComprehension | SetComprehension | ObjectComprehension):
            return self.comprehension(term, scope), scope
        if isinstance(term, Call | TemplateString):
            raise CompileError("a call isn't at the top", "", term.location.row, term.location.column)
        return self.collection(term, scope)

    def literal(self, value: Any) -> str:
        """Return code for a constant."""
        if value is None or value is True or value is False or value.__class__ is str:
            return repr(value)
        if value.__class__ is int and -_SMALL < value < _SMALL:
            return repr(value) if value >= 0 else f"({value!r})"
        return self.constant(value)

    def collection(self, term: Array | Object | Set, scope: Scope) -> tuple[str, Scope]:
        """Write an array, object or set."""
        if is_constant(term):
            return self.constant(constant_of(term)), scope
        name = self.name("t")
        if isinstance(term, Object):
            pairs = []
            for k, v in term.items:
                first, scope = self.value(k, scope)
                second, scope = self.value(v, scope)
                pairs.append((first, second))
            if all(isinstance(k, String) for k, _ in term.items):
                self.emit(f"{name} = {{{', '.join(f'{k}: {v}' for k, v in pairs)}}}")
            else:
                self.emit(f"{name} = OBJECT([{', '.join(f'({k}, {v})' for k, v in pairs)}])")
            return name, scope
        items = []
        for item in term.items:
            text, scope = self.value(item, scope)
            items.append(text)
        listed = ", ".join(items)
        self.emit(f"{name} = SET([{listed}])" if isinstance(term, Set) else f"{name} = [{listed}]")
        return name, scope

    def comprehension(self, term: Comprehension, scope: Scope) -> str:
        """Write a comprehension; return the name of its value."""
        self.room()
        name, budget = self.name("r"), self.budget()
        mode, ordered, fail, mark = self.mode, self.ordered, self.fail, self.mark()
        is_array = isinstance(term, ArrayComprehension)
        start = "[]" if is_array else "SET()" if isinstance(term, SetComprehension) else f"BUILDER({budget})"
        self.emit(f"{name} = {start}")
        self.once()
        self.mode, self.ordered = Collect(name), is_array
        if isinstance(term, ArrayComprehension | SetComprehension):
            head = term.term

            def result(inner: Scope) -> None:
                text, _ = self.value(head, inner)
                self.emit(f"{name}.append({text})" if is_array else f"ADD({budget}, {name}, {text})")

        else:
            key_term, value_term = term.key, term.value
            place = self.place(term.location)

            def result(inner: Scope) -> None:
                first, _ = self.value(key_term, inner)
                second, _ = self.value(value_term, inner)
                self.emit(f"{name}.put({first}, {second}, {place})")

        self.body(term.body, scope, result)
        self.close(mark)
        self.mode, self.ordered, self.fail = mode, ordered, fail
        if start.startswith("BUILDER"):
            built = self.name("t")
            self.emit(f"{built} = {name}.finish()")
            return built
        return name

    # References.

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
            self.emit(f"{found} = {'STORED' if stored else 'LOOKUP'}({name}, {wanted})")
            self.check(f"{found} is U")
            name = found
        return name, scope

    def chain(self, name: str, names: list[str], *, stored: bool = False) -> str:
        """Write look-ups by constant names: quick for plain objects, exact for everything."""
        found = self.name("t")
        *first, last = [repr(one) for one in names]
        brackets = "".join(f"[{one}]" for one in first)
        every = ", ".join([*first, last])
        along = "ALONG_STORED" if stored else "ALONG"
        if not first:
            self.emit(
                f"{found} = {name}.get({last}, U) if {name}.__class__ is DICT else {along}({name}, {last})"
            )
        else:
            self.emit(f"try: {found} = {name}{brackets}.get({last}, U)")
            self.emit(f"except MISSING: {found} = {along}({name}, {every})")
        self.check(f"{found} is U")
        return found

    def visit(self, name: str, part: Term, scope: Scope) -> tuple[str, Scope]:
        """Open a loop over a container; bind or match what stands in the brackets."""
        self.room(1)
        name, budget, found = self.named(name), self.budget(), self.name("v")
        order = "_IN_ORDER" if self.ordered else ""
        if isinstance(part, Var) and part.wildcard:
            self.loop(f"for {found} in VISIT{order}({budget}, {name}, {{weight}}):")
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


def constant_of(term: Term) -> Any:
    """Return the value of a term that is made of scalars alone."""
    if isinstance(term, Array):
        return [constant_of(item) for item in term.items]
    if isinstance(term, Set):
        return RegoSet([constant_of(item) for item in term.items])
    if isinstance(term, Object):
        return object_of([(constant_of(k), constant_of(v)) for k, v in term.items])
    return constant(term)
