"""YAML decodes to what kubectl decodes it to; what would be lost or explode is refused with its line."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest

from webhook.adapters.yaml_text import MAX_ALIAS_NODES, decode_yaml
from webhook.core.errors import InputError


def decode(text: str) -> Any:
    documents = list(decode_yaml(text, "a.yaml"))
    assert len(documents) == 1
    return documents[0].value


SCALARS = {
    "yes": True,
    "on": True,
    "y": True,
    "TRUE": True,
    "tRUE": "tRUE",
    "No": False,
    "off": False,
    "n": False,
    "~": None,
    "null": None,
    "nULL": "nULL",
    "0644": 420,
    "0o644": 420,
    "0o8": "0o8",
    "08": 8,
    "0x1F": 31,
    "0b11": 3,
    "-0x10": -16,
    "+1": 1,
    "1_000": 1000,
    "_1": "_1",
    "0x_1": 1,
    "-0": 0,
    "1.0": 1,
    "-0.0": 0,
    "1e3": 1000,
    "1.5e+3": 1500,
    ".5": 0.5,
    "1.": 1,
    "+0.5": 0.5,
    "012.5": 12.5,
    "685_230.15": 685230.15,
    "9223372036854775807": 2**63 - 1,
    "9223372036854775808": 9223372036854775808.0,
    "18446744073709551616": 18446744073709551616.0,
    "1e400": "1e400",
    "12:30:45": "12:30:45",
    "2026-01-01": "2026-01-01",
    "2026-01-01T00:00:00Z": "2026-01-01T00:00:00Z",
    "=": "=",
    "<<": "<<",
    "100m": "100m",
    "1.2.3": "1.2.3",
    "-": None,
    "!!str 5": "5",
    '!!int "5"': 5,
    "! 5": "5",
    '"yes"': "yes",
    "'0644'": "0644",
}


@pytest.mark.parametrize(("text", "value"), [pair for pair in SCALARS.items() if pair[0] != "-"])
def test_a_scalar_means_what_kubectl_makes_of_it(text: str, value: Any) -> None:
    result = decode(f"a: {text}\n")["a"]
    assert result == value
    assert type(result) is type(value)


@pytest.mark.e2e
def test_kubectl_itself_agrees_on_every_scalar(assets: Path) -> None:
    lines = [f"  k{index}: {text}" for index, text in enumerate(SCALARS) if text != "-"]
    keys = [
        "  yes: a",
        "  1: b",
        "  0x10: c",
        '  "2": d',
        "  plain: &a {x: 1, y2: 2}",
        "  merged: {<<: *a, x: 3}",
    ]
    text = (
        "\n".join(["apiVersion: v1", "kind: ConfigMap", "metadata: {name: a}", "data:", *lines, *keys]) + "\n"
    )
    command = [assets / "kubectl", "annotate", "--local", "-f", "-", "a=b", "-o", "json"]
    printed = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    ours, theirs = decode(text)["data"], json.loads(printed)["data"]
    assert ours.keys() == theirs.keys()
    for key in ours:
        if isinstance(ours[key], float):  # beyond int64, Go prints the shortest digits without an exponent
            assert ours[key] == float(theirs[key]), key
        else:
            assert (ours[key], type(ours[key])) == (theirs[key], type(theirs[key])), key


def test_keys_that_yaml_reads_as_something_else_become_kubectls_text() -> None:
    assert decode("{yes: 1, 2: 2, 0x10: 3, n: 4}") == {"true": 1, "2": 2, "16": 3, "false": 4}


def test_merge_keys_never_override_what_is_written() -> None:
    text = "a: &a {x: 1, y2: 2}\nb: &b {x: 9, z: 3}\nc: {<<: *a, x: 5}\nd: {x: 5, <<: [*a, *b]}\n"
    text += "e: {<<: {q: 1}}\n"
    decoded = decode(text)
    assert decoded["c"] == {"x": 5, "y2": 2}
    assert decoded["d"] == {"x": 5, "y2": 2, "z": 3}
    assert decoded["e"] == {"q": 1}


def test_a_value_written_as_two_less_than_signs_does_not_disturb_later_merges() -> None:
    assert decode("a: <<\nb: &b {x: 1}\nc:\n  <<: *b\n") == {"a": "<<", "b": {"x": 1}, "c": {"x": 1}}


def test_documents_have_the_line_of_their_first_content() -> None:
    text = (
        "# comment\n\n---\n# more\na: 1\n---\n---\n\n# nothing\n---\n\n- b\n...\n--- {c: 1}\n--- # x\n\nd: 1"
    )
    documents = list(decode_yaml(text, "a.yaml"))
    assert [(d.value, d.line) for d in documents] == [
        ({"a": 1}, 5),
        (["b"], 12),
        ({"c": 1}, 14),
        ({"d": 1}, 17),
    ]


def test_items_have_their_own_lines() -> None:
    text = "kind: List\nitems:\n- a: 1\n  b: [1, 2]\n\n-\n  a: 2\n- {items: [1, 2]}\n- text\nz: 1\n"
    (document,) = decode_yaml(text, "a.yaml")
    assert document.item_lines == (3, 7, 8, 9)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' is given twice"),
        ("a:\n  1: x\n  '1': y\n", 3, "the key '1' is given twice"),
        (
            "a: 1\nb: !!python/object/apply:os.system [ls]\n",
            2,
            "tag:yaml.org,2002:python/object/apply:os.system",
        ),
        ("a: !!binary aGVsbG8=\n", 1, "the tag tag:yaml.org,2002:binary is not supported"),
        ("a: !secret x\n", 1, "the tag !secret is not supported"),
        ("a: !!set {x}\n", 1, "the tag tag:yaml.org,2002:set is not supported"),
        ("a: !!int abc\n", 1, "'abc' doesn't fit its tag"),
        ("a: .inf\n", 1, ".inf is a number that JSON can't carry"),
        ("a: .nan\n", 1, ".nan is a number that JSON can't carry"),
        ("a: 1\n~: 2\n", 2, "the key null isn't a string"),
        ("a: 1\n1.5: 2\n", 2, "the key 1.5 isn't a string"),
        ("? [a]\n: 2\n", 1, "a mapping or list can't be a key"),
        ("a: &a [*a]\n", 1, "the alias *a has no finished anchor"),
        ("a: 1\nb: *b\n", 2, "the alias *b has no finished anchor"),
        ("a: 1\n<<: 5\n", 3, "a merge key (<<) needs a mapping"),
        ("a:\n\tb: 1\n", 2, "tab"),
        ("a: [1, 2\nb: 1\n", 2, "no valid YAML"),
        ("a: 'x\n", 2, "no valid YAML"),
        ("a: \x00\n", 0, "no valid YAML"),
        ('a: "\\ud800"\n', 1, "no valid YAML"),
        ("[" * 201 + "]" * 201, 1, "nested deeper than 200 levels"),
        ("[" * 100_000, 1, "nested deeper than 200 levels"),
        ("".join(" " * depth + "a:\n" for depth in range(300)), 201, "nested deeper than 200 levels"),
    ],
)
def test_what_can_not_be_carried_over_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        list(decode_yaml(text, "a.yaml"))
    assert message in caught.value.message
    assert (caught.value.file, caught.value.line) == ("a.yaml", line)


def test_an_anchor_bomb_is_refused_before_it_is_expanded() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    with pytest.raises(InputError, match=f"aliases expand to more than {MAX_ALIAS_NODES:,}"):
        list(decode_yaml("\n".join(levels), "bomb.yaml"))


def test_a_bomb_of_merges_is_refused_too() -> None:
    levels = ["a0: &a0 {" + ", ".join(f"k{i}: {i}" for i in range(100)) + "}"]
    levels += [f"b{i}: [" + ", ".join(["{<<: *a0}"] * 100) + "]" for i in range(30)]
    with pytest.raises(InputError, match="aliases expand"):
        list(decode_yaml("\n".join(levels), "bomb.yaml"))


def test_ordinary_aliases_share_their_value() -> None:
    decoded = decode("a: &a {b: [1]}\nc: *a\nd: [*a]\n")
    assert decoded == {"a": {"b": [1]}, "c": {"b": [1]}, "d": [{"b": [1]}]}


def test_line_endings_of_windows_and_no_end_of_line_at_all() -> None:
    documents = list(decode_yaml("a: 1\r\n---\r\nb: |\r\n  x\r\n  y\r\n---\r\nc: 1", "a.yaml"))
    assert [(d.value, d.line) for d in documents] == [({"a": 1}, 1), ({"b": "x\ny\n"}, 3), ({"c": 1}, 7)]


def test_numbers_are_never_infinite() -> None:
    for text in ("9" * 400, "-" + "9" * 400, "1" + "_" * 50 + "e999"):
        value = decode(f"a: {text}")["a"]
        assert isinstance(value, str) or math.isfinite(value)
