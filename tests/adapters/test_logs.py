"""The lines of the log, whatever is in what they tell."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest

from webhook.adapters import logs


@pytest.fixture(autouse=True)
def _root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _lines(style: str, message: str, *args: object) -> list[str]:
    stream = StringIO()
    logs.configure("info", style, stream)
    logging.getLogger("webhook.test").info(message, *args)
    return stream.getvalue().removesuffix("\n").split("\n")


@pytest.mark.parametrize("hostile", ["a\nb", "a\r\nb", "a\x1b[2Jb", "a\u2028b", "a\x85b"])
def test_what_an_api_server_says_stays_in_its_line(hostile: str) -> None:
    (line,) = _lines("text", "policies: %s", hostile)
    assert line.endswith("b")
    assert "\\u" in line
    (line,) = _lines("json", "policies: %s", hostile)
    assert json.loads(line)["event"] == f"policies: {hostile}"


def test_a_line_of_json_says_when_how_bad_and_who() -> None:
    (line,) = _lines("json", "leading")
    found = json.loads(line)
    assert found.keys() == {"time", "level", "event", "pid"}
    assert (found["level"], found["event"]) == ("info", "leading")
