"""The parser of Rego v0 and v1, as OPA 1.17 reads them: from the text of a file to a module.

Where OPA tries one reading and then another, so does this; places and words of errors are OPA's.
"""

from __future__ import annotations

from collections.abc import Iterator

from webhook.rego import lexer
from webhook.rego.ast import Body, Import, Location, Module, Package, Rule, Version, chain
from webhook.rego.errors import PARSE, Problem, RegoError
from webhook.rego.node_text import show
from webhook.rego.parsing.bare import rule_from_body
from webhook.rego.parsing.reader import Tokens, TooDeep, TooLarge
from webhook.rego.parsing.statements import StatementParser


def parse_module(
    source: str, file: str = "", version: Version = "v1", tokens: Tokens | None = None
) -> Module:
    """Parse a file.

    Args:
        source: its text.
        file: its name, for places.
        version: which Rego it is in; ``import rego.v1`` holds v0 to v1's rules.
        tokens: how many the files of its program may still have; without, this file is all of it.

    Raises:
        RegoError: it can't be parsed, or is too large.
    """
    parser = StatementParser(source, file, version, tokens)
    try:
        statements = list(parser.statements())
    except (TooDeep, TooLarge) as error:
        raise RegoError((Problem(PARSE, str(error), error.location),)) from None
    if parser.errors:
        raise RegoError(parser.errors)
    return _module(statements, file, version)


def _module(statements: list[Package | Import | Rule | Body], file: str, version: Version) -> Module:
    if not statements:
        raise RegoError((Problem(PARSE, "empty module", Location(0, 0, file)),))
    problems: list[Problem] = []
    first, *rest = statements
    if not isinstance(first, Package):
        at = first[0].location if isinstance(first, tuple) else first.location
        problems.append(Problem(PARSE, "package expected", at))
    imports: list[Import] = []
    rules: list[Rule] = []
    strict = version == "v1"
    for statement in rest:
        if isinstance(statement, Import):
            imports.append(statement)
            strict = strict or (statement.path.starts_with("rego", "v1") and len(statement.path.terms) == 2)
        elif isinstance(statement, Rule):
            rules.append(statement)
            if statement.head.ref.root is None:  # OPA panics
                invalid = f"invalid rule head: {show(statement.head.ref)}"
                problems.append(Problem(PARSE, invalid, statement.location))
        elif isinstance(statement, Package):
            problems.append(Problem(PARSE, "unexpected package", statement.location))
        else:
            rule = rule_from_body(statement)
            if isinstance(rule, str):
                problems.append(Problem(PARSE, rule, statement[0].location))
            else:
                rules.append(rule)
    if strict:
        for rule in rules:
            problems += _check_strict(rule)
    if problems or not isinstance(first, Package):
        raise RegoError(problems)
    return Module(first.path, tuple(imports), tuple(rules), version, strict, file, first.location)


def _check_strict(rule: Rule) -> Iterator[Problem]:
    """Tell what v1 asks of rules."""
    for one in chain(rule):
        what, head, at = "function" if one.head.args else "rule", one.head, one.location
        if len(head.ref.terms) < 2 and head.name in lexer.KEYWORDS | lexer.IMPORTED_KEYWORDS:
            yield Problem(PARSE, f"{head.name} keyword cannot be used for rule name", at)
        if one.generated_body and head.generated_value:
            yield Problem(PARSE, f"{what} must have value assignment and/or body declaration", at)
        if not one.generated_body and "if" not in head.keywords and not one.default:
            yield Problem(PARSE, f"`if` keyword is required before {what} body", at)
        if head.multi_value and "contains" not in head.keywords:
            yield Problem(PARSE, "`contains` keyword is required for partial set rules", at)
