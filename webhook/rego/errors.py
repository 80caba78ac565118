"""What is wrong with a policy in Rego: OPA's code and message, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from webhook.core.errors import CompileError
from webhook.rego.ast import NOWHERE, Location

PARSE: Final = "rego_parse_error"
COMPILE: Final = "rego_compile_error"
TYPE: Final = "rego_type_error"
UNSAFE: Final = "rego_unsafe_var_error"
RECURSION: Final = "rego_recursion_error"

#: OPA stops after so many errors.
MAX_ERRORS: Final = 10


@dataclass(frozen=True, slots=True)
class Problem:
    """One error.

    Attributes:
        code: OPA's.
        message: OPA's.
        location: where.
        details: further lines, such as the types that a function has and wants.
        shows_line: OPA shows the line with a mark under the place.
    """

    code: str
    message: str
    location: Location = NOWHERE
    details: tuple[str, ...] = ()
    shows_line: bool = False

    def __str__(self) -> str:
        lines = [f"{self.location}: {self.code}: {self.message}", *(f"\t{line}" for line in self.details)]
        return "\n".join(lines)


class RegoError(CompileError):
    """Modules that can't be compiled. It is placed at the first problem.

    Attributes:
        problems: as OPA lists them: all, or `MAX_ERRORS` and a last one that says that there are more.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        first = self.problems[0]
        message = f"{first.code}: {first.message}"
        if first.details:
            message += "".join(f"\n\t{line}" for line in first.details)
        rest = len(self.problems) - 1
        if rest:
            message += f" (and {rest} more)"
        super().__init__(message, "", first.location.row, first.location.column)


def limited(problems: list[Problem]) -> list[Problem]:
    """Return problems of compiling up to OPA's limit, and that there are more."""
    if len(problems) <= MAX_ERRORS:
        return problems
    return [*problems[:MAX_ERRORS], Problem(COMPILE, "error limit reached")]


class Problems:
    """Collects problems up to OPA's limit."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, code: str, message: str, location: Location = NOWHERE, details: Iterable[str] = ()) -> None:
        """Note one more."""
        self.found.append(Problem(code, message, location, tuple(details)))

    def check(self) -> None:
        """Raise what was found.

        Raises:
            RegoError: something was.
        """
        if self.found:
            raise RegoError(limited(self.found))
