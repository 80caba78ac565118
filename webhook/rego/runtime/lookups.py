"""Look-ups: along a path in values, in base documents, and in rules that may contradict each other."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from webhook.rego.numbers import text_of
from webhook.rego.runtime.errors import QueryError
from webhook.rego.runtime.frames import Frame
from webhook.rego.values import UNDEFINED, Value, lookup


def along(value: Value, *path: Value) -> Value:
    """Return what is found in `value` along `path`, one look-up after the other."""
    for wanted in path:
        value = lookup(value, wanted)
        if value is UNDEFINED:
            break
    return value


def at_keys(
    frame: Frame, whole: Callable[[Frame], Value], alone: Callable[..., Value], *keys: Value
) -> Value:
    """Return what rules have at some keys, though they may contradict each other at others."""
    try:
        return along(whole(frame), *keys)
    except QueryError as error:
        if error.code != "eval_conflict_error":
            raise
        return alone(frame, *keys)


def stored(container: Value, wanted: Value) -> Value:
    """Return what a name selects in a base document: OPA's storage goes by texts, so 1 is "1" there."""
    kind, of = wanted.__class__, container.__class__
    if of is dict and (kind is int or kind is float or isinstance(wanted, Decimal)):
        return container.get(text_of(wanted), UNDEFINED)
    if of is list and kind is str and wanted.isascii() and wanted.isdigit() and str(int(wanted)) == wanted:
        return lookup(container, int(wanted))
    return lookup(container, wanted)


def along_stored(value: Value, *path: Value) -> Value:
    """Return what is found in a base document along `path`."""
    for wanted in path:
        value = stored(value, wanted)
        if value is UNDEFINED:
            break
    return value
