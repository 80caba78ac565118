"""The reference of the metrics lists what both planes export, and nothing else."""

from __future__ import annotations

import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docs_pages import ROOT, pages, text
from prometheus_client.parser import text_string_to_metric_families

from tests.server.builders import make_snapshot
from webhook.core.model import Action, PolicyRef, Severity, Violation
from webhook.core.policy import PolicyFailure
from webhook.core.verdict import AcceptedViolation, PolicyError, Verdict
from webhook.operator import metrics as operator_metrics
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


def test_the_alerts_name_metrics() -> None:
    assert len(re.findall(r"expr: .*", (ROOT / "docs/how-to/monitor.md").read_text())) > 10
