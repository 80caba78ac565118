"""The same object gets the same verdict, message and fingerprint from a running server and from check."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.examples.test_examples import GOVERNING, ROOT, examples, review
from tests.server.serving import Server, serving
from webhook.adapters.kinds import Kinds
from webhook.adapters.manifests import read
from webhook.adapters.material import is_own
from webhook.cli import run


def answer(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    with contextlib.closing(server.connect()) as connection:
        connection.request(
            "POST", "/admit?timeout=10s", json.dumps(body), {"Content-Type": "application/json"}
        )
        response: dict[str, Any] = json.loads(connection.getresponse().read())["response"]
        return response


def test_server_and_check_say_the_same_of_every_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    paths = list(examples())
    namespaces = [path for path in paths if path.endswith("/namespace.yaml")]
    status = run(
        [
            "check",
            *paths,
            "--policies",
            *GOVERNING,
            "--trust-approvals",
            "--acceptances",
            "examples/risk",
            "-o",
            "json",
        ]
    )
    assert status == 1
    verdicts = {
        tuple(verdict["object"].values()): verdict
        for verdict in json.loads(capsys.readouterr().out)["verdicts"]
    }
    documents = {document.key: document for document in read(paths) if not is_own(document)}
    kinds = Kinds([document.object for document in documents.values()])
    files = [word for path in (*GOVERNING, *namespaces) for word in ("--policies", path)]
    with serving(tmp_path, *files, "--trust-approvals") as server:
        for document in documents.values():
            obj = document.object
            metadata = obj["metadata"]
            key = (obj["apiVersion"], obj["kind"], metadata.get("namespace", ""), metadata["name"])
            verdict, said = verdicts.pop(key), answer(server, review(document, kinds))
            assert said["allowed"] is verdict["allowed"]
            notes, text = said.get("auditAnnotations", {}), json.dumps(said)
            for violation in verdict["violations"]:
                assert violation["fingerprint"] in notes["violations"]
                if violation["action"] == "deny":
                    assert violation["message"] in said["status"]["message"]
                if violation["action"] == "warn":
                    assert violation["message"][:100] in text
            for accepted in verdict["accepted"]:
                assert accepted["fingerprint"] in notes["accepted"]
            counted = notes.get("violations", "").count(";") + ("violations" in notes)
            assert counted == len(verdict["violations"])
    assert not verdicts
