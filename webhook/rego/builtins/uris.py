"""URIs, as Go's ``url.Parse`` reads them."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Any, Final

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_texts
from webhook.rego.context import BuiltinError, Context
from webhook.rego.raw_text import decoded, encoded
from webhook.rego.types import BOOLEAN, STRING, Object
from webhook.rego.value_text import quote

_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)?(:)?")
_PORT: Final = re.compile(r"(?::[0-9]*)?")
_IPV4: Final = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
_USER: Final = re.compile(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*")
_HOST: Final = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~!$&'()*+,;=:[]<>\""
)
_MAX: Final = 1 << 16


@builtin("uri.parse", (STRING,), Object((), (STRING, STRING)), needs_context=True)
def uri_parse(context: Context, text: Any) -> dict[str, str]:
    """Return the parts of a URI that are there."""
    check_texts(text)
    context.spend(5 + (len(text) >> 4))
    return _parse(text)


@builtin("uri.is_valid", (STRING,), BOOLEAN, needs_context=True)
def uri_is_valid(context: Context, text: Any) -> bool:
    """Tell whether it is a URI, and not the empty one."""
    if text.__class__ is not str or not text:
        return False
    context.spend(5 + (len(text) >> 4))
    try:
        _parse(text)
    except BuiltinError:
        return False
    return True


def _parse(text: str) -> dict[str, str]:
    if len(text) > _MAX:
        raise BuiltinError(f"a URI of {len(text)} characters is over the limit of {_MAX}")
    rest, _, fragment = text.partition("#")
    try:
        parts = _without_fragment(rest)
    except BuiltinError as error:
        raise BuiltinError(f"parse {quote(rest)}: {error}") from None
    try:
        parts["fragment"] = _unescape(fragment)
    except BuiltinError as error:
        raise BuiltinError(f"parse {quote(text)}: {error}") from None
    return {name: part for name, part in parts.items() if part}


def _without_fragment(text: str) -> dict[str, str]:
    if any(char < " " or char == "\x7f" for char in text):
        raise BuiltinError("net/url: invalid control character in URL")
    if text == "*":
        return {"path": "*", "raw_path": "*"}
    parts = {"scheme": ""}
    found = _SCHEME.match(text)
    rest = text
    if found is not None and found[2]:
        if not found[1]:
            raise BuiltinError("missing protocol scheme")
        parts["scheme"], rest = found[1].lower(), text[found.end() :]
    rest, _, parts["raw_query"] = rest.partition("?")
    if not rest.startswith("/"):
        if parts["scheme"]:
            return parts  # opaque
        if ":" in rest.partition("/")[0]:
            raise BuiltinError("first path segment in URL cannot contain colon")
    if rest.startswith("//") and (parts["scheme"] or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        host = _authority(parts["scheme"], authority)
        parts["hostname"], parts["port"] = _split(host)
    parts["path"] = _unescape(rest)
    parts["raw_path"] = rest
    if parts["path"] and _escape(parts["path"]) == rest:
        parts["raw_path"] = parts["path"]
    return parts


def _authority(scheme: str, authority: str) -> str:
    user, at, host = authority.rpartition("@")
    host = _host(scheme, host)
    if at and not _USER.fullmatch(user):
        raise BuiltinError("net/url: invalid userinfo")
    for part in user.partition(":")[::2]:
        _unescape(part)
    return host


def _host(scheme: str, host: str) -> str:
    bracket = host.rfind("[")
    if bracket > 0:
        raise BuiltinError("invalid IP-literal")
    if bracket == 0:
        return _literal(host)
    first, last = host.find(":"), host.rfind(":")
    if first >= 0:
        port = host[first if scheme in ("http", "https") else last :]
        if not _PORT.fullmatch(port):
            raise BuiltinError(f"invalid port {quote(port)} after host")
    return _unescape_host(host)


def _literal(host: str) -> str:
    """Return an address of IPv6 in brackets, and the port behind it."""
    close = host.rfind("]")
    if close < 0:
        raise BuiltinError("missing ']' in host")
    port = host[close + 1 :]
    if not _PORT.fullmatch(port):
        raise BuiltinError(f"invalid port {quote(port)} after host")
    name, mark, zone = host[1:close].partition("%25")
    address = _unescape_host(name)
    try:
        IPv6Address(address)
    except AddressValueError:
        if _IPV4.fullmatch(address):
            raise BuiltinError("invalid IP-literal") from None
        problem = "unable to parse IP"
        raise BuiltinError(f"invalid host: ParseAddr({quote(address)}): {problem}") from None
    return f"[{address}{'%' + _unescape(zone) if mark else ''}]{port}"


def _split(host: str) -> tuple[str, str]:
    colon = host.rfind(":")
    name, port = host, ""
    if colon >= 0 and _PORT.fullmatch(host[colon:]):
        name, port = host[:colon], host[colon + 1 :]
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    return name, port


def _check_escapes(data: bytes) -> None:
    at = data.find(b"%")
    while at >= 0:
        if not _ESCAPE.match(data, at):
            raise BuiltinError(f"invalid URL escape {quote(decoded(data[at : at + 3]))}")
        at = data.find(b"%", at + 3)


def _unescape(text: str) -> str:
    if "%" not in text:
        return text
    data = encoded(text)
    _check_escapes(data)
    return decoded(_ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), data))


def _unescape_host(text: str) -> str:
    data = encoded(text)
    _check_escapes(data)
    for found in _ESCAPE.finditer(data):
        if int(found[1], 16) < 0x80 and found.group() != b"%25":
            raise BuiltinError(f"invalid URL escape {quote(decoded(found.group()))}")
    for byte in _ESCAPE.sub(b"", data):
        if byte < 0x80 and byte not in _HOST:
            raise BuiltinError(f"invalid character {quote(chr(byte))} in host name")
    return _unescape(text)


def _escape(path: str) -> str:
    kept = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~$&+,/:;=@"
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in encoded(path))
