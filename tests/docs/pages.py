"""Reads the documentation: pages, fenced blocks, links, inline code, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?(?P<indent> *)```(?P<language>[\w-]*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: the file it is in.
        line: where it starts.
        language: as the fence says.
        mark: the comment on the line before the fence, such as ``run``.
        body: its text.
    """

    page: Path
    line: int
    language: str
    mark: str
    body: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def pages() -> tuple[Path, ...]:
    """Return every page that is written by hand."""
    generated = {ROOT / "docs" / "reference" / "api.md", ROOT / "docs" / "reference" / "cli.md"}
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
    below = sorted((ROOT / "docs").rglob("*.md"))
    return (*top, *(page for page in below if page not in generated))


@cache
def text(page: Path) -> str:
    """Return a page's text."""
    return page.read_text(encoding="utf-8")


@cache
def blocks() -> tuple[Block, ...]:
    """Return every fenced block of every page."""
    found = []
    for page in pages():
        content = text(page)
        for match in _FENCE.finditer(content):
            line = content.count("\n", 0, match.start()) + 1
            indent = len(match["indent"])
            rows = match["body"].splitlines(keepends=True)
            body = "".join(row[indent:] if row.strip() else row for row in rows)
            found.append(Block(page, line, match["language"], match["mark"] or "", body))
    return tuple(found)


def prose(page: Path) -> str:
    """Return a page's text without its fenced blocks."""
    return _FENCE.sub("", text(page))


def links(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links."""
    for match in _LINK.finditer(prose(page)):
        yield match[1]


def inline_code(page: Path) -> Iterator[str]:
    """Yield what stands between single backticks outside of fenced blocks."""
    for match in _CODE.finditer(prose(page)):
        yield match[1]


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    result = set()
    for match in re.finditer(r"^#{1,6} (.+)$", prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1]).replace("`", "").strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        count = found.get(anchor, 0)
        found[anchor] = count + 1
        result.add(f"{anchor}-{count}" if count else anchor)
    return frozenset(result)


def command_lines(block: Block) -> Iterator[str]:
    """Yield the commands of a console or sh block, continuation lines joined."""
    lines = block.body.replace("\\\n", " ").splitlines()
    for line in lines:
        if block.language == "console":
            if line.startswith("$ "):
                yield line[2:]
        elif line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def turns(body: str) -> list[tuple[str, str]]:
    """Return each command of a console block with its output."""
    found = []
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        end = next(position for position, line in enumerate(lines) if not line.endswith("\\\n"))
        found.append(("".join(lines[: end + 1]).rstrip("\n"), "".join(lines[end + 1 :])))
    return found


def pattern(shown: str) -> re.Pattern[str]:
    """Return what matches an output: a line of only ``…`` stands for any lines, in a line for any text."""
    lines = []
    for line in shown.splitlines():
        if line.strip() == "…":
            lines.append(r"(?:[^\n]*\n)*?")
        else:
            lines.append("[^\n]*".join(map(re.escape, line.split("…"))) + "\n")
    return re.compile("".join(lines))


def replace(block: Block, fresh: str) -> None:
    """Write another text into a block of a page."""
    head = f"<!-- {block.mark} -->\n```{block.language}\n"
    content = block.page.read_text()
    assert content.count(f"{head}{block.body}```") == 1, f"{block} can't be told from another block"
    block.page.write_text(content.replace(f"{head}{block.body}```", f"{head}{fresh}```"))
