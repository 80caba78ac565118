"""Manifests are read from files, folders, kustomizations and standard input, each with file and line."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path

import pytest

from webhook.adapters.manifests import MAX_BYTES, Documents, parse, read, unique

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(file: str, text: str) -> None:
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def names(documents: Documents) -> list[tuple[str, str, int]]:
    return [(document.key.name, document.file, document.line) for document in documents]


def problems(documents: Documents) -> list[str]:
    return [str(error) for error in documents.errors]


def test_a_folder_is_read_recursively_sorted_and_without_hidden_files(folder: Path) -> None:
    write("m/b.yaml", POD % "b")
    write("m/a/z.yml", "# comment\n---\n" + POD % "z1" + "---\n" + POD % "z2")
    write("m/c.json", '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"}}')
    write("m/.hidden.yaml", ":")
    write("m/.git/x.yaml", ":")
    write("m/notes.txt", ":")
    documents = read(["m"])
    assert problems(documents) == []
    assert names(documents) == [
        ("z1", "m/a/z.yml", 3),
        ("z2", "m/a/z.yml", 7),
        ("b", "m/b.yaml", 1),
        ("c", "m/c.json", 1),
    ]


def test_standard_input_holds_yaml_or_json() -> None:
    assert names(read(["-"], io.BytesIO((POD % "a").encode()))) == [("a", "-", 1)]
    assert names(
        read(["-"], io.BytesIO(b'\n {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}'))
    ) == [("a", "-", 2)]
    assert names(read(["-"], io.BytesIO(b"{apiVersion: v1, kind: Pod, metadata: {name: a}}"))) == [
        ("a", "-", 1)
    ]
    assert problems(read(["-"])) == ["-: there is no standard input to read"]


def test_a_list_is_its_items(folder: Path) -> None:
    text = """apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: a}
- apiVersion: v1
  kind: PodList
  items:
  - metadata: {name: b}
