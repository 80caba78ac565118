"""All validations of a policy as one function: it lets pass what each of them lets pass, and nothing else."""

from __future__ import annotations

import random
from types import ModuleType
from typing import Any

import pytest

from tests.cel.test_tiers import mutations
from webhook.cel import compile_expression, compile_passes
from webhook.core.activation import Activation, Budget
from webhook.core.errors import EvaluationError
from webhook.core.judge import containers_of

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "initContainers": [{"name": "init", "image": "r.example.com/init:1"}],
        "containers": [
            {"name": "web", "image": "r.example.com/web:1", "securityContext": {"privileged": False}}
        ],
    },
}
WHOLE = [
    "has(object.metadata.labels) && params.labels.all(l, l in object.metadata.labels)",
    "object.metadata.name == 'web' || object.metadata.name.startsWith('w')",
    "!has(object.spec.hostNetwork) || !object.spec.hostNetwork",
    "object.spec.containers.all(c, c.image.startsWith(params.registry))",
    "object.spec.containers.exists(c, c.name == 'web') ? params.max >= size(object.spec.containers) : true",
    "variables.names.all(n, n.size() <= params.max * 8)",
    "object.spec.?priority.orValue(0) <= params.max",
]
EACH = [
    "container.image.startsWith(params.registry)",
    "!has(container.securityContext) || !container.securityContext.privileged",
    "containerKind == 'containers' || container.name.endsWith('init')",
    "params.labels.exists(l, l == 'app') && container.image.contains(':')",
    "size(container.name) <= params.max * 4 && params.max <= 9",
]
PARAMS = {"labels": ["app"], "registry": "r.example.com/", "max": 3}
VARIABLES = {"names": "object.spec.containers.map(c, c.name)"}


def chosen(rng: random.Random) -> tuple[list[Any], list[Any]]:
    """Return compiled validations of one policy: of the whole object, and of each container."""
    whole = [compile_expression(one, variables=VARIABLES) for one in rng.sample(WHOLE, rng.randint(0, 4))]
    each = [compile_expression(one, container=True) for one in rng.sample(EACH, rng.randint(0, 3))]
    return whole, each


def activation(binding: dict[str, Any]) -> Activation:
    made = Activation(object=binding["object"], params=binding["params"])
    made.use_variables({name: compile_expression(source).run for name, source in VARIABLES.items()})
    return made


def one_by_one(whole: list[Any], each: list[Any], binding: dict[str, Any]) -> bool | None:
    """Tell whether each validation is met, run by itself; None where there are no containers to read."""
    try:
        places = list(containers_of(binding["object"]))
    except (EvaluationError, AttributeError):
        return None
    at = activation(binding)
    try:
        if not all(one.run(at) is True for one in whole):
            return False
        for kind, _, container, _ in places:
            at.container, at.containerKind = container, kind
            if not all(one.run(at) is True for one in each):
                return False
    except EvaluationError:
        return False
    return True


def test_passes_what_each_validation_passes_and_nothing_else() -> None:
    rng = random.Random(20261124)
    outcomes = {True: 0, False: 0}
    for round_ in range(150):
        whole, each = chosen(rng)
        passes = compile_passes([*[(one, False) for one in whole], *[(one, True) for one in each]])
        assert passes is not None
        binding = {"object": POD, "params": PARAMS}
        for changed in (binding, *mutations(binding, round_, 25)):
            want = one_by_one(whole, each, changed)
            if want is None:
                continue
            got = passes(activation(changed), list(containers_of(changed["object"])))
            assert got is want, ([one.source for one in (*whole, *each)], changed)
            outcomes[want] += 1
    assert min(outcomes.values()) > 300, outcomes


def test_every_expression_of_the_corpora_passes_only_where_it_is_true(differential: ModuleType) -> None:
    bindings = differential.read_bindings()
    passed = 0
    for case in differential.read_corpora():
        compiled = differential.compiled(case)
        if compiled is None or case.variables:
            continue
        passes = compile_passes([(compile_expression(case.source), False)])
        if passes is None:
            continue
        for binding in (bindings[case.binding], *mutations(bindings[case.binding], 7, 3)):
            value = differential.evaluate(compiled, binding, exact=True)
            true = (value.stage, value.type, value.value) == ("ok", "bool", True)
            if passes(differential.activate(binding), ()):  # False says nothing: an error may be absorbed
                assert true, case.source
                passed += 1
    assert passed > 100


@pytest.mark.parametrize(
    ("expression", "visits"),
    [("container.image.startsWith('r.example.com/')", 100_000), ("[1, 2, 3].all(x, x > 0)", 100_000)],
)
def test_many_containers_take_steps(expression: str, visits: int) -> None:
    passes = compile_passes([(compile_expression(expression, container=True), True)])
    assert passes is not None
    budget = Budget()
    budget.stride()
    places = [("containers", 0, {"image": "r.example.com/web:1"}, "spec.")] * visits
    assert not passes(Activation(object=POD, budget=budget), places)
    assert passes(Activation(object=POD), places[:10])


def test_passing_goes_no_further_than_the_deadline() -> None:
    passes = compile_passes([(compile_expression("object.a.all(x, object.a.all(y, x <= y || true))"), False)])
    assert passes is not None
    asked: list[None] = []

    def expired() -> bool:
        asked.append(None)
        return True

    budget = Budget(expired=expired)
    budget.stride()
    assert not passes(Activation(object={"a": list(range(3000))}, budget=budget), ())
    assert asked
