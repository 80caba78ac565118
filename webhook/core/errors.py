"""Every error that Tidewaiter raises on purpose.

TidewaiterError
├── InputError          a file, manifest or option that can't be used; carries where
├── CompileError        a policy that can't be compiled; carries the field and the place in the expression
├── EvaluationError     an expression that failed on this input; failurePolicy decides what that means
│   └── BudgetExceeded  the step budget or the deadline is spent
└── ReviewError         an AdmissionReview that isn't one: the caller's fault, HTTP 400
"""

from __future__ import annotations


class TidewaiterError(Exception):
    """The root of the tree; its text is meant for people."""


class InputError(TidewaiterError):
    """Input that can't be used.

    Args:
        message: what is wrong and what to do about it.
        file: the path as the user gave it, or ``-``; empty when it is no file's fault.
        line: the line in that file, counted from 1; 0 when unknown.
    """

    def __init__(self, message: str, file: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: " if self.file else ""
        return place + self.message


class CompileError(TidewaiterError):
    """A policy that can't be compiled.

    Args:
        message: what is wrong, without the place.
        field: the field of the policy, as ``spec.validations[0].expression``; the compiler of a single
            expression leaves it empty and its caller fills it in with `within`.
        line: the line inside the expression, counted from 1; 0 when it isn't an expression's fault.
        column: the column inside that line, counted from 1 in code points; 0 as above.
    """

    def __init__(self, message: str, field: str = "", line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.line = line
        self.column = column

    def within(self, field: str) -> CompileError:
        """Return the same error, placed at `field` of the policy."""
        return CompileError(self.message, field, self.line, self.column)

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}" if self.line else ""
        where = ": ".join(part for part in (self.field, place) if part)
        return f"{where}: {self.message}" if where else self.message


class EvaluationError(TidewaiterError):
    """An expression that failed on this input, such as ``no such key: spec``."""


class BudgetExceeded(EvaluationError):  # noqa: N818 - what is exceeded says more than "Error"
    """The step budget of a policy or the deadline of the request is spent."""


class ReviewError(TidewaiterError):
    """An AdmissionReview that can't be read: malformed or of an unknown version."""
