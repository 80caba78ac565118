"""Parts of URIs, as Go's ``url.Parse`` reads them."""

from __future__ import annotations

from typing import Any

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_texts
from webhook.rego.context import BuiltinError, Context
from webhook.rego.go.urls import PORT, parse_url
from webhook.rego.types import BOOLEAN, STRING, Object


@builtin("uri.parse", (STRING,), Object((), (STRING, STRING)), needs_context=True)
def uri_parse(context: Context, text: Any) -> dict[str, str]:
    """Return the parts of a URI that are there."""
    check_texts(text)
    context.spend(5 + (len(text) >> 4))
    url = parse_url(text)
    name, port = _split(url.host)
    parts = {
        "scheme": url.scheme,
        "hostname": name,
        "port": port,
        "path": url.path,
        "raw_path": url.raw_path or url.path,
        "raw_query": url.raw_query,
        "fragment": url.fragment,
    }
    return {part: value for part, value in parts.items() if value}


@builtin("uri.is_valid", (STRING,), BOOLEAN, needs_context=True)
def uri_is_valid(context: Context, text: Any) -> bool:
    """Tell whether it is a URI, and not the empty one."""
    if text.__class__ is not str or not text:
        return False
    context.spend(5 + (len(text) >> 4))
    try:
        parse_url(text)
    except BuiltinError:
        return False
    return True


def _split(host: str) -> tuple[str, str]:
    colon = host.rfind(":")
    name, port = host, ""
    if colon >= 0 and PORT.fullmatch(host[colon:]):
        name, port = host[:colon], host[colon + 1 :]
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    return name, port
