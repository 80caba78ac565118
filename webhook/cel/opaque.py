"""The values of Kubernetes' libraries: quantities, addresses, URLs, versions, and checks of the authorizer.

All are immutable and hashable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from webhook.core.authorization import AuthorizerCheck, AuthorizerDecision


class Named:
    """A value that is its name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return other.__class__ is self.__class__ and self.name == other.name

    def __hash__(self) -> int:
        return hash((self.__class__, self.name))

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.name!r})"


class NamedFormat(Named):
    """One of the formats that ``format.named`` knows."""

    __slots__ = ()


class Quantity:
    """A Kubernetes quantity: ``unscaled * 10**exponent``.

    Attributes:
        unscaled: the digits with their sign.
        exponent: the power of ten; never under -9, for Kubernetes rounds up to nano.
        notation: how it is written: ``DecimalSI``, ``BinarySI`` or ``DecimalExponent``.
        decimal: whether Kubernetes keeps it as a big decimal; such a one has no integer value in CEL.
        written: its text where that was canonical enough to be kept; else empty.
        nano: the whole value in nano units; None where that would be too many digits.
    """

    __slots__ = ("decimal", "exponent", "nano", "notation", "unscaled", "written")

    def __init__(
        self, unscaled: int, exponent: int, notation: str, decimal: bool = False, written: str = ""
    ) -> None:
        self.unscaled = unscaled
        self.exponent = exponent
        self.notation = notation
        self.decimal = decimal
        self.written = written
        self.nano: int | None = unscaled * 10 ** (exponent + 9) if -9 <= exponent <= 60 else None

    def compare(self, other: Quantity) -> int:
        """Return -1, 0 or 1, exactly and without writing out huge powers of ten."""
        mine, theirs = self.nano, other.nano
        if mine is None or theirs is None:
            mine, theirs = _comparable(self, other)
        return (mine > theirs) - (mine < theirs)

    def __eq__(self, other: object) -> bool:
        return other.__class__ is Quantity and self.compare(other) == 0

    def __hash__(self) -> int:
        digits = str(self.unscaled).rstrip("0") if self.unscaled else ""
        return hash((Quantity, digits, self.unscaled and len(str(self.unscaled)) + self.exponent))

    def __repr__(self) -> str:
        return f"Quantity({self.unscaled}e{self.exponent})"


def _comparable(one: Quantity, two: Quantity) -> tuple[int, int]:
    """Return two integers in the order of the quantities."""
    first, second = one.unscaled, two.unscaled
    if first == 0 or second == 0 or (first > 0) != (second > 0):
        return first, second
    highest_one = len(str(abs(first))) + one.exponent
    highest_two = len(str(abs(second))) + two.exponent
    if highest_one != highest_two:
        sign = 1 if first > 0 else -1
        return sign * highest_one, sign * highest_two
    shift = one.exponent - two.exponent  # small now: it is a difference in the number of digits
    return (first * 10**shift, second) if shift > 0 else (first, second * 10**-shift)


class IP:
    """An IPv4 or IPv6 address: its number and 4 or 6."""

    __slots__ = ("number", "version")

    def __init__(self, number: int, version: int) -> None:
        self.number = number
        self.version = version

    def __eq__(self, other: object) -> bool:
        return other.__class__ is IP and (self.number, self.version) == (other.number, other.version)

    def __hash__(self) -> int:
        return hash((IP, self.number, self.version))


class CIDR:
    """An address with the length of its network prefix; bits of the host may be set."""

    __slots__ = ("length", "number", "version")

    def __init__(self, number: int, version: int, length: int) -> None:
        self.number = number
        self.version = version
        self.length = length

    def _key(self) -> tuple[int, int, int]:
        return self.number, self.version, self.length

    def __eq__(self, other: object) -> bool:
        return other.__class__ is CIDR and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((CIDR, self._key()))


class URL:
    """A parsed URL; two are equal when they are written the same way once normalized.

    Attributes:
        scheme: in lower case.
        host: with the port, unescaped.
        escaped_path: the path as it is written in the URL.
        query: what follows the question mark, still escaped.
        text: the whole, normalized.
    """

    __slots__ = ("escaped_path", "host", "query", "scheme", "text")

    def __init__(self, scheme: str, host: str, escaped_path: str, query: str, text: str) -> None:
        self.scheme = scheme
        self.host = host
        self.escaped_path = escaped_path
        self.query = query
        self.text = text

    def __eq__(self, other: object) -> bool:
        return other.__class__ is URL and self.text == other.text

    def __hash__(self) -> int:
        return hash((URL, self.text))


class Semver:
    """A semantic version. Build metadata is kept for its text alone: it never orders (semver.org, point 10).

    Attributes:
        key: sorts as versions do: major, minor, patch, whether it is a release, then the pre-release parts as
            (0, number, "") or (1, 0, text).
        text: as it is written.
    """

    __slots__ = ("key", "text")

    def __init__(self, key: tuple[int, int, int, bool, tuple[tuple[int, int, str], ...]], text: str) -> None:
        self.key = key
        self.text = text

    def __eq__(self, other: object) -> bool:
        return other.__class__ is Semver and self.key == other.key

    def __hash__(self) -> int:
        return hash((Semver, self.key))


Ask = Callable[[AuthorizerCheck], AuthorizerDecision]
"""The port that answers checks; raises DecisionLacking where it can't yet."""


@dataclass(frozen=True, slots=True, eq=False)
class Authorizer:
    """The variable ``authorizer``: asks what the request's user, or a service account, may do.

    Attributes:
        ask: answers a check.
        service_account: (namespace, name) asked about; None for the request's user.
        request_resource: what ``authorizer.requestResource`` gives; None where there is no request.
    """

    ask: Ask
    service_account: tuple[str, str] | None = None
    request_resource: ResourceCheck | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PathCheck:
    """``authorizer.path(...)``: a check in the making."""

    authorizer: Authorizer
    path: str


@dataclass(frozen=True, slots=True, eq=False)
class GroupCheck:
    """``authorizer.group(...)``: a check in the making."""

    authorizer: Authorizer
    group: str


@dataclass(frozen=True, slots=True, eq=False)
class ResourceCheck:
    """``authorizer.group(...).resource(...)``: a check in the making."""

    authorizer: Authorizer
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    field_selector: str = ""
    label_selector: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """The answer to a check."""

    allowed: bool
    reason: str
    error: str
