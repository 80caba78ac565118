"""Go's ``fmt.Sprintf`` over the values that OPA's ``sprintf`` gives to it.

https://pkg.go.dev/fmt: OPA hands over integers (``int``, ``*big.Int`` if larger), floats (``float64``), and
strings; anything else as the string that OPA prints.
"""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any, Final

from webhook.rego.context import BuiltinError, check_string
from webhook.rego.numbers import float_of, general_text, integer_of, text_of
from webhook.rego.raw_text import encoded
from webhook.rego.texts import quote, term_text

_FLAGS: Final = frozenset("#0+- ")
_LARGE: Final = 1_000_000  # widths and precisions beyond are none to Go
_MASK: Final = (1 << 64) - 1
_BASES: Final = {"b": 2, "o": 8, "O": 8, "d": 10, "v": 10, "x": 16, "X": 16}


class _Big:
    """An integer that takes more than 64 bits: Go has other rules for it."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


def argument(value: Any) -> Any:
    """Return what OPA gives to Go for a value: int, _Big, float or str."""
    kind = value.__class__
    if kind is str:
        return value
    if kind is bool or not isinstance(value, int | float | Decimal):
        return term_text(value)
    small = integer_of(value)
    if small is not None:
        return small
    if isinstance(value, int):
        return _Big(value)
    near = float_of(value)
    return text_of(value) if near is None else near


def sprintf(template: str, values: list[Any]) -> str:
    """Return `template` with its verbs replaced, mistakes in it told in the text as Go tells them.

    Raises:
        Halt: the text is longer than any that may be built.
        BuiltinError: it asks for the address of a number.
    """
    return _Printer([argument(value) for value in values]).run(template)


class _Printer:
    """One formatting: what has been written, and the flags of the verb that is being written."""

    def __init__(self, arguments: list[Any]) -> None:
        self.arguments = arguments
        self.parts: list[str] = []
        self.length = 0
        self.reordered = False
        self.good = True
        self.clear()

    def clear(self) -> None:
        """Forget the flags of the verb before."""
        self.sharp = self.zero = self.plus = self.minus = self.space = False
        self.sharp_v = self.plus_v = False
        self.width: int | None = None
        self.precision: int | None = None

    def put(self, text: str) -> None:
        """Write `text`."""
        self.length += len(text)
        check_string(self.length)
        self.parts.append(text)

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
            self.put((", " if index else "") + _type_name(value) + "=")
            self.print(value, "v")
        self.put(")")

    def print(self, value: Any, verb: str) -> None:
        """Write one argument."""
        kind = value.__class__
        if verb == "T":
            self.text(_type_name(value))
        elif kind is _Big:
            self.big(value.value, verb)
        elif verb == "p":
            self.bad(value, verb)
        elif kind is str:
            self.string(value, verb)
        elif kind is int:
            self.integer(value, verb)
        else:
            self.float(value, verb)

    def bad(self, value: Any, verb: str) -> None:
        """Write that the verb isn't made for this argument."""
        self.put(f"%!{verb}({_type_name(value)}=")
        self.print(value, "v")
        self.put(")")

    def pad(self, text: str) -> None:
        """Write `text` in the width, zeros before it if they are asked for."""
        missing = (self.width or 0) - len(text)
        if missing <= 0:
            self.put(text)
        elif self.minus:
            self.put(text + " " * missing)
        else:
            self.put(("0" if self.zero else " ") * missing + text)

    def pad_with_spaces(self, text: str) -> None:
        """Write `text` in the width, never with zeros."""
        zero, self.zero = self.zero, False
        self.pad(text)
        self.zero = zero

    def text(self, text: str) -> None:
        """Write a string, cut to the precision."""
        self.pad(text if self.precision is None else text[: self.precision])

    def string(self, value: str, verb: str) -> None:
        """Write a string argument."""
        if verb == "s" or (verb == "v" and not self.sharp_v):
            self.text(value)
        elif verb in ("q", "v"):
            self.quoted(value if self.precision is None else value[: self.precision])
        elif verb in ("x", "X"):
            self.hexadecimal(encoded(value), verb)
        else:
            self.bad(value, verb)

    def quoted(self, value: str) -> None:
        """Write a string in quotation marks."""
        if self.sharp and _fits_backquotes(value):
            self.pad(f"`{value}`")
        else:
            self.pad(quote(value, only_ascii=self.plus))

    def hexadecimal(self, data: bytes, verb: str) -> None:
        """Write the bytes of a string."""
        if self.precision is not None:
            data = data[: self.precision]
        if not data:
            # Go writes a width of spaces, or zeros, for the empty string.
            zero = self.zero and not self.minus
            self.put(("0" if zero else " ") * (self.width or 0))
            return
        check_string(self.length + 4 * len(data))
        mark = f"0{verb}" if self.sharp else ""
        text = " ".join(f"{mark}{byte:02x}" for byte in data) if self.space else mark + data.hex()
        if verb == "X":
            text = text.upper()
        self.pad(text)

    def integer(self, value: int, verb: str) -> None:
        """Write an int argument."""
        if verb in _BASES:
            self.digits(value, _BASES[verb], verb)
        elif verb == "c":
            self.pad(_character(value & _MASK))
        elif verb == "q":
            self.pad(quote(_character(value & _MASK), "'", only_ascii=self.plus))
        elif verb == "U":
            self.unicode(value & _MASK)
        else:
            self.bad(value, verb)

    def digits(self, value: int, base: int, verb: str) -> None:
        """Write an int in a base, as Go's fmtInteger does."""
        if self.precision == 0 and value == 0:
            self.put(" " * (self.width or 0))
            return
        sign = "-" if value < 0 else "+" if self.plus else " " if self.space else ""
        least = self.precision or 0
        if self.precision is None and self.zero and not self.minus and self.width is not None:
            least = self.width - len(sign)
        text = _in_base(abs(value), base, verb == "X").rjust(least, "0")
        if self.sharp:
            if base == 2:
                text = "0b" + text
            elif base == 8 and not text.startswith("0"):
                text = "0" + text
            elif base == 16:
                text = ("0X" if verb == "X" else "0x") + text
        if verb == "O":
            text = "0o" + text
        self.pad_with_spaces(sign + text)

    def unicode(self, code: int) -> None:
        """Write ``U+0078``, with ``#`` the character too."""
        text = f"U+{code:0{max(4, self.precision or 0)}X}"
        if self.sharp and code <= 0x10FFFF and chr(code).isprintable():
            text += f" '{chr(code)}'"
        self.pad_with_spaces(text)

    def big(self, value: int, verb: str) -> None:
        """Write an integer of more than 64 bits, as Go's big.Int does."""
        if verb == "p":
            raise BuiltinError("%p of a large integer is an address, which differs each time")
        base = 10 if verb == "s" else _BASES.get(verb)
        if base is None:
            self.put(f"%!{verb}(big.Int={text_of(value)})")
            return
        sharp, plus = self.sharp or self.sharp_v, self.plus or self.plus_v
        sign = "-" if value < 0 else "+" if plus else " " if self.space else ""
        prefix = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}.get(verb, "") if sharp else ""
        prefix = "0o" if verb == "O" else prefix
        text = _in_base(abs(value), base, verb == "X")
        zeros = max(0, (self.precision or 0) - len(text))
        missing = (self.width or 0) - (len(sign) + len(prefix) + zeros + len(text))
        if missing > 0 and self.minus:
            text += " " * missing
        elif missing > 0 and self.zero and self.precision is None:
            zeros = missing
        elif missing > 0:
            sign = " " * missing + sign
        self.put(f"{sign}{prefix}{'0' * zeros}{text}")

    def float(self, value: float, verb: str) -> None:
        """Write a float argument."""
        if verb in ("v", "g", "G"):
            number = _general(value, self.precision, "G" if verb == "G" else "g")
        elif verb in ("e", "E", "f", "F"):
            precision = 6 if self.precision is None else self.precision
            number = f"{value:.{precision}{'f' if verb == 'F' else verb}}"
        elif verb in ("x", "X"):
            number = _hexadecimal(value, self.precision)
            number = number.upper() if verb == "X" else number
        elif verb == "b":
            number = _power_of_two(value)
        else:
            self.bad(value, verb)
            return
        sign = number[0] if number[0] == "-" else "+"
        number = number.removeprefix("-")
        if self.space and sign == "+" and not self.plus:
            sign = " "
        if self.sharp and verb != "b":
            number = self.with_point(number, verb)
        if not self.plus and sign == "+":
            self.pad(number)
        elif self.zero and not self.minus and self.width is not None and self.width > len(number) + 1:
            self.put(sign + number.rjust(self.width - 1, "0"))
        else:
            self.pad(sign + number)

    def with_point(self, number: str, verb: str) -> str:
        """Return a float's text with a point and, for ``%g``, the zeros that were left out."""
        digits = 0
        if verb in ("v", "g", "G", "x"):
            digits = 6 if self.precision is None else self.precision
        cut = len(number)
        for index, char in enumerate(number):
            if char in "pP" or (char in "eE" and verb not in ("x", "X")):
                cut = index
                break
        head, tail = number[:cut], number[cut:]
        seen = False
        for char in head:
            if char == ".":
                continue
            seen = seen or char != "0"
            digits -= seen
        if "." not in head:
            if head == "0":
                digits -= 1
            head += "."
        return head + "0" * max(0, digits) + tail


