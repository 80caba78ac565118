"""What becomes of a result that a piece of code has found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Collect:
    """Results are collected in a variable, which stays when the code goes on."""

    name: str


@dataclass(frozen=True, slots=True)
class Return:
    """The first result leaves the function."""


@dataclass(frozen=True, slots=True)
class Flag:
    """The first result sets a variable to `found`; the rest is left."""

    name: str
    found: str
    home: int  # the function in which the flag was made

    @property
    def unfound(self) -> str:
        """What the variable is without a result."""
        return "False" if self.found == "True" else "True"


Mode = Collect | Return | Flag
