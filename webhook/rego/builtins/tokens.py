"""JSON Web Tokens: decoding, verifying and signing them (RFC 7519)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Final

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.operands import check_object, check_texts, operand_error
from webhook.rego.context import BuiltinError, Context
from webhook.rego.go.base64_reader import base64url_bytes
from webhook.rego.go.json_reader import is_json, read_json
from webhook.rego.go.keys import VerificationKey, signing_key, verification_keys
from webhook.rego.go.moments import SECOND_NS
from webhook.rego.go.signatures import ALGORITHMS, mac, sign, verifies
from webhook.rego.numbers import float_of, number_of
from webhook.rego.order import compare, entries_in_order
from webhook.rego.raw_text import decoded, encoded
from webhook.rego.texts import json_text
from webhook.rego.types import ANY, BOOLEAN, STRING, Array, Object
from webhook.rego.values import type_name

_OBJECT: Final = Object((), (ANY, ANY))
_NAMED: Final = Object((), (STRING, ANY))
_VERIFYING: Final = 200  # steps of verifying one signature


@dataclass(frozen=True)
class _Token:
    """The three parts of a token, encoded."""

    header: str
    payload: str
    signature: str

    @property
    def signed(self) -> bytes:
        """What the signature is of."""
        return encoded(f"{self.header}.{self.payload}")


def _token(value: Any) -> _Token:
    if value.__class__ is not str:
        raise operand_error(1, value, "string")
    if "." not in value:
        raise BuiltinError("encoded JWT had no period separators")
    parts = value.split(".")
    if len(parts) != 3:
        raise BuiltinError(f"encoded JWT must have 3 sections, found {len(parts)}")
    return _Token(*parts)


def _part(text: str, name: str) -> bytes:
    try:
        return base64url_bytes(text)
    except BuiltinError as error:
        raise BuiltinError(f"JWT {name} had invalid encoding: {error}") from None


def _json_object(text: str) -> dict[str, Any]:
    try:
        found = read_json(text)
    except BuiltinError as error:
        raise BuiltinError(f"invalid JSON: {error}") from None
    if not isinstance(found, dict):
        raise BuiltinError("decoded JSON type was not an Object")
    return found


def _header(token: _Token) -> dict[str, Any]:
    text = decoded(_part(token.header, "header"))
    try:
        found = _json_object(text)
    except BuiltinError as error:
        raise BuiltinError(f"bad JWT header: {error}") from None
    if "enc" in found:
        raise BuiltinError("JWT is a JWE object, which is not supported")
    return found


@builtin("io.jwt.decode", (STRING,), Array(None, (_OBJECT, _OBJECT, STRING)), needs_context=True)
def decode(context: Context, text: Any) -> list[Any]:
    """Return header, payload and signature of a token, which isn't verified."""
    for _ in range(50):  # a token may hold another
        token = _token(text)
        context.spend(20 + (len(text) >> 3))
        header = _header(token)
        payload = decoded(_part(token.payload, "payload"))
        if header.get("cty") == "JWT":
            text = payload.strip("\"'")
            continue
        claims = _json_object(payload)
        return [header, claims, _part(token.signature, "signature").hex()]
    raise BuiltinError("JWT is nested too deeply")


@dataclass
class _Header:
    """What a verifier reads of a header."""

    values: dict[str, str] = field(default_factory=lambda: {"alg": "", "kid": "", "typ": "", "cty": ""})
    critical: set[str] = field(default_factory=set)
    unknown: list[str] = field(default_factory=list)

    @property
    def valid(self) -> bool:
        """Whether it names an algorithm and asks for nothing unknown."""
        return bool(self.values["alg"]) and not any(name in self.critical for name in self.unknown)


def _read_header(found: dict[str, Any]) -> _Header:
    header = _Header()
    for name, value in sorted(found.items()):
        if name == "crit":
            if value.__class__ is not list:
                raise BuiltinError("crit: must be a list")
            header.critical = {item for item in value if item.__class__ is str}
            if not header.critical:
                raise BuiltinError("crit: must be a nonempty list")
        elif name in header.values:
            if value.__class__ is not str:
                raise BuiltinError(f"{name}: must be a string")
            header.values[name] = value
        else:
            header.unknown.append(name)
    return header


def _verify(context: Context, algorithm: str, text: Any, material: Any) -> bool:
    """Tell whether a token's signature is one by a certificate's or set's key."""
    token = _token(text)
    if material.__class__ is not str:
        raise operand_error(2, material, "string")
    context.spend(_VERIFYING + (len(material) >> 1) + (len(text) >> 4))
    keys = verification_keys(material)
    signature = base64url_bytes(token.signature)
    header = _read_header(_header(token))
    name, named = header.values["kid"], header.values["alg"]
    chosen = next((key for key in keys if key.name == name), None) if name else None
    if chosen is not None:
        return verifies(chosen.key, algorithm, token.signed, signature, exact=False)
    for key in keys:
        context.spend(_VERIFYING)
        if key.algorithm and key.algorithm != named:
            continue
        if verifies(key.key, algorithm, token.signed, signature, exact=False):
            return True
    return False


