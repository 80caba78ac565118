"""Changes that make other inputs and other policies out of good ones."""

from __future__ import annotations

import copy
import random
import re
from typing import Any

_ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    80,
    1000,
    1.5,
    -0.25,
    1e-7,
    "",
    "a",
    "shop",
    "100m",
    "1Gi",
    "docker.io/x:1",
    "é\n\"'%v",
    [],
    [[]],
    {},
    {"a": 1},
    ["ALL"],
    [1, "a", None],
)
_SWAPS = (
    (" == ", " != "),
    (" != ", " == "),
    (" < ", " >= "),
    (" > ", " <= "),
    (" > ", " == "),
    (" := ", " = "),
    ("startswith", "endswith"),
    ("startswith", "contains"),
    ("endswith", "startswith"),
    ("count(", "sum("),
    ("count(", "max("),
    ("sum(", "count("),
    ("max(", "min("),
    ("lower(", "upper("),
    ("sort(", "count("),
    ("not ", ""),
    ("_", "i"),
    ("[_]", "[0]"),
    ("[_]", ""),
    ("[0]", "[_]"),
    ("%v", "%d"),
    ("%v", "%s"),
    ("%v", "%q"),
    ("%v", "%5v"),
    ("%v", ""),
    ("%d", "%v"),
    ("%d", "%x"),
    (" {", " := 1 {"),
    ("containers", "initContainers"),
    ("containers", "volumes"),
    ("spec", "metadata"),
    ("name", "namespace"),
    ("name", "image"),
    ("labels", "annotations"),
    ("is_boolean", "is_number"),
    ("some i\n", ""),
    ("true", "false"),
    ("1024", "80"),
    ('"shop"', '"other"'),
    (" - ", " & "),
    (" - ", " | "),
    (" in ", " != "),
    ("every", "some"),
    ("else", "\nelse"),
    ("[", "{"),
    ("violation", "names"),
    (" if {", " {"),
    (" if ", " "),
    (" contains ", "."),
    ("contains", "="),
    ("some ", ""),
    ("some ", "every "),
    (" in ", " = "),
    (" := ", " if "),
    (" contains ", "[x] := "),
    ("[c.name]", "[c.image]"),
    ("[c.name]", ".leaf"),
    ('$"', '"'),
    ("{input", "{1 + input"),
    ("with input", "with data"),
    (" with ", " with input.parameters as {} with "),
    ("else", "else := 1 if {false} else"),
    ("default ", ""),
    ("{", "["),
    ("{", "{1, "),
    ("(", "(["),
    (", ", ": "),
    ("; ", " | "),
    (" | ", "; "),
    ("input.", "data."),
    ("data.", "input."),
    (" == ", " in "),
    (" in {", " in ["),
    ('"CREATE"', '"DELETE"'),
    ('"UPDATE"', '"CREATE"'),
    ('"*', '"a'),
    ('"app"', '"web"'),
    ("*", "?*"),
    ('["."]', "[]"),
    (".name == ", ".image == "),
    ("x != ", "x == "),
    (" else ", " else := 7 "),
)
_LINES = (
    "input.object.metadata.labels[_]",
    "not input.object.spec.hostNetwork",
    'x9 := input.object.spec[y9]; y9 != "containers"',
    "input.object.spec.containers[i9].name == input.object.spec.containers[j9].name; i9 != j9",
    "false",
    "1 / 0",
    "z9 := to_number(input.object.metadata.name)",
    "input.parameters[_] == input.parameters[_]",
    "count({v9 | walk(input.object, [_, v9]); is_string(v9)}) > 3",
    "{a9 | a9 := input.object.spec.containers[_].name} == {b9 | b9 := input.object.spec.containers[_].name}",
    "is_object(input.object.spec)",
    "some u9, w9 in input.object.metadata; is_string(w9)",
    'every e9 in input.object.spec.containers { e9.name != "x" }',
    "m9 := {k9: n9 | some k9, n9 in input.object.metadata.labels}; count(m9) > 1",
    't9 := $"{input.object.metadata.name}{input.nothing}"; t9 != ""',
    '"team" in object.keys(input.object.metadata.labels)',
    'input.object.metadata.name == "a" with input.object.metadata.name as "a"',
    "q9 := data.t[r9]; count(q9) > 0",
    "{1: o9, 2: p9} = {1: 2, 2: input.object.spec}; o9 == 2",
    "not input.parameters.names[0] in input.parameters.repos",
    'input.operation in {"CREATE", "DELETE"}',
    '"web" in input.parameters.names',
    'input.parameters.names[_] == "app"',
    '[g9, "web"] = input.parameters.names',
    'glob.match("docker.*", [".", "/"], input.object.spec.containers[0].image)',
    'glob.match("*-*", ["-"], input.object.metadata.name)',
    'h9 := input.operation; h9 in ["CREATE", "UPDATE"]; glob.match("*", [], h9)',
    '{"k": l9 | l9 := input.object.spec.containers[_].name} != {}',
    's9 := input.parameters.names[_]; {"k": d9 | d9 := input.object.spec.containers[_]; d9.name == s9} = l9',
)


def changed(generator: random.Random, value: Any, times: int) -> Any:
    """Return JSON with some places changed: left out, of another type, doubled, exchanged."""
    result = copy.deepcopy(value)
    for _ in range(times):
        places = list(_places(result))
        if not places:
            return result
        container, name = generator.choice(places)
        action = generator.randrange(5)
        if action == 0:
            del container[name]
        elif action == 1:
            container[name] = copy.deepcopy(generator.choice(_ODD))
        elif action == 2:
            other, theirs = generator.choice(places)
            container[name] = copy.deepcopy(other[theirs])
        elif action == 3 and isinstance(container, list):
            container.append(copy.deepcopy(container[name]))
        elif isinstance(container, dict):
            container[generator.choice(["name", "image", "a", "ports", "team", "x"])] = container[name]
        if len(repr(result)) > 30_000:
            return copy.deepcopy(value)
    return result


def _places(value: Any) -> Any:
    if isinstance(value, dict):
        for name in value:
            yield value, name
            yield from _places(value[name])
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield value, position
            yield from _places(item)


def rewritten(generator: random.Random, policy: str, times: int) -> str:
    """Return a policy with some places changed; it may be one that is refused."""
    lines = policy.split("\n")
    for _ in range(times):
        inside = [n for n, line in enumerate(lines) if line[:1] in "\t " and line.strip()]
        if not inside:
            break
        at = generator.choice(inside)
        action = generator.randrange(8)
        if action == 0:
            del lines[at]
        elif action == 1:
            lines.insert(at, lines[generator.choice(inside)])
        elif action == 2:
            other = generator.choice(inside)
            lines[at], lines[other] = lines[other], lines[at]
        elif action == 3:
            lines.insert(at, "\t" + generator.choice(_LINES))
        elif action == 4:
            names = re.findall(r"\b[a-z_]{1,12}\b", lines[at])
            other_names = re.findall(r"\b[a-z_]{1,12}\b", lines[generator.choice(inside)])
            if names and other_names:
                old, new = generator.choice(names), generator.choice(other_names)
                lines[at] = re.sub(rf"\b{re.escape(old)}\b", new, lines[at], count=1)
        else:
            fitting = [(a, b) for a, b in _SWAPS if a in lines[at]]
            if fitting:
                old, new = generator.choice(fitting)
                lines[at] = lines[at].replace(old, new, 1)
    return "\n".join(lines)
