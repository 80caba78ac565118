"""Why a text is no semantic version, in the words that Kubernetes has from ``blang/semver``."""

from __future__ import annotations

import re
from typing import Final

from webhook.cel.library.texts import quote
from webhook.cel.values import MAX_UINT

_DIGITS: Final = re.compile("[0-9]*")
_PLAIN: Final = re.compile("[0-9A-Za-z-]*")


def why_no_version(text: str) -> str:
    """Return what is wrong with a text that is no version: the first thing that is."""
    if not text:
        return "Version string empty"
    parts = text.split(".", 2)
    if len(parts) != 3:
        return "No Major.Minor.Patch elements found"
    major, minor, rest = parts
    rest, plus, build = rest.partition("+")
    patch, minus, pre = rest.partition("-")
    for name, number in (("major", major), ("minor", minor), ("patch", patch)):
        if not _DIGITS.fullmatch(number):
            return f"Invalid character(s) found in {name} number {quote(number)}"
        if len(number) > 1 and number[0] == "0":
            return f"{name.capitalize()} number must not contain leading zeroes {quote(number)}"
        if wrong := _why_no_number(number):
            return wrong
    for part in pre.split(".") if minus else ():
        if not part:
            return "Prerelease is empty"
        if _DIGITS.fullmatch(part):
            if len(part) > 1 and part[0] == "0":
                return f"Numeric PreRelease version must not contain leading zeroes {quote(part)}"
            if wrong := _why_no_number(part):
                return wrong
        elif not _PLAIN.fullmatch(part):
            return f"Invalid character(s) found in prerelease {quote(part)}"
    for part in build.split(".") if plus else ():
        if not part:
            return "Build meta data is empty"
        if not _PLAIN.fullmatch(part):
            return f"Invalid character(s) found in build meta data {quote(part)}"
    return f"not a semantic version: {quote(text)}"  # unreachable as long as both read alike


def _why_no_number(digits: str) -> str:
    if not digits:
        return 'strconv.ParseUint: parsing "": invalid syntax'
    if int(digits) > MAX_UINT:
        return f"strconv.ParseUint: parsing {quote(digits)}: value out of range"
    return ""
