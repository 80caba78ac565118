"""The values of CEL that JSON doesn't have, their types, and equality and order over all values.

null, bool, int, double, string, list and map are plain Python values as JSON decodes them, and bytes are
bytes; everything else is a class here. All are immutable and hashable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from webhook.core.authorization import AuthorizerCheck, AuthorizerDecision
from webhook.core.errors import BudgetExceeded, EvaluationError

MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**63 - 1
MAX_UINT: Final = 2**64 - 1
MIN_TIMESTAMP: Final = -62_135_596_800 * 10**9
MAX_TIMESTAMP: Final = 253_402_300_799 * 10**9 + 999_999_999
_PAIRS = 2_000_000  # pairs of values one comparison may look at


class UInt(int):
    """An unsigned 64-bit integer; it equals and hashes like the int of the same value, as in CEL."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{int(self)}u"


class Timestamp:
    """A point in time.

    Attributes:
        ns: nanoseconds since 1970-01-01T00:00:00Z.
        offset: seconds east of UTC in which it was written; only its text shows that.
    """

    __slots__ = ("ns", "offset")

    def __init__(self, ns: int, offset: int = 0) -> None:
        if not MIN_TIMESTAMP <= ns <= MAX_TIMESTAMP:
            raise EvaluationError("timestamp overflow")
        self.ns = ns
        self.offset = offset

    def __eq__(self, other: object) -> bool:
        return other.__class__ is Timestamp and self.ns == other.ns

    def __hash__(self) -> int:
        return hash((Timestamp, self.ns))

    def __repr__(self) -> str:
        return f"Timestamp({self.ns})"


class Duration:
    """A span of time in nanoseconds, in 64 bits."""

    __slots__ = ("ns",)

    def __init__(self, ns: int) -> None:
        if not MIN_INT <= ns <= MAX_INT:
            raise EvaluationError("duration overflow")
        self.ns = ns

    def __eq__(self, other: object) -> bool:
        return other.__class__ is Duration and self.ns == other.ns

    def __hash__(self) -> int:
        return hash((Duration, self.ns))

    def __repr__(self) -> str:
        return f"Duration({self.ns})"


class Optional:
    """A value that may be absent: ``optional.of(x)`` or ``optional.none()``."""

    __slots__ = ("present", "value")

    def __init__(self, value: Any = None, present: bool = True) -> None:
        self.value = value
        self.present = present

    def __eq__(self, other: object) -> bool:
        return other.__class__ is Optional and equals(self, other)

    def __hash__(self) -> int:
        if self.present and self.value.__class__ in (list, dict):
            return hash((Optional, len(self.value)))
        return hash((Optional, self.present, self.value))

    def __repr__(self) -> str:
        return f"Optional({self.value!r})" if self.present else "Optional.none"


NONE: Final = Optional(None, False)


class _Named:
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


class Type(_Named):
    """A type as a value, such as ``int`` or ``type(x)``."""

    __slots__ = ()


class NamedFormat(_Named):
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


TYPE_NAMES: Final[dict[type, str]] = {
    type(None): "null_type",
    bool: "bool",
    int: "int",
    UInt: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
    Optional: "optional_type",
    Type: "type",
    Quantity: "kubernetes.Quantity",
    IP: "net.IP",
    CIDR: "net.CIDR",
    URL: "kubernetes.URL",
    Semver: "kubernetes.Semver",
    NamedFormat: "kubernetes.NamedFormat",
    Authorizer: "kubernetes.authorization.Authorizer",
    PathCheck: "kubernetes.authorization.PathCheck",
    GroupCheck: "kubernetes.authorization.GroupCheck",
    ResourceCheck: "kubernetes.authorization.ResourceCheck",
    Decision: "kubernetes.authorization.Decision",
}
_TYPES = {kind: Type(name) for kind, name in TYPE_NAMES.items()}
_NUMBERS = frozenset((int, float, UInt))
_SCALARS = frozenset((str, int, bool, type(None), bytes, float, UInt, Timestamp, Duration, Type))
_STRICT = frozenset((Quantity, IP, CIDR, URL, Semver, NamedFormat))
_UNEQUATABLE = frozenset((Authorizer, PathCheck, GroupCheck, ResourceCheck, Decision))


def type_name(value: Any) -> str:
    """Return the name of a value's type, as Kubernetes names it in errors and ``type(x)``."""
    return TYPE_NAMES.get(value.__class__, "dyn")


def type_of(value: Any) -> Type:
    """Return ``type(value)``."""
    return _TYPES[value.__class__]


def is_number(value: Any) -> bool:
    """Tell whether a value is an int, uint or double; a bool is none of them."""
    return value.__class__ in _NUMBERS


def equals(left: Any, right: Any) -> bool:
    """Return ``left == right`` as CEL means it: numbers across their types, lists and maps by content.

    Raises:
        EvaluationError: the left side is of a kind that can't be compared with the right one.
    """
    kind, other = left.__class__, right.__class__
    if kind is other and kind in _SCALARS:
        return left == right  # type: ignore[no-any-return]
    found = _compare_shallow(left, right, kind, other)
    if found is None:
        raise EvaluationError("no such overload")
    if found is _DEEPER:
        return _equal_inside(left, right)
    return found  # type: ignore[return-value]


