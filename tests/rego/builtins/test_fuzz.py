"""Random calls of builtins give what OPA gives: the value, or the error and its words."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.rego.builtins.table import ask, evaluate
from webhook.rego import types
from webhook.rego.builtins import DECLARATIONS

CALLS = 250
TEXTS = [
    *(
        "",
        "a",
        "abc",
        "añ😀b",
        "1",
        "-1.5",
        "1e3",
        " x ",
        "a,b,c",
        "10.0.0.0/8",
        "2006-01-02",
        "2021-02-03",
        "1h2m",
    ),
    *(
        "1.2.3",
        "v1.2.3-a+b",
        '{"a": 1}',
        "[1,2",
        "%d %v %s",
        "%x|%5.2f|%q",
        "^a+(b)?$",
        "a*b",
        "**.com",
        "x.com",
    ),
    *(
        "YWJj",
        "6162",
        "a=1&b=2",
        "http://a:1/b?c#d",
        "a/b",
        "/a/0",
        "10Gi",
        "1.5KB",
        "$1",
        "..",
        ",",
        "A\nB",
        "true",
    ),
    *("null", "UTC", "Europe/Berlin", "<&>"),
]
NUMBERS = [
    *("0", "1", "-1", "2", "3", "10", "1.0", "1.5", "-2.5", "0.1", "1e3", "1e21", "123456789012345678901"),
    *("9223372036854775807", "-9223372036854775808", "18446744073709551616", "1e-7", "1234567.5"),
    *("1582977600000000000", "16", "8"),
]
LEFT_OUT = {
    "semver.compare": "OPA never ends where numbers of pre-releases are equal but written differently",
    "bits.lsh": "OPA makes integers of any size",
    "net.cidr_expand": "is bounded here",
    "numbers.range": "is bounded here",
    "numbers.range_step": "is bounded here",
    "time.add_date": "OPA's years overflow",
    "strings.render_template": "stops the query where a template uses what isn't there",
    "json.match_schema": "stops the query where a schema uses what isn't there",
    "json.verify_schema": "stops the query where a schema uses what isn't there",
    "internal.template_string": "is only called by the compiler",
    "io.jwt.encode_sign": "the words of its library differ",
    "io.jwt.encode_sign_raw": "the words of its library differ",
    "crypto.x509.parse_certificate_request": "the words of its library differ",
    "crypto.x509.parse_keypair": "the words of its library differ",
    "uuid.rfc4122": "is random",
    "external_data": "is Gatekeeper's",
}
NAMES = sorted(
    name
    for name, declaration in DECLARATIONS.items()
    if declaration.arguments
    and declaration.pure
    and not name.startswith("io.jwt.verify")
    and name not in LEFT_OUT
)


class _Calls:
    """Writes calls of builtins whose operands mostly have the declared types."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def call(self) -> str:
        name = self.chance.choice(NAMES)
        return f"{name}({', '.join(map(self.typed, DECLARATIONS[name].arguments))})"

    def text(self) -> str:
        return json.dumps(self.chance.choice(TEXTS), ensure_ascii=False)

    def anything(self, depth: int = 0) -> str:
        kind = self.chance.random()
        if kind < 0.4:
            return self.text()
        if kind < 0.65:
            return self.chance.choice(NUMBERS)
        if kind < 0.75 or depth > 2:
            return self.chance.choice(["true", "false", "null"])
        if kind < 0.87:
            return self.collection("[", "]", depth)
        if kind < 0.94:
            return self.collection("{", "}", depth)
        names = self.chance.sample(['"a"', '"b"', "1", "[1]"], self.chance.randint(0, 3))
        return "{" + ", ".join(f"{name}: {self.anything(depth + 1)}" for name in names) + "}"

    def collection(self, opening: str, closing: str, depth: int, of: Any = None) -> str:
        items = [self.typed(of, depth + 1) for _ in range(self.chance.randint(0, 3))]
        return opening + ", ".join(items) + closing if items or opening == "[" else "set()"

    def typed(self, of: types.Type | None, depth: int = 0) -> str:
        if of is None or of == types.ANY or self.chance.random() < 0.12:
            return self.anything(depth)
        if isinstance(of, types.Union):
            return self.typed(self.chance.choice(of.of), depth)
        if isinstance(of, types.Array):
            if of.static:
                return "[" + ", ".join(self.typed(one, depth + 1) for one in of.static) + "]"
            return self.collection("[", "]", depth, of.dynamic)
        if isinstance(of, types.Set):
            return self.collection("{", "}", depth, of.of)
        if isinstance(of, types.Object):
            value = of.dynamic[1] if of.dynamic else None
            names = self.chance.sample(['"a"', '"b"', '"c"'], self.chance.randint(0, 3))
            return "{" + ", ".join(f"{name}: {self.typed(value, depth + 1)}" for name in names) + "}"
        if of == types.STRING:
            return self.text()
        return (
            self.chance.choice(NUMBERS)
            if of == types.NUMBER
            else self.chance.choice(["true", "false", "null"])
        )


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(n, marks=pytest.mark.long) for n in range(4, 20))]
)
def test_random_calls_give_what_opa_gives(seed: int, opa: Path) -> None:
    calls = _Calls(seed)
    expressions = [calls.call() for _ in range(CALLS)]
    differing = [
        f"{expression}\n  OPA: {theirs}\n  here: {ours}"
        for expression, theirs in zip(expressions, ask(opa, expressions), strict=True)
        if (ours := evaluate(expression)) != theirs
    ]
    assert not differing, "\n".join(differing)
