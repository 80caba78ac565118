"""Why a template can't be used: for people, and in the words that Gatekeeper writes into its status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from webhook.core.errors import CompileError

if TYPE_CHECKING:
    from webhook.rego.errors import Problem

CREATE, UPDATE, INGEST = "create_error", "update_error", "ingest_error"
"""Gatekeeper's codes: no kind can be made of the template, or changed; its code can't be used."""

INVALID = "invalid ConstraintTemplate: "
_INGESTING = "Could not ingest Rego: "  # it says so of CEL too


class TemplateError(CompileError):
    """A template that can't be used, where Gatekeeper has its own words for that.

    Args:
        message: what is wrong, for people.
        field: the field of the template.
        line: the line inside that field; 0 for none.
        column: the column in that line; 0 for none.
        said: Gatekeeper's words.
        code: `CREATE` or `INGEST`.
    """

    def __init__(
        self, message: str, field: str, line: int = 0, column: int = 0, *, said: str, code: str = INGEST
    ) -> None:
        super().__init__(message, field, line, column)
        self.said = said
        self.code = code


def of(error: CompileError, field: str, said: str) -> TemplateError:
    """Return an error of a template's code, placed at a field, with Gatekeeper's words for it."""
    return TemplateError(error.message, field, error.line, error.column, said=said)


def in_status(error: CompileError) -> dict[str, str]:
    """Return an error of a template as an entry of ``status.byPod[].errors``.

    Its code and message are Gatekeeper's where it has words for it; the place is ours.
    """
    code = error.code if isinstance(error, TemplateError) else INGEST
    said = error.said if isinstance(error, TemplateError) else str(error)
    place = f"{error.field}:{error.line}:{error.column}" if error.line else error.field
    entry = {"code": code, "message": said if code == CREATE else _INGESTING + said}
    return entry | ({"location": place} if place else {})


def not_defined(message: str, *, there: bool) -> dict[str, str]:
    """Return that the API server refuses a template's kind, as an entry of ``status.byPod[].errors``.

    Args:
        message: what it says.
        there: it has one, which can't be changed so.
    """
    code, what = (UPDATE, "update") if there else (CREATE, "create")
    return {"code": code, "message": f"Could not {what} CRD: {message}"}


def listed(problems: Sequence[Problem], sources: Mapping[str, str]) -> str:
    """Return errors in Rego as OPA lists them.

    Args:
        problems: at least one.
        sources: the text of each file.
    """
    texts = [_line(problem, sources) for problem in problems]
    if len(texts) == 1:
        # What is wrong with a whole file is no list to OPA.
        return texts[0] if not problems[0].location.row else f"1 error occurred: {texts[0]}"
    return "\n".join([f"{len(texts)} errors occurred:", *texts])


def _line(problem: Problem, sources: Mapping[str, str]) -> str:
    location = problem.location
    place = f"{location.file}:{location.row}: " if location.file else ""
    details = list(problem.details)
    source = sources.get(location.file)
    if problem.shows_line and source is not None:
        details += _excerpt(source, location.row, location.column)
    return "".join([f"{place}{problem.code}: {problem.message}", *(f"\n\t{each}" for each in details)])


def _excerpt(source: str, row: int, column: int) -> tuple[str, str]:
    """Return a line and a mark under its place, which is moved back from white space to what is before."""
    lines = source.split("\n")
    before = [*lines[: row - 1], "".join(lines[row - 1 : row])[: column - 1]]
    text = "\n".join(before) + "".join(lines[row - 1 : row])[column - 1 : column]
    text = text.rstrip() or text[:1]
    last = text.rpartition("\n")[2]
    whole = lines[text.count("\n")].rstrip("\r")
    line = whole.lstrip("\t")
    mark = len(last.encode("utf-8", "replace")) - len(last[-1:].encode("utf-8", "replace"))
    return line, " " * max(mark - (len(whole) - len(line)), 0) + "^"