def _type_name(value: Any) -> str:
    kind = value.__class__
    return {int: "int", float: "float64", str: "string"}.get(kind, "*big.Int")


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


def _in_base(value: int, base: int, upper: bool) -> str:
    if base == 10:
        return text_of(value)
    return format(value, {2: "b", 8: "o", 16: "X" if upper else "x"}[base])


def _character(code: int) -> str:
    return "\ufffd" if code > 0x10FFFF or 0xD800 <= code < 0xE000 else chr(code)


def _fits_backquotes(text: str) -> bool:
    return all(char not in "`\x7f\ufeff" and (char >= " " or char == "\t") for char in text)


def _general(value: float, precision: int | None, verb: str) -> str:
    """Return ``%g``: with a precision as C has it, else the shortest digits."""
    if precision is not None:
        return f"{value:.{precision}{verb}}"
    text = shortest_text(value)
    return text.upper() if verb == "G" else text


def shortest_text(value: float) -> str:
    """Return Go's ``strconv.FormatFloat(value, 'g', -1, 64)``."""
    negative, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits))
    point = len(text) + int(exponent)
    kept = text.strip("0")
    sign = "-" if negative else ""
    if not kept:
        return sign + "0"
    return sign + general_text(kept, point - (len(text) - len(text.lstrip("0"))))


