"""URLs, parsed as leniently and as strictly as Go's net/url does when it is given a request's target."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from webhook.cel.library.addresses import ipv6_number
from webhook.cel.library.function import Library, check_list, no_overload, reading_cost
from webhook.cel.library.texts import quote
from webhook.cel.opaque import URL
from webhook.core.errors import EvaluationError

LIBRARY = Library()
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_NO_TEXT: Final = re.compile("[\udc80-\udcff]")
_PORT: Final = re.compile(r"(?::[0-9]*)?")
_USERINFO: Final = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_UNRESERVED: Final = frozenset((_LETTERS + "-_.~").encode())
_IN_PATH: Final = _UNRESERVED | frozenset(b"$&+,/:;=@")
_VALID_PATH: Final = _IN_PATH | frozenset(b"!'()*[]%")
_IN_HOST: Final = _UNRESERVED | frozenset(b"!$&'()*+,;=:[]<>\"")
_IN_USER: Final = _UNRESERVED | frozenset(b"$&+,;=")
_IN_FRAGMENT: Final = _IN_PATH | frozenset(b"!()*?")
_VALID_FRAGMENT: Final = _IN_FRAGMENT | frozenset(b"'[]%")
_MAX_URL: Final = 65_536
_MAX_KEPT: Final = 512  # longer ones are read anew each time: keeping them takes memory


class _Refused(Exception):  # noqa: N818 - it never leaves this module
    """The text is no URL; says why in Go's words."""


class _Parts(NamedTuple):
    scheme: str
    opaque: str
    user: str | None  # escaped as it should be
    host: str
    path: bytes
    raw_path: str
    query: str
    lone_mark: bool  # ends in a question mark
    no_host: bool  # a path follows the scheme, without //


def _unescape(text: str, allowed: frozenset[int] | None = None, *, zone: bool = False) -> bytes:
    """Return the bytes that a text with %-escapes stands for; `allowed` are the characters of a host."""
    if "%" not in text and allowed is None:
        return text.encode("utf-8", "surrogatepass")
    data = text.encode("utf-8", "surrogatepass")
    result = bytearray()
    at = 0
    while at < len(data):
        byte = data[at]
        if byte == 0x25:
            escape = data[at : at + 3]
            code = _hex(escape)
            if code is None:
                raise _Refused(f"invalid URL escape {_quote_bytes(escape)}")
            if allowed is not None and escape != b"%25":
                if not zone and code < 0x80:
                    raise _Refused(f"invalid URL escape {_quote_bytes(escape)}")
                if zone and code != 0x20 and code not in allowed:
                    raise _Refused(f"invalid URL escape {_quote_bytes(escape)}")
            result.append(code)
            at += 3
            continue
        if allowed is not None and byte < 0x80 and byte not in allowed:
            raise _Refused(f"invalid character {quote(chr(byte))} in host name")
        result.append(byte)
        at += 1
    return bytes(result)


def _hex(escape: bytes) -> int | None:
    try:
        return int(escape[1:], 16) if len(escape) == 3 and escape[1:].isalnum() else None
    except ValueError:
        return None


def _quote_bytes(data: bytes) -> str:
    return quote(data.decode("utf-8", "replace"))


def _escape(data: bytes, plain: frozenset[int]) -> str:
    return "".join([chr(byte) if byte in plain else f"%{byte:02X}" for byte in data])


