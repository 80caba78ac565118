"""The values of CEL that JSON doesn't have, and the types of all values.

null, bool, int, double, string, list and map are plain Python values as JSON decodes them, and bytes are
bytes; everything else is a class here or in `opaque`. All are immutable and hashable.
"""

from __future__ import annotations

from typing import Any, Final

from webhook.cel.opaque import (
    CIDR,
    IP,
    URL,
    Authorizer,
    Decision,
    GroupCheck,
    Named,
    NamedFormat,
    PathCheck,
    Quantity,
    ResourceCheck,
    Semver,
)
from webhook.core.errors import EvaluationError

MIN_INT: Final = -(2**63)
MAX_INT: Final = 2**63 - 1
MAX_UINT: Final = 2**64 - 1
MIN_TIMESTAMP: Final = -62_135_596_800 * 10**9
MAX_TIMESTAMP: Final = 253_402_300_799 * 10**9 + 999_999_999


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
        from webhook.cel.comparison import equals  # imported late: comparing needs all classes

        return other.__class__ is Optional and equals(self, other)

    def __hash__(self) -> int:
        if self.present and self.value.__class__ in (list, dict):
            return hash((Optional, len(self.value)))
        return hash((Optional, self.present, self.value))

    def __repr__(self) -> str:
        return f"Optional({self.value!r})" if self.present else "Optional.none"


NONE: Final = Optional(None, False)


class Type(Named):
    """A type as a value, such as ``int`` or ``type(x)``."""

    __slots__ = ()


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


def type_name(value: Any) -> str:
    """Return the name of a value's type, as Kubernetes names it in errors and ``type(x)``."""
    return TYPE_NAMES.get(value.__class__, "dyn")


def type_of(value: Any) -> Type:
    """Return ``type(value)``."""
    return _TYPES[value.__class__]
