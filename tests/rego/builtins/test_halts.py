"""What OPA takes and isn't there here stops the query, so that no answer is made up."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.rego.builtins.table import evaluate


def _with_constrained_names() -> str:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    start, end = datetime.datetime(2024, 1, 1), datetime.datetime(2044, 1, 1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, end)
    builder = builder.add_extension(x509.NameConstraints([x509.DNSName("a.b")], None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ('to_number("0x1p4")', 'to_number: to_number: "0x1p4": hexadecimal numbers are not supported'),
        (
            f'regex.match("{"(" * 300}a{")" * 300}", "a")',
            f"regex.match: a regular expression is nested too deeply: {'(' * 200}",
        ),
        (
            'regex.match("[\\\\pC]", "a")',
            "regex.match: a regular expression with \\pC inside of brackets is not supported",
        ),
        (
            f"crypto.x509.parse_certificates(`{_with_constrained_names()}`)",
            "crypto.x509.parse_certificates: certificates with constraints of names are not supported",
        ),
    ],
    ids=["hexadecimal number", "nested groups", "class in a class", "constraints of names"],
)
def test_unsupported_operand_stops_the_query(expression: str, message: str) -> None:
    assert evaluate(expression) == f"!halt: {message}"
