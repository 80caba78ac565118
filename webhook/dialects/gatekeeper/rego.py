"""The engine Rego, imported when the first template needs it: who has none starts without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from webhook.core.constraint import Found, Review
from webhook.dialects.gatekeeper.fields import Object

_Judge = Callable[[Review, Any], Sequence[Found]]


def compile_rego(source: Object, field: str) -> _Judge:
    """Return the program of a Rego source; see `webhook.dialects.gatekeeper.rego_modules`.

    Args:
        source: ``rego``, ``libs`` and ``version``.
        field: where they stand.

    Raises:
        CompileError: OPA or Gatekeeper would refuse a module, or it uses what isn't supported.
    """
    from webhook.dialects.gatekeeper import rego_modules

    return rego_modules.compile_rego(source, field)
