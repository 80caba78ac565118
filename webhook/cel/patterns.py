"""Patterns made simpler, for one who asks only whether there is a match."""

from __future__ import annotations


def without_groups(pattern: str) -> str:
    """Return a pattern that is found in the same texts, without groups that only capture.

    ``^([a-z]+)$`` is ``^[a-z]+$`` to one who asks only whether there is a match, and that one needs no RE2.
    """
    kept: list[str] = []
    opened: list[tuple[int, bool]] = []  # where in `kept` a group begins, and whether it must stay
    position, length = 0, len(pattern)
    if "\\Q" in pattern:
        return pattern
    while position < length:
        char = pattern[position]
        width = 2 if char == "\\" else 1
        if char == "[":
            end = pattern.find("]", position + 2)
            inside = pattern[position + 1 : end]
            if end < 0 or inside[0] == "^" or "[" in inside or "\\" in inside:
                return pattern  # a class that takes more to read: leave it all as it is
            width = end + 1 - position
        elif char == "(":
            opened.append((len(kept), pattern[position + 1 : position + 2] == "?"))
        elif char == "|" and opened:
            opened[-1] = (opened[-1][0], True)
        elif char == ")" and opened:
            start, stays = opened.pop()
            if not stays and pattern[position + 1 : position + 2] not in ("*", "+", "?", "{"):
                kept[start] = ""
                position += 1
                continue
        kept.append(pattern[position : position + width])
        position += width
    return "".join(kept)
