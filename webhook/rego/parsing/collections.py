"""Arrays, sets, objects, and their comprehensions, which are tried first: ``{1 | 1}`` is one."""

from __future__ import annotations

from typing import Any

from webhook.rego.ast import (
    Array,
    ArrayComprehension,
    Body,
    Location,
    Object,
    ObjectComprehension,
    Set,
    SetComprehension,
    Term,
)
from webhook.rego.construction import object_of, set_of
from webhook.rego.parsing.terms import TermParser


class CollectionParser(TermParser):
    """Reads arrays, sets, objects and comprehensions of them."""

    def _list(self, end: str, found: list[Term]) -> list[Term] | None:
        """Terms separated by commas, up to `end`, which is not stepped over."""
        while self.kind != end:
            term = self.infix(pairs=False)
            if term is None:
                return None
            found.append(term)
            if self.kind == ",":
                self.scan()
            elif self.kind != end:
                self.illegal(f'expected "," or "{end}"')
                return None
        return found

    def _array(self) -> Term | None:
        location = self.location
        self.scan()
        if self.kind == "]":
            return Array((), location)
        comprehension = self._leading_comma()
        start = self.save()
        head = self.term()
        if head is None:
            return None
        if self.kind == "]":
            return Array((head,), location)
        if self.kind == ",":
            self.scan()
            items = self._list("]", [head])
            return None if items is None else Array(tuple(items), location)
        if self.kind == "or" and comprehension:
            self.scan()
            body = self.body("]")
            if body is not None:
                return ArrayComprehension(head, body, location)
            if self.kind != ",":
                return None
        self.restore(start)
        items = self._list("]", [])
        return None if items is None else Array(tuple(items), location)

    def _leading_comma(self) -> bool:
        """Step over a comma, as in ``[, x]``; whether there was none, and this may be a comprehension."""
        if self.kind != ",":
            return True
        self.scan()
        return False

    def _set_or_object(self) -> Term | None:
        location = self.location
        self.scan()
        if self.kind == "}":
            return Object((), location)
        comprehension = self._leading_comma()
        start = self.save()
        head = self.term()
        if head is None:
            return None
        if (self.kind == "or" and comprehension) or self.kind in ("}", ","):
            return self._set(start, head, comprehension, location)
        if self.kind == ":":
            return self._object(head, comprehension, location)
        self.restore(start)
        head = self.infix(pairs=False)
        if head is None:
            return None
        if self.kind in ("}", ","):
            return self._set(start, head, False, location)
        if self.kind == ":":
            return self._object(head, comprehension, location)
        self.illegal("non-terminated set")
        return None

    def _set(self, start: tuple[Any, ...], head: Term, comprehension: bool, at: Location) -> Term | None:
        if self.kind == "}":
            return Set((head,), at)
        if self.kind == ",":
            self.scan()
            items = self._list("}", [head])
        else:
            if comprehension:
                self.scan()
                body = self.body("}")
                if body is not None:
                    return SetComprehension(head, body, at)
                if self.kind != ",":
                    return None
            self.restore(start)
            items = self._list("}", [])
        return None if items is None else set_of(items, at)

    def _object(self, key: Term, comprehension: bool, at: Location) -> Term | None:
        self.scan()
        start = self.save()
        value = self.term()
        if value is None:
            return None
        relation = True
        if comprehension and self.kind in ("}", ",", "or"):
            relation = self.kind == "or"
            found = self._object_rest(key, value, True, at)
            if found is not None:
                return found
        self.restore(start)
        if relation:
            value = self.infix(pairs=False)
            if value is None:
                return None
            if self.kind in ("}", ","):
                return self._object_rest(key, value, False, at)
        self.illegal("non-terminated object")
        return None

    def _object_rest(self, key: Term, value: Term, comprehension: bool, at: Location) -> Term | None:
        if self.kind == "}":
            return Object(((key, value),), at)
        if self.kind == "or":
            if not comprehension:
                self.illegal("non-terminated object")
                return None
            self.scan()
            body = self.body("}")
            return None if body is None else ObjectComprehension(key, value, body, at)
        self.scan()
        items = self._pairs([(key, value)])
        return None if items is None else object_of(items, at)

    def _pairs(self, found: list[tuple[Term, Term]]) -> list[tuple[Term, Term]] | None:
        while self.kind != "}":
            key = self.infix(pairs=False)
            if key is None:
                return None
            if self.kind != ":":
                self.illegal('expected ":"')
                return None
            self.scan()
            value = self.infix(pairs=False)
            if value is None:
                return None
            found.append((key, value))
            if self.kind == ",":
                self.scan()
            elif self.kind != "}":
                self.illegal('expected "," or "}"')
                return None
        return found

    def body(self, end: str) -> Body | None:
        """Read a body up to `end`, which is not stepped over."""
        raise NotImplementedError
