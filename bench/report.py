"""What a benchmark says: a figure, the bar it is held to, and whether it holds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured figure beside its bar.

    Attributes:
        name: what was measured.
        value: the figure.
        unit: such as ``s`` or ``x``.
        bar: what it must reach or stay below; None where it is only told.
        at_least: the bar is a lower one.
        note: what the figure was made of.
    """

    name: str
    value: float
    unit: str
    bar: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.bar is None or (self.value >= self.bar if self.at_least else self.value <= self.bar)

    def __str__(self) -> str:
        bar = "" if self.bar is None else f"  bar {'>=' if self.at_least else '<='} {self.bar:g}{self.unit}"
        mark = "    " if self.bar is None else "ok  " if self.holds else "FAIL"
        note = f"  ({self.note})" if self.note else ""
        return f"{mark} {self.name}: {self.value:.3g}{self.unit}{bar}{note}"


def median_of(measure: Callable[[], float], runs: int = 5) -> float:
    """Return the median of several runs."""
    return statistics.median(measure() for _ in range(runs))


def show(figures: Sequence[Figure]) -> bool:
    """Print the figures; tell whether every bar holds."""
    for figure in figures:
        print(figure, flush=True)
    return all(figure.holds for figure in figures)
