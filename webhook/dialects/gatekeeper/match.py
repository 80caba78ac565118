"""A constraint's spec.match as one function of a review.

Every field must match; one that is missing matches. They are tried on the new object, then on the old one:
https://open-policy-agent.github.io/gatekeeper/website/docs/howto#the-match-field
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from webhook.cel.library.formats import FORMATS
from webhook.core.constraint import GENERATED, ORIGINAL, KindsOf, Review
from webhook.core.errors import CompileError, EvaluationError
from webhook.core.fields import metadata_of
from webhook.core.selectors import Selector, labels_of
from webhook.dialects.gatekeeper.fields import Object, mappings, text, texts

_Namespace = Mapping[str, Any] | None
_Part = Callable[[Object, _Namespace, bool, str], bool]
"""Takes the object, its Namespace, whether it is a Namespace itself, and its source."""

_REJECTED = "unable to match constraints: "
_FIELD = "spec.match"


def kinds_of(match: Object) -> tuple[KindsOf, ...]:
    """Return what ``match.kinds`` names; none for any kind.

    Raises:
        CompileError: it has another shape.
    """
    return tuple(
        KindsOf(
            frozenset(texts(entry, "apiGroups", f"{_FIELD}.kinds[{position}]")),
            frozenset(texts(entry, "kinds", f"{_FIELD}.kinds[{position}]")),
        )
        for position, entry in enumerate(mappings(match, "kinds", _FIELD))
    )


def glob(pattern: str, candidate: str) -> bool:
    """Tell whether a name matches a pattern, which may begin or end with ``*``, and has none elsewhere."""
    if pattern.startswith("*") and pattern.endswith("*") and pattern:
        return pattern.removeprefix("*").removesuffix("*") in candidate
    if pattern.startswith("*"):
        return candidate.endswith(pattern[1:])
    if pattern.endswith("*"):
        return candidate.startswith(pattern[:-1])
    return pattern == candidate


def compile_match(match: Object | None) -> Callable[[Review], bool]:
    """Return a function that tells whether a constraint is for a review.

    Its kinds are left to `kinds_of`. The function raises an EvaluationError where that can't be known, as for
    a namespaceSelector while the Namespace isn't: Gatekeeper then rejects.

    Args:
        match: ``spec.match``; None where there is none.

    Raises:
        CompileError: a field has another type, or a selector means nothing.
    """
    if match is None:
        return lambda _: True
    parts = list(_parts(match))

    def matches(review: Review) -> bool:
        states = review.states
        if not states:
            raise EvaluationError(
                f"{_REJECTED}invalid request object: neither object nor old object are defined"
            )
        if not parts:
            return True
        namespace, source = review.namespace_object, review.source
        for state in states:
            is_namespace = state.get("kind") == "Namespace" and "/" not in str(state.get("apiVersion"))
            try:
                if all(part(state, namespace, is_namespace, source) for part in parts):
                    return True
            except EvaluationError as error:
                raise EvaluationError(
                    f"{_REJECTED}error matching the requested object: {_name(state)} :"
                    f"failed to run Match criteria: {error}"
                ) from None
        return False

    return matches


def needs_namespace(match: Object | None) -> bool:
    """Tell whether the labels of an object's Namespace make a difference."""
    return bool(match) and match is not None and match.get("namespaceSelector") is not None


def _parts(match: Object) -> Sequence[_Part]:
    """Return the fields that are there, in Gatekeeper's order: the first that fails decides."""
    found: list[_Part] = []
    scope = text(match, "scope", _FIELD)
    if scope == "Cluster":
        found.append(lambda obj, ns, is_ns, _: is_ns or not (_place(obj) or ns is not None))
    elif scope == "Namespaced":
        found.append(lambda obj, ns, is_ns, _: not is_ns and bool(_place(obj) or ns is not None))
    for name, wanted in (("namespaces", True), ("excludedNamespaces", False)):
        patterns = texts(match, name, _FIELD)
        if patterns:
            found.append(_in_namespaces(patterns, wanted))
    if match.get("labelSelector") is not None:
        by_label = _selector(match, "labelSelector")
        found.append(lambda obj, _, __, ___: by_label.matches(labels_of(obj)))
    if match.get("namespaceSelector") is not None:
        found.append(_by_namespace(_selector(match, "namespaceSelector")))
    pattern = text(match, "name", _FIELD)
    if pattern:
        found.append(lambda obj, _, __, ___: _is_named(pattern, obj))
    found += _of_source(text(match, "source", _FIELD))
    return found


def _in_namespaces(patterns: tuple[str, ...], wanted: bool) -> _Part:
    def part(obj: Object, namespace: _Namespace, is_namespace: bool, _: str) -> bool:
        if is_namespace:
            place = _name(obj)
        elif namespace is not None:
            place = _name(namespace)
        else:
            place = _place(obj)
            if not place:
                return True
        return any(glob(pattern, place) for pattern in patterns) is wanted

    return part


def _by_namespace(selector: Selector) -> _Part:
    def part(obj: Object, namespace: _Namespace, is_namespace: bool, _: str) -> bool:
        if is_namespace:
            return selector.matches(labels_of(obj))
        if namespace is not None:
            return selector.matches(labels_of(namespace))
        if not _place(obj):
            return True
        raise EvaluationError("namespace selector for namespace-scoped object but missing Namespace")

    return part


def _is_named(pattern: str, obj: Object) -> bool:
    if glob(pattern, _name(obj)):
        return True
    generated = metadata_of(obj).get("generateName")
    return pattern.endswith("*") and glob(pattern, generated if isinstance(generated, str) else "")


def _of_source(source: str) -> list[_Part]:
    if source in ("", "All"):
        return []
    if source not in (ORIGINAL, GENERATED):

        def invalid(*_: Any) -> bool:
            raise EvaluationError(f'invalid source field "{source}"')

        return [invalid]
    return [lambda _, __, ___, of: of == source]


def _selector(match: Object, name: str) -> Selector:
    selector = match[name]
    if not isinstance(selector, Mapping):
        raise CompileError("must be a map", f"{_FIELD}.{name}")
    try:
        found = Selector.parse(selector)
    except (ValueError, TypeError, AttributeError) as error:
        raise CompileError(str(error), f"{_FIELD}.{name}") from None
    for requirement in found.requirements:
        wrong = FORMATS["qualifiedName"](requirement.key)
        wrong += [each for value in sorted(requirement.values) for each in FORMATS["labelValue"](value)]
        if wrong:
            raise CompileError(f"the label {requirement.key!r}: {wrong[0]}", f"{_FIELD}.{name}")
    return found


def _name(obj: Object) -> str:
    name = metadata_of(obj).get("name")
    return name if isinstance(name, str) else ""


def _place(obj: Object) -> str:
    place = metadata_of(obj).get("namespace")
    return place if isinstance(place, str) else ""
