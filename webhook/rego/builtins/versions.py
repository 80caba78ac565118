"""Semantic versions, quantities with units, UUIDs and URIs."""

from __future__ import annotations

import re
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any, Final

from webhook.rego import numbers
from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_texts
from webhook.rego.builtins.strings import upper
from webhook.rego.context import BuiltinError, Context, Halt
from webhook.rego.go import big_floats
from webhook.rego.metering import pay
from webhook.rego.numbers import Number, number_of
from webhook.rego.types import ANY, BOOLEAN, NUMBER, STRING, Object
from webhook.rego.value_text import term_text
from webhook.rego.values import UNDEFINED

_OBJECT: Final = Object((), (STRING, ANY))
_IDENTIFIERS: Final = re.compile(r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_MAX_EXPONENT: Final = 4000  # decimal; what OPA computes beyond has more digits than are written here

Version = tuple[int, int, int, str]


def _version(text: str) -> Version | None:
    """Return the parts of a semantic version."""
    pay(len(text) >> 5)
    rest, _, metadata = text.removeprefix("v").partition("+")
    rest, _, release = rest.partition("-")
    if (metadata and not _IDENTIFIERS.fullmatch(metadata)) or (
        release and not _IDENTIFIERS.fullmatch(release)
    ):
        return None
    parts = rest.split(".")
    if len(parts) != 3 or not all(_INTEGER.fullmatch(part) and len(part) <= 40 for part in parts):
        return None
    major, minor, patch = map(int, parts)
    if not all(-(1 << 63) <= part < 1 << 63 for part in (major, minor, patch)):
        return None
    return major, minor, patch, release


def _order(a: Any, b: Any) -> int:
    return (a > b) - (a < b)  # type: ignore[no-any-return]


def _release_order(a: str, b: str) -> int:
    """Return the order of two different pre-releases."""
    if not a or not b:
        return 1 if not a else -1
    left, right = a.split("."), b.split(".")
    for one, other in zip(left, right, strict=False):
        numeric, other_numeric = one.isdigit(), other.isdigit()
        if numeric != other_numeric:
            return -1 if numeric else 1
        if numeric:
            # Go's Atoi gives the largest integer where there is none.
            order = _order(min(int(one), (1 << 63) - 1), min(int(other), (1 << 63) - 1))
        else:
            order = _order(one, other)
        if order:
            return order
    return _order(len(left), len(right))


@builtin("semver.compare", (STRING, STRING), NUMBER)
def semver_compare(first: Any, second: Any) -> int:
    """Return -1, 0 or 1: the order of two semantic versions."""
    check_texts(first, second)
    found = []
    for position, text in enumerate((first, second), 1):
        version = _version(text) if len(text) <= 4096 else None
        if version is None:
            raise BuiltinError(f"operand {position}: string {term_text(text)} is not a valid SemVer")
        found.append(version)
    a, b = found
    order = _order(a[:3], b[:3])
    if order or a[3] == b[3]:
        return order
    return _release_order(a[3], b[3])


@builtin("semver.is_valid", (ANY,), BOOLEAN)
def semver_is_valid(text: Any) -> bool:
    """Tell whether it is a semantic version."""
    return text.__class__ is str and len(text) <= 4096 and _version(text) is not None


_DECIMAL: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}
_NUMERAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def _split_unit(text: str, name: str) -> tuple[str, str]:
    """Return number and unit.

    Raises:
        BuiltinError: the exponent has more than six digits.
    """
    data = text.encode("utf-8", "replace")
    at = 0
    while at < len(data):
        char = chr(data[at])
        if not char.isdecimal() and char not in ".eE+-":
            break
        if char in "eE":
            following = chr(data[at + 1]) if at + 1 < len(data) else ""
            if not following or following not in "0123456789+-":
                break
            if following in "+-":
                at += 1
            end = at + 1
            while end < len(data) and chr(data[end]) in "0123456789":
                end += 1
            if end - at - 1 > 6:
                raise BuiltinError(f"{name}: exponent too large")
        at += 1
    return data[:at].decode("utf-8", "replace"), data[at:].decode("utf-8", "replace")


def _amount(text: str, name: str, what: str) -> Fraction:
    """Return the number of a quantity exactly.

    Raises:
        BuiltinError: it is none.
        Halt: it has more digits than any quantity has.
    """
    if not _NUMERAL.fullmatch(text):
        raise BuiltinError(f"{name}: could not parse {what} to a number")
    mantissa, _, exponent = text.lower().partition("e")
    if abs(int(exponent or 0)) > _MAX_EXPONENT or len(mantissa) > _MAX_EXPONENT:
        raise Halt(f"{name}: the exponent of a quantity is out of range")
    return Fraction(text)


@builtin("units.parse", (STRING,), NUMBER)
def units_parse(text: Any) -> Number:
    """Return the number of a quantity like ``1.5Gi`` or ``100m``, to ten digits behind the point."""
    check_texts(text)
    plain = text.replace('"', "")
    if " " in plain:
        raise BuiltinError("units.parse: spaces not allowed in resource strings")
    number, unit = _split_unit(plain, "units.parse")
    if not number:
        raise BuiltinError("units.parse: no amount provided")
    unit = unit[:1] + unit[1:].lower()
    factor = _unit(unit)
    amount = _amount(number, "units.parse", "amount") * factor
    if amount.denominator == 1:
        return amount.numerator
    return number_of(_fixed(amount, 10))


