"""Templates in Rego in the data plane: whatever they do, a review is answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from signal import SIGPROF, getsignal, signal

import pytest

from tests.core.builders import namespace
from tests.gatekeeper.gk import constraint, rego_template, snapshot
from tests.gatekeeper.test_raw_text import RULES, manifests
from tests.server.builders import Start, make_review
from webhook.adapters.snapshots import Context
from webhook.server import swap
from webhook.server.judging import Judge
from webhook.server.source import FilesSource
from webhook.server.ticker import Ticker

HOSTILE = {
    "ranges": "r := numbers.range(0, 999); r[_] + r[_] + r[_] + r[_] < 0",
    "comprehension": "r := numbers.range(1, 500); x := [[a, b, c] | a := r[_]; b := r[_]; c := r[_]]; "
    "count(x) < 0",
    "regex": 'x := concat("", ["a" | numbers.range(1, 100000)[_]]); '
    'not regex.match("^(a+)+$", concat("", [x, "b"])); numbers.range(1, 1000000000)[_] < 0',
    "number": "x := 9999999999; [a, b, c] := [x * x, x * x, x * x]; bits.lsh(a * b * c, 1000000000) > 1",
    "recursion": "walk(input, [_, x]); walk(input, [_, y]); walk(input, [_, z]); walk(input, [_, w]); "
    "x + y + z + w < 0",
}
"""What would take forever, or all memory, by itself."""
SLOW = 'i := numbers.range(1, 300000)[_]; time.clock([i, "Europe/Berlin"])[0] < 0'
"""Each turn takes far longer than the steps that it is charged."""
AS_IN_OPA = {
    "padding": 'sprintf("%1000000000d", [1]) != "%!(NOVERB)%!(EXTRA int=1)"',
    "exponent": 'units.parse("1e1000000000Ei") > 1',
}
"""What OPA ends at once, too: nothing is met."""


@pytest.mark.parametrize("action", ["deny", "warn", "dryrun"])
async def test_messages_that_are_not_utf_8_are_sent(start: Start, action: str) -> None:
    policies = [each for name in RULES for each in manifests(name, enforcementAction=action)]
    plane = await start(snapshot(namespace(), *policies))
    answer = await plane.verdict(make_review())
    said = json.dumps(answer, ensure_ascii=False)
    said.encode()
    assert ("\ufffd" in said) == (action != "dryrun")


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_takes_forever_is_stopped_and_named(start: Start, name: str) -> None:
    kind = f"K8s{name.title()}"
    template = rego_template(f'package any\nviolation[{{"msg": "m"}}] {{ {HOSTILE[name]} }}', kind)
    plane = await start(snapshot(namespace(), template, constraint(kind, "forever")))
    began = time.monotonic()
    answer = await plane.verdict(make_review(), "/admit?timeout=2s")
    assert time.monotonic() - began < 10
    assert not answer["allowed"]
    assert answer["status"]["message"].startswith(f"[forever] {kind}: ")
    again = await plane.verdict(make_review(), "/admit?timeout=2s")
    assert again["status"]["message"].startswith(f"[forever] {kind}: ")


@pytest.mark.parametrize("name", AS_IN_OPA)
async def test_what_opa_ends_at_once_is_ended_here(start: Start, name: str) -> None:
    template = rego_template(f'package any\nviolation[{{"msg": "m"}}] {{ {AS_IN_OPA[name]} }}')
    plane = await start(snapshot(namespace(), template, constraint()))
    began = time.monotonic()
    assert (await plane.verdict(make_review(), "/admit?timeout=2s"))["allowed"]
    assert time.monotonic() - began < 2


@pytest.fixture
def ticker() -> Iterator[Ticker]:
    before = getsignal(SIGPROF)
    yield Ticker()
    signal(SIGPROF, before)


async def test_a_hostile_template_costs_its_own_requests_alone(start: Start, ticker: Ticker) -> None:
    template = rego_template(f'package any\nviolation[{{"msg": "m"}}] {{ {SLOW} }}', "K8sSlow")
    around = snapshot(namespace(), template, constraint("K8sSlow", "slow", match={"namespaces": ["shop"]}))
    plane = await start(around, judge=lambda current: Judge(current, watching=ticker.watching))
    await plane.verdict(make_review(namespace="other"))
    messages = []
    for _ in range(20):
        began = time.process_time()
        answer = await plane.verdict(make_review())
        messages.append(answer["status"]["message"])
        assert time.process_time() - began < 1.5  # its own 0.125 seconds, and what a busy machine adds
        began = time.process_time()
        assert (await plane.verdict(make_review(namespace="other")))["allowed"]
        assert time.process_time() - began < 0.5
    assert all(each.startswith("[slow] K8sSlow: ") for each in messages)
    assert "longer than one policy may take" in messages[0]
    text = await (await plane.client.get("/metrics")).text()
    errors = [line for line in text.splitlines() if line.startswith("tidewaiter_policy_errors_total")]
    assert [line.split()[1] for line in errors if "slow" in line] == ["20.0"], errors


@pytest.mark.parametrize("count", [900, 25_000], ids=["as large as may be", "far too large"])
async def test_requests_are_answered_while_a_large_template_is_compiled(
    start: Start, tmp_path: Path, count: int
) -> None:
    refusing = [rego_template('package any\nviolation[{"msg": "no"}] { true }'), constraint()]
    plane = await start(snapshot(namespace(), *refusing))
    rules = "".join(f"p[{n}] {{ input.a == {n} }}\n" for n in range(count))
    large = rego_template(f'package any\nviolation[{{"msg": "large"}}] {{ p[1] }}\n{rules}', "K8sLarge")
    for number, each in enumerate([namespace(), *refusing, large, constraint("K8sLarge", "large")]):
        (tmp_path / f"{number}.json").write_text(json.dumps(each))
    loading = asyncio.create_task(swap.load(FilesSource([str(tmp_path)], Context())))
    longest, answered = 0.0, 0
    while not answered or not loading.done():
        began = time.monotonic()
        assert (await plane.verdict(make_review()))["status"]["message"] == "[refused] no"
        longest, answered = max(longest, time.monotonic() - began), answered + 1
    assert longest < 5  # a request's time is 10 s, and other work runs on this machine too
    loaded = await loading
    failures = {each.ref.kind: each.message for each in loaded.failures}
    if count == 900:
        assert not failures
        return
    assert set(failures) == {"ConstraintTemplate", "K8sLarge"}
    assert "is too large" in failures["ConstraintTemplate"]
    (still,) = [each for each in loaded.policies if each.ref.kind == "K8sRefused"]
    assert still.ref.name == "refused"
