"""How long each policy takes: core has no clock, so the caller brings one."""

from __future__ import annotations

from typing import Protocol

from webhook.core.model import PolicyRef


class Meter(Protocol):
    """Measures the evaluation of policies, one after another."""

    def start(self) -> None:
        """Note that a policy's evaluation begins."""

    def stop(self, policy: PolicyRef) -> None:
        """Note that the evaluation that began last is over; it was of `policy`."""
