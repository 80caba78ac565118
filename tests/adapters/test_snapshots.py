"""Snapshot files: what is written comes back, older files load, and what can't be meant is refused."""

from __future__ import annotations

import copy
import gc
import random
import weakref
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from tests.core.builders import NOW, acceptance, namespace, pod, request, workload
from webhook.adapters import snapshots
from webhook.adapters.reading import Cache
from webhook.core.errors import InputError
from webhook.core.evaluate import evaluate

CONTEXT = snapshots.Context(
    cluster="prod",
    exempt_namespaces=("kube-system", "tidewaiter"),
    trust_approvals=True,
    clock_skew=1.5,
    max_action="Warn",
    exempt_users=("admin",),
    administrators=("security",),
)


def test_the_context_comes_back_from_the_file() -> None:
    built = snapshots.load(snapshots.dump([], CONTEXT))
    assert built.max_action == "Warn"
    assert built.exempt_users == {"admin"}
    assert built.administrators == {"security"}
    assert built.exempt_namespaces == {"kube-system", "tidewaiter"}


@pytest.mark.parametrize("skew", [0.0, 5.0, -60.0, 1.5, 86400.0, -1e9])
@pytest.mark.parametrize("objects", [0, 2])
def test_the_clock_is_in_the_file_and_its_name_and_not_in_the_revision(skew: float, objects: int) -> None:
    known = [POLICY, OTHER][:objects]
    right = snapshots.dump(known, replace(CONTEXT, clock_skew=0.0))
    data = snapshots.dump(known, replace(CONTEXT, clock_skew=skew))
    assert orjson.loads(data).get("clock_skew", 0.0) == skew
    assert snapshots.digest(data) == snapshots.digest(right)
    assert (snapshots.file_name(data) == snapshots.file_name(right)) is (skew == 0.0)
    for text in (data, orjson.dumps(orjson.loads(data))):
        surroundings = snapshots.load(text).register.surroundings
        assert surroundings.clock_skew == timedelta(seconds=skew)


@pytest.mark.parametrize(
    "end", [b'"clock_skew":1e999}\n', b'"clock_skew":+5}\n', b'"clock_skew":-}\n', b'"clock_skew":[]}\n']
)
def test_a_clock_that_is_none_is_refused_or_read_as_a_whole(end: bytes) -> None:
    data = snapshots.dump([POLICY], CONTEXT)
    broken = data[: data.rindex(b'"clock_skew"')] + end
    with pytest.raises(InputError):
        snapshots.load(broken)


def test_what_only_looks_like_the_clock_is_an_object() -> None:
    trap = {**POLICY, "metadata": {"name": 'x\n],"clock_skew":5.0}\n'}}
    data = snapshots.dump([trap], replace(CONTEXT, clock_skew=0.0))
    assert snapshots.load(data).register.surroundings.clock_skew == timedelta()
    assert snapshots.file_name(data) == f"snapshot-{snapshots.digest(data)}.json"


def test_a_file_of_an_older_version_has_no_cap_and_exempts_nobody() -> None:
    old = b'{"format":1,"context":{"cluster":"prod","exempt_namespaces":["kube-system"]},"objects":[]}'
    built = snapshots.load(old)
    assert (built.max_action, built.exempt_users, built.administrators) == ("", frozenset(), frozenset())


@pytest.mark.parametrize("value", ["deny", "None", 1, None, ["Deny"]])
def test_a_cap_that_is_no_action_is_refused(value: object) -> None:
    data = orjson.loads(snapshots.dump([], CONTEXT))
    data["context"]["max_action"] = value
    with pytest.raises(InputError):
        snapshots.load(orjson.dumps(data))


def test_an_empty_username_exempts_nobody() -> None:
    assert not snapshots.build([], snapshots.Context(exempt_users=("",))).exempt_users


POLICY = {
    "apiVersion": "tidewaiter.dev/v1alpha1",
    "kind": "ClusterPolicy",
    "metadata": {"name": "one", "uid": "u", "generation": 1},
    "spec": {
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ]
        },
        "validations": [{"name": "check", "expression": "object.metadata.name != 'bad'"}],
    },
}
OTHER = {**POLICY, "metadata": {"name": "two", "uid": "v", "generation": 1}}
BROKEN = {
    **POLICY,
    "metadata": {"name": "broken"},
    "spec": {**POLICY["spec"], "validations": [{"name": "x"}]},
}


def changed(policy: dict[str, Any], expression: str) -> dict[str, Any]:
    made = copy.deepcopy(policy)
    made["spec"]["validations"][0]["expression"] = expression
    made["metadata"]["generation"] += 1
    return made


