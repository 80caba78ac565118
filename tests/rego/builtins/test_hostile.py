"""Whatever its operands are, a builtin soon answers, fails as a builtin, or stops the query; nothing else."""

from __future__ import annotations

import contextlib
import random
import time
from decimal import Decimal
from typing import Any

import pytest

from webhook.core.activation import Budget
from webhook.core.errors import EvaluationError
from webhook.rego.builtins import DECLARATIONS, Context, Declaration
from webhook.rego.context import MAX_STRING, Halt
from webhook.rego.numbers import Numeral
from webhook.rego.raw_text import printable
from webhook.rego.value_text import term_text
from webhook.rego.values import UNDEFINED, RegoSet, object_of, type_name

SECONDS = 20.0  # generous: one call takes a second at most, on a machine that does much else


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


SMALL: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        2**63,
        -(2**64),
        10**40,
        0.5,
        -0.0,
        1e308,
        Numeral("1.50"),
        Decimal("1e-30"),
    ),
    *(
        "",
        "a",
        "añ😀",
        "\udc80x",
        "1",
        "2006-01-02",
        "{{.a}}",
        "%d %v %",
        "(",
        "a.b.c",
        "10.0.0.0/8",
        "{",
        "[1]",
    ),
    *(
        [],
        [1, "a", None],
        ["a", "b"],
        [[1, 2], [3]],
        {},
        {"a": 1},
        {"a": {"b": ["c"]}},
        {"op": "add", "path": "a"},
    ),
    *(RegoSet(), RegoSet(["a", 1]), RegoSet([RegoSet([1])]), object_of([(1, 2), ("a", [3])]), _nested(50)),
]
LARGE: dict[str, Any] = {
    "text": "a" * 1_000_000,
    "accents": "ñ" * 200_000,
    "digits": "9" * 100_000,
    "brackets": "[" * 100_000,
    "braces": "{" * 100_000,
    "parentheses": "(" * 15_000,
    "percents": "%d" * 100_000,
    "widths": "%999999d" * 1_000,
    "slashes": "/" * 100_000,
    "actions": "{{range .}}" * 1_000,
    "alternatives": "(a|aa)*" * 1_000,
    "repeats": "((a{100}){100}){100}",
    "stars": "a*" * 400,
    "globs": "{a,b}*" * 500,
    "exponent": "1e999999999K",
    "anchors": "b: &b0 [x,x]\n" + "".join(f"b{i}: &b{i} [*b{i - 1},*b{i - 1}]\n" for i in range(1, 40)),
    "block": "::/0",
    "number": 10**3900,
    "numeral": Numeral("1e999999"),
    "fine": Numeral("1e-999999"),
    "array": list(range(200_000)),
    "texts": ["a" * 100] * 20_000,
    "deep": _nested(300),
    "object": {str(i): i for i in range(100_000)},
    "members": RegoSet(range(100_000)),
    "graph": {str(i): [str(j) for j in range(30)] for i in range(30)},
}  # fmt: skip


def _call(declaration: Declaration, operands: list[Any]) -> Any:
    end = time.monotonic() + 1.0
    context = Context(now_ns=1, seed=b"x", budget=Budget(expired=lambda: time.monotonic() > end))
    assert declaration.implementation is not None
    if declaration.needs_context:
        operands = [context, *operands]
    return declaration.implementation(*operands)


@pytest.mark.parametrize("name", sorted(DECLARATIONS))
def test_small_operands_of_any_type_give_a_value_or_an_error_of_policies(name: str) -> None:
    declaration = DECLARATIONS[name]
    chance = random.Random(name)
    for _ in range(150 if declaration.arguments else 1):
        operands = [chance.choice(SMALL) for _ in declaration.arguments]
        before = term_text(operands)
        try:
            result = _call(declaration, operands)
        except EvaluationError:
            continue
        finally:
            assert term_text(operands) == before, f"{name} changed {before}"
        assert result is UNDEFINED or type_name(result), (name, before)
        printable(term_text([] if result is UNDEFINED else result)).encode()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(DECLARATIONS))
def test_large_operands_end_soon(name: str) -> None:
    declaration = DECLARATIONS[name]
    chance = random.Random(name)
    names = sorted(LARGE)
    for _ in range(8 if declaration.arguments else 1):
        chosen = [chance.choice(names) for _ in declaration.arguments]
        operands = [LARGE[one] if chance.random() < 0.8 else chance.choice(SMALL) for one in chosen]
        start = time.monotonic()
        with contextlib.suppress(EvaluationError):
            _call(declaration, operands)
        assert time.monotonic() - start < SECONDS, f"{name}{chosen}"


@pytest.mark.parametrize("large", sorted(LARGE))
@pytest.mark.parametrize(
    "name",
    [
        *(
            "json.unmarshal",
            "yaml.unmarshal",
            "units.parse",
            "units.parse_bytes",
            "regex.is_valid",
            "sprintf",
        ),
        *(
            "to_number",
            "strings.render_template",
            "graphql.parse_query",
            "graphql.schema_is_valid",
            "uri.parse",
        ),
        *(
            "yaml.marshal",
            "json.marshal",
            "abs",
            "floor",
            "net.cidr_expand",
            "io.jwt.decode",
            "base64.decode",
        ),
        *(
            "time.parse_duration_ns",
            "crypto.x509.parse_certificates",
            "semver.is_valid",
            "sum",
            "sort",
            "walk",
        ),
    ],
)
def test_what_reads_texts_and_numbers_ends_soon(name: str, large: str) -> None:
    declaration = DECLARATIONS.get(name)
    if declaration is None or not declaration.arguments:
        return
    rest = [[1], {}, 1][: len(declaration.arguments) - 1]
    start = time.monotonic()
    with contextlib.suppress(EvaluationError):
        _call(declaration, [LARGE[large], *rest])
    assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        ("sprintf", ["%999999d" * 9, [1] * 9]),
        ("numbers.range", [0, 10**12]),
        ("replace", ["a" * 10_000, "a", "b" * 10_000]),
        ("strings.replace_n", [{"a": "b" * 1_000_000}, "a" * 1_000]),
        ("concat", ["a" * 100_000, ["a"] * 1_000]),
        ("bits.lsh", [1, 10**9]),
        ("net.cidr_expand", ["10.0.0.0/8"]),
        ("units.parse", ["1e999999Ei"]),
        ("array.concat", [[1] * 600_000, [1] * 600_000]),
        ("glob.quote_meta", ["*" * (MAX_STRING // 2 + 1)]),
    ],
)
def test_what_would_be_too_large_stops_the_query(name: str, operands: list[Any]) -> None:
    with pytest.raises(Halt):
        _call(DECLARATIONS[name], operands)
