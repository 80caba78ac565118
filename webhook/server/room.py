"""Room for the requests that wait: bounded in number and bytes, and shared between namespaces."""

from __future__ import annotations

from types import TracebackType
from typing import Self

_NOTHING = (0, 0)


class Room:
    """Counts the requests that are in the room, and what they hold.

    A newcomer is let in while its namespace holds less than what is free, in number and in bytes. So one
    namespace alone takes half of the room, two take a third each, and something is always left for another:
    the dynamic threshold of Choudhury and Hahne (IEEE/ACM Transactions on Networking 6(2), 1998).
    Requests that are judged at once never meet each other here; those meet that wait for something.

    Args:
        requests: how many there is room for.
        size: how many bytes of bodies there is room for.

    Attributes:
        taken: requests in the room.
        bytes: of their bodies.
    """

    def __init__(self, requests: int, size: int) -> None:
        self._requests = requests
        self._size = size
        self._held: dict[str, list[int]] = {}
        self.taken = 0
        self.bytes = 0

    def has_place(self, namespace: str, size: int) -> bool:
        """Tell whether a request would be let in.

        Args:
            namespace: of the request; empty for everything that is cluster-scoped.
            size: bytes of its body.
        """
        requests, held_size = self._held.get(namespace, _NOTHING)
        return requests < self._requests - self.taken and held_size + size <= self._size - self.bytes

    def enter(self, namespace: str, size: int) -> Place | None:
        """Return a place, which must be left again; None where there is none for this namespace."""
        if not self.has_place(namespace, size):
            return None
        held = self._held.setdefault(namespace, [0, 0])
        held[0] += 1
        held[1] += size
        self.taken += 1
        self.bytes += size
        return Place(self, namespace, size)

    def leave(self, namespace: str, size: int) -> None:
        """Give back what `enter` gave."""
        held = self._held[namespace]
        held[0] -= 1
        held[1] -= size
        if not held[0]:
            del self._held[namespace]
        self.taken -= 1
        self.bytes -= size


class Place:
    """A request's place in the room, until the end of a ``with`` block."""

    __slots__ = ("_namespace", "_room", "_size")

    def __init__(self, room: Room, namespace: str, size: int) -> None:
        self._room = room
        self._namespace = namespace
        self._size = size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.leave(self._namespace, self._size)
