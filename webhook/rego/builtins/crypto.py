"""Hashes and codes that authenticate messages."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_texts
from webhook.rego.context import Context
from webhook.rego.raw_text import encoded
from webhook.rego.types import BOOLEAN, STRING


def _declare_hash(name: str) -> None:
    def implementation(context: Context, text: Any) -> str:
        check_texts(text)
        context.spend(1 + (len(text) >> 8))
        return hashlib.new(name, encoded(text), usedforsecurity=False).hexdigest()

    builtin(f"crypto.{name}", (STRING,), STRING, needs_context=True)(implementation)


def _declare_code(name: str) -> None:
    def implementation(context: Context, text: Any, key: Any) -> str:
        check_texts(text, key)
        context.spend(2 + (len(text) >> 8) + (len(key) >> 8))
        return hmac.new(encoded(key), encoded(text), name).hexdigest()

    builtin(f"crypto.hmac.{name}", (STRING, STRING), STRING, needs_context=True)(implementation)


for _name in ("md5", "sha1", "sha256"):
    _declare_hash(_name)
for _name in ("md5", "sha1", "sha256", "sha512"):
    _declare_code(_name)


@builtin("crypto.hmac.equal", (STRING, STRING), BOOLEAN)
def hmac_equal(first: Any, second: Any) -> bool:
    """Tell whether two codes are the same, in a time that tells nothing about them."""
    check_texts(first, second)
    return hmac.compare_digest(encoded(first), encoded(second))
