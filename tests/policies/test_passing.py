"""What passes at one call is what judging each validation by itself lets pass: the same verdicts, whole."""

from __future__ import annotations

from dataclasses import replace

from tests.policies import ours
from tests.policies.pods import generate
from webhook.core.evaluate import evaluate
from webhook.core.match import PolicyIndex


def test_verdicts_are_the_same_without_the_quick_way() -> None:
    quick = ours.snapshot("latest")
    assert all(policy.passes is not None for policy in quick.policies)
    slow_policies = tuple(replace(policy, passes=None) for policy in quick.policies)
    slow = replace(quick, policies=slow_policies, index=PolicyIndex(slow_policies))
    denied = 0
    for generated in generate(300, seed=24):
        asked = ours.request(generated.pod)
        verdict = evaluate(asked, quick, ours.NOW)
        assert verdict == evaluate(asked, slow, ours.NOW)
        denied += not verdict.allowed
    assert 60 < denied < 240
