"""IP addresses and networks, as strict as Kubernetes: no zones, no leading zeros, no IPv4 inside of IPv6."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from webhook.cel.library.function import Library, no_overload
from webhook.cel.opaque import CIDR, IP
from webhook.core.errors import EvaluationError

LIBRARY = Library()
_OCTET: Final = r"(0|[1-9][0-9]{0,2})"
_IPV4: Final = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}")
_GROUP: Final = re.compile(r"[0-9A-Fa-f]{1,4}")
_LENGTH: Final = re.compile(r"0|[1-9][0-9]{0,2}")
_BITS: Final = {4: 32, 6: 128}
_MAX_TEXT: Final = 64  # no address is longer


@lru_cache(2048)
def _parse(text: str) -> IP | None:
    """Return the address in a text; None if there is none that Kubernetes accepts."""
    if "." not in text or ":" in text:
        return _parse_ipv6(text)
    number = _ipv4_number(text)
    return None if number is None else IP(number, 4)


def parse_ip(text: str) -> IP | None:
    """Return the address in a text; None if there is none that Kubernetes accepts."""
    return _parse(text) if len(text) <= _MAX_TEXT else None


def _ipv4_number(text: str) -> int | None:
    found = _IPV4.fullmatch(text)
    if found is None:
        return None
    number = 0
    for octet in found.groups():
        if int(octet) > 255:
            return None
        number = number << 8 | int(octet)
    return number


def _parse_ipv6(text: str) -> IP | None:
    number = ipv6_number(text)
    if number is None or number >> 32 == 0xFFFF:  # ::ffff:1.2.3.4
        return None
    return IP(number, 6)


def ipv6_number(text: str) -> int | None:
    """Return the number of an IPv6 address without a zone, IPv4-mapped ones too; None if it isn't one."""
    if ":" not in text or len(text) > _MAX_TEXT:
        return None
    head, gap, tail = text.partition("::")
    if gap and "::" in tail:
        return None
    first, last = _groups(head, last=not gap), _groups(tail, last=True)
    if first is None or last is None:
        return None
    missing = 8 - len(first) - len(last)
    if missing < 1 if gap else missing != 0:
        return None
    number = 0
    for group in (*first, *([0] * missing), *last):
        number = number << 16 | group
    return number


def _groups(text: str, last: bool) -> list[int] | None:
    """Return the 16-bit groups of one side of ``::``; the last one of the address may be an IPv4 address."""
    if not text:
        return []
    parts = text.split(":")
    groups: list[int] = []
    for index, part in enumerate(parts):
        if "." in part:
            number = _ipv4_number(part) if last and index == len(parts) - 1 else None
            if number is None:
                return None
            groups += (number >> 16, number & 0xFFFF)
        elif _GROUP.fullmatch(part):
            groups.append(int(part, 16))
        else:
            return None
    return groups


@lru_cache(2048)
def _parse_network(text: str) -> CIDR | None:
    address, _, length = text.rpartition("/")
    found = _parse(address)
    if found is None or not _LENGTH.fullmatch(length) or int(length) > _BITS[found.version]:
        return None
    return CIDR(found.number, found.version, int(length))


def parse_cidr(text: str) -> CIDR | None:
    """Return the network in a text; None if there is none that Kubernetes accepts."""
    return _parse_network(text) if len(text) <= _MAX_TEXT else None


def write_ip(address: IP) -> str:
    """Return an address in its canonical form (RFC 5952)."""
    return _write(address.number, address.version)


def _write(number: int, version: int) -> str:
    if version == 4:
        return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))
    groups = [number >> shift & 0xFFFF for shift in range(112, -16, -16)]
    start, length = _longest_zeros(groups)
    texts = [f"{group:x}" for group in groups]
    if length < 2:
        return ":".join(texts)
    return ":".join(texts[:start]) + "::" + ":".join(texts[start + length :])


def _longest_zeros(groups: list[int]) -> tuple[int, int]:
    best = (0, 0)
    start = 0
    for index, group in enumerate(groups):
        if group:
            start = index + 1
        elif index + 1 - start > best[1]:
            best = (start, index + 1 - start)
    return best


def write_cidr(network: CIDR) -> str:
    """Return a network in its canonical form, its host bits kept."""
    return f"{_write(network.number, network.version)}/{network.length}"


def _shown(text: str) -> str:
    return repr(text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "...")


@LIBRARY.function("isIP", "bool")
def is_ip(text: Any) -> bool:
    """Tell whether a string is an IP address."""
    if text.__class__ is not str:
        raise no_overload("isIP")
    return parse_ip(text) is not None


@LIBRARY.function("ip", "net.IP")
def to_ip(text: Any) -> IP:
    """Return ``ip(text)``."""
    if text.__class__ is not str:
        raise no_overload("ip")
    found = parse_ip(text)
    if found is None:
        raise EvaluationError(f"IP Address {_shown(text)} parse error during conversion from string")
    return found


