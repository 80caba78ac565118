"""Functions of IP addresses and CIDR blocks, as Go's package ``net`` reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
    summarize_address_range,
)
from typing import Any, Final, TypeAlias

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import operand_error
from webhook.rego.context import BuiltinError, Context, Halt, check_items
from webhook.rego.order import entries_in_order, members_in_order
from webhook.rego.types import ANY, ARRAY_OF_ANY, BOOLEAN, SET_OF_STRING, STRING, Array, Object, Set, Union
from webhook.rego.values import RegoObject, RegoSet

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

_MAX_EXPANDED: Final = 1 << 16
_LENGTH: Final = re.compile(r"[0-9]{1,3}")
_MAPPED: Final = 0xFFFF << 32
_ELEMENT: Final = "element must be string or non-empty array"


def _address(text: str) -> Address | None:
    """Return an address, one of IPv4 written as IPv6 as IPv4."""
    if "%" in text or not text.isascii():
        return None
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if found.version == 6 and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def _network(text: Any) -> Network:
    """Return a CIDR block.

    Raises:
        BuiltinError: it is none.
    """
    if text.__class__ is not str:
        raise operand_error(1, text, "string")
    address, slash, length = text.partition("/")
    try:
        found = ip_address(address) if slash and "%" not in address and address.isascii() else None
    except ValueError:
        found = None
    if found is None or not _LENGTH.fullmatch(length) or int(length) > found.max_prefixlen:
        raise BuiltinError(f"invalid CIDR address: {text}")
    return ip_network(
        (int(found), int(length)) if found.version == 4 else (str(found), int(length)), strict=False
    )


def _holds(block: Network, address: Address) -> bool:
    if block.version == 6:
        mapped = _mapped(block)
        if mapped is not None:
            return address.version == 4 and address in mapped
    return block.version == address.version and address in block


def _mapped(block: Network) -> IPv4Network | None:
    """Return the block of IPv4 that a block of IPv6 is to Go, which sees any mapped address as IPv4."""
    first = int(block.network_address)
    if block.version == 6 and first >> 32 == 0xFFFF and block.prefixlen >= 96:
        return IPv4Network((first & 0xFFFFFFFF, block.prefixlen - 96))
    return None


@builtin("net.cidr_contains", (STRING, STRING), BOOLEAN)
def cidr_contains(block: Any, other: Any) -> bool:
    """Tell whether an address or all of another block is in a block."""
    return _contains(block, other)


@builtin("net.cidr_overlap", (STRING, STRING), BOOLEAN, deprecated=True)
def cidr_overlap(block: Any, other: Any) -> bool:
    """Tell whether an address or all of another block is in a block."""
    return _contains(block, other)


def _contains(block: Any, other: Any) -> bool:
    outer = _network(block)
    if other.__class__ is not str:
        raise operand_error(1, other, "string")
    address = _address(other)
    if address is not None:
        return _holds(outer, address)
    try:
        inner = _network(other)
    except BuiltinError:
        raise BuiltinError(f"not a valid textual representation of an IP address or CIDR: {other}") from None
    return _holds(outer, inner.network_address) and _holds(outer, inner.broadcast_address)


@builtin("net.cidr_intersects", (STRING, STRING), BOOLEAN)
def cidr_intersects(first: Any, second: Any) -> bool:
    """Tell whether two blocks have an address in common."""
    a, b = _network(first), _network(second)
    return _holds(a, b.network_address) or _holds(b, a.network_address)


@builtin("net.cidr_is_valid", (STRING,), BOOLEAN)
def cidr_is_valid(text: Any) -> bool:
    """Tell whether it is a block."""
    if text.__class__ is not str:
        return False
    try:
        _network(text)
    except BuiltinError:
        return False
    return True


@builtin("net.cidr_expand", (STRING,), SET_OF_STRING, needs_context=True)
def cidr_expand(context: Context, text: Any) -> RegoSet:
    """Return all addresses of a block, up to 65,536."""
    block = _network(text)
    if block.num_addresses > _MAX_EXPANDED:
        raise Halt(
            f"net.cidr_expand: {block} has {block.num_addresses} addresses, over the limit of {_MAX_EXPANDED}"
        )
    context.spend(1 + 2 * block.num_addresses)
    return RegoSet(map(str, block))


@builtin(
    "net.cidr_merge", (Union((Array(Union((STRING,))), SET_OF_STRING)),), SET_OF_STRING, needs_context=True
)
def cidr_merge(context: Context, values: Any) -> RegoSet:
    """Return the fewest blocks with all the addresses of these blocks and addresses."""
    if values.__class__ is list:
        found = values
    elif values.__class__ is RegoSet:
        found = members_in_order(values)
    else:
        raise BuiltinError("operand must be an array")
    context.spend(1 + 8 * len(found))
    ranges = sorted(_range(item) for item in found)
    merged: list[tuple[int, int, str]] = []
    for last, first, text in ranges:
        low, joined = first, text
        while merged and merged[-1][1] >= (low if low in (0, _MAPPED) else low - 1):
            low, joined = min(low, merged.pop()[0]), ""
        merged.append((low, last, joined))
    result = RegoSet()
    for low, last, text in merged:
        for block in [text] if text else map(str, _blocks(low, last)):
            result.add(block)
    check_items(len(result))
    return result


def _range(value: Any) -> tuple[int, int, str]:
    """Return the last and the first address as IPv6 has them, and the block's text."""
    if value.__class__ is not str:
        raise BuiltinError("element must be string")
    address = _address(value)
    if address is None:
        block = _network(value)
        text = str(block)
    elif address.version == 6:
        raise BuiltinError("IPv6 invalid: needs prefix length")
    else:
        # Go's default: the size of the address's class.
        first = int(address) >> 24
        length = 8 if first < 128 else 16 if first < 192 else 24
        block = IPv4Network((int(address), length), strict=False)
        text = f"{address}/{length}"
    low, high = int(block.network_address), int(block.broadcast_address)
    if block.version == 4:
        low, high = low | _MAPPED, high | _MAPPED
    return high, low, text


