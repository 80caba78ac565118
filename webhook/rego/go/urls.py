"""URLs, as Go's ``url.Parse`` reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from webhook.rego.context import BuiltinError
from webhook.rego.raw_text import decoded, encoded
from webhook.rego.value_text import quote

_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)?(:)?")
PORT: Final = re.compile(r"(?::[0-9]*)?")
_IPV4: Final = re.compile(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}")
_USER: Final = re.compile(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*")
_HOST: Final = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~!$&'()*+,;=:[]<>\""
)
_MAX: Final = 1 << 16
_IN_PATH: Final = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~$&+,/:;=@"
_IN_RAW_PATH: Final = _IN_PATH + b"!'()*[]%"
_IN_USER: Final = _IN_PATH.translate(None, b"/:@")
_IN_FRAGMENT: Final = _IN_PATH + b"?!()*"


@dataclass(frozen=True)
class Url:
    """A URL's parts, as Go's ``url.URL`` has them.

    Attributes:
        scheme: in small letters.
        opaque: what is behind the scheme where that is no path.
        user: name and password as they were written; None: there are none.
        host: with its port.
        path: unescaped.
        raw_path: as it was written, where escaping the path doesn't give that.
        raw_query: as it was written.
        force_query: whether there is a question mark and no query.
        fragment: unescaped.
        raw_fragment: as it was written, where escaping the fragment doesn't give that.
        omit_host: whether a path follows the scheme at once.
    """

    scheme: str = ""
    opaque: str = ""
    user: str | None = None
    host: str = ""
    path: str = ""
    raw_path: str = ""
    raw_query: str = ""
    force_query: bool = False
    fragment: str = ""
    raw_fragment: str = ""
    omit_host: bool = False


def parse_url(text: str) -> Url:
    """Return the parts of a URL.

    Raises:
        BuiltinError: it is none; in Go's words.
    """
    if len(text) > _MAX:
        raise BuiltinError(f"a URI of {len(text)} characters is over the limit of {_MAX}")
    rest, _, fragment = text.partition("#")
    try:
        url = _without_fragment(rest)
    except BuiltinError as error:
        raise BuiltinError(f"parse {quote(rest)}: {error}") from None
    if not fragment:
        return url
    try:
        plain = _unescape(fragment)
    except BuiltinError as error:
        raise BuiltinError(f"parse {quote(text)}: {error}") from None
    raw = "" if _escape(plain, _IN_FRAGMENT) == fragment else fragment
    return replace(url, fragment=plain, raw_fragment=raw)


def url_text(url: Url) -> str:
    """Return a URL as Go's ``URL.String`` writes it."""
    parts = [f"{url.scheme}:" if url.scheme else "", url.opaque]
    if not url.opaque:
        is_there = bool(url.host) or url.user is not None
        if is_there or (url.scheme and url.path and not url.omit_host):
            parts.append("//")
        if url.user is not None:
            name, colon, password = url.user.partition(":")
            parts += [_escape(_unescape(name), _IN_USER), colon, _escape(_unescape(password), _IN_USER), "@"]
        parts.append(_escape(url.host, bytes(_HOST)))
        written = all(byte in _IN_RAW_PATH for byte in encoded(url.raw_path))
        parts.append(url.raw_path if url.raw_path and written else _escape(url.path, _IN_PATH))
    if url.force_query or url.raw_query:
        parts.append(f"?{url.raw_query}")
    if url.fragment:
        written = all(byte in _IN_RAW_PATH + b"/?" for byte in encoded(url.raw_fragment))
        plain = _escape(url.fragment, _IN_FRAGMENT)
        parts.append(f"#{url.raw_fragment if url.raw_fragment and written else plain}")
    return "".join(parts)


def _without_fragment(text: str) -> Url:
    if any(char < " " or char == "\x7f" for char in text):
        raise BuiltinError("net/url: invalid control character in URL")
    if text == "*":
        return Url(path="*")
    found = _SCHEME.match(text)
    scheme, rest = "", text
    if found is not None and found[2]:
        if not found[1]:
            raise BuiltinError("missing protocol scheme")
        scheme, rest = found[1].lower(), text[found.end() :]
    rest, mark, query = rest.partition("?")
    url = Url(scheme, raw_query=query, force_query=bool(mark) and not query)
    if not rest.startswith("/"):
        if scheme:
            return replace(url, opaque=rest)
        if ":" in rest.partition("/")[0]:
            raise BuiltinError("first path segment in URL cannot contain colon")
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        user = authority.rpartition("@")[0] if "@" in authority else None
        url = replace(url, user=user, host=_authority(scheme, authority))
    elif scheme and rest.startswith("/"):
        url = replace(url, omit_host=True)
    path = _unescape(rest)
    return replace(url, path=path, raw_path="" if _escape(path, _IN_PATH) == rest else rest)


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
        if not PORT.fullmatch(port):
            raise BuiltinError(f"invalid port {quote(port)} after host")
    return _unescape_host(host)


def _literal(host: str) -> str:
    """Return an address of IPv6 in brackets, and the port behind it."""
    close = host.rfind("]")
    if close < 0:
        raise BuiltinError("missing ']' in host")
    port = host[close + 1 :]
    if not PORT.fullmatch(port):
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


def _escape(text: str, kept: bytes) -> str:
    return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in encoded(text))
