"""Structured logs on standard error: one line for each event, as text or as JSON."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("text", "json")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PLAIN = re.compile(r"[\w./:@+%*\[\],-]+\Z", re.ASCII)


class _Json(logging.Formatter):
    """An event as a JSON object; what a client sent can't break out of its string."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of one record."""
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "pid": record.process,
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["exception"] = describe(record.exc_info[1])
        try:
            return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:  # a lone surrogate, or an integer beyond 64 bits
            return json.dumps(line, default=str)


class _Text(logging.Formatter):
    """An event as words: time, level, event, then name=value."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of one record."""
        fields = dict(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[1]:
            fields["exception"] = describe(record.exc_info[1])
        words = [_time(record), f"{record.levelname.lower():7}", _CONTROL.sub(_escaped, record.getMessage())]
        words += [f"{name}={_quoted(value)}" for name, value in fields.items()]
        return " ".join(words)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _escaped(character: re.Match[str]) -> str:
    # What an API server's message brings along must not look like a line of its own.
    return f"\\u{ord(character[0]):04x}"


def _quoted(value: Any) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if _PLAIN.match(text) else orjson.dumps(text.encode("utf-8", "replace").decode()).decode()


def describe(error: BaseException) -> str:
    """Return where an error arose and its type, without its text.

    The text of an unexpected error may hold parts of a reviewed object, which never go into a log.
    """
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    return f"{type(error).__name__} at {' > '.join(places) or 'an unknown place'}"


def configure(level: str = "info", style: str = "text", stream: TextIO | None = None) -> None:
    """Send every log of this process to `stream`.

    Args:
        level: one of `LEVELS`.
        style: one of `FORMATS`.
        stream: where to; None is standard error.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if style == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("webhook").setLevel(level.upper())
    # A client that sends no HTTP or breaks the handshake is no fault of ours; asyncio would print a trace.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def fields(**values: Any) -> dict[str, Any]:
    """Return `values` as the `extra` of a log call."""
    return {"fields": values}
