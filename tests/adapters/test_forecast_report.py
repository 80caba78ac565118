"""A forecast as people and programs read it."""

from __future__ import annotations

from datetime import UTC, datetime

from webhook.adapters.forecast_report import Live, as_json, lines
from webhook.core.forecast import Forecast
from webhook.core.hygiene import Hygiene
from webhook.core.model import PolicyRef

NOW, UNTIL = datetime(2026, 11, 23, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
NOTHING: Forecast[Live] = Forecast((), (), 0, ())
OBSOLETE = Hygiene(PolicyRef("RiskAcceptance", "shop", "unused"), 0, obsolete=True)
BROAD = Hygiene(
    PolicyRef("ClusterRiskAcceptance", "", "wide\x1b[31m"),
    3,
    broad=("scope.names",),
    proposal={"scope.names": ["web", "api"]},
)


def plain(role: str, text: str) -> str:
    return text


def test_nothing_is_said_in_one_line() -> None:
    assert list(lines(NOTHING, UNTIL, plain)) == [
        "0 acceptances end by 2027-01-01T00:00:00Z; of 0 objects 0 would then be refused, 0 refused already"
    ]


def test_what_is_untidy_is_said_with_the_narrower_scope_and_steers_no_terminal() -> None:
    obsolete, broad, proposal, _ = lines(NOTHING, UNTIL, plain, [OBSOLETE, BROAD])
    assert obsolete == (
        "RiskAcceptance shop/unused covers nothing now: no object in its scope violates its policies"
    )
    assert broad == "ClusterRiskAcceptance wide\\u001b[31m covers 3 violations, and could be narrower:"
    assert proposal == '  spec.scope.names: ["web","api"]'


def test_programs_get_the_same() -> None:
    told = as_json(NOTHING, NOW, UNTIL, [OBSOLETE, BROAD])
    assert [(each["name"], each["obsolete"], each["proposal"]) for each in told["untidy"]] == [
        ("unused", True, {}),
        ("wide\x1b[31m", False, {"scope.names": ["web", "api"]}),
    ]
    assert told["summary"] == {"objects": 0, "acceptancesEnding": 0, "refused": 0, "refusedNow": 0}
