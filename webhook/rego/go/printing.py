"""Go's ``fmt.Sprintf`` over the values that OPA's ``sprintf`` gives to it.

https://pkg.go.dev/fmt: OPA hands over integers (``int``, ``*big.Int`` if larger), floats (``float64``), and
strings; anything else as the string that OPA prints.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from webhook.rego.context import check_string
from webhook.rego.go.verbs import Big, Writer, type_name
from webhook.rego.metering import pay
from webhook.rego.numbers import float_of, integer_of, text_of
from webhook.rego.value_text import term_text
from webhook.rego.values import CONTAINERS

_FLAGS: Final = frozenset("#0+- ")
_LARGE: Final = 1_000_000  # widths and precisions beyond are none to Go


def argument(value: Any) -> Any:
    """Return what OPA gives to Go for a value: int, Big, float or str."""
    kind = value.__class__
    if kind is str:
        return value
    if kind is bool or not isinstance(value, int | float | Decimal):
        return term_text(value)
    small = integer_of(value)
    if small is not None:
        return small
    if isinstance(value, int):
        return Big(value)
    near = float_of(value)
    return text_of(value) if near is None else near


def sprintf(template: str, values: list[Any]) -> str:
    """Return `template` with its verbs replaced, mistakes in it told in the text as Go tells them.

    Raises:
        Halt: the text is longer than any that may be built.
        BuiltinError: it asks for the address of a number.
    """
    size, many = 0, len(values) > 64
    arguments = []
    for value in values:
        if many:
            pay(8)
        arguments.append(argument(value))
        if value.__class__ in CONTAINERS:
            size += len(arguments[-1])
            check_string(size)
    return _Printer(arguments).run(template)


class _Printer(Writer):
    """One formatting: how far its template and arguments have been read."""

    def __init__(self, arguments: list[Any]) -> None:
        super().__init__()
        self.arguments = arguments
        self.reordered = False
        self.good = True

    def run(self, template: str) -> str:
        """Return the text."""
        end, at, number = len(template), 0, 0
        while at < end:
            percent = template.find("%", at)
            if percent < 0:
                self.put(template[at:])
                break
            if percent > at:
                self.put(template[at:percent])
            self.clear()
            self.good = True
            at = self.flags(template, percent + 1)
            at, number, done = self.sizes(template, at, number)
            if done:
                break
            verb = template[at]
            at += 1
            number = self.one(verb, number)
        self.rest(number)
        return "".join(self.parts)

    def flags(self, template: str, at: int) -> int:
        """Read the flags; return where they end."""
        while at < len(template) and template[at] in _FLAGS:
            char = template[at]
            if char == "#":
                self.sharp = True
            elif char == "0":
                self.zero = True
            elif char == "+":
                self.plus = True
            elif char == "-":
                self.minus = True
            else:
                self.space = True
            at += 1
        return at

    def sizes(self, template: str, at: int, number: int) -> tuple[int, int, bool]:
        """Read indices, width and precision; return their end, the argument's number, and if that is all."""
        end = len(template)
        number, at, indexed = self.index(template, at, number)
        if template[at : at + 1] == "*":
            self.width, number = self.from_argument(number)
            at += 1
            if self.width is None:
                self.put("%!(BADWIDTH)")
            elif self.width < 0:
                self.width, self.minus, self.zero = -self.width, True, False
            indexed = False
        else:
            self.width, at = _read_number(template, at, end)
            if indexed and self.width is not None:
                self.good = False
        if template[at : at + 1] == "." and at + 1 < end:
            at += 1
            if indexed:
                self.good = False
            number, at, indexed = self.index(template, at, number)
            if template[at : at + 1] == "*":
                at += 1
                self.precision, number = self.from_argument(number)
                if self.precision is not None and self.precision < 0:
                    self.precision = None
                if self.precision is None:
                    self.put("%!(BADPREC)")
                indexed = False
            else:
                self.precision, at = _read_number(template, at, end)
                if self.precision is None:
                    self.precision = 0
        if not indexed:
            number, at, indexed = self.index(template, at, number)
        if at >= end:
            self.put("%!(NOVERB)")
            return at, number, True
        return at, number, False

    def index(self, template: str, at: int, number: int) -> tuple[int, int, bool]:
        """Read ``[n]``; return the argument's number, where it ends, and whether there was one."""
        if template[at : at + 1] != "[":
            return number, at, False
        self.reordered = True
        close = template.find("]", at + 1)
        if (
            len(template.encode("utf-8", "replace")) - len(template[:at].encode("utf-8", "replace")) < 3
            or close < 0
        ):
            self.good = False
            return number, at + 1, False
        found, after = _read_number(template, at + 1, close)
        if found is None or after != close:
            self.good = False
            return number, close + 1, False
        if 0 <= found - 1 < len(self.arguments):
            return found - 1, close + 1, True
        self.good = False
        return number, close + 1, True

    def from_argument(self, number: int) -> tuple[int | None, int]:
        """Return a width or precision that an argument gives, and the next argument's number."""
        if number >= len(self.arguments):
            return None, number
        value = self.arguments[number]
        if value.__class__ is not int or abs(value) > _LARGE:
            return None, number + 1
        return value, number + 1

    def one(self, verb: str, number: int) -> int:
        """Write what one verb asks for; return the next argument's number."""
        pay(1)
        if verb == "%":
            self.put("%")
        elif not self.good:
            self.put(f"%!{verb}(BADINDEX)")
        elif number >= len(self.arguments):
            self.put(f"%!{verb}(MISSING)")
        else:
            if verb == "v":
                self.sharp_v, self.sharp = self.sharp, False
                self.plus_v, self.plus = self.plus, False
            self.print(self.arguments[number], verb)
            number += 1
        return number

    def rest(self, number: int) -> None:
        """Write the arguments that no verb asked for."""
        if self.reordered or number >= len(self.arguments):
            return
        self.clear()
        self.put("%!(EXTRA ")
        for index, value in enumerate(self.arguments[number:]):
            pay(4)
            self.put((", " if index else "") + type_name(value) + "=")
            self.print(value, "v")
        self.put(")")


def _read_number(text: str, at: int, end: int) -> tuple[int | None, int]:
    """Return a decimal number at `at` and where it ends; None at the end of all if it is too large."""
    if at >= end:
        return None, end
    number, found = 0, False
    while at < end and text[at] in "0123456789":
        if number > _LARGE:
            return None, end
        number, found = number * 10 + int(text[at]), True
        at += 1
    return (number if found else None), at
