"""What both tiers do the same way: fields and elements, equality, sums and calls within a budget.

How Kubernetes treats a field or an index of the wrong kind of value was found out with its own CEL: presence
tests and optional reads of a scalar are false and none, those of a list are errors.
"""

from __future__ import annotations

from typing import Any, NoReturn

from webhook.cel.comparison import equals, find_key, key_class
from webhook.cel.complaints import NoOverload, no_key, no_such_overload, not_iterable
from webhook.cel.library import FUNCTIONS, Function
from webhook.cel.library.function import text_cost
from webhook.cel.opaque import Authorizer, Decision, GroupCheck, PathCheck, ResourceCheck
from webhook.cel.values import NONE, Optional, UInt, type_name
from webhook.core.activation import Budget
from webhook.core.errors import EvaluationError

MAX_TEXT = 8 * 1024 * 1024
"""Code points or bytes that a string made by an expression may have."""

MISSING: Any = object()
"""The generated tier's ``optional.none()`` inside a chain of optional operations."""

_contains = FUNCTIONS["in"].implementation
_add = FUNCTIONS["+"].implementation
_differs = FUNCTIONS["!="].implementation
_UNEQUATABLE = frozenset((Authorizer, PathCheck, GroupCheck, ResourceCheck, Decision))


def charge(budget: Budget, steps: int) -> None:
    """Take `steps` from the budget.

    Raises:
        BudgetExceeded: so many aren't left.
    """
    budget.left -= steps
    if budget.left < 0:
        budget.spend()


def fail() -> NoReturn:
    """Leave the generated tier: the exact one will say what is wrong."""
    raise EvaluationError("no such overload")


def select(operand: Any, field: str) -> Any:
    """Return ``operand.field``."""
    kind = operand.__class__
    if kind is dict:
        if field in operand:
            return operand[field]
    elif kind is Optional:
        return select_optional(operand, field)
    elif kind is list:
        raise EvaluationError("unsupported index type 'string' in list")
    raise EvaluationError(f"no such key: {field}")


def has(operand: Any, field: str) -> bool:
    """Return ``has(operand.field)``."""
    kind = operand.__class__
    if kind is dict:
        return field in operand
    if kind is Optional:
        return operand.present and has(operand.value, field)
    if kind is list:
        raise EvaluationError("unsupported index type 'string' in list")
    return False


def select_optional(operand: Any, field: str) -> Optional:
    """Return ``operand.?field``."""
    if operand.__class__ is Optional:
        if not operand.present:
            return NONE
        operand = operand.value
    if operand.__class__ is dict:
        return Optional(operand[field]) if field in operand else NONE
    if operand.__class__ is list:
        raise EvaluationError("unsupported index type 'string' in list")
    return NONE


_KEYS = frozenset((str, int, UInt, float, bool))


def _position(index: Any) -> int:
    """Return the position in a list that an index means; whole doubles are positions too."""
    kind = index.__class__
    if kind is int or kind is UInt:
        return int(index)
    if kind is float:
        if index.is_integer():
            return int(index)
        raise EvaluationError(f"unsupported index value {index} in list")
    if kind in _KEYS:
        raise EvaluationError(f"unsupported index type '{type_name(index)}' in list")
    raise EvaluationError(no_key(index))


def index_into(operand: Any, index: Any) -> Any:
    """Return ``operand[index]``."""
    kind = operand.__class__
    if kind is dict:
        if index.__class__ in _KEYS and find_key(operand, index):
            return operand[index]
    elif kind is list:
        position = _position(index)
        if 0 <= position < len(operand):
            return operand[position]
        raise EvaluationError(f"index out of bounds: {position}")
    elif kind is Optional:
        return index_optional(operand, index)
    if index.__class__ not in _KEYS:
        raise EvaluationError(no_key(index))
    raise EvaluationError(f"no such key: {_shown(index)}")


def index_optional(operand: Any, index: Any) -> Optional:
    """Return ``operand[?index]``."""
    if operand.__class__ is Optional:
        if not operand.present:
            return NONE
        operand = operand.value
    if index.__class__ not in _KEYS:
        raise EvaluationError(no_key(index))
    if operand.__class__ is dict:
        return Optional(operand[index]) if find_key(operand, index) else NONE
    if operand.__class__ is list:
        position = _position(index)
        return Optional(operand[position]) if 0 <= position < len(operand) else NONE
    return NONE


