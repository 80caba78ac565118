"""The reference of the metrics lists what both planes export, and nothing else."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from docs_pages import ROOT, pages, text
from prometheus_client.parser import text_string_to_metric_families

from tests.server.builders import make_snapshot
from webhook.core.model import Action, PolicyRef, Severity, Violation
from webhook.core.policy import PolicyFailure
from webhook.core.verdict import AcceptedViolation, PolicyError, Verdict
from webhook.operator import metrics as operator_metrics
from webhook.operator.audit.facts import AuditFacts
from webhook.operator.metrics import Facts
from webhook.server.current import Current
from webhook.server.metrics import METERED, Metrics

Documented = dict[str, tuple[str, frozenset[str]]]
PAGE = ROOT / "docs/reference/metrics.md"
_ROW = re.compile(r"^\| `(\w+)` \| (counter|gauge|histogram|summary) \|([^|]*)\|", re.MULTILINE)
_OF_TYPE = {"le"}

REF = PolicyRef("ClusterPolicy", "", "one")


def documented() -> Documented:
    return {
        name: (kind, frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in _ROW.findall(PAGE.read_text())
    }


def exported(rendered: bytes) -> Documented:
    found = {}
    for family in text_string_to_metric_families(rendered.decode()):
        name = family.name + ("_total" if family.type == "counter" else "")
        if name.endswith("_created"):
            continue  # prometheus_client's own, and not in multiprocess mode
        assert family.documentation, f"{name} has no help"
        assert family.samples, f"{name} has no value here: this test must bring one"
        labels = {label for sample in family.samples for label in sample.labels}
        found[name] = (family.type, frozenset(labels - _OF_TYPE))
    return found


def data_plane() -> Documented:
    violation = Violation(
        REF, "check", "no", "spec", "", "", "", Severity.LOW, (Action.DENY,), "Invalid", "", "f" * 32
    )
    accepted = AcceptedViolation(violation, REF, valid_until=_NEVER, approvers=())
    error = PolicyError(REF, "no", (Action.DENY,))
    metrics = Metrics()
    failure = PolicyFailure(REF, 1, "no")
    certificate: Any = SimpleNamespace(expires_at=time.time(), error="")
    metrics.follow(Current(make_snapshot(failures=(failure,))), certificate)
    metrics.request("CREATE", "allowed", "200", 0.001)
    metrics.verdict(Verdict(False, violations=(violation,), accepted=(accepted,), errors=(error,)))
    metrics.loaded(ok=True)
    metrics.reported(sent=True)
    metrics.evidence("decision")
    metrics.evidence_lost("overflow")
    metrics.checkpointed(time.time())
    for _ in range(METERED):
        meter = metrics.meter()
        if meter is not None:
            meter.start()
            meter.stop(REF)
    metrics.flush()
    return exported(metrics.render())


_NEVER: Any = None  # nobody asks for it here


def control_plane() -> Documented:
    facts = Facts(
        leader=True,
        revision="one",
        published_at=1.0,
        contacts={"policies": (1.0, "")},
        certificates={"server": 1.0},
        webhook_in_place=True,
        denials={"sent": 1},
        policies={("ClusterPolicy", "Enforced"): 1},
        acceptances={("RiskAcceptance", "Active"): 1},
        ends={("RiskAcceptance", "shop", "legacy"): 1.0},
        audit=AuditFacts(
            at=1.0,
            written={"written": 1},
            events={"sent": 1},
            series=[
                ("ClusterPolicy", "one", "shop", "low", "deny", "fail", 1),
                ("ClusterPolicy", "one", "shop", "low", "deny", "skip", 1),
                ("ClusterPolicy", "one", "shop", "", "", "error", 1),
            ],
        ),
        audit_starts=1,
    )
    return exported(operator_metrics.render(facts))


def test_the_page_lists_every_metric_with_type_and_labels() -> None:
    data, control = data_plane(), control_plane()
    assert not data.keys() & control.keys()
    assert documented() == data | control


def test_names_follow_prometheus_conventions() -> None:
    for name, (kind, _) in documented().items():
        assert name.startswith("tidewaiter_")
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|milliseconds|minutes|kib|mib|percent)(_|$)", name), name


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_metric_that_a_page_names_is_in_the_reference(page: Path) -> None:
    known = {*documented()}
    for name, (kind, _) in documented().items():
        parts = {"histogram": ("bucket", "count", "sum"), "summary": ("count", "sum")}.get(kind, ())
        known |= {f"{name}_{part}" for part in parts}
    assert set(re.findall(r"\btidewaiter_[a-z_]+\b", text(page))) <= known


MONITORING = ROOT / "charts/tidewaiter/monitoring"


def expressions() -> dict[str, str]:
    """Return every expression of the chart's alerts and dashboard, by where it is."""
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    found = {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}
    for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    return found


def named_in(expression: str) -> dict[str, set[str]]:
    """Return the metrics of an expression with the labels that it selects each by."""
    found: dict[str, set[str]] = {}
    for name, selector in re.findall(r"\b(tidewaiter_\w+)(\{[^}]*\})?", expression):
        found.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
    return found


@pytest.mark.parametrize(("place", "expression"), expressions().items(), ids=expressions())
def test_every_expression_of_the_chart_names_metrics_and_labels_that_are_exported(
    place: str, expression: str
) -> None:
    known = documented()  # which is what both planes export, as another test says
    metrics = named_in(expression)
    assert metrics, place
    labels: set[str] = {"le"}
    for name, selected in metrics.items():
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        kind, own = known[name] if name in known else known[family]
        assert name in known or kind in ("histogram", "summary"), name
        assert selected <= own, f"{name} has no {selected - own}"
        labels |= own
    grouped = re.findall(r"\bby \(([^)]*)\)", expression)
    assert {label.strip() for each in grouped for label in each.split(",")} <= labels


def test_an_expression_with_a_wrong_metric_or_label_is_found() -> None:
    for expression in (
        "sum(tidewaiter_nothing_total)",
        'sum(tidewaiter_requests_total{verb="CREATE"})',
        "sum by (pod) (tidewaiter_requests_total)",
        "tidewaiter_workers_bucket",
    ):
        with pytest.raises((AssertionError, KeyError)):
            test_every_expression_of_the_chart_names_metrics_and_labels_that_are_exported("", expression)


def test_every_alert_of_the_chart_is_on_the_page_as_it_is() -> None:
    blocks = re.findall(r"```yaml\n(groups:.*?)```", (ROOT / "docs/how-to/monitor.md").read_text(), re.DOTALL)
    shown = {
        rule["alert"]: (rule["expr"], rule.get("for"))
        for block in blocks
        for group in yaml.safe_load(block)["groups"]
        for rule in group["rules"]
    }
    groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    for group in groups:
        for rule in group["rules"]:
            assert shown[rule["alert"]] == (rule["expr"], rule.get("for"))
            assert rule["labels"]["severity"] in ("critical", "warning")
            assert rule["annotations"]["summary"]


def test_the_alerts_name_metrics() -> None:
    assert len(re.findall(r"expr: .*", (ROOT / "docs/how-to/monitor.md").read_text())) > 10
