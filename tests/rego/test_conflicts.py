"""Rules that contradict each other: an error where OPA makes it one, and only there."""

import pytest

from webhook.rego import UNDEFINED, Context, QueryError, compile_modules, to_json

MODULE = """package t
import future.keywords
p[k] := v { some k, v in {"a": 1, "b": 2} }
p[k] := v { some k, v in {"a": 1, "b": 3} }
f(x) := y { y := [1, 2][_]; x > 1 }
f(x) := 1 { x == 1 }
members contains x if { some x in [1, 2]; f(x) > 0 }
deep[a].b[c] := d { some a, c in {"m": "n", "o": "n"}; d := input.l[_] }
twice := x { x := input.l[_] }
guarded { twice > 0; input.missing == 1 }
guarded_by_constant { twice > 0; input.kind == "other" }
another { twice > 0; count(input.missing) == 0 }
early { x := input.l[_]; twice > 0; x > 5 }
"""

CASES = {
    "p.a": 1,
    "p.b": "object keys must be unique",
    'p[k]; k := "a"': 1,
    "members[1]": 1,
    "members[2]": "functions must not produce multiple outputs for same inputs",
    "count(members)": "functions must not produce multiple outputs for same inputs",
    "deep.m.b.k": UNDEFINED,
    "deep.m.b.n": "object keys must be unique",
    "twice": "complete rules must not produce multiple outputs",
    "guarded": UNDEFINED,
    "guarded_by_constant": UNDEFINED,
    "another": UNDEFINED,
    "early": "complete rules must not produce multiple outputs",
}


@pytest.mark.parametrize("asked", CASES)
def test_conflicts_are_errors_where_opa_sees_them(asked: str) -> None:
    first, *rest = asked.split("; ")
    rule = f"answer := x {{ {'; '.join([*rest, f'x := {first}'])} }}"
    program = compile_modules({"t.rego": MODULE + rule}, entry=("t", "answer"))
    expected = CASES[asked]
    value = {"l": [1, 2], "kind": "some"}
    if isinstance(expected, str):
        with pytest.raises(QueryError, match=expected):
            program.evaluate(value, {}, Context())
    else:
        found = program.evaluate(value, {}, Context())
        assert found is expected or to_json(found) == expected