def _unit(unit: str) -> Fraction:
    if unit == "m":
        return Fraction(0.001)  # as the float has it
    name = unit.lower()
    if name.endswith("i") and name[:-1] in _DECIMAL and len(name) == 2:
        return Fraction(1024 ** _DECIMAL[name[:-1]])
    if name in _DECIMAL and unit != "m" and not (name == "m" and unit != "M"):
        return Fraction(1000 ** _DECIMAL[name])
    raise BuiltinError(f"units.parse: unit {unit} not recognized")


def _fixed(value: Fraction, digits: int) -> str:
    """Return a number with so many digits behind the point, half away from zero."""
    scaled = abs(value) * 10**digits
    whole = int(scaled + Fraction(1, 2))
    text = numbers.text_of(numbers.exact_number(whole)).rjust(digits + 1, "0")
    return f"{'-' if value < 0 else ''}{text[:-digits]}.{text[-digits:]}"


_BYTES: Final = {
    f"{prefix}{middle}{byte}": (1024 if middle else 1000) ** power
    for prefix, power in _DECIMAL.items()
    if prefix
    for middle in ("", "i")
    for byte in ("", "b")
}


_PLAIN: Final = re.compile(r"([0-9]{1,6})([A-Za-z]{0,3})")
"""So few digits that their product with any unit is exact in OPA's 64 bits: what nearly every quantity is."""


@builtin("units.parse_bytes", (STRING,), NUMBER, needs_context=True)
def units_parse_bytes(context: Context, text: Any) -> int:
    """Return the whole number of bytes of a quantity like ``1.5GiB``."""
    check_texts(text)
    simple = _PLAIN.fullmatch(text)
    if simple is not None:
        size = _BYTES.get(simple[2].lower()) if simple[2] else 1
        if size is not None:
            return int(simple[1]) * size
    plain = (
        upper(context, text).lower().replace('"', "") if not text.isascii() else text.lower().replace('"', "")
    )
    if " " in plain:
        raise BuiltinError("units.parse_bytes: spaces not allowed in resource strings")
    number, unit = _split_unit(plain, "units.parse_bytes")
    if not number:
        raise BuiltinError("units.parse_bytes: no byte amount provided")
    factor = 1 if not unit else _BYTES.get(unit)
    if factor is None:
        raise BuiltinError(f"units.parse_bytes: byte unit {unit} not recognized")
    _amount(number, "units.parse_bytes", "byte amount")
    with localcontext() as exact:
        exact.prec = 5000
        amount = big_floats.binary(Decimal(number))
    return numbers.exact_number(
        big_floats.truncated(big_floats.product_of(amount, big_floats.binary(factor)))
    )


@builtin("uuid.rfc4122", (STRING,), STRING, needs_context=True, pure=False)
def uuid_rfc4122(context: Context, name: Any) -> str:
    """Return a UUID of version 4, made from the query's seed: the same for the same operand in one query."""
    from hashlib import sha256

    identity = ("uuid", term_text(name))
    if identity not in context.cache:
        count = context.cache["uuids"] = context.cache.get("uuids", 0) + 1
        data = bytearray(sha256(b"%d:%s" % (count, context.seed)).digest()[:16])
        data[6] = data[6] & 0x0F | 0x40
        data[8] = data[8] & 0x3F | 0x80
        text = data.hex()
        context.cache[identity] = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return context.cache[identity]  # type: ignore[no-any-return]


_UUID: Final = re.compile(
    r"([0-9a-fA-F]{8})-([0-9a-fA-F]{4})-([0-9a-fA-F]{4})-([0-9a-fA-F]{4})-([0-9a-fA-F]{12})"
)
_DOMAINS: Final = ("Person", "Group", "Org")


@builtin("uuid.parse", (STRING,), _OBJECT)
def uuid_parse(text: Any) -> Any:
    """Return what a UUID tells: version and variant, and of versions 1 and 2 time, node and clock too."""
    check_texts(text)
    data = _uuid_bytes(text)
    if data is None:
        return UNDEFINED
    version = data[6] >> 4
    result: dict[str, Any] = {"version": version, "variant": _variant(data[8])}
    if version in (1, 2):
        time = int.from_bytes(data[:4], "big") | int.from_bytes(data[4:6], "big") << 32
        time |= (int.from_bytes(data[6:8], "big") & 0xFFF) << 48
        result["time"] = (time - 0x01B21DD213814000) * 100
        node = data[10:]
        result["nodeid"] = node.hex("-")
        local, multicast = node[0] & 2, node[0] & 1
        result["macvariables"] = f"{'local' if local else 'global'}:{'multicast' if multicast else 'unicast'}"
        result["clocksequence"] = int.from_bytes(data[8:10], "big") & 0x3FFF
        if version == 2:
            result["id"] = int.from_bytes(data[:4], "big")
            domain = data[9]
            result["domain"] = _DOMAINS[domain] if domain < 3 else f"Domain{domain}"
    return result


def _uuid_bytes(text: str) -> bytes | None:
    """Return the bytes of a UUID in any of the four forms that are read."""
    size = len(text)
    if size == 32:
        return bytes.fromhex(text) if re.fullmatch("[0-9a-fA-F]{32}", text) else None
    if size == 45:
        if text[:9].lower() != "urn:uuid:":
            return None
        text = text[9:]
    elif size == 38:
        text = text[1:]  # whatever the braces are
    elif size != 36:
        return None
    found = _UUID.match(text)
    return bytes.fromhex("".join(found.groups())) if found else None


def _variant(byte: int) -> str:
    if byte & 0xC0 == 0x80:
        return "RFC4122"
    if byte & 0xE0 == 0xC0:
        return "Microsoft"
    if byte & 0xE0 == 0xE0:
        return "Future"
    return "Reserved"
