"""Statements: the package, imports and the keywords they bring, rules, and bodies that stand for rules."""

from __future__ import annotations

from collections.abc import Iterator

from webhook.rego import lexer
from webhook.rego.ast import ROOTS, Body, Import, Location, Package, Ref, Rule, String, Var
from webhook.rego.lexer import EOF, IDENTIFIER, WHITESPACE
from webhook.rego.node_text import kind, show
from webhook.rego.parsing.rules import RuleParser


class StatementParser(RuleParser):
    """Reads statements one after the other."""

    def statements(self) -> Iterator[Package | Import | Rule | Body]:
        """All statements; stops at the first error, which is then in `errors`."""
        self.scan()
        while self.kind != EOF:
            start = self.save()
            if (package := self.package()) is not None:
                yield package
                continue
            if self.errors:
                return
            self.restore(start)
            if (imported := self.import_()) is not None:
                self._apply_import(imported)
                yield imported
                continue
            if self.errors:
                return
            self.restore(start)
            if (rules := self.rules()) is not None:
                yield from rules
                continue
            if self.errors:
                return
            self.restore(start)
            body = self.query(EOF, one=True)
            if body is None:
                return
            yield body

    def _path(self) -> bool:
        """Step over `package` or `import`, to a name; whether that is what the word means here."""
        self.scan(skip=False)
        if self.kind in (".", "["):
            return False
        if self.kind == WHITESPACE:
            self.scan()
        if self.kind == IDENTIFIER:
            return True
        if self.keyword_in_ref(self.kind):
            self.kind = IDENTIFIER
            return True
        self.illegal()
        return False

    def _only_names(self, path: Ref) -> bool:
        """Whether what follows the first name of a path are names; the first that isn't is an error."""
        for part in path.terms[1:]:
            if not isinstance(part, String):
                self.error(part.location, f"unexpected {kind(part)} token: expecting string")
                return False
        return True

    def package(self) -> Package | None:
        """``package a.b``."""
        if self.kind != "package":
            return None
        location = self.location
        if not self._path():
            return None
        term = self.term()
        if isinstance(term, Var):
            at = term.location
            return Package(Ref((Var("data", at), String(term.name, at)), at), location)
        if not isinstance(term, Ref):
            if term is not None:
                self.illegal()
            return None
        first = term.terms[0]
        if not isinstance(first, Var):
            self.error(first.location, f"unexpected {kind(first)} token: expecting var")
            return None
        if not self._only_names(term):
            return None
        at = first.location
        path = Ref((Var("data", at), String(first.name, at), *term.terms[1:]), term.location)
        return Package(path, location)

    def import_(self) -> Import | None:
        """``import a.b as c``."""
        if self.kind != "import":
            return None
        location = self.location
        if not self._path():
            return None
        keywords, self.keywords = self.keywords, lexer.KEYWORDS - lexer.FUTURE_KEYWORDS
        cache, self.cache = self.cache, {}
        term = self.term()
        self.keywords, self.cache = keywords, cache
        if isinstance(term, Var):
            term = Ref((term,), term.location)
        if not isinstance(term, Ref):
            self.error(self.location, "expected path")
            return None
        if not self._only_names(term):
            return None
        if term.root not in (*ROOTS, "future", "rego"):
            self.hints += ("if this is unexpected, try updating OPA",)
            wanted = "unexpected import path, must begin with one of: {data, future, input, rego}"
            self.error(term.location, f"{wanted}, got: {show(term.terms[0])}")
            return None
        if self.kind == "as":
            return self._alias(term, location)
        last = term.terms[-1]
        name = last.name if isinstance(last, Var) else last.value  # type: ignore[union-attr]
        if name in self.version_keywords and (len(term.terms) == 1 or term.root != "future"):
            self.error(last.location, f"unexpected import path, must not end with a keyword, got: {name}")
            self.hints += ("import a different path or use an alias",)
        return Import(term, None, location)

    def _alias(self, path: Ref, location: Location) -> Import | None:
        self.scan()
        if self.kind != IDENTIFIER:
            self.illegal("expected var")
            return None
        alias = self.term()
        if isinstance(alias, Var):
            return Import(path, alias.name, location)
        self.illegal("expected var")
        return None

    def _apply_import(self, imported: Import) -> None:
        """Learn the keywords that an import brings."""
        path = imported.path
        names = [term.value for term in path.terms[1:] if isinstance(term, String)]
        if path.root == "rego":
            if names != ["v1"]:
                self.error(path.location, f"invalid import `{show(path)}`, must be `rego.v1`")
            elif self.version == "v0":
                if imported.alias is not None:
                    self.error(path.location, "`rego` imports cannot be aliased")
                else:
                    self.keywords |= lexer.IMPORTED_KEYWORDS
        elif path.root == "future":
            self._apply_future(imported, names)

    def _apply_future(self, imported: Import, names: list[str]) -> None:
        at = imported.path.location
        if names[:1] != ["keywords"]:
            self.error(at, "invalid import, must be `future.keywords`")
            return
        if imported.alias is not None:
            self.error(at, "`future` imports cannot be aliased")
            return
        allowed = lexer.IMPORTED_KEYWORDS | lexer.FUTURE_KEYWORDS
        words = set(allowed)
        if len(names) == 2:
            if names[1] not in allowed:
                listed = " ".join(sorted(allowed))
                self.error(at, f"unexpected keyword, must be one of [{listed}]")
                return
            if names[1] != "not":
                words = {names[1]}
        if names[1:] == ["not"]:
            self.not_bodies = True
        if "every" in words:
            words.add("in")
        self.keywords |= words
