"""The code of values: scalars, collections and comprehensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from webhook.core.errors import CompileError
from webhook.rego.ast import (
    SCALARS,
    Array,
    ArrayComprehension,
    Body,
    Boolean,
    Call,
    Comprehension,
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
from webhook.rego.codegen.modes import Collect
from webhook.rego.codegen.references import References
from webhook.rego.codegen.scope import Scope, is_free, names_in
from webhook.rego.passes.walk import is_constant
from webhook.rego.tree import Node, constant, constant_of

_SMALL: Final = 10**15


class Terms(References):
    """Knows the code of terms."""

    def __init__(self, root: Node, targets: frozenset[tuple[Any, ...]]) -> None:
        super().__init__(root, targets)
        self.grouped: dict[int, frozenset[str]] = {}  # what OPA looks comprehensions up by
        self.slots = 0  # of a frame's cache: the rules' ones and those of comprehensions

    def body(self, body: Body, scope: Scope, result: Callable[[Scope], None]) -> None:
        """Write a body, and `result` where all of it is true."""
        raise NotImplementedError

    def unify(self, left: Term, right: Term, scope: Scope) -> Scope:
        """Write a unification; return the variables that are bound after it."""
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
            return self.named(self.comprehension(term, scope)), scope
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
        """Write a comprehension; return the name of its value.

        One that needs nothing of what is around it is evaluated once in a frame, like a rule.
        """
        self.room()
        names = self.grouped.get(id(term), frozenset())
        if names and self.may_raise(term.body):
            everything = SetComprehension(Boolean(True), term.body, term.location)
            own = set(names_in(everything))
            outside = {name: text for name, text in scope.items() if name not in own}
            self.kept_comprehension(everything, outside, replacing=False)  # it may end the query
        return self.kept_comprehension(term, scope, replacing=bool(names) and names <= scope.keys())

    def kept_comprehension(self, term: Comprehension, scope: Scope, *, replacing: bool) -> str:
        """Write a comprehension; `replacing`: an object's later value replaces an earlier one."""
        if not self.repeats or not scope.keys().isdisjoint(names_in(term)):
            return self.collected(term, scope, replacing=replacing)
        kept, self.slots = f"{self.frame}.cache[{self.slots}]", self.slots + 1
        name = self.name("c")
        self.emit(f"{name} = {kept}")
        self.emit(f"if {name} is NOT_YET:")
        self.indent += 1
        self.emit(f"{kept} = {name} = {self.collected(term, scope, replacing=replacing)}")
        self.indent -= 1
        if isinstance(term, SetComprehension):
            self.sets.add(name)
        return name

    def may_raise(self, body: Body) -> bool:
        """Tell whether a body may end the query."""
        raise NotImplementedError

    def collected(self, term: Comprehension, scope: Scope, *, replacing: bool = False) -> str:
        """Write what a comprehension collects; return the name of its value."""
        name, budget = self.name("r"), self.budget()
        mode, ordered, fail, mark = self.mode, self.ordered, self.fail, self.mark()
        is_array = isinstance(term, ArrayComprehension)
        start = "[]" if is_array else "SET()" if isinstance(term, SetComprehension) else f"BUILDER({budget})"
        self.emit(f"{name} = {start}")
        self.once()
        self.mode = Collect(name)
        self.ordered = is_array or (replacing and isinstance(term, ObjectComprehension))
        if isinstance(term, ArrayComprehension | SetComprehension):
            head = term.term

            def result(inner: Scope) -> None:
                text, _ = self.value(head, inner)
                self.emit(f"{name}.append({text})" if is_array else self.collect(name, text))

        else:
            key_term, value_term = term.key, term.value
            place = self.place(term.location)

            def result(inner: Scope) -> None:
                first, _ = self.value(key_term, inner)
                second, _ = self.value(value_term, inner)
                if replacing:
                    self.emit(f"{name}.replace({first}, {second})")
                else:
                    self.emit(f"{name}.put({first}, {second}, {place})")

        self.body(term.body, scope, result)
        self.close(mark)
        self.mode, self.ordered, self.fail = mode, ordered, fail
        if isinstance(term, ObjectComprehension):
            return f"{name}.finish()"
        if isinstance(term, SetComprehension):
            self.sets.add(name)
        return name
