"""Label selectors, as Kubernetes' apimachinery means them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webhook.core.fields import map_in, maps, metadata_of, texts

Labels = Mapping[str, str]
_OPERATORS = frozenset({"In", "NotIn", "Exists", "DoesNotExist"})


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement on one label.

    Attributes:
        key: the label.
        operator: ``In``, ``NotIn``, ``Exists`` or ``DoesNotExist``.
        values: the values of ``In`` and ``NotIn``.
    """

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Labels) -> bool:
        """Tell whether `labels` meet it; a missing label meets ``NotIn``."""
        if self.operator in ("In", "NotIn"):
            value = labels.get(self.key)
            # What is no string, as in an object that no API server let through, is none of the values.
            return (value.__class__ is str and value in self.values) is (self.operator == "In")
        return (self.key in labels) is (self.operator == "Exists")


@dataclass(frozen=True, slots=True)
class Selector:
    """A label selector; the empty one matches everything."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, selector: Mapping[str, Any] | None) -> Selector:
        """Return the selector of a ``metav1.LabelSelector``.

        Raises:
            ValueError: an unknown operator, values where there may be none, none where there must be, or a
                part of another type.
        """
        if not selector:
            return EVERYTHING
        found = []
        for key, value in sorted(map_in(selector, "matchLabels", "matchLabels").items()):
            if not isinstance(value, str):
                raise ValueError(f"the value of the label {key!r} must be a string")
            found.append(Requirement(str(key), "In", frozenset({value})))
        for expression in maps(selector, "matchExpressions", "selector"):
            label, operator = expression.get("key"), expression.get("operator")
            values = frozenset(texts(expression, "values", "matchExpressions"))
            if not isinstance(label, str) or not label or not isinstance(operator, str):
                raise ValueError("each of matchExpressions needs a key and an operator")
            if operator not in _OPERATORS:
                raise ValueError(
                    f"{operator!r} is no operator of a selector; use {', '.join(sorted(_OPERATORS))}"
                )
            if bool(values) is not (operator in ("In", "NotIn")):
                raise ValueError(
                    f"operator {operator} {'takes no' if values else 'needs'} values (key {label!r})"
                )
            found.append(Requirement(label, operator, values))
        return cls(tuple(found))

    def matches(self, labels: Labels) -> bool:
        """Tell whether `labels` meet every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)


EVERYTHING = Selector()


def labels_of(obj: Mapping[str, Any] | None) -> Labels:
    """Return the labels of an object; none where it has none or they are no map."""
    labels = metadata_of(obj).get("labels")
    return labels if labels.__class__ is dict or isinstance(labels, Mapping) else {}
