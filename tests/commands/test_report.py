"""`tidewaiter report`: its forms, its exit status, and what it says of bad input."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from offline_manifests import pod, policy, write

pytestmark = pytest.mark.usefixtures("folder")

FAILING = policy("failing", {"name": "failing", "expression": "object.spec.missing == 1"})
WARNING = policy(validationActions=["Warn"])
AUDITING = policy(validationActions=["Audit"])


@pytest.mark.parametrize(
    ("objects", "status", "counts"),
    [
        ([pod(root=False), policy()], 0, (1, 0, 0, 0, 0)),
        ([pod(), policy()], 1, (1, 1, 0, 0, 0)),
        ([pod(), WARNING], 0, (1, 0, 1, 0, 0)),
        ([pod(), AUDITING], 1, (1, 1, 0, 0, 0)),
        ([pod(root=False), FAILING], 2, (1, 0, 0, 0, 1)),
    ],
    ids=["clean", "denied", "warned", "audited", "not evaluated"],
)
def test_the_status_says_whether_something_fails(
    run: Any, objects: list[dict[str, Any]], status: int, counts: tuple[int, ...]
) -> None:
    write("all.yaml", *objects)
    done = run("report", "all.yaml", "-o", "json")
    assert done.status == status
    told = done.data["summary"]
    assert tuple(told[name] for name in ("objects", "fail", "warn", "skip", "error")) == counts


def test_junit_has_a_case_for_each_finding_and_one_for_the_rest(run: Any) -> None:
    write("all.yaml", pod(), pod("api"), pod("fine", root=False), policy())
    suite = ElementTree.fromstring(run("report", "all.yaml", "-o", "junit").out)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "2", "0")
    assert [case.find("failure") is not None for case in suite.iter("testcase")] == [False, True, True]


def test_sarif_points_to_file_and_line_and_names_each_rule_once(run: Any) -> None:
    write("all.yaml", pod(), pod("api"), policy())
    (made,) = run("report", "all.yaml", "-o", "sarif").data["runs"]
    assert len(made["tool"]["driver"]["rules"]) == 1
    places = [each["locations"][0]["physicalLocation"] for each in made["results"]]
    assert {each["artifactLocation"]["uri"] for each in places} == {"all.yaml"}
    assert len({each["region"]["startLine"] for each in places}) == 2


def test_reports_are_a_list_to_apply(run: Any) -> None:
    write("all.yaml", pod(), pod("fine", root=False), policy())
    told = run("report", "all.yaml", "-o", "wgpolicy").data
    assert (told["kind"], [each["kind"] for each in told["items"]]) == ("List", ["PolicyReport"])


def test_what_can_not_be_read_makes_no_clean_report(run: Any) -> None:
    write("all.yaml", pod(root=False), policy())
    done = run("report", "all.yaml", "nowhere", "-o", "junit")
    assert done.status == 2
    assert "nowhere: no such file or folder" in done.err
    assert ElementTree.fromstring(done.out).get("errors") == "1"


FORMS = ("text", "json", "junit", "sarif", "openreports", "wgpolicy")
BAD = {
    "no YAML": b"kind: [",
    "no object": b"- 1\n- 2\n",
    "no text": b"\xff\xfe\x00\x01",
    "an alias bomb": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b, *nowhere]\n",
    "a bad one": b"apiVersion: tidewaiter.dev/v1alpha1\nkind: ClusterPolicy\nmetadata: {name: b}\nspec: 1\n",
    "a name like a control sequence": b'apiVersion: v1\nkind: "\\e[2J"\nmetadata: {name: [}\n',
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_bad_input_is_named_and_the_rest_is_still_told_in_every_form(
    run: Any, folder: Path, bad: bytes, form: str
) -> None:
    write("all.yaml", pod(), policy())
    (folder / "bad.yaml").write_bytes(bad)
    done = run("report", "all.yaml", "bad.yaml", "-o", form)
    assert done.status == 2
    assert "bad.yaml" in done.err
    assert "Traceback" not in done.err
    assert "\x1b" not in done.err + done.out
    if form == "junit":
        assert ElementTree.fromstring(done.out).get("failures") == "1"
    elif form == "text":
        assert "1 failed" in done.out
    else:
        told = done.data
        found = told.get("findings") or told.get("items") or told["runs"][0]["results"]
        assert len(found) == 1


@pytest.mark.parametrize(
    "config",
    [None, b"", b"{", b"- 1", b"apiVersion: v1\nkind: Config\n", b"\xff"],
    ids=["missing", "empty", "no YAML", "no mapping", "no cluster", "no text"],
)
def test_a_cluster_that_can_not_be_asked_is_one_line_and_no_report(
    run: Any, folder: Path, config: bytes | None
) -> None:
    if config is not None:
        (folder / "config").write_bytes(config)
    done = run("report", "--cluster", "--kubeconfig", "config", "-o", "json")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: config: ")
    assert len(done.err.splitlines()) == 1, done.err


def test_a_cluster_that_does_not_answer_is_said_so(run: Any, folder: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    (folder / "config").write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "one",
                "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
                "users": [{"name": "one", "user": {"token": "none"}}],
                "clusters": [{"name": "one", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            }
        )
    )
    done = run("report", "--cluster", "--kubeconfig", "config", "-o", "json")
    assert (done.status, done.out) == (2, "")
    assert "the API server can't be asked" in done.err


def test_without_a_policy_nothing_is_clean(run: Any) -> None:
    write("all.yaml", pod())
    done = run("report", "all.yaml")
    assert done.status == 2
    assert "name some with --policies" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Name manifests by PATH, or the running cluster by --cluster."),
        (("all.yaml", "--cluster"), "Name manifests by PATH, or the running cluster by --cluster."),
        (("--cluster", "--at", "2026-12-01T00:00:00Z"), "need a PATH"),
    ],
    ids=["neither", "both", "a time for a cluster"],
)
def test_it_says_which_words_do_not_go_together(run: Any, words: tuple[str, ...], said: str) -> None:
    done = run("report", *words)
    assert done.status == 2
    assert said in done.err
