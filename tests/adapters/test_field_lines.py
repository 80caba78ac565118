"""The line of a field is found again in the text of its document."""

from __future__ import annotations

import pytest

from webhook.adapters.manifests import parse

TEXT = b"""# a comment
apiVersion: v1
kind: Pod
metadata:
  name: a
  labels:
    app.kubernetes.io/name: x
spec:
  containers:
  - name: a
    image: x
  - image: y

    name: b
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: b}
- apiVersion: v1
  kind: Pod
  metadata:
    name: c
    labels:
      x: why
"""


@pytest.mark.parametrize(
    ("document", "path", "line"),
    [
        (0, "", 2),
        (0, "kind", 3),
        (0, "metadata.name", 5),
        (0, "metadata.labels['app.kubernetes.io/name']", 7),
        (0, 'metadata.labels["app.kubernetes.io/name"]', 7),
        (0, "spec.containers[0].image", 11),
        (0, "spec.containers[1]", 12),
        (0, "spec.containers[1].name", 14),
        (0, "spec.containers[1].securityContext.runAsNonRoot", 12),
        (0, "spec.containers[7]", 9),
        (0, "status.phase", 2),
        (0, "kind.deeper", 3),
        (1, "metadata.name", 21),
        (2, "", 22),
        (2, "metadata.labels.x", 27),
    ],
)
def test_line_of_a_field_or_of_what_is_above_it(document: int, path: str, line: int) -> None:
    documents = parse(TEXT)
    assert not documents.errors
    assert documents.documents[document].line_of(path) == line


def test_json_too() -> None:
    item = b'{"apiVersion": "v1",\n "kind": "Pod",\n "spec": {"a":\n 1}}'
    text = b'{"apiVersion": "v1", "kind": "List",\n"items": [\n' + item + b"]}"
    (document,) = parse(text, "a.json")
    assert document.line == 3
    assert document.line_of("kind") == 4
    assert document.line_of("spec.a") == 5


def test_a_document_on_the_line_of_its_separator_or_indented() -> None:
    first, second = parse(
        b"--- {apiVersion: v1, kind: A, spec: {\n  a: 1}}\n---\n  apiVersion: v1\n  kind: B\n"
    )
    assert (first.line, first.line_of("spec.a")) == (1, 2)
    assert (second.line, second.line_of("kind")) == (4, 5)
