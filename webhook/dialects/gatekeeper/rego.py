"""The engine Rego, imported when the first template needs it: who has none starts without it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from webhook.core.constraint import Found, Review
from webhook.core.errors import CompileError
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
    try:
        modules = importlib.import_module("webhook.dialects.gatekeeper.rego_modules")
    except ModuleNotFoundError:
        raise CompileError("this build has no Rego compiler: use K8sNativeValidation", field) from None
    judge: _Judge = modules.compile_rego(source, field)
    return judge
