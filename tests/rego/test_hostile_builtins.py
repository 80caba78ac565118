"""No builtin's operands keep it from stopping within the time that its policy has."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from signal import SIGPROF, getsignal, signal
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.rego.test_hostile import program
from webhook.core.activation import Budget
from webhook.core.errors import EvaluationError
from webhook.rego import Context
from webhook.rego.builtins import strings
from webhook.server.ticker import Ticker

SECONDS = 0.25
OVERSHOOT = 2.0  # seconds of the processor's time: one that is shared has less of its caches
PRIME = 2**2203 - 1
LONG = "1." + "1" * 3900


@pytest.fixture(scope="module")
def ticker() -> Iterator[Ticker]:
    before = getsignal(SIGPROF)
    yield Ticker()
    signal(SIGPROF, before)


def number(value: int) -> str:
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def signing(**numbers: int) -> str:
    key = {"kty": "RSA", **{name: number(value) for name, value in numbers.items()}}
    return f'io.jwt.encode_sign({{"alg": "RS256"}}, {{}}, {json.dumps(key)}) == ""'


POLICIES = {
    "blocks of PEM without an end": "count(crypto.parse_private_keys(input.pem)) > 0",
    "blocks of PEM that are no base64": "count(crypto.parse_private_keys(input.blocks)) > 0",
    "certificates that all sign each other": "crypto.x509.parse_and_verify_certificates("
    'concat("", input.certificates))[0]',
    "a large key of RSA": signing(n=(1 << 60_000) - 1, e=65537, d=(1 << 60_000) - 3),
    "a key of RSA with large factors": signing(
        n=PRIME, e=65537, d=PRIME - 2, p=(1 << 200_000) - 1, q=(1 << 200_000) - 3
    ),
    "a key of RSA with a large exponent": signing(n=PRIME, e=3, d=(1 << 900_000) - 3),
    "a key of RSA whose modulus is a prime": signing(n=PRIME, e=65537, d=pow(65537, -1, PRIME - 1)),
    "keys in a set": 'io.jwt.verify_es512("a.b.c", json.marshal({"keys": [{"kty": "EC", "crv": '
    '"P-521", "d": sprintf("A%085d", [i])} | i := numbers.range(1000, 9000)[_]]}))',
    "membership among copies": "input.list in [input.copy | numbers.range(1, 50000)[_]]",
    "the greatest of copies": "max([[input.list, i] | i := numbers.range(1, 50000)[_]]) == 1",
    "copies in a set": "count(object.remove({}, [input.list | numbers.range(1, 50000)[_]])) > 0",
    "long texts compared": "i := numbers.range(1, 200000)[_]; [i, input.text] == [i + 0, input.other]; i < 0",
    "a long text among others": "input.text in [input.other | numbers.range(1, 100000)[_]]; false",
    "beginnings of long texts": "t := [input.text | numbers.range(1, 1000)[_]]; "
    "o := [input.other | numbers.range(1, 1000)[_]]; strings.any_prefix_match(t, o); false",
    "many characters trimmed": 'trim(input.text, concat("", [input.characters, "a"])) == "x"',
    "sums of long numbers": f"sum([{LONG} | numbers.range(1, 100000)[_]]) < 0",
    "long numbers added": f"i := numbers.range(1, 400000)[_]; {LONG} + i < 0",
    "multiples of a tiny number": 'json.match_schema("3", {"multipleOf": to_number("1e-99999999")})[0]',
    "many paths": 'json.filter({"b": 1}, ["a/b/c" | numbers.range(1, 900000)[_]]) == 1',
    "base64 of a long text": 'base64.decode(concat("", [input.text | numbers.range(1, 15)[_]])) == ""',
    "long numbers formatted": f'sprintf("x", [{LONG} | numbers.range(1, 400000)[_]]) == ""',
    "long numbers in sets": f"i := numbers.range(1, 400000)[_]; count({{{LONG}, i}}) < 0",
    "graphs of copies": 'graph.reachable({"a": []}, [input.list | numbers.range(1, 50000)[_]]) == {1}',
}


@pytest.fixture(scope="module")
def value() -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "same")])
    other = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "other")])
    made = []
    for serial in range(12):
        subject = other if serial == 0 else name
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(name).public_key(key.public_key())
        )
        builder = builder.serial_number(serial + 1)
        builder = builder.not_valid_before(datetime(2024, 1, 1)).not_valid_after(datetime(2044, 1, 1))
        builder = builder.add_extension(x509.BasicConstraints(serial < 11, None), True)
        made.append(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode())
    text = "a" * 500_000
    return {
        "pem": "-----BEGIN A-----\n" * 50_000,
        "blocks": "-----BEGIN A-----\n?\n-----END A-----\n" * 20_000,
        "certificates": made,
        "list": list(range(50_000)),
        "copy": [*range(49_999), -1],
        "text": text + "b",
        "other": text + "c",
        "characters": "".join(map(chr, range(0x4E00, 0x9F00))),
    }


@pytest.mark.parametrize("name", POLICIES)
def test_operands_that_are_slow_stop_the_policy_in_time(
    name: str, value: dict[str, Any], ticker: Ticker
) -> None:
    compiled = program(f"import future.keywords\np {{ {POLICIES[name]} }}")
    now = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 10**9
    start = time.process_time()
    budget = Budget(taken=time.process_time, seconds=2 * SECONDS)
    try:
        with ticker.watching(budget):
            answer = str(compiled.evaluate(value, {}, Context(now, budget=budget)))
    except EvaluationError as error:
        answer = str(error)
    taken = time.process_time() - start
    assert taken < SECONDS + OVERSHOOT
    assert "internal" not in answer
    assert answer != "True"


@pytest.mark.parametrize(
    "call",
    [
        'io.jwt.decode_verify("a.b.c", {input.list: 1})',
        'io.jwt.decode_verify("a.b.c", {"secret": "a", {input.list}: 1})',
        'json.match_schema("1e999999999", {"maximum": 1})',
        'json.match_schema("1e-9999999999", {"multipleOf": 2})',
    ],
)
def test_operands_of_other_types_are_errors_of_the_builtin(call: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        program(f"p {{ {call} }}").evaluate({"list": [1]}, {}, Context(), strict=True)
    assert "internal" not in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        'sprintf("%v", [[input.text] | numbers.range(1, 3000)[_]])',
        f"json.marshal([{LONG} | numbers.range(1, 60000)[_]])",
    ],
)
def test_texts_that_are_too_long_are_not_built(call: str) -> None:
    compiled = program(f"p {{ count({call}) > 0 }}")
    tracemalloc.start()
    try:
        with pytest.raises(EvaluationError, match="over the limit"):
            compiled.evaluate({"text": "a" * 100_000}, {}, Context(budget=Budget(steps=10**9)))
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("look", [strings.any_prefix_match, strings.any_suffix_match])
@pytest.mark.parametrize("one", [True, False], ids=["one text", "a list of one"])
def test_a_long_text_is_paid_for_whether_it_comes_alone_or_in_a_list(look: Any, one: bool) -> None:
    text, budget = "x" * 2**20, Budget()
    before = budget.left
    assert look(Context(budget=budget), text if one else [text], ["y", text])
    assert before - budget.left >= 2**20 >> 12
