"""Comparing plainly written quantities without objects gives what the objects give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.cel import compile_expression
from webhook.cel.library.quantity import parse_quantity, plain_nano
from webhook.cel.opaque import Quantity
from webhook.core.activation import Activation
from webhook.core.errors import EvaluationError

WRITTEN = st.one_of(
    st.from_regex(r"\A[+-]?[0-9]{0,12}(\.[0-9]{0,3})?([numkMGTPE]|[KMGTPE]i|[eE][0-9])?\Z"),
    st.text(max_size=6),
)


@given(WRITTEN)
def test_plain_nano_units_are_those_of_the_quantity(text: str) -> None:
    try:
        units = plain_nano(text)
    except EvaluationError:
        return
    found = parse_quantity(text, "quantity")
    assert isinstance(found, Quantity)
    assert found.nano == units


@pytest.mark.parametrize(
    "text", ["512Mi", "2Gi", "2048Mi", "3Gi", "1.5Gi", "2e9", "0", "99999999Gi", "-1", "x", 5, None]
)
@pytest.mark.parametrize(
    "expression",
    [
        "quantity(object).compareTo(quantity('2Gi')) <= 0",
        "quantity(object).isGreaterThan(quantity('2Gi'))",
        "quantity(object).isLessThan(quantity('2Gi'))",
    ],
)
def test_both_tiers_compare_alike(text: object, expression: str) -> None:
    compiled = compile_expression(expression)
    answers = []
    for program in (compiled.run, compiled.exact):
        try:
            answers.append(program(Activation(object=text)))
        except Exception as error:
            answers.append(str(error))
    assert answers[0] == answers[1]
