"""JSON Web Tokens verified: their signatures (RFC 7515) and their claims (RFC 7519)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from webhook.rego.builtins.declaration import builtin
from webhook.rego.builtins.objects import OBJECT
from webhook.rego.builtins.operands import check_object, check_texts, operand_error
from webhook.rego.builtins.tokens import NAMED, Token, header_of, json_object, part_bytes, token_of
from webhook.rego.context import BuiltinError, Context
from webhook.rego.go.base64_reader import base64url_bytes
from webhook.rego.go.keys import VerificationKey, verification_keys
from webhook.rego.go.moments import SECOND_NS
from webhook.rego.go.signatures import ALGORITHMS, mac, verifies
from webhook.rego.numbers import float_of, number_of
from webhook.rego.order import compare, entries_in_order
from webhook.rego.raw_text import decoded, encoded
from webhook.rego.types import BOOLEAN, STRING, Array
from webhook.rego.value_text import term_text
from webhook.rego.values import type_name

_VERIFYING: Final = 200  # steps of verifying one signature


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
    token = token_of(text)
    if material.__class__ is not str:
        raise operand_error(2, material, "string")
    context.spend(_VERIFYING + (len(material) >> 1) + (len(text) >> 4))
    keys = verification_keys(context, material)
    signature = base64url_bytes(token.signature)
    header = _read_header(header_of(token))
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
    token = token_of(text)
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
            found.keys = verification_keys(context, wanted)
        elif name == "time":
            if wanted.__class__ is bool or type_name(wanted) != "number":
                raise BuiltinError("token time constraint: must be a number")
            near = float_of(wanted)
            if near is None:
                raise BuiltinError("token time constraint: unvalid float64")
            if near < 0:
                raise BuiltinError("token time constraint: must not be negative")
            found.time = near
        elif name.__class__ is str and name in found.texts:
            if wanted.__class__ is not str:
                raise BuiltinError(f"{name} constraint: must be a string")
            found.texts[name] = wanted
        else:
            shown = name if name.__class__ is str else term_text(name)
            raise BuiltinError(f"unknown token validation constraint: {shown}")
    if found.keys is not None and found.texts["secret"]:
        raise BuiltinError("duplicate key constraints")
    if found.keys is None and not found.texts["secret"]:
        raise BuiltinError("no key constraint")
    return found


def _signed(context: Context, wanted: _Constraints, header: _Header, token: Token) -> bool:
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
    (STRING, NAMED),
    Array(None, (BOOLEAN, OBJECT, OBJECT)),
    needs_context=True,
    pure=False,
)
def decode_verify(context: Context, text: Any, constraints: Any) -> list[Any]:
    """Return whether a token is valid under constraints, and then its header and payload."""
    check_object(constraints, 2)
    unverified: list[Any] = [False, {}, {}]
    wanted = _constraints(context, constraints)
    for _ in range(50):
        token = token_of(text)
        context.spend(20 + (len(text) >> 3))
        raw_header = header_of(token)
        header = _read_header(raw_header)
        if not header.valid or wanted.texts["alg"] not in ("", header.values["alg"]):
            return unverified
        if not _signed(context, wanted, header, token):
            return unverified
        payload = decoded(part_bytes(token.payload, "payload"))
        if header.values["cty"].upper() != "JWT":
            break
        text = payload
    else:
        raise BuiltinError("JWT is nested too deeply")
    claims = json_object(payload)
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
