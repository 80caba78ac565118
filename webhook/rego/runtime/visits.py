"""Loops over what is in containers, each charged to the budget."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from webhook.core.activation import Budget
from webhook.rego.order import entries_in_order
from webhook.rego.values import CONTAINERS, RegoObject, RegoSet, Value, entries


def values_of(container: Value) -> Collection[Value]:
    """Return the values that a reference with an unbound variable visits."""
    kind = container.__class__
    if kind is list:
        return container  # type: ignore[no-any-return]
    if kind is dict:
        return container.values()  # type: ignore[no-any-return]
    if kind is RegoSet:
        return container.some_twice()  # type: ignore[no-any-return]
    if kind is RegoObject:
        return [pair[1] for pair in container.members.values()]
    return ()


def visited(budget: Budget, container: Value, weight: int) -> Collection[Value]:
    """Return what `values_of` does, charged for a loop over them."""
    values = values_of(container)
    budget.left -= len(values) * weight
    if budget.left < 0:
        budget.spend()
    return values


def visited_entries(budget: Budget, container: Value, weight: int) -> Iterable[tuple[Value, Value]]:
    """Return keys and values, charged as `visited` does."""
    kind = container.__class__
    if kind is RegoSet:
        values = visited(budget, container, weight)
        return zip(values, values, strict=True)
    if kind is list or kind is dict or kind is RegoObject:
        budget.left -= len(container) * weight
        if budget.left < 0:
            budget.spend()
        return entries(container)
    return ()


def visited_in_order(budget: Budget, container: Value, weight: int) -> Iterable[Value]:
    """Return the values in OPA's order: where an array is built, the order shows."""
    if container.__class__ is list:
        return visited(budget, container, weight)
    return [pair[1] for pair in entries_visited_in_order(budget, container, weight)]


def entries_visited_in_order(budget: Budget, container: Value, weight: int) -> Iterable[tuple[Value, Value]]:
    """Return keys and values in OPA's order."""
    visited(budget, container, weight + 1)
    return entries_in_order(container)


def walked(budget: Budget, value: Value, paths: bool, weight: int) -> Iterable[tuple[list[Value], Value]]:
    """Give every value inside `value`, itself first, with its path (empty unless `paths`), in OPA's order."""
    waiting: list[tuple[list[Value], Value]] = [([], value)]
    while waiting:
        path, at = waiting.pop()
        budget.left -= weight + (len(path) // 4 if paths else 0)
        if budget.left < 0:
            budget.spend()
        yield path, at
        if at.__class__ in CONTAINERS:
            inner = [([*path, k] if paths else path, v) for k, v in entries_in_order(at)]
            inner.reverse()
            waiting.extend(inner)