def _shown(index: Any) -> str:
    """Return a key as Go writes it."""
    kind = index.__class__
    if kind is bool:
        return "true" if index else "false"
    if kind is UInt:
        return str(int(index))
    return index if kind is str else str(index)[:100] if kind in (int, float) else type_name(index)


def maybe_field(operand: Any, field: str) -> Any:
    """Return ``operand.?field`` for the generated tier where the field isn't there: MISSING, or leave."""
    if operand.__class__ is list or operand.__class__ is Optional:
        fail()
    return operand[field] if operand.__class__ is dict and field in operand else MISSING


def maybe_index(operand: Any, index: Any) -> Any:
    """Return ``operand[?index]`` for the generated tier: the value or MISSING."""
    if operand is MISSING:
        return MISSING
    if operand.__class__ is Optional:
        fail()
    return open_optional(index_optional(operand, index))


def open_optional(value: Any) -> Any:
    """Return what an optional holds, or MISSING; leave the generated tier for any other value."""
    if value.__class__ is not Optional:
        fail()
    return value.value if value.present else MISSING


def close_optional(value: Any) -> Optional:
    """Undo `open_optional`."""
    return NONE if value is MISSING else Optional(value)


def equal(budget: Budget, left: Any, right: Any) -> bool:
    """Return ``left == right``, and charge for what is looked at."""
    kind = left.__class__
    if kind is not right.__class__:
        return equals(left, right)
    if kind is str or kind is bytes:
        if len(left) > 1024:
            charge(budget, len(left) >> 6)
        return left == right  # type: ignore[no-any-return]
    if kind is dict or kind is list:
        return _equal_containers(budget, left, right)
    if kind is Optional and left.present and right.present:
        return equal(budget, left.value, right.value)
    return equals(left, right)


_PLAIN_SCALARS = frozenset((str, int, bool, type(None), float))


def _equal_containers(budget: Budget, left: Any, right: Any) -> bool:
    """Compare two lists or two maps; Python's own limit bounds the recursion, and ends in an error."""
    size = len(left)
    if size != len(right):
        return False
    budget.left -= size + 1
    if budget.left < 0:
        budget.spend()
    if left.__class__ is dict:
        for key, value in left.items():
            if key not in right or (key.__class__ is not str and not find_key(right, key)):
                return False
            other = right[key]
            if value.__class__ is str and len(value) < 1024:
                if value != other:  # what is no string differs from one
                    return False
            elif not _equal_inside(budget, value, other):
                return False
        return True
    return all(_equal_inside(budget, one, two) for one, two in zip(left, right, strict=True))


def _equal_inside(budget: Budget, one: Any, two: Any) -> bool:
    kind = one.__class__
    if kind is dict or kind is list:
        return kind is two.__class__ and _equal_containers(budget, one, two)
    if kind is two.__class__ and kind in _PLAIN_SCALARS:
        if kind is str and len(one) > 1024:
            charge(budget, len(one) >> 6)
        return one == two  # type: ignore[no-any-return]
    return _equal_elements(one, two)


def _equal_elements(one: Any, two: Any) -> bool:
    """Elements that can't be compared count as equal inside containers, as in Kubernetes' own CEL."""
    return equals([one], [two])


def unequal(budget: Budget, left: Any, right: Any) -> bool:
    """Return ``left != right``."""
    if left.__class__ is right.__class__:
        if left.__class__ in _UNEQUATABLE:
            return True
        return not equal(budget, left, right)
    return _differs(left, right)  # type: ignore[no-any-return]


def compare(budget: Budget, function: Function, left: Any, right: Any) -> Any:
    """Return ``left < right`` or another comparison, for the generated tier."""
    if left.__class__ is int and right.__class__ is int:
        return function.implementation(left, right)
    return call(budget, function, left, right)


def number(value: Any) -> Any:
    """Return a value that may be compared with a small constant; leave the generated tier for any other."""
    kind = value.__class__
    if kind is UInt or (kind is float and value == value):
        return value
    fail()


