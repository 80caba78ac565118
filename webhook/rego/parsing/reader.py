"""The place in the source: the current token, the errors so far, and what is known about keywords.

What a reading that is given up has noted is forgotten with it: everything is restored.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from webhook.rego import lexer
from webhook.rego.ast import Location, Term, Version
from webhook.rego.errors import PARSE, Problem
from webhook.rego.lexer import COMMENT, IDENTIFIER, ILLEGAL, WHITESPACE, Lexer

#: How deep terms and bodies may nest, and how many operators an expression may chain.
MAX_DEPTH: Final = 100

#: How many tokens one program's sources may have: the largest template of Gatekeeper's library has 3,000.
MAX_TOKENS: Final = 25_000

#: What was read as a term at an offset, and the state after it; in the order of the offsets.
Cache: TypeAlias = dict[int, tuple[Term | None, tuple[Any, ...]]]


class TooDeep(Exception):  # noqa: N818 - read as a condition
    """The source nests deeper than the parser goes; OPA allows 100,000 calls of its parser."""

    def __init__(self, location: Location) -> None:
        super().__init__("max parsing recursion depth exceeded")
        self.location = location


class TooLarge(Exception):  # noqa: N818 - read as a condition
    """The sources of a program have too many tokens: what it takes to compile them has to be bounded."""

    def __init__(self, location: Location) -> None:
        super().__init__(f"the source is too large: a program may have {MAX_TOKENS:,} tokens, comments apart")
        self.location = location


class Tokens:
    """Counts the tokens of a program's sources down; one whose reading is tried again counts once.

    Attributes:
        left: how many more there may be.
    """

    __slots__ = ("left",)

    def __init__(self, most: int = MAX_TOKENS) -> None:
        self.left = most


class Reader:
    """Holds the place in the source, and reads tokens from it.

    Methods of the parser that find nothing return None, and mostly note an error.
    """

    def __init__(self, source: str, file: str, version: Version, tokens: Tokens | None = None) -> None:
        self.tokens = tokens or Tokens()
        self.furthest = 0
        self.lexer = Lexer(source, file)
        self.version = version
        self.keywords = lexer.KEYWORDS
        if version == "v1":
            self.keywords |= lexer.IMPORTED_KEYWORDS
        self.version_keywords = self.keywords
        self.not_bodies = False
        self.cache: Cache = {}
        self.depth = 0
        self.kind = ILLEGAL
        self.text = ""
        self.start = self.next = 0
        self.skipped_newline = False
        self.wildcards = self.comments = 0
        self.errors: tuple[Problem, ...] = ()
        self.hints: tuple[str, ...] = ()

    def save(self) -> tuple[Any, ...]:
        """Everything that `restore` needs."""
        return (
            self.kind,
            self.text,
            self.start,
            self.next,
            self.skipped_newline,
            self.wildcards,
            self.comments,
            self.errors,
            self.hints,
        )

    def restore(self, state: tuple[Any, ...]) -> None:
        """Go back to (or on to) what was saved."""
        (
            self.kind,
            self.text,
            self.start,
            self.next,
            self.skipped_newline,
            self.wildcards,
            self.comments,
            self.errors,
            self.hints,
        ) = state

    @property
    def location(self) -> Location:
        """Where the current token is."""
        return self.lexer.location(self.start)

    def scan(self, skip: bool = True, mode: str = "") -> None:
        """Go to the next token; without `skip`, whitespace is one.

        Raises:
            TooLarge: it is one too many.
        """
        if self.kind != WHITESPACE:
            self.skipped_newline = False
        while True:
            token = self.lexer.read(self.next, mode)
            self.start, self.next = token.start, token.end
            self.kind, self.text = token.kind, token.text
            if token.errors:
                for message in token.errors:
                    self.error(self.location, message)
                self.kind = ILLEGAL
                return
            if self.kind == WHITESPACE:
                if "\n" in token.text:
                    self.skipped_newline = True
                if skip:
                    continue
                return
            if self.kind == COMMENT:
                self.comments += 1
                continue
            if self.next > self.furthest:
                self.furthest = self.next
                self.tokens.left -= 1
                if self.tokens.left < 0:
                    raise TooLarge(self.location)
            if self.kind == IDENTIFIER and self.text in self.keywords:
                self.kind = self.text
            return

    def error(self, location: Location, message: str) -> None:
        """Note an error, with the hints so far."""
        if self.hints:
            message += f" (hint{'s' if len(self.hints) > 1 else ''}: {', '.join(self.hints)})"
            self.hints = ()
        self.errors += (Problem(PARSE, message, location, shows_line=True),)

    def illegal(self, note: str = "") -> None:
        """Note that the current token can't be here."""
        if self.kind == ILLEGAL:
            self.error(self.location, "illegal token")
            return
        word = self.kind in lexer.KEYWORDS | lexer.IMPORTED_KEYWORDS
        message = f"unexpected {self.kind} {'keyword' if word else 'token'}"
        self.error(self.location, f"{message}: {note}" if note else message)

    def check_depth(self, further: int) -> None:
        """Refuse what nests too deeply.

        Raises:
            TooDeep: it does.
        """
        if self.depth + further > MAX_DEPTH:
            raise TooDeep(self.location)

    def keyword_in_ref(self, token: str) -> bool:
        """Whether a token is a keyword that may be a name in a reference."""
        return token in self.version_keywords or token in self.keywords

    def look_ahead_ref(self) -> bool:
        """Take a keyword for a name if a reference goes on after it."""
        if self.keyword_in_ref(self.kind) and self.ref_follows():
            self.kind = IDENTIFIER
            return True
        return False

    def ref_follows(self) -> bool:
        """Tell whether the current token is the first of a reference."""
        state = self.save()
        self.scan(skip=False)
        follows = self.kind in (".", "[")
        self.restore(state)
        return follows
