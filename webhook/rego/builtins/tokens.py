"""JSON Web Tokens decoded, which verifies nothing, and signed (RFC 7519)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.objects import OBJECT
from webhook.rego.builtins.operands import operand_error
from webhook.rego.context import BuiltinError, Context
from webhook.rego.go.base64_reader import base64url_bytes
from webhook.rego.go.json_reader import is_json, read_json
from webhook.rego.go.keys import signing_key
from webhook.rego.go.signatures import ALGORITHMS, sign
from webhook.rego.raw_text import decoded, encoded
from webhook.rego.types import ANY, STRING, Array, Object
from webhook.rego.value_text import json_text

NAMED: Final = Object((), (STRING, ANY))
_SIGNING: Final = 2000  # steps of making one signature


@dataclass(frozen=True)
class Token:
    """The three parts of a token, encoded."""

    header: str
    payload: str
    signature: str

    @property
    def signed(self) -> bytes:
        """What the signature is of."""
        return encoded(f"{self.header}.{self.payload}")


def token_of(value: Any) -> Token:
    """Return the parts of a token.

    Raises:
        BuiltinError: it has other than three.
    """
    if value.__class__ is not str:
        raise operand_error(1, value, "string")
    if "." not in value:
        raise BuiltinError("encoded JWT had no period separators")
    parts = value.split(".")
    if len(parts) != 3:
        raise BuiltinError(f"encoded JWT must have 3 sections, found {len(parts)}")
    return Token(*parts)


def part_bytes(text: str, name: str) -> bytes:
    """Return what a part of a token encodes.

    Raises:
        BuiltinError: it is no base64.
    """
    try:
        return base64url_bytes(text)
    except BuiltinError as error:
        raise BuiltinError(f"JWT {name} had invalid encoding: {error}") from None


def json_object(text: str) -> dict[str, Any]:
    """Return the object that a part of a token is.

    Raises:
        BuiltinError: it is none.
    """
    try:
        found = read_json(text)
    except BuiltinError as error:
        raise BuiltinError(f"invalid JSON: {error}") from None
    if not isinstance(found, dict):
        raise BuiltinError("decoded JSON type was not an Object")
    return found


def header_of(token: Token) -> dict[str, Any]:
    """Return the header of a token.

    Raises:
        BuiltinError: it is none, or that of an encrypted token.
    """
    text = decoded(part_bytes(token.header, "header"))
    try:
        found = json_object(text)
    except BuiltinError as error:
        raise BuiltinError(f"bad JWT header: {error}") from None
    if "enc" in found:
        raise BuiltinError("JWT is a JWE object, which is not supported")
    return found


@builtin("io.jwt.decode", (STRING,), Array(None, (OBJECT, OBJECT, STRING)), needs_context=True)
def decode(context: Context, text: Any) -> list[Any]:
    """Return header, payload and signature of a token, which isn't verified."""
    for _ in range(50):  # a token may hold another
        token = token_of(text)
        context.spend(20 + (len(text) >> 3))
        header = header_of(token)
        payload = decoded(part_bytes(token.payload, "payload"))
        if header.get("cty") == "JWT":
            text = payload.strip("\"'")
            continue
        claims = json_object(payload)
        return [header, claims, part_bytes(token.signature, "signature").hex()]
    raise BuiltinError("JWT is nested too deeply")


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _sign(context: Context, headers: str, payload: str, key: str) -> str:
    context.spend(_SIGNING + (len(payload) >> 4) + len(key))
    found = signing_key(context, key)
    try:
        read = read_json(headers)
    except BuiltinError as error:
        problem = "cannot parse empty string" if not headers.strip() else str(error)
        if headers.strip()[:1] not in ("", "{", "["):  # the library looks for a name in anything else
            raise BuiltinError("missing or invalid 'alg' header: jwsbb: header \"alg\" not found") from None
        raise BuiltinError(f"missing or invalid 'alg' header: cannot parse JSON: {problem}") from None
    algorithm = read.get("alg") if isinstance(read, dict) else None
    if not isinstance(algorithm, str):
        raise BuiltinError("missing or invalid 'alg' header: jwsbb: header \"alg\" not found")
    if algorithm not in ALGORITHMS:
        raise BuiltinError(f"unknown JWS algorithm: {algorithm}")
    if read.get("typ", "JWT") == "JWT" and not is_json(payload):
        raise BuiltinError("type is JWT but payload is not JSON")
    signed = f"{_encode(encoded(headers))}.{_encode(encoded(payload))}"
    return f"{signed}.{_encode(sign(found, algorithm, encoded(signed)))}"


@builtin("io.jwt.encode_sign", (NAMED, NAMED, NAMED), STRING, needs_context=True, pure=False)
def encode_sign(context: Context, headers: Any, payload: Any, key: Any) -> str:
    """Return a token of header and payload, signed with a JSON Web Key."""
    return _sign(context, json_text(headers), json_text(payload), json_text(key))


@builtin("io.jwt.encode_sign_raw", (STRING, STRING, STRING), STRING, needs_context=True, pure=False)
def encode_sign_raw(context: Context, headers: Any, payload: Any, key: Any) -> str:
    """Return a token of header and payload, each a text of JSON, signed with a JSON Web Key."""
    for position, value in ((3, key), (1, headers), (2, payload)):
        if value.__class__ is not str:
            raise operand_error(position, value, "string")
    return _sign(context, headers, payload, key)
