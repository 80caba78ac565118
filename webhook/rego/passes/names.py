"""Names of variables: unique ones for all modules, and what a name means in the bodies it is in."""

from __future__ import annotations

from typing import Final

from webhook.rego.ast import Location, Ref, Term, Var
from webhook.rego.passes.walk import rebuild

# How a name came into a body: what is said where it is declared there again.
SEEN: Final = "var {} referenced above"
ASSIGNED: Final = "var {} assigned above"
DECLARED: Final = "var {} declared above"
ARGUMENT: Final = "arg {} redeclared"


class Names:
    """Makes names that no module has."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.next = 0
        #: The names that were written, by the unique ones.
        self.written: dict[str, str] = {}

    def new(self, location: Location) -> Var:
        """Return a new variable."""
        while True:
            name = f"__local{self.next}__"
            self.next += 1
            if name not in self.taken:
                return Var(name, location)

    def original(self, name: str) -> str:
        """Tell what a variable was called."""
        return self.written.get(name, name)

    def as_written(self, ref: Ref) -> Ref:
        """Return a reference with its variables as they were written."""

        def renamed(term: Term) -> Term:
            if isinstance(term, Var):
                return Var(self.original(term.name), term.location)
            return rebuild(term, renamed, lambda body: body)

        return Ref(tuple([renamed(one) for one in ref.terms]), ref.location)


class Scopes:
    """What names mean, from the outermost body to the innermost; the mark says how a name came there."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.stack: list[dict[str, tuple[str, str]]] = [{}]

    def meaning(self, name: str) -> str | None:
        """Return what a name is called here, or None."""
        for scope in reversed(self.stack):
            if name in scope:
                return scope[name][0]
        return None

    def mark(self, name: str) -> str | None:
        """How a name came into the innermost body."""
        found = self.stack[-1].get(name)
        return None if found is None else found[1]

    def shadowed(self, name: str) -> str | None:
        """Tell what replaces ``data`` or ``input``, if it was declared."""
        for scope in reversed(self.stack):
            if name in scope:
                meaning, mark = scope[name]
                return None if mark == SEEN else meaning
        return None

    def put(self, name: str, meaning: str, mark: str) -> None:
        """Give a name a meaning in the innermost body."""
        self.stack[-1][name] = (meaning, mark)
        if name != meaning:
            self.names.written[meaning] = name