def same(left: Any, right: Any) -> bool:
    """Tell whether two values are equal; values that can't be compared are not."""
    kind, other = left.__class__, right.__class__
    if kind is other and kind in _SCALARS:
        return left == right  # type: ignore[no-any-return]
    found = _compare_shallow(left, right, kind, other)
    if found is _DEEPER:
        return _equal_inside(left, right)
    return found is True


_DEEPER: Final = object()


def _compare_shallow(left: Any, right: Any, kind: type, other: type) -> object:
    """Return True, False, None for values that can't be compared, or _DEEPER for containers of one size."""
    if kind in _NUMBERS:
        if other not in _NUMBERS:
            return False
        if kind is float:
            return left == float(right)
        if other is float:  # Kubernetes compares as doubles, though an int may lose its last digits so
            return float(left) == right
        return left == right
    if kind is other:
        if kind is list or kind is dict:
            return _DEEPER if len(left) == len(right) else False
        if kind is Optional:
            return _DEEPER if left.present and right.present else left.present == right.present
        if kind in _UNEQUATABLE:
            return None
        return left == right
    if right is None or left is None:
        return False
    return None if kind in _STRICT or kind in _UNEQUATABLE else False


def _equal_inside(left: Any, right: Any) -> bool:
    """Compare two lists, maps or optionals of one size without recursion.

    Elements that can't be compared count as equal here, as in Kubernetes' own CEL.
    """
    waiting = [(left, right)]
    pairs = 0
    while waiting:
        left, right = waiting.pop()
        if left.__class__ is list:
            inside: Any = zip(left, right, strict=True)
        elif left.__class__ is dict:
            inside = []
            for key, value in left.items():
                if not find_key(right, key):
                    return False
                inside.append((value, right[key]))
        else:
            inside = ((left.value, right.value),)
        for one, two in inside:
            pairs += 1
            kind, other = one.__class__, two.__class__
            if kind is other and kind in _SCALARS:
                if one != two:
                    return False
                continue
            found = _compare_shallow(one, two, kind, other)
            if found is _DEEPER:
                waiting.append((one, two))
            elif found is False:
                return False
        if pairs > _PAIRS:
            raise BudgetExceeded(f"compared more than {_PAIRS} pairs of values at once")
    return True


class _Probe:
    """Stands for a key in a lookup, and learns which of the mapping's own keys it equals."""

    __slots__ = ("key", "own")

    def __init__(self, key: Any) -> None:
        self.key = key

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        if self.key != other:
            return False
        self.own = other
        return True


def key_class(mapping: dict[Any, Any], key: Any) -> type | None:
    """Return the class of the mapping's own key that Python holds equal to `key`; None if there is none.

    To Python 1, true, 1u and 1.0 are one key, and which of them a mapping has only a lookup tells fast.
    """
    kind = key.__class__
    if kind is not bool and kind not in _NUMBERS:
        return kind if key in mapping else None
    probe = _Probe(key)
    return probe.own.__class__ if probe in mapping else None


def find_key(mapping: dict[Any, Any], key: Any) -> bool:
    """Tell whether a map has a key: whole numbers are found by numbers of any type, others by their own."""
    kind = key.__class__
    if kind is str:
        return key in mapping
    if kind is list or kind is dict:
        return False
    own = key_class(mapping, key)
    return own is kind or (kind in _NUMBERS and (own is int or own is UInt))


def _ordered(left: Any, right: Any) -> tuple[Any, Any]:
    """Return two Python values that are ordered as the CEL values are."""
    kind, other = left.__class__, right.__class__
    if kind is other:
        if kind is int or kind is str or kind is UInt or kind is bytes or kind is bool:
            return left, right
        if kind is Timestamp or kind is Duration:
            return left.ns, right.ns
    if kind in _NUMBERS and other in _NUMBERS:
        if kind is float or other is float:
            left, right = float(left), float(right)
            if left != left or right != right:
                raise EvaluationError("NaN values cannot be ordered")
        return left, right
    raise EvaluationError("no such overload")


def compare(left: Any, right: Any) -> int:
    """Return -1, 0 or 1.

    Raises:
        EvaluationError: the two have no order, or one is NaN.
    """
    one, two = _ordered(left, right)
    return (one > two) - (one < two)  # type: ignore[no-any-return]


def less(left: Any, right: Any) -> bool:
    """Return ``left < right``; raises as `compare` does."""
    one, two = _ordered(left, right)
    return one < two  # type: ignore[no-any-return]


def less_equal(left: Any, right: Any) -> bool:
    """Return ``left <= right``; raises as `compare` does."""
    one, two = _ordered(left, right)
    return one <= two  # type: ignore[no-any-return]


def greater(left: Any, right: Any) -> bool:
    """Return ``left > right``; raises as `compare` does."""
    one, two = _ordered(left, right)
    return one > two  # type: ignore[no-any-return]


def greater_equal(left: Any, right: Any) -> bool:
    """Return ``left >= right``; raises as `compare` does."""
    one, two = _ordered(left, right)
    return one >= two  # type: ignore[no-any-return]
