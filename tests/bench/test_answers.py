"""A benchmark whose webhook answers wrongly must end: its figures would say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from bench import answers, manifests
from bench.answers import WrongAnswerError, check, expected
from bench.client import parse
from bench.pods import Sample, samples
from bench.rules import RULES, policies
from webhook.adapters.snapshots import build
from webhook.core.evaluate import evaluate
from webhook.core.review import AdmissionRequest, response
from webhook.core.times import parse_time

UID = b"705ab4f5-6393-11e8-b7cc-42010a800002"
NOW = parse_time("2026-11-24T00:00:00Z")


def answer(allowed: bool, *, uid: bytes = UID, **more: Any) -> bytes:
    return orjson.dumps({"response": {"uid": uid.decode(), "allowed": allowed, **more}})


def ours(*denied_by: str) -> dict[str, Any]:
    return {"auditAnnotations": {"denied-by": ",".join(denied_by)}}


def theirs(*denied_by: str) -> dict[str, Any]:
    return {"status": {"message": "\n".join(f"[{name}] it must [not] be so" for name in denied_by)}}


@pytest.mark.parametrize(
    ("body", "denying", "deniers"),
    [
        (answer(True), (), answers.tidewaiter),
        (answer(False, **ours("a", "b")), ("a", "b"), answers.tidewaiter),
        (answer(True), (), answers.gatekeeper),
        (answer(False, **theirs("a", "a", "b")), ("a", "b"), answers.gatekeeper),
    ],
)
def test_a_right_answer_passes(body: bytes, denying: tuple[str, ...], deniers: answers.Deniers) -> None:
    check(body, UID, frozenset(denying), deniers)


@pytest.mark.parametrize(
    ("body", "denying", "deniers"),
    [
        (answer(False, **ours("a")), (), answers.tidewaiter),
        (answer(True), ("a",), answers.tidewaiter),
        (answer(False, **ours("a")), ("a", "b"), answers.tidewaiter),
        (answer(False, **ours("a", "b", "c")), ("a", "b"), answers.tidewaiter),
        (answer(False), ("a",), answers.tidewaiter),
        (answer(False, **theirs("a")), ("a", "b"), answers.gatekeeper),
        (answer(False, **theirs("a", "b", "c")), ("a", "b"), answers.gatekeeper),
        (answer(True, uid=b"another"), (), answers.tidewaiter),
        (b"no JSON", (), answers.tidewaiter),
        (b"{}", (), answers.tidewaiter),
    ],
)
def test_a_wrong_answer_fails(body: bytes, denying: tuple[str, ...], deniers: answers.Deniers) -> None:
    with pytest.raises(WrongAnswerError):
        check(body, UID, frozenset(denying), deniers)


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
def test_our_policies_deny_what_the_samples_say(sample: Sample) -> None:
    chosen = policies(100)
    snapshot = build([*map(manifests.cluster_policy, chosen), manifests.namespace()])
    assert not snapshot.failures
    request = AdmissionRequest.parse(orjson.loads(sample.body(UID)))
    verdict = evaluate(request, snapshot, NOW)
    check(
        orjson.dumps(response(request.uid, verdict)),
        UID,
        expected(chosen, sample.denied_by),
        answers.tidewaiter,
    )


def test_bystanders_judge_none_of_the_samples() -> None:
    snapshot = build(
        [
            *(manifests.cluster_policy(policy, bystander=True) for policy in policies(100)),
            manifests.namespace(),
        ]
    )
    for sample in samples():
        assert evaluate(AdmissionRequest.parse(orjson.loads(sample.body(UID))), snapshot, NOW).allowed


def test_every_rule_denies_some_sample_and_the_first_sample_complies() -> None:
    assert not samples()[0].denied_by
    assert set().union(*(sample.denied_by for sample in samples())) == {rule.name for rule in RULES}


def test_policies_have_names_and_templates_of_their_own() -> None:
    assert len({policy.name for policy in policies(100)}) == 100
    assert len(manifests.templates(policies(100))) == 100
    assert len(manifests.templates(policies(100, shared=True))) == len(RULES)


def test_no_two_policies_of_a_rule_have_the_same_parameters() -> None:
    seen: dict[str, list[Mapping[str, Any]]] = {}
    for policy in policies(100):
        assert policy.params not in seen.setdefault(policy.rule.name, [])
        seen[policy.rule.name].append(policy.params)


@pytest.mark.parametrize(
    ("received", "answer"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", (200, False, b"{}")),
        (b"HTTP/1.1 500 No\r\ncontent-length: 0\r\nConnection: close\r\n\r\n", (500, True, b"")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", None),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
            (200, False, b"{}"),
        ),
    ],
)
def test_an_answer_is_read_once_it_is_whole(received: bytes, answer: tuple[int, bool, bytes] | None) -> None:
    assert parse(received) == answer


def test_an_answer_without_an_end_fails() -> None:
    with pytest.raises(WrongAnswerError):
        parse(b"HTTP/1.1 200 OK\r\n\r\n{}")
