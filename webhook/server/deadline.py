"""The deadline of a request: what the API server's ``?timeout=`` leaves us."""

from __future__ import annotations

import re
import time
from functools import lru_cache

from webhook.core.errors import ReviewError

LONGEST = 30.0
"""The API server allows no webhook more, see `timeoutSeconds` of a ValidatingWebhookConfiguration."""
_MARGIN = 0.25
_MARGIN_SHARE = 0.1

_PART = r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"(?:{_PART})+\Z", re.ASCII)
_PARTS = re.compile(_PART, re.ASCII)
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Deadline:
    """A point in time that a request must be answered before.

    Args:
        seconds: how long there is.
        since: from when on, by the monotonic clock; None: from now on.
    """

    __slots__ = ("at",)

    def __init__(self, seconds: float, since: float | None = None) -> None:
        self.at = (time.monotonic() if since is None else since) + seconds

    @property
    def left(self) -> float:
        """Seconds until then; negative afterwards."""
        return self.at - time.monotonic()

    def passed(self) -> bool:
        """Tell whether it is over."""
        return time.monotonic() >= self.at


@lru_cache(maxsize=64)
def allowance(timeout: str | None, default: float) -> float:
    """Return the seconds that a request may take: its timeout less a margin for the way back.

    Args:
        timeout: a Go duration such as ``5s``, as the API server sends it; None or empty when it sent none.
        default: seconds for a request without.

    Raises:
        ReviewError: it is no duration, or not above zero.
    """
    seconds = min(parse_duration(timeout) if timeout else default, LONGEST)
    return max(seconds - max(_MARGIN, seconds * _MARGIN_SHARE), seconds / 2)


def parse_duration(text: str) -> float:
    """Return the seconds in a Go duration, such as ``1m30s``; raises ReviewError for anything else."""
    seconds = 0.0
    if len(text) <= 40 and _DURATION.match(text):
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in _PARTS.findall(text))
    if seconds <= 0:
        raise ReviewError(f"the timeout {text[:40]!r} is no duration above zero, such as 5s")
    return seconds
