"""The engine Rego: a template's modules as a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from webhook.core.constraint import Found, Review
from webhook.core.errors import CompileError
from webhook.dialects.gatekeeper.fields import Object, text, texts

_Judge = Callable[[Review, Any], Sequence[Found]]


def compile_rego(source: Object, field: str) -> _Judge:
    """Return the program of a Rego source.

    Args:
        source: ``rego``, ``libs`` and ``version``.
        field: where they stand.

    Raises:
        CompileError: OPA or Gatekeeper would refuse a module, or it uses what isn't supported.
    """
    if not text(source, "rego", field):
        raise CompileError("rego source missing required field", f"{field}.rego")
    texts(source, "libs", field)
    raise CompileError("Rego can't be judged by this version", f"{field}.rego")
