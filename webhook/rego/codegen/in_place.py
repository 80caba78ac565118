"""The code of builtins whose usual case is written in place; the function is called for all others."""

from __future__ import annotations

from typing import Final

from webhook.rego.ast import Boolean, String, Term
from webhook.rego.codegen.unification import Unification

_COMPARISONS: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_TEXTS: Final = {
    "startswith": "{0}.startswith({1})",
    "endswith": "{0}.endswith({1})",
    "contains": "{1} in {0}",
    "lower": "{0}.lower()",
    "upper": "{0}.upper()",
    "trim_prefix": "{0}.removeprefix({1})",
    "trim_suffix": "{0}.removesuffix({1})",
    "replace": "{0}.replace({1}, {2})",
    "split": "{0}.split({1})",
}
_KINDS: Final = {
    "is_null": "{0} is None",
    "is_boolean": "{0}.__class__ is BOOL",
    "is_number": "{0}.__class__ in NUMBERS",
    "is_string": "{0}.__class__ is STR",
    "is_array": "{0}.__class__ is LIST",
    "is_object": "{0}.__class__ is DICT or {0}.__class__ is OBJECTS",
    "is_set": "{0}.__class__ is SET",
}
# What must hold beside: 4,096 characters are gone through in no time.
_MORE: Final = {
    "contains": " and LEN({0}) < 4096",
    "lower": " and LEN({0}) < 4096 and {0}.isascii()",
    "upper": " and LEN({0}) < 4096 and {0}.isascii()",
    "trim_prefix": " and LEN({0}) < 4096",
    "trim_suffix": " and LEN({0}) < 4096",
    "replace": " and LEN({2}) <= LEN({1}) and {1} and LEN({0}) < 4096",
    "split": " and {1} and LEN({0}) < 256",
}
_SUMS: Final = {
    "plus": ("+", -(1 << 62), 1 << 62),
    "minus": ("-", -(1 << 62), 1 << 62),
    "mul": ("*", 0, 1 << 31),  # zero has a sign
}
IN_PLACE: Final = frozenset(
    {*_KINDS, *_TEXTS, *_SUMS, *_COMPARISONS, "eq", "assign", "equal", "neq", "count", "object.get"}
)
"""What takes no time worth keeping a result for."""


class InPlace(Unification):
    """Knows the code of builtins that takes no call."""

    def condition(self, name: str, terms: tuple[Term, ...], args: list[str]) -> str:
        """Return code for a builtin that is only asked whether it is true, or nothing."""
        if name in _KINDS:
            return _KINDS[name].format(self.named(args[0]))
        if name in ("equal", "neq"):
            return self.comparison(terms, args, "equal" if name == "equal" else "unequal")
        if name in _COMPARISONS:
            a, b = args
            sign = _COMPARISONS[name]
            whole = " and ".join([f"{n}.__class__ is INT" for n in args if not n.isdigit()]) or "True"
            return f"{a} {sign} {b} if {whole} else COMPARE({a}, {b}) {sign} 0"
        return ""

    def comparison(self, terms: tuple[Term, ...], args: list[str], kind: str) -> str:
        """Return code for ``==`` or ``!=``."""
        (a, b), (text, other) = terms, args
        if isinstance(a, String | Boolean) and not isinstance(b, String | Boolean):
            a, b, text, other = b, a, other, text
        if isinstance(b, String):
            return f"{text} {'==' if kind == 'equal' else '!='} {other}"
        if isinstance(b, Boolean):
            return f"{self.named(text)} {'is' if kind == 'equal' else 'is not'} {other}"
        same = self.same(text, other)
        return same if kind == "equal" else f"not ({same})"

    def quick(self, name: str, args: list[str]) -> str:
        """Return code for a builtin's usual case, up to its ``else``, or nothing."""
        template = _TEXTS.get(name)
        if template is not None:
            args = [self.named(args[0]), *args[1:]]
            return f"{template.format(*args)} if {_texts(args)}{_MORE.get(name, '').format(*args)}"
        if name in _SUMS and self.sets.isdisjoint(args):
            sign, least, most = _SUMS[name]
            # OPA rounds to 64 bits, so only integers that come to less are computed here.
            if any(one.isdigit() and int(one) >= most for one in args):
                return ""
            small = [f"{n}.__class__ is INT and {least} < {n} < {most}" for n in args if not n.isdigit()]
            return f"{args[0]} {sign} {args[1]} if {' and '.join(small) or 'False'}"
        if name == "object.get":
            a = self.named(args[0])
            return f"{a}.get({args[1]}, {args[2]}) if {a}.__class__ is DICT and {_texts(args[1:2])}"
        if name == "count":
            a = self.named(args[0])
            return f"LEN({a}) if {'True' if a in self.sets else f'{a}.__class__ in SIZED'}"
        return ""


def _texts(args: list[str]) -> str:
    """Return code that tells whether values are texts: literals are."""
    if any(one.isdigit() for one in args):
        return "False"
    return " and ".join([f"{one}.__class__ is STR" for one in args if not _is_text(one)]) or "True"


def _is_text(code: str) -> bool:
    return code[0] in "'\""
