"""`tidewaiter risk digest`: what an approval must carry, as anyone can compute it again."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from offline_manifests import API, acceptance, appetite, write

pytestmark = pytest.mark.usefixtures("folder")


def content(obj: dict[str, Any], namespace: str = "shop") -> dict[str, Any]:
    wanted = {
        "group": "tidewaiter.dev",
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "spec": obj["spec"],
    }
    return wanted if obj["kind"].startswith("Cluster") else {**wanted, "namespace": namespace}


def expected(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


CLUSTER = acceptance("everywhere")
CLUSTER = {**CLUSTER, "kind": "ClusterRiskAcceptance", "metadata": {"name": "everywhere"}}


@pytest.mark.parametrize("obj", [acceptance(), CLUSTER], ids=["namespaced", "cluster"])
def test_the_digest_is_that_of_the_canonical_content(run: Any, obj: dict[str, Any]) -> None:
    text = json.dumps(content(obj), sort_keys=True, separators=(",", ":"))  # ASCII: that is RFC 8785
    outcome = run("risk", "digest", write("risk.yaml", obj))
    assert (outcome.status, outcome.out) == (0, expected(text.encode()) + "\n")


def test_jq_and_sha256sum_give_the_same(run: Any) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed: install it to compare with it")
    obj = acceptance(title='Größe \U0001f40b\tand\n"quotes"', justification="a\u2028b \\ / c")
    Path("risk.json").write_text(json.dumps(obj))
    given = json.dumps(content(obj))
    data = subprocess.run(["jq", "-cjS", "."], input=given.encode(), capture_output=True, check=True).stdout
    assert run("risk", "digest", "risk.json").out == expected(data) + "\n"


def test_labels_and_status_say_nothing_and_the_spec_everything(run: Any) -> None:
    first = run("risk", "digest", write("a.yaml", acceptance())).out
    labelled = acceptance()
    labelled["metadata"] = {**labelled["metadata"], "labels": {"a": "b"}, "annotations": {"c": "d"}}
    labelled["status"] = {"phase": "Active"}
    assert run("risk", "digest", write("b.yaml", labelled)).out == first
    assert run("risk", "digest", write("c.yaml", acceptance(riskOwner="someone else"))).out != first


def test_of_several_each_line_says_whose_it_is(run: Any) -> None:
    outcome = run("risk", "digest", write("risk.yaml", acceptance(), CLUSTER, appetite()))
    names = [line.split(" sha256:")[0] for line in outcome.out.splitlines()]
    assert names == ["RiskAcceptance/shop/legacy", "ClusterRiskAcceptance/everywhere"]


def test_standard_input_and_the_namespace_to_be(run: Any) -> None:
    obj = acceptance()
    del obj["metadata"]["namespace"]
    text = Path(write("risk.yaml", obj)).read_text()
    for words, namespace in (((), "default"), (("-n", "billing"), "billing")):
        plain = json.dumps(content(obj, namespace), sort_keys=True, separators=(",", ":"))
        assert run("risk", "digest", "-", *words, stdin=text).out == expected(plain.encode()) + "\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "gone.yaml: no such file or folder"),
        ("a: [", "no valid YAML"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "holds no RiskAcceptance"),
        (f"apiVersion: {API}\nkind: RiskAcceptance\nmetadata: {{name: a}}\nspec: {{}}\n", "gone.yaml:4: "),
    ],
    ids=["no file", "malformed", "none in it", "an invalid one"],
)
def test_bad_input_has_no_digest(run: Any, text: str | None, message: str) -> None:
    if text is not None:
        Path("gone.yaml").write_text(text)
    outcome = run("risk", "digest", "gone.yaml")
    assert (outcome.status, outcome.out) == (2, "")
    assert message in outcome.err
