"""What compiling refuses, where it points and what it says; and what an expression tells about itself."""

from __future__ import annotations

import contextlib
import warnings

import pytest

from webhook.cel import compile_expression
from webhook.core.activation import Activation, Budget
from webhook.core.errors import CompileError, EvaluationError


@pytest.mark.parametrize(
    ("source", "line", "column", "words"),
    [
        ("object.spec.replicas =", 1, 22, "unexpected character '='"),
        ("object.", 1, 8, "expected a field's name"),
        ("(1 + 2", 1, 7, "expected ')'"),
        ("1 +\n  + 2", 2, 3, "expected a value"),
        ("1\n +\n  undeclared", 3, 3, "undeclared reference 'undeclared'"),
        ("'é' + obj", 1, 7, "undeclared reference 'obj'"),
        ("objct.spec", 1, 1, "did you mean 'object'?"),
        ("object.spec.containers.al(c, true)", 1, 24, "undeclared function 'al'"),
        ("object.name.startWith('a')", 1, 13, "did you mean 'startsWith'?"),
        ("quantiy('1Gi')", 1, 1, "did you mean 'quantity'?"),
        ("sets.contain([1], [1])", 1, 6, "did you mean 'sets.contains'?"),
        ("request.operatoin == 'CREATE'", 1, 8, "did you mean 'operation'?"),
        ("request.userInfo.user", 1, 17, "did you mean 'username'?"),
        ("namespaceObject.metadata.label", 1, 25, "did you mean 'labels'?"),
        ("variables.conatiners", 1, 10, "did you mean 'containers'?"),
        ("has(object)", 1, 1, "has() takes a field"),
        ("size(1, 2)", 1, 1, "size() takes 1 argument, got 2"),
        ("'a'.substring()", 1, 5, "substring() takes 1 or 2 arguments, got 0"),
        ("[1].all(x.y, true)", 1, 5, "simple name"),
        ("[1].all(i, i, true)", 1, 5, "two different variables"),
        ("'unfinished", 1, 1, "the string has no end"),
        ("'a' + 'b\\q'", 1, 7, "bad escape"),
        ("9223372036854775808", 1, 1, "out of the range of int64"),
        ("duration('soon')", 1, 10, "invalid literal 'soon'"),
        ("timestamp('today')", 1, 11, "invalid literal 'today'"),
        ("object.a.matches('(')", 1, 18, "invalid literal '('"),
        ("[1, 'a']", 1, 5, "a list must be of one type: expected int, found string"),
        ("{'a': 1, 'b': 'c'}", 1, 15, "a map's values must be of one type"),
        ("while", 1, 1, "reserved word"),
        ("object{}", 1, 7, "there are no message types"),
        ("cel.bind(x, 1, x)", 1, 1, "undeclared reference 'cel'"),
        ("container.image", 1, 1, "undeclared reference 'container'"),
    ],
)
def test_errors_point_at_the_place_in_plain_words(source: str, line: int, column: int, words: str) -> None:
    with pytest.raises(CompileError) as caught:
        compile_expression(source, variables=("containers",))
    assert words in caught.value.message
    assert (caught.value.line, caught.value.column) == (line, column)


def test_container_variables_exist_only_for_each_container() -> None:
    expression = compile_expression("containerKind + '/' + container.name", container=True)
    activation = Activation(budget=Budget())
    activation.container, activation.containerKind = {"name": "web"}, "initContainers"
    assert expression.run(activation) == "initContainers/web"
    assert expression.references == {"container", "containerKind"}


def test_references_are_the_variables_of_the_activation() -> None:
    expression = compile_expression(
        "[1].all(params, params == object.a) && request.name == variables.x", variables=["x"]
    )
    assert expression.references == {"object", "request", "variables"}


def test_one_generated_function_runs() -> None:
    expression = compile_expression("object.spec.replicas <= 5")
    assert expression.generated is not None
    assert expression.run.__code__.co_filename == "<cel>"  # type: ignore[attr-defined]
    assert expression.run(Activation(object={"spec": {"replicas": 5}})) is True


def test_what_nests_too_deep_for_generated_code_still_runs() -> None:
    source = "[1].all(a, " * 24 + "true" + ")" * 24
    expression = compile_expression(source)
    assert expression.generated is None
    assert expression.run(Activation()) is True


def test_an_error_of_the_exact_tier_has_no_trace_of_the_generated_one() -> None:
    with pytest.raises(EvaluationError, match="no such key: spec") as caught:
        compile_expression("object.spec.replicas").run(Activation(object={}))
    assert caught.value.__context__ is None


def test_a_variable_is_evaluated_once_for_both_tiers() -> None:
    calls = []

    def variable(activation: Activation) -> int:
        calls.append(1)
        return 1

    activation = Activation(object={})
    activation.use_variables({"x": variable})
    expression = compile_expression("variables.x == 1 && (object.nope || variables.x == 1)", variables=["x"])
    assert expression.run(activation) is True
    assert len(calls) == 1


@pytest.mark.parametrize(
    "source",
    [
        "1.a",
        "(1).a == 1",
        "'a'['b']",
        "'a'[0]",
        "true[0]",
        "null.a",
        "(!true).a",
        "2.5['a']",
        "[object]['a']",
        "[object].a",
        f"'{'x' * 300}' == null",
        f"null == '{'x' * 300}'",
        f"'{'x' * 300}' == true",
        "b'a'.a",
        "(1 < 2)[0]",
        "dyn(1).a",
        "optional.of(dyn(1)).hasValue()",
        "dyn(1) == null",
        "dyn('a') != dyn(true)",
        "dyn(dyn(true))[0]",
        "true.?a",
        "null[?'a']",
    ],
)
def test_nothing_is_said_of_generated_code(source: str) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with contextlib.suppress(CompileError):
            compile_expression(source)
    assert [str(one.message) for one in said] == []
