"""CEL as Kubernetes means it, compiled to Python functions over plain decoded JSON."""

from __future__ import annotations

from webhook.cel.program import Expression, compile_expression, compile_passes

__all__ = ["Expression", "compile_expression", "compile_passes"]
