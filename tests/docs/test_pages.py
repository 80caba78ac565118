"""Every page holds together: links resolve, names of options and commands exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
from docs_pages import ROOT, anchors, blocks, command_lines, inline_code, links, pages, prose, text

from webhook.cel.library import FUNCTIONS, METHODS
from webhook.cli import SUBCOMMANDS, group

_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
_MACROS = {
    "has",
    "all",
    "exists",
    "exists_one",
    "existsOne",
    "map",
    "filter",
    "optMap",
    "optFlatMap",
    "sortBy",
} | {
    "transformList",
    "transformMap",
    "transformMapEntry",
}
# Options of other programs that the pages show.
_FOREIGN = frozenset({"--disable-enforcementaction-validation"})  # of Gatekeeper


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_relative_links_resolve(page: Path) -> None:
    broken = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / unquote(path)).resolve() if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_nothing_names_the_place_it_was_written_at(page: Path) -> None:
    found = re.findall(r"/work/|\.\./shared|/tmp/tw|workplace", text(page))
    assert not found


def _command(words: list[str]) -> tuple[click.Command, list[str]] | None:
    """Return the subcommand that `words` name and what follows it."""
    with click.Context(group, **group.context_settings) as context:
        command = group.get_command(context, words[0]) if words else None
        rest = words[1:]
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            inner = command.get_command(context, rest[0])
            if inner is None:
                return None
            command, rest = inner, rest[1:]
    return (command, rest) if command is not None else None


def _options(command: click.Command) -> set[str]:
    # With the settings that running it has: click keeps the first help option that it makes for a command.
    with click.Context(command, **group.context_settings) as context:
        found = {"--help"}
        for parameter in command.get_params(context):
            found.update((*parameter.opts, *parameter.secondary_opts))
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                found |= _options(inner)
    return found


@pytest.fixture(scope="module")
def every_option() -> set[str]:
    return set().union(*(_options(found[0]) for name in SUBCOMMANDS if (found := _command([name])))) | {
        "--version"
    }


def _shown_commands(page: Path) -> list[str]:
    found = [
        line
        for block in blocks()
        if block.page == page and block.language in ("console", "sh", "")
        for line in command_lines(block)
    ]
    found += list(inline_code(page))
    found += re.findall(r"^    (\S.*)$", prose(page), re.MULTILINE)
    pattern = re.compile(r"(?:^|[|&;] *|/)tidewaiter ([^|&;>]*)")
    return [match[1].strip() for line in found for match in pattern.finditer(line)]


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_every_command_and_option_that_is_shown_exists(page: Path, every_option: set[str]) -> None:
    wrong = []
    for line in _shown_commands(page):
        words = shlex.split(line.replace("…", ""), comments=True)
        if not words or not re.match(r"[a-z]", words[0]):
            continue
        found = _command(words)
        if found is None:
            wrong.append(f"there is no command: tidewaiter {line}")
            continue
        known = _options(found[0])
        wrong += [
            f"there is no {word} in: tidewaiter {line}"
            for word in found[1]
            if word.startswith("-") and word != "-" and word.partition("=")[0] not in known
        ]
    alone = {
        option for code in inline_code(page) if code.startswith("--") for option in _OPTION.findall(code)
    }
    wrong += sorted(f"there is no {option}" for option in alone - every_option - _FOREIGN)
    assert not wrong


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_every_make_target_that_is_shown_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    known = {word for line in targets for word in line.split()}
    lines = [line for block in blocks() if block.page == page for line in command_lines(block)]
    pattern = re.compile(r"(?:^|&& )make (?:[A-Z]+=\S+ )*([a-z-]+)")
    shown = {match[1] for line in [*inline_code(page), *lines] for match in pattern.finditer(line)}
    assert shown <= known


def test_the_table_of_functions_names_every_function_and_no_other() -> None:
    page = text(ROOT / "docs" / "reference" / "cel.md")
    section = page.partition("## Functions")[2].partition("\nNot in Kubernetes")[0]
    rows = [row for row in section.splitlines() if row.startswith("| ")]
    documented = {name for row in rows for name in re.findall(r"`([\w.]+)`", row)}
    known = {name for name in (*FUNCTIONS, *METHODS) if name[0].isalpha() and name not in ("in", "neg")}
    assert documented - {"sortBy"} == known


def test_macros_of_the_reference_are_those_of_the_parser() -> None:
    page = text(ROOT / "docs" / "reference" / "cel.md")
    section = page.partition("## Macros")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(\w+)`", section)) == _MACROS


def test_the_limits_that_pages_name_are_those_of_the_code() -> None:
    from webhook.cel.parser import MAX_DEPTH
    from webhook.cel.syntax import MAX_CODE_POINTS
    from webhook.core.activation import POLICY_STEPS

    page = text(ROOT / "docs" / "reference" / "cel.md")
    for limit in (f"{MAX_CODE_POINTS:,} code points", f"{MAX_DEPTH} levels", f"| {POLICY_STEPS:,} |"):
        assert limit in page


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    missing = [
        _name(page)
        for page in (ROOT / "docs").rglob("*.md")
        if page != index and page.parent.name != "decisions" and page.resolve() not in linked
    ]
    assert not missing


def test_every_json_block_is_json() -> None:
    for block in blocks():
        if block.language == "json" and "…" not in block.body:
            json.loads(block.body)
