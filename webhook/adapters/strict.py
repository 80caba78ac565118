"""Judges manifests of our own kinds by their schemas, as the API server would, without one.

Stricter in two things: an unknown field is an error, with the nearest right name, where the API server may
only warn and forget it; and so is null, which it would drop, so that a digest of what was written would not
hold. Rules that compare with the old object are left to the API server.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.adapters.manifests import Document
from webhook.adapters.schema import KINDS, Kind, Schema
from webhook.core.errors import InputError
from webhook.core.model import API_VERSION, GROUP, VERSION
from webhook.core.times import parse_time

_TOP = ("apiVersion", "kind", "metadata", "spec", "status")
_METADATA = (
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_LONGEST_NAME = 253
_MOST_PROBLEMS = 50


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field.

    Attributes:
        field: where, as ``spec.validations[0].forEach``.
        message: what is wrong, and what would be right.
    """

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def validate(obj: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Return what is wrong with a manifest of one of our kinds; of other groups nothing is known.

    Args:
        obj: the object, as the manifest has it. Its status isn't looked at.
    """
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    if group != GROUP:
        return ()
    kind = KINDS.get(str(obj.get("kind")))
    if kind is None:
        known = nearest(str(obj.get("kind")), KINDS)
        return (Problem("kind", f"{GROUP} has no kind {obj.get('kind')!r}{known}"),)
    if version != VERSION:
        return (Problem("apiVersion", f"{version!r} is no version of {kind.kind}: write {API_VERSION}"),)
    found: list[Problem] = []
    for problem in _object(obj, kind):
        found.append(problem)
        if len(found) == _MOST_PROBLEMS:
            break
    if not found:
        found += list(_rules(obj["spec"], kind.spec, "spec"))[:_MOST_PROBLEMS]
    return tuple(found)


def check(document: Document) -> list[InputError]:
    """Return what is wrong with a document of one of our kinds, each with its line."""
    return [
        InputError(f"{document.key}: {problem}", document.file, document.line_of(problem.field))
        for problem in validate(document.object)
    ]


def nearest(name: str, names: Collection[str]) -> str:
    """Return a hint that names the nearest of `names`, or all of a few; empty where nothing is near."""
    lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {lower[close[0]]}?"
    return f"; there is {', '.join(names)}" if 0 < len(names) <= 10 else ""


def _object(obj: Mapping[str, Any], kind: Kind) -> Iterator[Problem]:
    yield from _unknown(obj, _TOP, "")
    metadata = obj.get("metadata")
    if not isinstance(metadata, Mapping):
        yield Problem(
            "metadata", "is missing" if metadata is None else f"must be a mapping, not {_a(metadata)}"
        )
    else:
        yield from _metadata(metadata, kind)
    if "spec" not in obj:
        yield Problem("spec", "is missing")
    else:
        yield from _value(obj["spec"], kind.spec, "spec")


def _metadata(metadata: Mapping[str, Any], kind: Kind) -> Iterator[Problem]:
    yield from _unknown(metadata, _METADATA, "metadata")
    name = metadata.get("name")
    if not name and not metadata.get("generateName"):
        yield Problem("metadata.name", "is missing")
    elif name and (not isinstance(name, str) or len(name) > _LONGEST_NAME or not _NAME.match(name)):
        yield Problem(
            "metadata.name",
            f"{name!r} is no name: lower-case letters, digits, - and . are, between letters or digits",
        )
    if metadata.get("namespace") and not kind.namespaced:
        yield Problem("metadata.namespace", f"a {kind.kind} lies in no namespace")


def _unknown(value: Mapping[str, Any], names: Collection[str], path: str) -> Iterator[Problem]:
    for name in value:
        if name not in names:
            yield Problem(_join(path, name), f"there is no such field{nearest(name, names)}")


def _join(path: str, name: str) -> str:
    if not re.fullmatch(r"\w+", name):
        return f"{path}[{name!r}]"
    return f"{path}.{name}" if path else name


def _value(value: Any, schema: Schema, path: str) -> Iterator[Problem]:
    if not _is(value, schema.type):
        right = {"object": "a mapping", "array": "a list", "string": "a text", "boolean": "true or false"}
        hint = ": quote it" if schema.type == "string" and isinstance(value, bool | int | float) else ""
        yield Problem(path, f"must be {right.get(schema.type, 'an integer')}, not {_a(value)}{hint}")
        return
    if schema.type == "object":
        yield from _fields(value, schema, path)
    elif schema.type == "array":
        yield from _elements(value, schema, path)
    elif schema.type == "string":
        yield from _text(value, schema, path)
    elif schema.type == "integer":
        if schema.minimum is not None and value < schema.minimum:
            yield Problem(path, f"must be at least {schema.minimum}")
        if schema.maximum is not None and value > schema.maximum:
            yield Problem(path, f"must be at most {schema.maximum}")


def _fields(value: Mapping[str, Any], schema: Schema, path: str) -> Iterator[Problem]:
    if schema.open:
        return
    for name in schema.required:
        if name not in value:
            yield Problem(_join(path, name), "is missing")
    if schema.values:
        if len(value) > schema.max_size:
            yield Problem(path, f"has more than {schema.max_size} entries")
        for name, child in value.items():
            yield from _value(child, schema.values, _join(path, name))
        return
    yield from _unknown(value, schema.fields, path)
    for name, child in value.items():
        if name in schema.fields:
            yield from _value(child, schema.fields[name], _join(path, name))


def _elements(value: list[Any], schema: Schema, path: str) -> Iterator[Problem]:
    if len(value) < schema.min_size:
        yield Problem(
            path, "must not be empty" if schema.min_size == 1 else f"needs {schema.min_size} entries"
        )
    if schema.max_size and len(value) > schema.max_size:
        yield Problem(path, f"has more than {schema.max_size} entries")
        return
    if schema.items:
        for index, child in enumerate(value):
            yield from _value(child, schema.items, f"{path}[{index}]")
    if schema.list_type not in ("map", "set"):
        return
    seen: set[tuple[str, ...]] = set()
    for index, child in enumerate(value):
        if schema.list_type == "set":
            parts, label = [child], repr(child)
        elif isinstance(child, Mapping):
            parts = [child.get(key) for key in schema.keys]
            label = " and ".join(f"{key} {child.get(key)!r}" for key in schema.keys)
        else:
            continue
        identity = tuple(part for part in parts if isinstance(part, str))
        if len(identity) < len(parts):
            continue  # of another type, which is a problem of its own
        if identity in seen:
            yield Problem(f"{path}[{index}]", f"{label} is given twice")
        seen.add(identity)


def _text(value: str, schema: Schema, path: str) -> Iterator[Problem]:
    if schema.choices and value not in schema.choices:
        close = difflib.get_close_matches(value, schema.choices, n=1)
        choices = ", ".join(schema.choices)
        hint = f"; did you mean {close[0]}?" if close else ""
        yield Problem(path, f"{_short(value)} is none of {choices}{hint}")
    elif len(value) < schema.min_size:
        yield Problem(path, "must not be empty" if not value else f"{_short(value)} is too short")
    elif schema.max_size and len(value) > schema.max_size:
        yield Problem(path, f"is longer than {schema.max_size} characters")
    elif schema.format == "date-time" and schema.pattern:
        yield from _time(value, schema, path)
    elif schema.pattern and not _compiled(schema.pattern).search(value):
        if schema.pattern == r"\S":
            yield Problem(path, "must not be blank")
        else:
            yield Problem(path, f"{_short(value)} does not match {schema.pattern}")


def _time(value: str, schema: Schema, path: str) -> Iterator[Problem]:
    try:
        valid = _compiled(schema.pattern).search(value) is not None and bool(parse_time(value))
    except ValueError:
        valid = False
    if not valid:
        yield Problem(path, f"{_short(value)} is no RFC 3339 time; write it as 2027-02-28T00:00:00Z")


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # RE2's $ is the end of the text; Python's also stands before a last line break.
    return re.compile(re.sub(r"\$$", r"\\Z", pattern), re.ASCII)


def _rules(value: Any, schema: Schema, path: str) -> Iterator[Problem]:
    for rule in schema.rules:
        if rule.holds is not None and not rule.holds(value):
            yield Problem(path + rule.at, rule.message)
    if isinstance(value, Mapping):
        for name, child in value.items():
            part = schema.values or schema.fields.get(name)
            if part:
                yield from _rules(child, part, _join(path, name))
    elif isinstance(value, list) and schema.items:
        for index, child in enumerate(value):
            yield from _rules(child, schema.items, f"{path}[{index}]")


def _is(value: Any, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, {"string": str, "array": list, "object": Mapping}[kind])


def _a(value: Any) -> str:
    if value is None:
        return "null (leave it out instead)"
    if isinstance(value, bool):
        return f"{value}".lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "a mapping"


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:57] + "...")
