"""Base documents by what is in them: a rule that looks for one value in all of them finds it without a scan.

An index is kept as long as the very same documents are asked: no document is changed once it is there.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Final

from webhook.core.activation import Budget
from webhook.rego.runtime.lookups import stored
from webhook.rego.values import UNDEFINED, Value, entries, key

Part = str | None
Entry = tuple[Value, ...]

_MOST: Final = 100_000


class Join:
    """One place of a program that looks for documents by a value in them.

    Args:
        path: from the documents' root to each of them; None stands for every key.
        inner: from a document to the values that are compared; None stands for every key.
    """

    __slots__ = ("_inner", "_kept", "_path")

    def __init__(self, path: Sequence[Part], inner: Sequence[Part]) -> None:
        self._path = tuple(path)
        self._inner = tuple(inner)
        self._kept: tuple[Any, dict[Hashable, list[Entry]] | None] = (None, None)

    def candidates(self, budget: Budget, root: Value, value: Value, weight: int) -> Sequence[Entry]:
        """Return the documents that have the value, each after the keys that lead to it.

        Raises:
            BudgetExceeded: there are more documents than the policy may go through.
        """
        kept, index = self._kept
        if kept is not root:
            index = self._indexed(budget, root)
            self._kept = (root, index)
        if index is None:
            found: Sequence[Entry] = list(_leaves(root, self._path, ()))
        else:
            found = index.get(key(value), ())
        budget.left -= 2 + len(found) * weight
        if budget.left < 0:
            budget.spend()
        return found

    def _indexed(self, budget: Budget, root: Value) -> dict[Hashable, list[Entry]] | None:
        index: dict[Hashable, list[Entry]] = {}
        for count, entry in enumerate(_leaves(root, self._path, ())):
            if count > _MOST:
                return None
            for one in _leaves(entry[-1], self._inner, ()):
                budget.left -= 2
                if budget.left < 0:
                    budget.spend()
                bucket = index.setdefault(key(one[-1]), [])
                if not bucket or bucket[-1] is not entry:
                    bucket.append(entry)
        return index


def _leaves(value: Value, path: tuple[Part, ...], keys: tuple[Value, ...]) -> Iterator[Entry]:
    for position, part in enumerate(path):
        if part is None:
            for name, found in entries(value):
                yield from _leaves(found, path[position + 1 :], (*keys, name))
            return
        value = stored(value, part)
        if value is UNDEFINED:
            return
    yield (*keys, value)