def test_each_object_is_a_line_so_that_what_did_not_change_is_not_read_again() -> None:
    cache = Cache()
    risk = acceptance()
    first = snapshots.load(snapshots.dump([POLICY, OTHER, risk, namespace()], CONTEXT), cache)
    second = snapshots.load(
        snapshots.dump([namespace(), changed(POLICY, "true"), OTHER, copy.deepcopy(risk)], CONTEXT), cache
    )
    assert second.policies[1] is first.policies[1]
    assert second.policies[0] is not first.policies[0]
    assert second.policies[0].generation == 2
    assert second.register.acceptances[0] is first.register.acceptances[0]
    assert second.namespaces["shop"] is first.namespaces["shop"]


def test_a_policy_whose_labels_change_is_not_compiled_again() -> None:
    cache = Cache()
    labelled = {**POLICY, "metadata": {**POLICY["metadata"], "labels": {"a": "b"}}}
    first = snapshots.load(snapshots.dump([POLICY], CONTEXT), cache)
    assert snapshots.load(snapshots.dump([labelled], CONTEXT), cache).policies[0] is first.policies[0]


def test_the_cache_keeps_only_what_is_in_use() -> None:
    cache = Cache()
    for number in range(50):
        expression = f"object.metadata.name != '{number}'"
        snapshots.load(snapshots.dump([changed(POLICY, expression), OTHER], CONTEXT), cache)
    assert len(cache.read) == len(cache.compiled) == 2


def test_what_cannot_be_compiled_stays_a_failure_until_it_changes() -> None:
    cache = Cache()
    for _ in range(2):
        built = snapshots.load(snapshots.dump([POLICY, BROKEN], CONTEXT), cache)
        assert [failure.ref.name for failure in built.failures] == ["broken"]
    mended = {**POLICY, "metadata": BROKEN["metadata"]}
    assert not snapshots.load(snapshots.dump([POLICY, mended], CONTEXT), cache).failures


@pytest.mark.parametrize("objects", [[], [POLICY], [POLICY, OTHER, namespace()]])
def test_a_file_that_was_laid_out_anew_says_the_same(objects: list[dict[str, Any]]) -> None:
    data = snapshots.dump(objects, CONTEXT)
    for again in (
        orjson.dumps(orjson.loads(data)),
        orjson.dumps(orjson.loads(data), option=orjson.OPT_INDENT_2),
    ):
        built = snapshots.load(again)
        assert [policy.ref for policy in built.policies] == [
            policy.ref for policy in snapshots.load(data).policies
        ]
        assert built.max_action == "Warn"


def test_a_line_that_is_damaged_fails_the_whole_file() -> None:
    lines = snapshots.dump([POLICY, OTHER, namespace()], replace(CONTEXT, clock_skew=0.0)).split(b"\n")
    for number in range(len(lines) - 1):
        for damage in (b"", b"]}", lines[number][:-3], b"x" + lines[number]):
            if damage == lines[number]:
                continue
            broken = b"\n".join([*lines[:number], damage, *lines[number + 1 :]])
            with pytest.raises(InputError):
                snapshots.load(broken)


def test_the_writer_encodes_anew_only_what_is_another_object() -> None:
    writer = snapshots.Writer()
    objects = [POLICY, OTHER, namespace()]
    first = writer.dump(objects, CONTEXT)
    assert writer.dump(reversed(objects), CONTEXT) == first == snapshots.dump(objects, CONTEXT)
    after = [changed(POLICY, "true"), *objects[1:]]
    assert writer.dump(after, CONTEXT) == snapshots.dump(after, CONTEXT) != first
    assert writer.dump(objects[1:], CONTEXT) == snapshots.dump(objects[1:], CONTEXT)


def test_policies_are_found_by_what_they_have_become_and_not_by_what_they_were() -> None:
    cache, numbers = Cache(), random.Random(5)
    versions = dict.fromkeys(("a", "b", "c", "d", "e"), 0)
    asked = [request(pod(name="bad")), request(workload())]
    for _ in range(60):
        name = numbers.choice(list(versions))
        versions[name] += 1
        objects = []
        for each, version in versions.items():
            if version % 4 == 3:
                continue  # deleted for a while
            made = changed({**POLICY, "metadata": {"name": each, "generation": version}}, "false")
            if version % 4 == 1:
                made["spec"]["matchConstraints"]["resourceRules"][0].update(
                    apiGroups=["apps"], resources=["deployments"]
                )
            objects.append(made)
        warm = snapshots.load(snapshots.dump(objects, CONTEXT), cache)
        cold = snapshots.load(snapshots.dump(objects, CONTEXT))
        for each in asked:
            assert evaluate(each, warm, NOW) == evaluate(each, cold, NOW)


def test_a_policy_that_goes_is_gone_at_once_without_the_collector() -> None:
    cache = Cache()
    gc.collect()
    gc.disable()
    try:
        built = snapshots.load(snapshots.dump([POLICY], CONTEXT), cache)
        program = weakref.ref(built.policies[0].validations[0].program)
        built = snapshots.load(snapshots.dump([OTHER], CONTEXT), cache)
        assert [policy.ref.name for policy in built.policies] == ["two"]
        assert program() is None
    finally:
        gc.enable()
