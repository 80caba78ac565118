"""Addresses, sizes, deadlines and log lines."""

from __future__ import annotations

import io
import json
import logging
from typing import Any

import pytest

from webhook.adapters import logs
from webhook.adapters.addresses import Address, parse_address
from webhook.core.errors import InputError, ReviewError
from webhook.core.model import PolicyRef
from webhook.core.policy import PolicyFailure
from webhook.core.snapshot import Snapshot
from webhook.server.deadline import allowance, parse_duration
from webhook.server.loaded import log_snapshot
from webhook.server.settings import parse_size


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8443", Address("127.0.0.1", 8443)),
        ("localhost:0", Address("localhost", 0)),
        (":8443", Address("0.0.0.0", 8443)),
        ("[::1]:8443", Address("::1", 8443)),
    ],
)
def test_address(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "8443", "localhost", "localhost:", "localhost:99999", "::1:8443", "a:-1"]
)
def test_no_address(text: str) -> None:
    with pytest.raises(InputError, match="no address"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("8MiB", 8 << 20), ("1 KiB", 1024), ("512", 512), ("2MB", 2_000_000), ("1GiB", 1 << 30)],
)
def test_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "8 MiBs", "many", "1.5MiB", "9" * 50])
def test_no_size(text: str) -> None:
    with pytest.raises(InputError, match="no size"):
        parse_size(text)


def test_what_does_not_hold_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    to = logging.getLogger("snapshots")
    old = PolicyFailure(PolicyRef("ClusterPolicy", "", "old"), 1, "spec: no")
    new = PolicyFailure(PolicyRef("ClusterPolicy", "", "new"), 1, "spec: no")
    first = Snapshot(failures=(old,), problems=("a",))
    second = Snapshot(failures=(old, new), problems=("a", "b"))
    with caplog.at_level(logging.ERROR, "snapshots"):
        log_snapshot(to, first, 0.1)
        log_snapshot(to, second, 0.1, first)
    said = [getattr(record, "fields", {}) for record in caplog.records]
    assert [fields.get("policy") or fields.get("error") for fields in said] == ["old", "a", "new", "b"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5s", 5), ("500ms", 0.5), ("1m30s", 90), ("1.5s", 1.5), (".5s", 0.5), ("2h", 7200), ("100us", 1e-4)],
)
def test_duration(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "0s", "5s ", "5 s", "1e3s", "\u0665s", "1s" * 1000])
def test_no_duration(text: str) -> None:
    with pytest.raises(ReviewError, match="no duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("timeout", "left"),
    [("10s", 9.0), ("5s", 4.5), ("1s", 0.75), ("200ms", 0.1), ("1h", 27.0), (None, 9.0), ("", 9.0)],
)
def test_a_request_may_take_its_timeout_less_a_margin(timeout: str | None, left: float) -> None:
    assert allowance(timeout, 10.0) == pytest.approx(left)


@pytest.mark.parametrize("style", logs.FORMATS)
def test_what_a_client_sends_stays_in_its_line(style: str) -> None:
    formatter: Any = {"json": logs._Json, "text": logs._Text}[style]()
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    logger = logging.Logger("test")
    logger.addHandler(handler)
    user = 'eve\n2026-01-01 info allowed user="root" \x1b[31m \udc80'
    try:
        raise ValueError("hunter2")
    except ValueError as error:
        logger.error("denied", exc_info=error, extra=logs.fields(user=user, policies=["a", "b c"]))
    line = out.getvalue()
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert "hunter2" not in line
    assert "ValueError at test_small_parts.py" in line
    if style == "json":
        assert json.loads(line)["policies"] == ["a", "b c"]
    else:
        assert ' policies="a,b c"' in line