def contains(budget: Budget, item: Any, container: Any) -> bool:
    """Return ``item in container``, and charge for what is looked at."""
    kind = container.__class__
    if kind is dict:
        return item in container if item.__class__ is str else _contains(item, container)
    if kind is not list:
        raise EvaluationError("no such overload")
    budget.left -= len(container)
    if budget.left < 0:
        budget.spend()
    if item.__class__ is str:
        if len(item) > 1024:
            charge(budget, len(container) * (len(item) >> 6))
        for one in container:
            if one.__class__ is str:
                if one == item:
                    return True
            elif (
                one.__class__ not in _PLAIN_SCALARS
                and one.__class__ is not list
                and one.__class__ is not dict
            ):
                return _contains(item, container)  # type: ignore[no-any-return]
        return False
    if item.__class__ is list or item.__class__ is dict:
        return any(equal(budget, item, one) for one in container)
    return _contains(item, container)  # type: ignore[no-any-return]


def add(budget: Budget, left: Any, right: Any) -> Any:
    """Return ``left + right``, and charge for what is copied."""
    kind = left.__class__
    if (kind is str or kind is bytes) and kind is right.__class__:
        size = len(left) + len(right)
        if size > 64:
            if size > MAX_TEXT:
                raise EvaluationError(f"a string of {size} characters is over the limit of {MAX_TEXT}")
            plain = kind is bytes or (left.isascii() and right.isascii())
            charge(budget, size >> 6 if plain else size >> 4)
        return left + right
    if kind is list and right.__class__ is list:
        charge(budget, len(left) + len(right))
    try:
        return _add(left, right)
    except NoOverload:
        raise EvaluationError(no_such_overload("+", (left, right))) from None


def _affix_cost(text: Any, sought: Any) -> int:
    return len(sought) >> 6 if text.__class__ is str and sought.__class__ is str else 0


_MORE_COSTLY = {"startsWith": _affix_cost, "endsWith": _affix_cost}


def call(budget: Budget, function: Function, *args: Any) -> Any:
    """Call a function; charge for what it reads first, and then for what it built.

    Raises:
        EvaluationError: the function failed or isn't made for these values.
        BudgetExceeded: the call takes more steps than are left.
    """
    costly = function.costly or _MORE_COSTLY.get(function.name)
    try:
        if costly is None:
            return function.implementation(*args)
        charge(budget, costly(*args))
        if function.metered:
            result = function.implementation(lambda steps: charge(budget, steps), *args)
        else:
            result = function.implementation(*args)
        kind = result.__class__
        if kind is str:
            if len(result) > 64:
                charge(budget, text_cost(result))
        elif kind is list or kind is dict:
            charge(budget, len(result))
        return result
    except NoOverload:
        raise EvaluationError(no_such_overload(function.name, args)) from None
    except (EvaluationError, RecursionError, MemoryError):
        raise
    except Exception:  # a TypeError and the like: the values are of kinds that no overload takes
        raise EvaluationError(no_such_overload(function.name, args)) from None


def map_of(*entries: Any) -> dict[Any, Any]:
    """Return a map of keys and values in turn.

    Raises:
        EvaluationError: a key that can't be one here; Python can't keep 1, true and 1.0 apart in one map.
    """
    found: dict[Any, Any] = {}
    for position in range(0, len(entries), 2):
        put(found, entries[position], entries[position + 1])
    return found


def check_key(key: Any) -> None:
    """Make sure that `key` can be one: Python can't hash lists and maps, nor Kubernetes' CEL bytes.

    Raises:
        EvaluationError: it can't.
    """
    if key.__class__ in (list, dict, bytes):
        raise EvaluationError(f"unsupported key type: {type_name(key)}")


def put(target: dict[Any, Any], key: Any, value: Any) -> None:
    """Set ``target[key]`` in a map that is being made.

    Raises:
        EvaluationError: as `map_of`.
    """
    if key.__class__ is not str:
        check_key(key)
        if key != key:
            raise EvaluationError("a map can't have NaN as a key here")
        if key_class(target, key) not in (key.__class__, None):
            raise EvaluationError("a map can't have both 1 and true, or 1 and 1.0, as keys here")
    target[key] = value


def insert(target: dict[Any, Any], entries: Any) -> None:
    """Add the entry that ``transformMapEntry`` made for one turn.

    Raises:
        EvaluationError: it isn't a map, or a key is there already.
    """
    if entries.__class__ is not dict:
        raise EvaluationError("no such overload")
    for key, value in entries.items():
        if key in target:
            raise EvaluationError(f"insert failed: key {_shown(key)} already exists")
        put(target, key, value)


def iterable(value: Any) -> Any:
    """Return `value` if it can be iterated over: a list or a map.

    Raises:
        EvaluationError: it can't.
    """
    if value.__class__ is list or value.__class__ is dict:
        return value
    raise EvaluationError(not_iterable(value))
