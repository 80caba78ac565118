"""OPA's own cases, v0 and v1, out of the Go module cache: every answer and error is OPA's, or refused."""

import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.rego.conformance import MISSING, MODULE, VERSION, cases, judge, module_cache, refused_builtin

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


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = module_cache()
    if found is None and os.environ.get("CI") == "true":
        if shutil.which("go") is None:
            pytest.fail(f"{MISSING} (CI=true makes this a failure)", pytrace=False)
        where = tmp_path_factory.mktemp("module")
        for command in (["mod", "init", "cases"], ["mod", "download", f"{MODULE}@{VERSION}"]):
            subprocess.run(["go", *command], cwd=where, check=True, capture_output=True)
        found = module_cache()
    if found is None:
        pytest.skip(MISSING)
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["v0", "v1"])
def test_cases_of_opa_are_equal_or_refused(folder: Path, version: str) -> None:
    counted: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    wrong = []
    for case in cases(folder, version):
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
