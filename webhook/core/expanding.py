"""ExpansionTemplates: the objects that a controller will make of another one, to be judged before it does.

https://open-policy-agent.github.io/gatekeeper/website/docs/expansion
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webhook.core.constraint import Expansion
from webhook.core.errors import EvaluationError
from webhook.core.fields import metadata_of

_DEEPEST = 30


class ExpansionError(EvaluationError):
    """An object that can't be expanded.

    Args:
        message: why.
        expansion: the ExpansionTemplate that would.
    """

    def __init__(self, message: str, expansion: Expansion) -> None:
        super().__init__(message)
        self.expansion = expansion


@dataclass(frozen=True, slots=True)
class Resultant:
    """An object that an expansion made."""

    expansion: Expansion
    object: Mapping[str, Any]


def expand(
    obj: Mapping[str, Any],
    kind: tuple[str, str, str],
    namespace: str,
    expansions: Sequence[Expansion],
    depth: int = 0,
) -> Iterator[Resultant]:
    """Give what expansions make of an object, and what they make of that: the innermost first.

    Args:
        obj: the object.
        kind: its group, version and kind.
        namespace: of its Namespace; empty for none.
        expansions: those of the cluster, by name.
        depth: how often it was expanded already.

    Raises:
        ExpansionError: the object has no template where one says, or they go round in circles.
    """
    due = [expansion for expansion in expansions if kind in expansion.applies_to]
    if due and depth >= _DEEPEST:
        raise ExpansionError(f"maximum recursion depth of {_DEEPEST} reached", due[0])
    made = [Resultant(expansion, _made(obj, expansion, namespace)) for expansion in due]
    for resultant in made:
        yield from expand(resultant.object, resultant.expansion.generated, namespace, expansions, depth + 1)
    yield from made


def _made(obj: Mapping[str, Any], expansion: Expansion, namespace: str) -> dict[str, Any]:
    metadata = metadata_of(obj)
    name = metadata.get("name")
    name = name if isinstance(name, str) else ""
    value = _source(obj, expansion, name)
    group, version, kind = expansion.generated
    own = dict(metadata_of(value))
    place = namespace or metadata.get("namespace")
    if place:
        own["namespace"] = place
    own["name"] = (f"{name}-{kind}" if kind else name).lower()
    owner = {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind"), "name": name}
    if all(owner.values()):
        there = own.get("ownerReferences")
        refs = [ref for ref in there if isinstance(ref, Mapping)] if isinstance(there, list) else []
        if not any(all(ref.get(key) == owner[key] for key in owner) for ref in refs):
            own["ownerReferences"] = [*refs, {**owner, "uid": ""}]
    return {
        **value,
        "apiVersion": f"{group}/{version}" if group else version,
        "kind": kind,
        "metadata": own,
    }


def _source(obj: Mapping[str, Any], expansion: Expansion, name: str) -> Mapping[str, Any]:
    """Return the template in an object, or raise what apimachinery's ``NestedMap`` and Gatekeeper say."""
    value: Any = obj
    path = expansion.source
    for depth, part in enumerate(path):
        if value is None or (isinstance(value, Mapping) and part not in value):
            source = ".".join(path)
            raise ExpansionError(f'could not find source field "{source}" in resource {name}', expansion)
        if not isinstance(value, Mapping):
            raise ExpansionError(_no_map(value, path[: depth + 1]), expansion)
        value = value[part]
    if not isinstance(value, Mapping):
        raise ExpansionError(_no_map(value, path), expansion)
    return value


def _no_map(value: Any, path: Sequence[str]) -> str:
    return (
        f"could not extract source field from unstructured: .{'.'.join(path)} accessor error: "
        f"{_in_go(value)} is of the type {_GO_TYPES.get(value.__class__, '[]interface {}')}, "
        "expected map[string]interface{}"
    )


_GO_TYPES = {None.__class__: "<nil>", bool: "bool", int: "int64", float: "float64", str: "string"}


def _in_go(value: Any) -> str:
    """Return a value of JSON as Go's ``%v`` has it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{name}:{_in_go(each)}' for name, each in sorted(value.items()))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(_in_go, value))}]"
    return str(value)