def _blocks(low: int, high: int) -> Iterator[Network]:
    if low >> 32 == 0xFFFF and high >> 32 == 0xFFFF:
        return summarize_address_range(IPv4Address(low & 0xFFFFFFFF), IPv4Address(high & 0xFFFFFFFF))
    return summarize_address_range(IPv6Address(low), IPv6Address(high))


_ONE: Final = Union((STRING, ARRAY_OF_ANY))
_BLOCKS: Final = Union((STRING, Array(_ONE), Set(_ONE), Object((), (STRING, _ONE))))


@builtin("net.cidr_contains_matches", (_BLOCKS, _BLOCKS), Set(Array(None, (ANY, ANY))), needs_context=True)
def cidr_contains_matches(context: Context, blocks: Any, others: Any) -> RegoSet:
    """Return the pairs of keys of blocks, and of addresses or blocks in them."""
    result = RegoSet()
    for block, index in _keyed(1, blocks):
        for other, other_index in _keyed(2, others):
            context.spend(8)
            if _contains(block, other):
                result.add([index, other_index])
                check_items(len(result))
    return result


def _keyed(position: int, value: Any) -> Iterator[tuple[Any, Any]]:
    """Give the blocks of an operand, each with the key that it has there."""
    kind = value.__class__
    if kind is str:
        yield value, value
    elif kind is list:
        for index, item in enumerate(value):
            yield _element(position, item), index
    elif kind is RegoSet:
        for item in members_in_order(value):
            yield _element(position, item), item
    elif kind is dict or kind is RegoObject:
        for key, item in entries_in_order(value):
            yield _element(position, item), key


def _element(position: int, value: Any) -> Any:
    if value.__class__ is str:
        return value
    if value.__class__ is list and value:
        return value[0]
    raise BuiltinError(f"operand {position}: {_ELEMENT}")
