"""Patterns of Go's ``regexp/syntax`` as RE2 takes them, where the two differ."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from webhook.rego.context import BuiltinError, Halt

_PLACES: Final = re.compile(
    r"\\Q.*?(?:\\E|\Z)"
    r"|\\[pP](?:\{(?P<name>[^}]*)(?P<close>\}?)|(?P<letter>.)|\Z)"
    r"|\\(?P<escaped>.)"
    r"|(?P<group>\(\?P?<)"
    r"|(?P<sign>[\[\]])",
    re.S,
)
_CAPTURE: Final = re.compile(r"\(\?P?<[A-Za-z0-9_]+>")
_MAX_DEPTH: Final = 250  # Go refuses trees of 1000, and a group is up to four levels of one
_ASSIGNED: Final = r"\pL\pM\pN\pP\pS\pZ"
_ALL: Final = rf"{_ASSIGNED}\p{{Cc}}\p{{Cf}}\p{{Co}}\p{{Cs}}"
_SETS: Final[dict[str, tuple[str, str]]] = {
    "Ascii": (r"\x00-\x7F", r"\x{80}-\x{10FFFF}"),
    "Lc": (r"\p{Lu}\p{Ll}\p{Lt}", ""),
    "C": ("", _ASSIGNED),
    "Cn": ("", _ALL),
    "Assigned": (_ALL, ""),
}
"""What RE2 doesn't know, or knows otherwise: what stands in a class for it, and for all but it."""
_ALIASES: Final = {
    "Other": "C", "Control": "Cc", "Cntrl": "Cc", "Format": "Cf", "Unassigned": "Cn", "Privateuse": "Co",
    "Surrogate": "Cs", "Letter": "L", "Casedletter": "Lc", "Lowercaseletter": "Ll", "Modifierletter": "Lm",
    "Otherletter": "Lo", "Titlecaseletter": "Lt", "Uppercaseletter": "Lu", "Mark": "M", "Combiningmark": "M",
    "Spacingmark": "Mc", "Enclosingmark": "Me", "Nonspacingmark": "Mn", "Number": "N", "Decimalnumber": "Nd",
    "Digit": "Nd", "Letternumber": "Nl", "Othernumber": "No", "Punctuation": "P", "Punct": "P",
    "Connectorpunctuation": "Pc", "Dashpunctuation": "Pd", "Closepunctuation": "Pe",
    "Finalpunctuation": "Pf", "Initialpunctuation": "Pi", "Otherpunctuation": "Po",
    "Openpunctuation": "Ps", "Symbol": "S", "Currencysymbol": "Sc", "Modifiersymbol": "Sk",
    "Mathsymbol": "Sm", "Othersymbol": "So", "Separator": "Z", "Lineseparator": "Zl",
    "Paragraphseparator": "Zp", "Spaceseparator": "Zs",
}  # fmt: skip


def in_re2(pattern: str) -> str:
    """Return a pattern of Go for RE2.

    Raises:
        BuiltinError: RE2 takes something there that Go refuses.
        Halt: it can't be said for RE2.
    """
    if "\\p" not in pattern and "\\P" not in pattern and "\\C" not in pattern and "(" not in pattern:
        return pattern
    parts: list[str] = []
    at, class_start = 0, -1
    for found in _PLACES.finditer(pattern):
        start = found.start()
        parts.append(pattern[at:start])
        at = found.end()
        text = found.group()
        sign = found["sign"]
        if found["group"] and class_start < 0:
            _check_capture(pattern, start)
        elif found["escaped"] == "C":
            raise BuiltinError("error parsing regexp: invalid escape sequence: `\\C`")
        elif text[:2] in ("\\p", "\\P"):
            text = _named(found, inside=class_start >= 0)
        elif sign == "[" and class_start < 0:
            class_start = start
        elif sign == "]" and pattern[class_start + 1 : start] not in ("", "^"):
            class_start = -1
        parts.append(text)
    return "".join([*parts, pattern[at:]])


def check_depth(pattern: str) -> None:
    """Refuse groups that lie so deep in each other that Go may refuse them.

    Raises:
        Halt: they do.
    """
    depth = 0
    for char in pattern if pattern.count("(") > _MAX_DEPTH else "":
        depth += (char == "(") - (char == ")")
        if depth > _MAX_DEPTH:
            raise Halt(f"a regular expression is nested too deeply: {pattern[:200]}")


def _check_capture(pattern: str, start: int) -> None:
    """Refuse a group whose name isn't made of ASCII's letters, digits and underscores."""
    if not _CAPTURE.match(pattern, start):
        close = pattern.find(">", start)
        part = pattern[start : close + 1 if close >= 0 else None]
        raise BuiltinError(f"error parsing regexp: invalid named capture: `{part}`")


def _named(found: re.Match[str], *, inside: bool) -> str:
    """Return a class with a name for RE2; inside of another class or not."""
    text, name = found.group(), found["name"] if found["name"] is not None else found["letter"]
    problem = BuiltinError(f"error parsing regexp: invalid character class range: `{text}`")
    if name is None or (found["name"] is not None and not found["close"]):
        raise problem
    negated = (text[1] == "P") != name.startswith("^")
    plain = re.sub("[_ -]", "", name.removeprefix("^")).encode("ascii", "replace").decode()
    plain = plain[:1].upper() + plain[1:].lower()
    plain = _ALIASES.get(plain, plain)
    if plain not in _SETS:
        if not _is_known(plain):
            raise problem
        return f"\\{'P' if negated else 'p'}{{{plain}}}"
    members, others = _SETS[plain][::-1] if negated else _SETS[plain]
    if inside:
        if not members:
            raise Halt(f"a regular expression with {text} inside of brackets is not supported")
        return members
    return f"[{members}]" if members else f"[^{others}]"


@lru_cache(512)
def _is_known(name: str) -> bool:
    import re2  # imported late: many policies have no pattern that needs it

    options: Any = re2.Options()
    options.log_errors = False
    try:
        re2.compile(f"\\p{{{name}}}", options)
    except re2.error:
        return False
    return True