def _show(data: bytes) -> str:
    """Return bytes as text; what isn't UTF-8 shows as one replacement character a byte, as in Go's JSON."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _NO_TEXT.sub("\ufffd", data.decode("utf-8", "surrogateescape"))


def _parse(text: str, *, request: bool) -> _Parts:
    """Parse a URL without its fragment.

    Args:
        text: the URL.
        request: whether it must be absolute or a path, as a request's target is.
    """
    if _CONTROL.search(text):
        raise _Refused("net/url: invalid control character in URL")
    if text == "" and request:
        raise _Refused("empty url")
    if text == "*":
        return _Parts("", "", None, "", b"*", "", "", False, False)
    scheme, rest = "", text
    if text.startswith(":"):
        raise _Refused("missing protocol scheme")
    if found := _SCHEME.match(text):
        scheme, rest = found[0][:-1].lower(), text[found.end() :]
    lone_mark = rest.endswith("?") and rest.count("?") == 1
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        if scheme:
            return _Parts(scheme, rest, None, "", b"", "", query, lone_mark, False)
        if request:
            raise _Refused("invalid URI for request")
        if ":" in rest.partition("/")[0]:
            raise _Refused("first path segment in URL cannot contain colon")
    user, host, no_host = None, "", False
    if (scheme or (not request and not rest.startswith("///"))) and rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        user, host = _parse_authority(scheme, authority)
        rest = slash + path
    elif scheme and rest.startswith("/"):
        no_host = True
    unescaped = _unescape(rest)
    raw = "" if rest == _escape(unescaped, _IN_PATH) else rest
    return _Parts(scheme, "", user, host, unescaped, raw, query, lone_mark, no_host)


def _parse_authority(scheme: str, authority: str) -> tuple[str | None, str]:
    userinfo, at, host = authority.rpartition("@")
    found = _parse_host(scheme, host)
    if not at:
        return None, found
    if not _USERINFO.fullmatch(userinfo):
        raise _Refused("net/url: invalid userinfo")
    name, colon, password = userinfo.partition(":")
    user = _escape(_unescape(name), _IN_USER)
    return user + (":" + _escape(_unescape(password), _IN_USER) if colon else ""), found


def _parse_host(scheme: str, host: str) -> str:
    bracket = host.rfind("[")
    if bracket > 0:
        raise _Refused("invalid IP-literal")
    if bracket == 0:
        return _parse_literal(host)
    if (colon := host.find(":")) != -1:
        if scheme not in ("http", "https"):
            colon = host.rfind(":")
        _check_port(host[colon:])
    return _show(_unescape(host, _IN_HOST))


def _check_port(text: str) -> None:
    if not _PORT.fullmatch(text):
        raise _Refused(f"invalid port {quote(text)} after host")


def _parse_literal(host: str) -> str:
    end = host.rfind("]")
    if end < 0:
        raise _Refused("missing ']' in host")
    port = host[end + 1 :]
    _check_port(port)
    name = host[1:end]
    address, percent, zone = name.partition("%25")
    inside = _show(_unescape(address, _IN_HOST))
    if percent:
        inside += _show(_unescape(percent + zone, _IN_HOST, zone=True))
    plain, mark, zone_name = inside.partition("%")
    if ipv6_number(plain) is None or (mark and not zone_name):
        if "." in plain and ":" not in plain:
            raise _Refused("invalid IP-literal")
        raise _Refused(f"invalid host: ParseAddr({quote(inside)}): unable to parse IP")
    return f"[{inside}]{port}"


def uri_error(text: str) -> str | None:
    """Return why a text can't be a request's target, in Go's words; None if it can."""
    if len(text) > _MAX_URL:
        return "the URI is too long"
    try:
        _parse(text, request=True)
    except _Refused as refused:
        return f"parse {quote(text)}: {refused}"
    return None


def _read(text: str) -> URL | str:
    """Return the URL in a text, or why there is none."""
    try:
        _parse(text, request=True)
        before, _, fragment = text.partition("#")
        parts = _parse(before, request=False)
        decoded = _unescape(fragment)
    except _Refused as refused:
        return f"parse {quote(text)}: {refused}"
    escaped = _escaped_path(parts)
    return URL(parts.scheme, parts.host, escaped, parts.query, _write(parts, escaped, fragment, decoded))