def _split(value: float) -> tuple[bool, int, int]:
    """Return a float's sign, mantissa of 53 bits and exponent of two."""
    bits = struct.unpack("<Q", struct.pack("<d", value))[0]
    negative, exponent, mantissa = bool(bits >> 63), bits >> 52 & 0x7FF, bits & ((1 << 52) - 1)
    if exponent == 0:
        return negative, mantissa, -1074
    return negative, mantissa | 1 << 52, exponent - 1075


def _power_of_two(value: float) -> str:
    """Return ``%b``: ``4503599627370496p-52``."""
    negative, mantissa, exponent = _split(value)
    return f"{'-' if negative else ''}{mantissa}p{exponent:+d}"


def _hexadecimal(value: float, precision: int | None) -> str:
    """Return ``%x`` of a float: ``0x1.8p+00``."""
    negative, mantissa, exponent = _split(value)
    sign = "-" if negative else ""
    if not mantissa:
        digits = "." + "0" * precision if precision else ""
        return f"{sign}0x0{digits}p+00"
    shift = 53 - mantissa.bit_length()
    mantissa, exponent = mantissa << shift, exponent - shift + 52
    fraction = mantissa & ((1 << 52) - 1)
    if precision is not None and precision < 13:
        drop = 52 - 4 * precision
        kept, rest = mantissa >> drop, mantissa & ((1 << drop) - 1)
        half = 1 << (drop - 1)
        kept += rest > half or (rest == half and kept & 1)
        if kept >> (4 * precision + 1):
            kept, exponent = kept >> 1, exponent + 1
        digits = f"{kept & ((1 << 4 * precision) - 1):0{precision}x}" if precision else ""
    else:
        digits = f"{fraction:013x}"
        digits = digits.rstrip("0") if precision is None else digits.ljust(precision, "0")
    point = "." if digits else ""
    return f"{sign}0x1{point}{digits}p{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