@LIBRARY.function("ip.isCanonical", "bool")
def is_canonical(text: Any) -> bool:
    """Tell whether an address is written in its canonical form."""
    return write_ip(to_ip(text)) == text  # type: ignore[no-any-return]


@LIBRARY.function("isCIDR", "bool")
def is_cidr(text: Any) -> bool:
    """Tell whether a string is a network in CIDR notation."""
    if text.__class__ is not str:
        raise no_overload("isCIDR")
    return parse_cidr(text) is not None


@LIBRARY.function("cidr", "net.CIDR")
def to_cidr(text: Any) -> CIDR:
    """Return ``cidr(text)``."""
    if text.__class__ is not str:
        raise no_overload("cidr")
    found = parse_cidr(text)
    if found is None:
        raise EvaluationError(f"network address parse error during conversion from string: {_shown(text)}")
    return found


@LIBRARY.method("family", "int")
def family(address: Any) -> int:
    """Return 4 or 6."""
    if address.__class__ is not IP:
        raise no_overload("family")
    return address.version


def _within(address: Any, name: str, ipv4: tuple[int, int], ipv6: tuple[int, int]) -> bool:
    """Tell whether the address has one of the prefixes, each the prefix and the bits that follow it."""
    if address.__class__ is not IP:
        raise no_overload(name)
    prefix, shift = ipv4 if address.version == 4 else ipv6
    return address.number >> shift == prefix


@LIBRARY.method("isUnspecified", "bool")
def is_unspecified(address: Any) -> bool:
    """Tell whether the address is 0.0.0.0 or ::."""
    return _within(address, "isUnspecified", (0, 0), (0, 0))


@LIBRARY.method("isLoopback", "bool")
def is_loopback(address: Any) -> bool:
    """Tell whether the address is in 127.0.0.0/8 or ::1."""
    return _within(address, "isLoopback", (127, 24), (1, 0))


@LIBRARY.method("isLinkLocalMulticast", "bool")
def is_link_local_multicast(address: Any) -> bool:
    """Tell whether the address is in 224.0.0.0/24 or ffx2::/16, x being anything."""
    if address.__class__ is IP and address.version == 6:
        return address.number >> 112 & 0xFF0F == 0xFF02
    return _within(address, "isLinkLocalMulticast", (0xE00000, 8), (0, 0))


@LIBRARY.method("isLinkLocalUnicast", "bool")
def is_link_local_unicast(address: Any) -> bool:
    """Tell whether the address is in 169.254.0.0/16 or fe80::/10."""
    return _within(address, "isLinkLocalUnicast", (0xA9FE, 16), (0xFE80 >> 6, 118))


@LIBRARY.method("isGlobalUnicast", "bool")
def is_global_unicast(address: Any) -> bool:
    """Tell whether the address is neither of the special ones nor multicast nor IPv4's broadcast."""
    if is_unspecified(address) or is_loopback(address) or is_link_local_unicast(address):
        return False
    if _within(address, "isGlobalUnicast", (0xE, 28), (0xFF, 120)):
        return False
    return not (address.version == 4 and address.number == 0xFFFFFFFF)


def _network(value: Any, name: str) -> CIDR:
    if value.__class__ is not CIDR:
        raise no_overload(name)
    return value


@LIBRARY.method("containsIP", "bool", (1,))
def contains_ip(network: Any, address: Any) -> bool:
    """Tell whether a network contains an address, given as one or as text."""
    outer = _network(network, "containsIP")
    inner = to_ip(address) if address.__class__ is str else address
    if inner.__class__ is not IP:
        raise no_overload("containsIP")
    shift = _BITS[outer.version] - outer.length
    return outer.version == inner.version and outer.number >> shift == inner.number >> shift


@LIBRARY.method("containsCIDR", "bool", (1,))
def contains_cidr(network: Any, other: Any) -> bool:
    """Tell whether a network contains another, given as one or as text."""
    outer = _network(network, "containsCIDR")
    inner = _network(to_cidr(other) if other.__class__ is str else other, "containsCIDR")
    if outer.version != inner.version or outer.length > inner.length:
        return False
    shift = _BITS[outer.version] - outer.length
    return outer.number >> shift == inner.number >> shift


@LIBRARY.method("ip", "net.IP")
def address_of(network: Any) -> IP:
    """Return the address of a network as it was written."""
    found = _network(network, "ip")
    return IP(found.number, found.version)


@LIBRARY.method("prefixLength", "int")
def prefix_length(network: Any) -> int:
    """Return the length of a network's prefix."""
    return _network(network, "prefixLength").length


@LIBRARY.method("masked", "net.CIDR")
def masked(network: Any) -> CIDR:
    """Return a network with the bits of the host cleared."""
    found = _network(network, "masked")
    shift = _BITS[found.version] - found.length
    return CIDR(found.number >> shift << shift, found.version, found.length)
