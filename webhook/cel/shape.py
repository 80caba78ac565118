"""What the generated tier asks about an expression: its loops, and the fields that it reads often."""

from __future__ import annotations

from typing import Any, TypeAlias

from webhook.cel.ast import Apply, Literal, Local, Loop, MapOf, Node, Root, Select

EXACT_INT = 2**53
"""Beyond it, comparing an integer with a double depends on how."""

Chain: TypeAlias = tuple[str | int, ...]
"""A variable's name, or a comprehension variable's slot, and the fields read from it one after the other."""


def is_small_number(node: Node) -> bool:
    """Tell whether a node is a number that compares with every other as Python compares them."""
    if node.__class__ is not Literal or node.value.__class__ not in (int, float):
        return False
    return -EXACT_INT < node.value < EXACT_INT


def without_dyn(node: Node) -> Node:
    """Return what ``dyn`` was given, which is the same value at run time."""
    while node.__class__ is Apply and node.name == "dyn":
        node = node.args[0]
    return node


def is_cheap(node: Node) -> bool:
    """Tell whether code for `node` is short and may be written twice."""
    while node.__class__ is Select and not node.optional and node.operand.type != "@variables":
        node = node.operand
    return node.__class__ in (Root, Local, Literal)


def chain_of(node: Any) -> Chain:
    """Return the variable and the fields that a chain of selections reads; for anything else nothing."""
    fields: list[str | int] = []
    while node.__class__ is Select:
        if node.optional or node.operand.type == "@variables":
            return ()
        fields.append(node.field)
        node = node.operand
    if node.__class__ is Root:
        return (node.name, *reversed(fields))
    return (node.slot, *reversed(fields)) if node.__class__ is Local else ()


def repeated_chains(node: Node) -> set[Chain]:
    """Return the chains that are read more than once, each not only as the beginning of one longer chain."""
    counts: dict[Chain, int] = {}
    waiting: list[Any] = [node]
    while waiting:
        one = waiting.pop()
        if one.__class__ is Select and (chain := chain_of(one)):
            for length in range(2, len(chain) + 1):
                counts[chain[:length]] = counts.get(chain[:length], 0) + 1
        else:
            for part in one:
                if isinstance(part, tuple):
                    waiting.append(part)
    # A beginning that is read as often as its longer chain is never read alone.
    longer = {chain[:-1]: count for chain, count in counts.items() if counts.get(chain[:-1]) == count}
    return {chain for chain, count in counts.items() if count > 1 and chain not in longer}


def leaf_weights(node: Node) -> int:
    """Add up the weights of the loops without loops inside them: a few turns of each aren't charged."""
    if not node.loops:
        return 0
    if node.__class__ is Loop:
        inner = leaf_weights(node.body)
        return leaf_weights(node.range) + (0 if inner else node.weight)
    if node.__class__ is MapOf:
        return sum([leaf_weights(key) + leaf_weights(value) for key, value, _ in node.entries])
    total = 0
    for part in node:
        if isinstance(part, tuple):
            inside: tuple[Any, ...] = (part,) if hasattr(part, "loops") else part
            total += sum([leaf_weights(one) for one in inside if hasattr(one, "loops")])
    return total
