"""The demonstration: its examples hold on any day, and its exit status says whether they did."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from webhook.adapters import manifests
from webhook.core.acceptance import digest_of
from webhook.server.showcase import WRITTEN, Case, moved, read_cases

pytestmark = pytest.mark.xdist_group("serve")

ROOT = Path(__file__).parents[2]
REVIEWS = ROOT / "examples" / "reviews"


@pytest.fixture
def originals() -> list[dict[str, Any]]:
    return [document.object for document in manifests.read([str(REVIEWS / "acceptances.yaml")])]


def demo(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "webhook", "demo", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with policies and examples that a test may change."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    shutil.copytree(REVIEWS, tmp_path / "examples" / "reviews")
    return tmp_path


def test_once_is_0_when_every_verdict_is_the_expected_one() -> None:
    out, err = demo(ROOT, "--once").communicate(timeout=120)
    assert f"All {len(read_cases(REVIEWS))} verdicts were the expected ones." in out
    assert "risk accepted by RiskAcceptance" in out
    assert "\x1b" not in out
    assert err == ""


def test_once_is_1_when_a_verdict_is_another(checkout: Path) -> None:
    example = checkout / "examples" / "reviews" / "01-allowed.yaml"
    example.write_text(example.read_text().replace("runAsNonRoot: true", "runAsNonRoot: false"))
    process = demo(checkout, "--once")
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "NOT AS EXPECTED" in out
    assert "1 of 7 verdicts were not the expected ones." in out


def test_it_serves_until_ctrl_c() -> None:
    process = demo(ROOT)
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Serving on https://127.0.0.1:"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in err


def test_without_a_checkout_it_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from webhook.commands import demo as module
    from webhook.core.errors import InputError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "webhook" / "commands" / "demo.py"))
    with pytest.raises(InputError, match="run it in a checkout"):
        module._find_root()


def test_the_examples_are_right_on_the_day_they_were_written_for(originals: list[dict[str, Any]]) -> None:
    assert moved(originals, WRITTEN) == originals


@pytest.mark.parametrize("today", [WRITTEN + timedelta(1), date(2028, 2, 29), date(2031, 7, 1)])
def test_copies_stand_to_today_as_the_originals_to_their_day(
    originals: list[dict[str, Any]], today: date
) -> None:
    before = [dict(obj["spec"]) for obj in originals]
    copies = moved(originals, today)
    digests = {}
    for original, copy in zip(originals, copies, strict=True):
        for name in ("validFrom", "validUntil", "approvedAt"):
            if name in copy["spec"]:
                then, now = original["spec"][name], copy["spec"][name]
                distance = date.fromisoformat(now[:10]) - date.fromisoformat(then[:10])
                assert (distance, now[10:]) == (today - WRITTEN, then[10:])
        if copy["kind"] == "RiskAcceptance":
            digests[copy["metadata"]["name"]] = digest_of(copy)
    approvals = [copy["spec"] for copy in copies if copy["kind"] == "RiskApproval"]
    assert len(approvals) == 4
    assert all(spec["digest"] == digests[spec["riskAcceptance"]] for spec in approvals)
    assert [obj["spec"] for obj in originals] == before


def test_every_kind_of_verdict_is_shown() -> None:
    cases = read_cases(REVIEWS)
    assert any(case.allowed and not case.warnings for case in cases)
    assert any(not case.allowed for case in cases)
    assert any(case.warnings and not case.accepted for case in cases)
    assert any(case.accepted for case in cases)
    assert {case.review["request"]["operation"] for case in cases} == {"CREATE", "UPDATE"}


@pytest.mark.parametrize(
    ("response", "difference"),
    [
        ({"allowed": True}, "allowed is True"),
        (
            {"allowed": False, "status": {"message": "no", "details": {"causes": []}}},
            "the violations are none",
        ),
        (
            {
                "allowed": False,
                "status": {"message": "p/v: no", "details": {"causes": [{"message": "p/v: no"}]}},
            },
            "there are 0 warnings",
        ),
    ],
)
def test_what_differs_is_named(response: dict[str, Any], difference: str) -> None:
    case = Case("", {}, False, frozenset({"p/v"}), frozenset(), ("careful",), "no")
    assert difference in case.differences(response)
