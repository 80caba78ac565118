"""The decision log of a guarded cluster: what happened is in it, it verifies, and a change of it is found."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane import ControlPlane
from tests.e2e.cluster import APPETITE, Cluster, acceptance, configmap, eventually, policy
from tests.e2e.test_guard import EVE, JANE, JOHN, NO_SECRETS, as_user, changed, write
from tests.server.serving import run
from webhook.core.acceptance import digest_of

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("e2e")]

PASSWORD = "hunter2-never-told"


class Story:
    """What was done in a cluster, and the log of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = folder / "evidence.pem"
        self.public = folder / "evidence.pub"
        self.log = folder / "log"
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.key)
        openssl("pkey", "-in", self.key, "-pubout", "-out", self.public)

    @property
    def files(self) -> list[str]:
        return [str(file) for file in sorted(self.log.iterdir())]

    def records(self, **having: Any) -> list[dict[str, Any]]:
        found = [json.loads(line) for file in self.files for line in Path(file).read_text().splitlines()]
        return [each for each in found if having.items() <= each.items()]

    def play(self, cluster: Cluster) -> None:
        """Deny, accept, and write each of our kinds."""
        cluster.apply(APPETITE, check=True)
        self.space = space = cluster.namespace()
        self.policy = policy(space, NO_SECRETS)
        cluster.enforce(self.policy)
        local = self.policy | {"kind": "Policy", "metadata": {"name": "local", "namespace": space}}
        named = ("policies.tidewaiter.dev", "local", "-n", space)
        cluster.apply(local, check=True)
        cluster.apply(changed(local, title="Another"), check=True)
        cluster.kubectl("label", *named, "a=b", check=True)  # says nothing about what it demands
        cluster.kubectl("delete", *named, check=True)
        bad = configmap(space, password=PASSWORD)
        eventually(lambda: cluster.apply(bad).returncode, "the denial")
        self.asked, self.given = acceptance(self.policy, space, ("", "ConfigMap"), ["one"])
        refused = write(cluster.plane, self.asked, *as_user(EVE))
        assert "must be" in refused.stderr
        cluster.apply(self.asked, self.given, check=True)
        eventually(lambda: cluster.apply(bad).returncode == 0, "the acceptance")
        cluster.apply(changed(APPETITE, keepRunningFor="1d"), check=True)
        for obj in (self.given, self.asked):
            name = obj["metadata"]["name"]
            cluster.kubectl("delete", obj["kind"].lower(), name, "-n", space, *as_user(JANE), check=True)
        name = self.policy["metadata"]["name"]
        cluster.kubectl("delete", "clusterpolicies.tidewaiter.dev", name, check=True)

    def verify(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run("evidence", "verify", "--public-key", str(self.public), *words)


def openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def story(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("evidence")
    told = Story(folder)
    with ControlPlane(assets, folder / "plane", kcm=True) as plane:
        options = (f"--evidence-dir={told.log}", f"--evidence-key={told.key}")
        with Cluster(plane, *options) as cluster:
            told.play(cluster)
    return told


def test_the_log_verifies_from_its_start_to_its_end(story: Story) -> None:
    done = story.verify("--complete", *story.files)
    assert done.returncode == 0, done.stdout
    assert "nothing was changed, lost or reordered" in done.stdout


def test_the_denial_is_told(story: Story) -> None:
    told = story.records(type="decision", allowed=False, kind="ConfigMap", namespace=story.space)
    assert told
    violation = told[0]["violations"][0]
    assert violation["policy"]["name"] == story.policy["metadata"]["name"]
    written = story.records(type="write", kind="ClusterPolicy", operation="CREATE")
    assert violation["policy"]["digest"] == written[0]["change"]["after"]["digest"], "which rule it was"


def test_the_used_acceptance_is_told_with_who_approved_it(story: Story) -> None:
    (told,) = story.records(type="decision", allowed=True, kind="ConfigMap", namespace=story.space)
    by = told["accepted"][0]["acceptance"]
    assert by["digest"] == digest_of(story.asked)
    assert by["approvals"][0]["name"] == story.given["metadata"]["name"]
    assert by["approvers"] == [JANE]


def test_the_refused_write_is_told_with_what_it_would_have_been(story: Story) -> None:
    (told,) = story.records(type="decision", kind="RiskAcceptance")
    assert told["user"]["name"] == EVE
    assert told["change"]["after"]["spec"]["requester"] == JOHN


@pytest.mark.parametrize(
    ("kind", "operations"),
    [
        ("ClusterPolicy", ["CREATE", "DELETE"]),
        ("Policy", ["CREATE", "UPDATE", "DELETE"]),
        ("RiskAppetite", ["CREATE", "UPDATE"]),
        ("RiskAcceptance", ["CREATE", "DELETE"]),
        ("RiskApproval", ["CREATE", "DELETE"]),
    ],
)
def test_every_write_is_told_once_with_before_and_after(
    story: Story, kind: str, operations: list[str]
) -> None:
    told = sorted(story.records(type="write", kind=kind), key=lambda record: record["time"])
    assert [record["operation"] for record in told] == operations
    for record in told:
        states = {"CREATE": {"after"}, "UPDATE": {"before", "after"}, "DELETE": {"before"}}
        assert set(record["change"]) == states[record["operation"]]
        assert all(state["digest"] and state["spec"] for state in record["change"].values())
        assert record["user"]["name"]


def test_no_value_of_a_judged_object_is_told(story: Story) -> None:
    assert PASSWORD not in "".join(Path(file).read_text() for file in story.files)


def test_a_changed_log_is_refused_and_the_line_is_named(story: Story, tmp_path: Path) -> None:
    (file,) = [file for file in story.files if '"type":"decision"' in Path(file).read_text()][:1]
    lines = Path(file).read_text().splitlines()
    number = next(at for at, line in enumerate(lines) if '"type":"decision"' in line)
    forged = tmp_path / "log.jsonl"
    lines[number] = lines[number].replace(story.space, "elsewhere")
    forged.write_text("\n".join(lines) + "\n")
    done = story.verify(str(forged))
    assert done.returncode == 1
    assert f"at {forged}:{number + 1}: one of them was changed" in done.stdout
    report = json.loads(story.verify("-o", "json", str(forged)).stdout)
    assert report["verified"] is False
    assert report["findings"][0]["line"] == number + 2


def test_another_key_vouches_for_nothing(story: Story, tmp_path: Path) -> None:
    other = Story(tmp_path)
    done = other.verify(*story.files)
    assert done.returncode == 1
    assert "none that was given" in done.stdout
