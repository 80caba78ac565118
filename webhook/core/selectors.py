"""Label selectors, as Kubernetes' apimachinery means them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
            ValueError: an unknown operator, or values where there may be none, or none where there must be.
        """
        if not selector:
            return EVERYTHING
        found = [
            Requirement(key, "In", frozenset({value}))
            for key, value in sorted((selector.get("matchLabels") or {}).items())
        ]
        for expression in selector.get("matchExpressions") or ():
            key, operator = expression.get("key", ""), expression.get("operator", "")
            values = frozenset(expression.get("values") or ())
            if operator not in _OPERATORS:
                raise ValueError(
                    f"{operator!r} is no operator of a selector; use {', '.join(sorted(_OPERATORS))}"
                )
            if bool(values) is not (operator in ("In", "NotIn")):
                raise ValueError(
                    f"operator {operator} {'takes no' if values else 'needs'} values (key {key!r})"
                )
            found.append(Requirement(key, operator, values))
        return cls(tuple(found))

    def matches(self, labels: Labels) -> bool:
        """Tell whether `labels` meet every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)


EVERYTHING = Selector()


def labels_of(obj: Mapping[str, Any] | None) -> Labels:
    """Return the labels of an object; none where it has none or they are no map."""
    metadata = obj.get("metadata") if obj else None
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    return labels if isinstance(labels, Mapping) else {}