def _write(parts: _Parts, path: str, fragment: str, decoded: bytes) -> str:
    """Return the URL in its normalized form, as Go writes it."""
    text = parts.scheme + ":" if parts.scheme else ""
    if parts.opaque:
        text += parts.opaque
    else:
        authority = bool(parts.host) or parts.user is not None
        if authority or (parts.scheme and not parts.no_host):
            text += "//" if authority or path else ""
            text += "" if parts.user is None else parts.user + "@"
            text += _escape(parts.host.encode("utf-8", "surrogatepass"), _IN_HOST)
        text += "/" + path if path and parts.host and not path.startswith("/") else path
    text += "?" + parts.query if parts.lone_mark or parts.query else ""
    if fragment:
        valid = all(byte in _VALID_FRAGMENT for byte in fragment.encode("utf-8", "surrogatepass"))
        text += "#" + (fragment if valid else _escape(decoded, _IN_FRAGMENT))
    return text


def _escaped_path(parts: _Parts) -> str:
    if parts.raw_path and all(
        byte in _VALID_PATH for byte in parts.raw_path.encode("utf-8", "surrogatepass")
    ):
        return parts.raw_path
    return "*" if parts.path == b"*" else _escape(parts.path, _IN_PATH)


_parse_url: Final = lru_cache(1024)(_read)


def parse_url(text: Any, name: str) -> URL | str:
    """Return the URL in a text, or why there is none.

    Raises:
        EvaluationError: it is no text, or one too long to be a URL.
    """
    if text.__class__ is not str:
        raise no_overload(name)
    if len(text) > _MAX_URL:
        raise EvaluationError(f"a URL of {len(text)} characters is over the limit of {_MAX_URL}")
    return _parse_url(text) if len(text) <= _MAX_KEPT else _read(text)


@LIBRARY.function("isURL", "bool", costly=reading_cost)
def is_url(text: Any) -> bool:
    """Tell whether a string is an absolute URL or a path."""
    if text.__class__ is not str:
        raise no_overload("isURL")
    return uri_error(text) is None


@LIBRARY.function("url", "kubernetes.URL", costly=reading_cost)
def to_url(text: Any) -> URL:
    """Return ``url(text)``."""
    found = parse_url(text, "url")
    if found.__class__ is str:
        raise EvaluationError(f"URL parse error during conversion from string: {found[:300]}")
    return found  # type: ignore[return-value]


def _url(value: Any, name: str) -> URL:
    if value.__class__ is not URL:
        raise no_overload(name)
    return value


@LIBRARY.method("getScheme", "string")
def get_scheme(value: Any) -> str:
    """Return the scheme in lower case; empty without one."""
    return _url(value, "getScheme").scheme


@LIBRARY.method("getHost", "string")
def get_host(value: Any) -> str:
    """Return the host with its port; an IPv6 address in its brackets."""
    return _url(value, "getHost").host


@LIBRARY.method("getHostname", "string")
def get_hostname(value: Any) -> str:
    """Return the host without its port and brackets."""
    host, _ = _split_port(_url(value, "getHostname").host)
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


@LIBRARY.method("getPort", "string")
def get_port(value: Any) -> str:
    """Return the port; empty without one."""
    return _split_port(_url(value, "getPort").host)[1]


def _split_port(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and _PORT.fullmatch(":" + port) else (host, "")


@LIBRARY.method("getEscapedPath", "string")
def get_escaped_path(value: Any) -> str:
    """Return the path with its escapes."""
    return _url(value, "getEscapedPath").escaped_path


@LIBRARY.method("getQuery", "map", costly=lambda value: reading_cost(getattr(value, "query", "")))
def get_query(value: Any) -> dict[str, list[str]]:
    """Return the values of each key of the query; what is malformed is left out."""
    query = _url(value, "getQuery").query
    result: dict[str, list[str]] = {}
    check_list(query.count("&"))
    for pair in query.split("&"):
        if ";" in pair or not pair:
            continue
        key, _, item = pair.partition("=")
        try:
            name, text = _unescape(key.replace("+", " ")), _unescape(item.replace("+", " "))
        except _Refused:
            continue
        result.setdefault(_show(name), []).append(_show(text))
    return result
