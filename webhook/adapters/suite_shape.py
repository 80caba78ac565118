"""What a Suite file may hold: cases of objects that policies must let pass or refuse.

A Suite is a file for people and CI, never applied to a cluster::

    apiVersion: tidewaiter.dev/v1alpha1
    kind: Suite
    metadata: {name: pod-no-privileged}
    policies: [../pod-no-privileged.yaml]     # paths relative to the suite, as all
    acceptances: []                           # with approvals and the RiskAppetite
    context: []                               # objects that are there: Namespaces, parameters
    trustApprovals: false
    cluster: ""
    at: "2026-12-01T00:00:00Z"                # judge at this time; without it, now
    cases:
    - name: a privileged container is refused
      objects: [{apiVersion: v1, kind: Pod, ...}]   # or files: [...]
      oldObject: {...}                        # then it is an UPDATE
      operation: CREATE
      userInfo: {username: jane, groups: [dev]}
      request: {subResource: ephemeralcontainers}   # any part of an AdmissionRequest
      context: []
      skip: why
      expect:
        allowed: false
        violations: [{validation: privileged, container: web, message: part of it, fieldPath: spec...}]
        accepted: [{validation: ..., acceptance: billing/legacy}]
        warnings: [part of it]
        errors: [part of it]
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

_TEXTS = [""]  # stands for a list of strings
_MAPS: list[Any] = [{}]  # a list of maps
_ANY: dict[str, Any] = {}

_COMPARED = "policy validation message fieldPath container severity action fingerprint object"
_VIOLATION = dict.fromkeys(_COMPARED.split(), "")
_EXPECT = {
    "allowed": True,
    "violations": [_VIOLATION],
    "accepted": [{**_VIOLATION, "acceptance": "", "validUntil": ""}],
    "warnings": _TEXTS,
    "errors": _TEXTS,
}
_REQUEST = {
    **dict.fromkeys(("operation", "name", "namespace", "resource", "subResource"), ""),
    "userInfo": _ANY,
    "dryRun": True,
    "options": _ANY,
}
_CASE = {
    "name": "",
    "description": "",
    "objects": _MAPS,
    "files": _TEXTS,
    "oldObject": _ANY,
    "operation": "",
    "userInfo": _ANY,
    "request": _REQUEST,
    "context": _MAPS,
    "skip": "",
    "expect": _EXPECT,
}
_SHAPE = {
    "apiVersion": "",
    "kind": "",
    "metadata": _ANY,
    "description": "",
    "policies": _TEXTS,
    "acceptances": _TEXTS,
    "context": _MAPS,
    "trustApprovals": True,
    "cluster": "",
    "at": "",
    "cases": [_CASE],
}


_GATOR_CASE = {
    "name": "",
    "object": "",
    "inventory": _TEXTS,
    "assertions": [{"violations": None, "message": ""}],
    "skip": True,
}
_GATOR_TEST = {
    "name": "",
    "template": "",
    "constraint": "",
    "expansion": "",
    "cases": [_GATOR_CASE],
    "invalid": True,
    "skip": True,
}
_GATOR_SHAPE = {
    "apiVersion": "",
    "kind": "",
    "metadata": _ANY,
    "tests": [_GATOR_TEST],
    "skip": True,
}


def as_gator_reads(content: Any) -> Any:
    """Return a Suite of gator's as Go decodes it: null is what isn't there, and names may have capitals."""
    return _as_go_reads(content, _GATOR_SHAPE)


def _as_go_reads(value: Any, shape: Any) -> Any:
    if isinstance(shape, dict) and isinstance(value, dict) and shape:
        named = {name.lower(): name for name in shape}
        found = {}
        for name, child in value.items():
            known = name if name in shape else named.get(name.lower(), name)
            if child is not None and (known == name or known not in value):
                found[known] = _as_go_reads(child, shape.get(known))
        return found
    if isinstance(shape, list) and isinstance(value, list):
        empty: Any = {} if isinstance(shape[0], dict) else ""
        return [empty if child is None else _as_go_reads(child, shape[0]) for child in value]
    return value


def misshapen_gator(content: Any) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the shape of a Suite of gator's, as `misshapen` does for ours."""
    return _misshapen(content, _GATOR_SHAPE, "")


def misshapen_as(content: Any, shape: Any) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with anything of another shape, where null is what isn't there.

    Args:
        content: the object.
        shape: its fields with a text, true, a map or a list of one of these; None for what isn't looked at.
    """
    return _misshapen(content, shape, "", nulls=True)


def misshapen(content: Any) -> Iterator[tuple[str, str]]:
    """Yield each field of a Suite that is unknown or of a wrong type, and what is wrong with it."""
    return _misshapen(content, _SHAPE, "")


def _misshapen(value: Any, shape: Any, path: str, *, nulls: bool = False) -> Iterator[tuple[str, str]]:
    """Yield each field that is unknown or of another type than in `shape`, and what is wrong with it."""
    if shape is None or (nulls and value is None):
        return
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            yield path, "must be a map"
        elif shape:
            for name, child in value.items():
                where = f"{path}.{name}" if path else name
                if name in shape:
                    yield from _misshapen(child, shape[name], where, nulls=nulls)
                else:
                    near = difflib.get_close_matches(name, shape, n=1)
                    hint = f"; did you mean {near[0]}?" if near else f"; there is {', '.join(shape)}"
                    yield where, f"there is no such field{hint}"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield path, "must be a list"
        else:
            for position, child in enumerate(value):
                yield from _misshapen(child, shape[0], f"{path}[{position}]", nulls=nulls)
    elif not isinstance(value, type(shape)):
        yield path, "must be true or false" if shape is True else "must be a text: quote it"
