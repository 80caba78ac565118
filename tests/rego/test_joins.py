"""Rules that look for a value in all base documents find what a scan finds, and anew when these change."""

import copy
import random
from typing import Any

import pytest

from webhook.core.activation import Budget
from webhook.core.errors import BudgetExceeded
from webhook.rego import Context, compile_modules, to_json
from webhook.rego.codegen.bodies import Bodies

MODULE = """package t
import future.keywords
hosts[[ns, kind, name]] {
	host := input.hosts[_]
	other := data.inv.ns[ns][kind][name]
	other.spec.rules[_].host == host
}
unified[name] {
	host := input.hosts[_]
	other = data.inv.ns[_]["Ingress"][name]
	other.spec.rules[_].host = host
}
constant[name] { other := data.inv.ns[_]["Ingress"][name]; other.kind == "Ingress" }
ordered := [name |
	host := input.hosts[_]
	other := data.inv.ns[_][_][name]
	other.spec.rules[_].host == host
]
counted := count(ordered)
free { host := input.hosts[0]; not taken(host) }
taken(host) { other := data.inv.ns[_]["Ingress"][_]; other.spec.rules[_].host == host }
every_one { every host in input.hosts { other := data.inv.ns[_][_][_]; other.spec.rules[_].host == host } }
filtered[name] {
	host := input.hosts[_]
	other := data.inv.ns[ns][_][name]
	ns != "b"
	count(other.spec.rules) > 1
	other.spec.rules[_].host == host
}
replaced[x] { inner[x] with input.hosts as ["q"] }
inner[name] { host := input.hosts[_]; other := data.inv.ns[_][_][name]; other.spec.rules[_].host == host }
"""
RULES = [
    "hosts",
    "unified",
    "constant",
    "counted",
    "ordered",
    "free",
    "every_one",
    "filtered",
    "replaced",
    "inner",
]
VALUES: list[Any] = ["p", "q", "r", 1, 1.0, True, None, ["p"], {"a": "p"}, ""]


def documents(generator: random.Random) -> dict[str, Any]:
    namespaces: dict[str, Any] = {}
    for number in range(generator.randrange(12)):
        rules: Any = [{"host": generator.choice(VALUES)} for _ in range(generator.randrange(4))]
        if generator.randrange(8) == 0:
            rules = generator.choice([{"x": {"host": "p"}}, "p", None, {"host": "p"}])
        kind = generator.choice(["Ingress", "Route"])
        one = {"kind": generator.choice([kind, 1, None]), "spec": {"rules": rules}}
        if generator.randrange(8) == 0:
            one = generator.choice([{}, {"spec": []}, {"spec": "p"}])
        namespaces.setdefault(generator.choice("abc"), {}).setdefault(kind, {})[f"n{number}"] = one
    if generator.randrange(6) == 0:
        namespaces["list"] = [namespaces.get("a", {})]
    return {"inv": {"ns": namespaces}}


def answers(programs: dict[str, Any], value: Any, data: Any) -> dict[str, Any]:
    return {name: to_json(one.evaluate(value, data, Context())) for name, one in programs.items()}


def programs() -> dict[str, Any]:
    return {name: compile_modules({"t": MODULE}, entry=("t", name)) for name in RULES}


def test_an_index_finds_what_a_scan_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    with_index = programs()
    monkeypatch.setattr(Bodies, "joins", False)
    with_scan = programs()
    assert with_index["hosts"].source != with_scan["hosts"].source
    generator = random.Random(7)
    for _ in range(150):
        data = documents(generator)
        for _ in range(3):
            value = {"hosts": generator.choices(VALUES, k=generator.randrange(4))}
            assert answers(with_index, value, data) == answers(with_scan, value, data), (value, data)


def test_other_documents_are_looked_at_anew() -> None:
    program = compile_modules({"t": MODULE}, entry=("t", "inner"))
    one = {"inv": {"ns": {"a": {"Ingress": {"x": {"spec": {"rules": [{"host": "p"}]}}}}}}}
    other = copy.deepcopy(one)
    other["inv"]["ns"]["a"]["Ingress"]["y"] = {"spec": {"rules": [{"host": "p"}]}}
    for data, expected in ((one, ["x"]), (other, ["x", "y"]), (one, ["x"]), ({}, [])):
        assert to_json(program.evaluate({"hosts": ["p"]}, data, Context())) == expected


def test_an_index_is_charged_and_a_look_up_in_it_is_cheap() -> None:
    program = compile_modules({"t": MODULE}, entry=("t", "inner"))
    kinds = {f"n{n}": {"spec": {"rules": [{"host": f"h{n}"}]}} for n in range(3_000)}
    data = {"inv": {"ns": {"a": {"Ingress": kinds}}}}
    with pytest.raises(BudgetExceeded):
        program.evaluate({"hosts": ["h1"]}, data, Context(budget=Budget(steps=2_000)))
    program.evaluate({"hosts": ["h1"]}, data, Context())
    found = program.evaluate({"hosts": ["h1"]}, data, Context(budget=Budget(steps=200)))
    assert to_json(found) == ["n1"]
