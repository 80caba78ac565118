"""Semantic versions (semver.org, version 2), strictly or normalized first."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from webhook.cel.library.function import Library, no_overload, reading_cost
from webhook.cel.library.version_errors import why_no_version
from webhook.cel.opaque import Semver
from webhook.cel.values import MAX_UINT
from webhook.core.errors import EvaluationError

LIBRARY = Library()
_NUMBER: Final = "(0|[1-9][0-9]*)"
_PARTS: Final = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION: Final = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_PARTS}))?(?:\+({_PARTS}))?")
_DIGITS: Final = frozenset("0123456789")
_MAX_TEXT: Final = 1024


@lru_cache(1024)
def _parse(text: str) -> Semver | None:
    found = _VERSION.fullmatch(text)
    if found is None:
        return None
    major, minor, patch = int(found[1]), int(found[2]), int(found[3])
    if max(major, minor, patch) > MAX_UINT:
        return None
    parts: list[tuple[int, int, str]] = []
    for part in (found[4] or "").split("."):
        if part.isdigit():
            if (part[0] == "0" and part != "0") or int(part) > MAX_UINT:
                return None
            parts.append((0, int(part), ""))
        elif part:
            parts.append((1, 0, part))
    return Semver((major, minor, patch, not parts, tuple(parts)), text)


def _normalize(text: str) -> str | None:
    """Return the text with what is missing filled in: no ``v``, no leading zeros, three numbers."""
    parts = text.removeprefix("v").split(".", 2)
    for index, part in enumerate(parts):
        if len(part) > 1 or not part.isascii():  # Go counts bytes
            stripped = part.lstrip("0")
            parts[index] = stripped if stripped[:1] in _DIGITS else "0" + stripped
    if len(parts) < 3 and set(parts[-1]) & {"+", "-"}:
        return None
    return ".".join(parts + ["0"] * (3 - len(parts)))


def _read(text: Any, normalize: Any, name: str) -> Semver | None:
    if text.__class__ is not str or normalize.__class__ is not bool:
        raise no_overload(name)
    if len(text) > _MAX_TEXT:
        raise EvaluationError(f"a version of {len(text)} characters is over the limit of {_MAX_TEXT}")
    if normalize:
        text = _normalize(text)
    return None if text is None else _parse(text)


def compare_versions(left: Semver, right: Semver) -> int:
    """Return -1, 0 or 1."""
    return (left.key > right.key) - (left.key < right.key)


@LIBRARY.function("isSemver", "bool", (1, 2), costly=reading_cost)
def is_semver(text: Any, normalize: Any = False) -> bool:
    """Tell whether a string is a version, perhaps once normalized."""
    return _read(text, normalize, "isSemver") is not None


@LIBRARY.function("semver", "kubernetes.Semver", (1, 2), costly=reading_cost)
def to_semver(text: Any, normalize: Any = False) -> Semver:
    """Return ``semver(text)``, perhaps normalized first."""
    found = _read(text, normalize, "semver")
    if found is None:
        read = _normalize(text) if normalize else text
        if read is None:
            raise EvaluationError("short version cannot contain PreRelease/Build meta data")
        raise EvaluationError(why_no_version(read))
    return found


def _number(version: Any, index: int, name: str) -> int:
    if version.__class__ is not Semver:
        raise no_overload(name)
    number: int = (version.key[:3])[index]
    return number if number < 2**63 else number - 2**64  # as Kubernetes converts it


@LIBRARY.method("major", "int")
def major(version: Any) -> int:
    """Return the first number."""
    return _number(version, 0, "major")


@LIBRARY.method("minor", "int")
def minor(version: Any) -> int:
    """Return the second number."""
    return _number(version, 1, "minor")


@LIBRARY.method("patch", "int")
def patch(version: Any) -> int:
    """Return the third number."""
    return _number(version, 2, "patch")