"""
    documents = parse(text.encode())
    assert problems(documents) == []
    assert [(d.key.kind, d.key.name, d.line) for d in documents] == [("Pod", "a", 4), ("Pod", "b", 7)]


def test_a_path_that_is_reached_twice_is_read_once(folder: Path) -> None:
    write("m/a.yaml", POD % "a")
    (folder / "m" / "link.yaml").symlink_to(folder / "m" / "a.yaml")
    (folder / "m" / "loop").symlink_to(folder / "m")
    assert names(read(["m", "m/a.yaml", "./m"])) == [("a", "m/a.yaml", 1)]


def test_one_bad_file_does_not_hide_the_others(folder: Path) -> None:
    write("m/a.yaml", POD % "a")
    write("m/b.yaml", POD % "b1" + "---\na: [\n")
    write("m/c.yaml", POD % "c")
    documents = read(["m", "missing"])
    assert [name for name, *_ in names(documents)] == ["a", "b1", "c"]
    assert [(error.file, error.line) for error in documents.errors] == [("m/b.yaml", 6), ("missing", 0)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1", "-:1: not a Kubernetes object: it has no apiVersion"),
        ("apiVersion: v1", "-:1: not a Kubernetes object: it has no kind"),
        (
            "apiVersion: 1\nkind: Pod",
            "-:1: not a Kubernetes object: apiVersion must be a text that isn't empty",
        ),
        ("- 1", "-:1: not a Kubernetes object but a list"),
        ("just text", "-:1: not a Kubernetes object but a text"),
        ("apiVersion: v1\nkind: Pod\nmetadata: []", "-:1: metadata must be a mapping, not a list"),
        (POD % "5", "-:1: metadata.name must be a text, not a number: quote it"),
        (
            "apiVersion: v1\nkind: Pod\nmetadata: {labels: {a: yes}}",
            "-:1: metadata.labels['a'] must be a text, not a boolean: quote it",
        ),
        ("kind: List\nitems:\n- 5\n", "-:3: not a Kubernetes object but a number"),
    ],
)
def test_what_is_no_object_is_an_error(text: str, problem: str) -> None:
    assert problems(parse(text.encode())) == [problem]


def test_empty_input_is_no_error() -> None:
    for text in (b"", b"\n", b"---\n---\n", b"# only a comment\n", b"\xef\xbb\xbf"):
        assert parse(text) == Documents((), ())


def test_a_byte_order_mark_is_skipped() -> None:
    assert names(parse(b"\xef\xbb\xbf" + (POD % "a").encode())) == [("a", "-", 1)]


def test_other_encodings_are_refused_with_the_line() -> None:
    assert problems(parse(b"a: 1\nb: \xff\n")) == ["-:2: not UTF-8: save it as UTF-8"]
    assert problems(parse((POD % "a").encode("utf-16"))) == ["-:1: not UTF-8: save it as UTF-8"]


def test_a_file_that_is_too_large_is_refused(folder: Path) -> None:
    with Path("big.yaml").open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    assert problems(read(["big.yaml"])) == ["big.yaml: larger than 64 MiB: split it"]


def test_unreadable_paths_are_errors(folder: Path) -> None:
    os.mkfifo("pipe.yaml")
    Path("link.yaml").symlink_to("nowhere")
    assert problems(read(["."])) == []  # in a folder only plain files count
    assert problems(read(["link.yaml", "a\x00b"]))[0] == "link.yaml: no such file or folder"


def test_damaged_bytes_give_errors_and_nothing_else() -> None:
    pieces = [
        b"&a ",
        b"*a ",
        b"<<: *a\n",
        b"!!int ",
        b"!x ",
        b"\t",
        b"---\n",
        b"...\n",
        b"{",
        b"}",
        b"[",
        b"]",
        b": ",
    ]
    pieces += [
        b"? ",
        b"- ",
        b"|\n",
        b"'",
        b'"',
        b"%TAG ! x\n",
        b"\xff",
        b"\x00",
        b"\r\n",
        b"1e999",
        b".inf",
        b"items:\n- ",
    ]
    chosen = random.Random(3)
    whole = (
        POD % "a"
        + "spec: {containers: [{name: a, image: 'b', args: [1, ~, yes]}]}\n---\nkind: List\nitems:\n- a\n"
    ).encode()
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(chosen.randint(1, 4)):
            place = chosen.randrange(len(data))
            data[place : place + chosen.choice((0, 0, 1, 5))] = chosen.choice(pieces)
        for document in parse(bytes(data), chosen.choice(("a.yaml", "a.json"))):
            assert document.key
            assert document.line_of("spec.containers[0].args[1]") >= document.line


# kustomizations


def test_a_kustomization_is_read_by_its_resources_only(folder: Path) -> None:
    write("p/base/kustomization.yaml", "resources: [a.yaml]")
    write("p/base/a.yaml", POD % "a")
    write("p/base/unlisted.yaml", POD % "unlisted")
    write(
        "p/over/kustomization.yml", "kind: Kustomization\nresources:\n- ../base\n- sub/b.yaml\npatches: []\n"
    )
    write("p/over/sub/b.yaml", POD % "b")
    documents = read(["p/over"])
    assert problems(documents) == []
    assert names(documents) == [("a", "p/base/a.yaml", 1), ("b", "p/over/sub/b.yaml", 1)]
    assert [name for name, *_ in names(read(["p"]))] == ["a", "b"]
    assert [name for name, *_ in names(read(["p/over/kustomization.yml"]))] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "namePrefix: x-",
            "k/kustomization.yaml: only resources are honoured here, and namePrefix would change them: ",
        ),
        (
            "kind: Component",
            "k/kustomization.yaml: only resources are honoured here, and kind: Component would",
        ),
        (
            "resources: [/etc]",
            "k/kustomization.yaml: the resource '/etc' must be relative to its kustomization",
        ),
        (
            "resources: [../outside.yaml]",
            "k/kustomization.yaml: the resource '../outside.yaml' lies outside the",
        ),
        (
            "resources: [missing]",
            "k/kustomization.yaml: the resource 'missing' is no file or folder here (remote",
        ),
        (
            "resources: [empty]",
            "k/kustomization.yaml: the resource 'empty' is a folder without kustomization.yaml",
        ),
        ("resources: [.]", "k/kustomization.yaml: this kustomization names itself, through its resources"),
        ("resources: [../other]", "k/../other/kustomization.yaml: this"),
        ("resources: {a: b}", "k/kustomization.yaml: resources must be a list of paths"),
        ("- a", "k/kustomization.yaml: a kustomization is one mapping"),
        ("a: 1\na: 2", "k/kustomization.yaml:2: the key 'a' is given twice"),
    ],
)
def test_a_kustomization_that_can_not_be_honoured_is_an_error(folder: Path, text: str, problem: str) -> None:
    write("k/kustomization.yaml", text)
    write("outside.yaml", POD % "outside")
    write("other/kustomization.yaml", "resources: [../k]")
    (folder / "k" / "empty").mkdir()
    documents = read(["k"])
    assert names(documents) == []
    (found,) = problems(documents)
    if "other" in problem:
        assert found.endswith("this kustomization names itself, through its resources")
    else:
        assert found.startswith(problem)


# the same object twice


def test_the_same_object_twice_counts_once() -> None:
    ours = "apiVersion: tidewaiter.dev/v1alpha1\nkind: ClusterPolicy\nmetadata: {name: a, labels: {x: %s}}\n"
    documents = unique(parse("---\n".join([ours % "a", ours % "b", POD % "a", POD % "a"]).encode()))
    assert problems(documents) == []
    assert [document.line for document in documents] == [1, 9]


def test_what_differs_is_an_error_that_names_both_places() -> None:
    text = POD % "a" + "spec: {x: 1}\n---\n" + POD % "a" + "spec: {x: true}\n"
    documents = unique(parse(text.encode()))
    assert [document.line for document in documents] == [1]
    assert problems(documents) == ["-:6: Pod a is given twice, and differs from -:1: keep one of them"]


def test_labels_count_for_what_is_judged_and_namespaces_keep_objects_apart() -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: %s, labels: {x: %s}}\n"
    assert len(unique(parse("---\n".join([text % ("m", "p"), text % ("n1", "p")]).encode()))) == 2
    assert len(unique(parse("---\n".join([text % ("m", "p"), text % ("m", "q")]).encode())).errors) == 1


def test_objects_whose_name_the_api_server_makes_are_all_kept() -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n"
    assert len(unique(parse(f"{text}---\n{text}".encode()))) == 2
