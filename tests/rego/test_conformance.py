"""OPA's own cases, v0 and v1, out of the Go module cache: every answer and error is OPA's, or refused."""

from collections import Counter
from pathlib import Path

import pytest

from tests.rego.conformance import cases, judge, refused_builtin

SHARE = 0.97

EXCLUDED = {
    "graphql.is_valid": "queries aren't checked against schemas",
    "graphql.parse": "queries aren't checked against schemas",
    "graphql.parse_and_verify": "queries aren't checked against schemas",
    "http.send": "reaches into the network",
    "net.lookup_ip_addr": "reaches into the network",
    "opa.runtime": "says where it runs",
    "providers.aws.sign_req": "signs requests to a cloud",
    "rand.intn": "is random",
    "rego.metadata.chain": "annotations aren't kept",
    "rego.metadata.rule": "annotations aren't kept",
    "rego.parse_module": "policies can't read policies",
    "test.sleep": "is no builtin: OPA's tests add it",
}
"""What of OPA's cases is refused when it is compiled: the builtin, and why."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["v0", "v1"])
def test_cases_of_opa_are_equal_or_refused(opa_cases: Path, version: str) -> None:
    counted: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    wrong = []
    for case in cases(opa_cases, version):
        outcome = judge(case)
        counted[outcome.kind] += 1
        if outcome.kind == "refused":
            name = refused_builtin(outcome.detail)
            if name in EXCLUDED:
                refused[name] += 1
                continue
        if outcome.kind != "equal":
            wrong.append(f"{case.family}: {case.note}: {outcome.kind}: {outcome.detail}")
    assert not wrong, f"{len(wrong)} of {counted.total()}:\n" + "\n".join(wrong)
    assert counted["equal"] >= SHARE * counted.total(), refused