def _verify_secret(context: Context, algorithm: str, text: Any, secret: Any) -> bool:
    import hmac

    check_texts(text, secret)
    token = _token(text)
    context.spend(20 + (len(text) >> 4))
    computed = mac(encoded(secret), algorithm, token.signed)
    return hmac.compare_digest(base64url_bytes(token.signature), computed)


def _declare(algorithm: str) -> None:
    check = _verify_secret if algorithm.startswith("HS") else _verify

    def implementation(context: Context, text: Any, key: Any) -> bool:
        return check(context, algorithm, text, key)

    name = f"io.jwt.verify_{algorithm.lower()}"
    builtin(name, (STRING, STRING), BOOLEAN, needs_context=True)(implementation)


for _algorithm in sorted(ALGORITHMS):
    _declare(_algorithm)


@dataclass
class _Constraints:
    """What a token must be like."""

    time: float
    keys: list[VerificationKey] | None = None
    texts: dict[str, str] = field(default_factory=lambda: {"secret": "", "alg": "", "iss": "", "aud": ""})


def _constraints(context: Context, value: Any) -> _Constraints:
    found = _Constraints(float(context.now_ns))
    for name, wanted in entries_in_order(value):
        if name == "cert":
            if wanted.__class__ is not str:
                raise BuiltinError("cert constraint: must be a string")
            context.spend(len(wanted) >> 1)
            found.keys = verification_keys(wanted)
        elif name == "time":
            if wanted.__class__ is bool or type_name(wanted) != "number":
                raise BuiltinError("token time constraint: must be a number")
            near = float_of(wanted)
            if near is None:
                raise BuiltinError("token time constraint: unvalid float64")
            if near < 0:
                raise BuiltinError("token time constraint: must not be negative")
            found.time = near
        elif name in found.texts:
            if wanted.__class__ is not str:
                raise BuiltinError(f"{name} constraint: must be a string")
            found.texts[name] = wanted
        else:
            raise BuiltinError(f"unknown token validation constraint: {name}")
    if found.keys is not None and found.texts["secret"]:
        raise BuiltinError("duplicate key constraints")
    if found.keys is None and not found.texts["secret"]:
        raise BuiltinError("no key constraint")
    return found


def _signed(context: Context, wanted: _Constraints, header: _Header, token: _Token) -> bool:
    """Tell whether one of the keys made the token's signature."""
    algorithm, name = header.values["alg"], header.values["kid"]
    signature = base64url_bytes(token.signature)
    context.spend(_VERIFYING)
    if wanted.keys is None:
        return verifies(encoded(wanted.texts["secret"]), algorithm, token.signed, signature)
    chosen = next((key for key in wanted.keys if key.name == name), None) if name else None
    if chosen is not None:
        return verifies(chosen.key, algorithm, token.signed, signature)
    for key in wanted.keys:
        context.spend(_VERIFYING)
        if key.algorithm in ("", algorithm) and verifies(key.key, algorithm, token.signed, signature):
            return True
    return False


@builtin(
    "io.jwt.decode_verify",
    (STRING, _NAMED),
    Array(None, (BOOLEAN, _OBJECT, _OBJECT)),
    needs_context=True,
    pure=False,
)
def decode_verify(context: Context, text: Any, constraints: Any) -> list[Any]:
    """Return whether a token is valid under constraints, and then its header and payload."""
    check_object(constraints, 2)
    unverified: list[Any] = [False, {}, {}]
    wanted = _constraints(context, constraints)
    for _ in range(50):
        token = _token(text)
        context.spend(20 + (len(text) >> 3))
        raw_header = _header(token)
        header = _read_header(raw_header)
        if not header.valid or wanted.texts["alg"] not in ("", header.values["alg"]):
            return unverified
        if not _signed(context, wanted, header, token):
            return unverified
        payload = decoded(_part(token.payload, "payload"))
        if header.values["cty"].upper() != "JWT":
            break
        text = payload
    else:
        raise BuiltinError("JWT is nested too deeply")
    claims = _json_object(payload)
    if not _claimed(wanted, claims):
        return unverified
    return [True, raw_header, claims]


def _claimed(wanted: _Constraints, claims: dict[str, Any]) -> bool:
    """Tell whether the claims are those that are wanted, at this time."""
    if wanted.texts["iss"] and claims.get("iss") != wanted.texts["iss"]:
        return False
    if "aud" in claims:
        audience = claims["aud"]
        members = audience if audience.__class__ is list else [audience]
        if not any(member.__class__ is str and member == wanted.texts["aud"] for member in members):
            return False
    elif wanted.texts["aud"]:
        return False
    now = number_of(repr(wanted.time / SECOND_NS))
    for name in ("exp", "nbf"):
        if name not in claims:
            continue
        if claims[name].__class__ is bool or type_name(claims[name]) != "number":
            raise BuiltinError(f"{name} value must be a number")
        order = compare(now, claims[name])
        if order >= 0 if name == "exp" else order < 0:
            return False
    return True


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _sign(context: Context, headers: str, payload: str, key: str) -> str:
    context.spend(10 * _VERIFYING + (len(payload) >> 4) + len(key))
    found = signing_key(key)
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


@builtin("io.jwt.encode_sign", (_NAMED, _NAMED, _NAMED), STRING, needs_context=True, pure=False)
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
