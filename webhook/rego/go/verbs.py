"""The verbs of Go's ``fmt``: one argument written under a verb's flags, width and precision."""

from __future__ import annotations

from typing import Any, Final

from webhook.rego.context import BuiltinError, check_string
from webhook.rego.go.binary_texts import hexadecimal_float, power_of_two
from webhook.rego.go.decimal_digits import shortest_text
from webhook.rego.numbers import text_of
from webhook.rego.raw_text import encoded
from webhook.rego.value_text import quote

_MASK: Final = (1 << 64) - 1
_BASES: Final = {"b": 2, "o": 8, "O": 8, "d": 10, "v": 10, "x": 16, "X": 16}


class Big:
    """An integer that takes more than 64 bits: Go has other rules for it."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


class Writer:
    """What has been written, and the flags of the verb that is being written."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.length = 0
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

    def print(self, value: Any, verb: str) -> None:
        """Write one argument."""
        kind = value.__class__
        if verb == "T":
            self.text(type_name(value))
        elif kind is Big:
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
        self.put(f"%!{verb}({type_name(value)}=")
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
            number = hexadecimal_float(value, self.precision)
            number = number.upper() if verb == "X" else number
        elif verb == "b":
            number = power_of_two(value)
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


def type_name(value: Any) -> str:
    """Return the name of Go's type for an argument."""
    kind = value.__class__
    return {int: "int", float: "float64", str: "string"}.get(kind, "*big.Int")


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
