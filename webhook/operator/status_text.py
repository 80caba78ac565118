"""What `tidewaiter status` tells, as text for people: what is wrong first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from webhook.adapters.text_report import printable
from webhook.operator.audit.overview import lines as audit_lines
from webhook.operator.status_lines import AcceptanceLine, Overview, PolicyLine, Replica

Style = Callable[[str, str], str]
"""Shows a text in a role: ``denied``, ``warned``, ``accepted``, ``strong`` or ``faint``."""

_SHOWN_REVISION = 12


def lines(overview: Overview, style: Style) -> Iterator[str]:
    """Yield the lines.

    Args:
        overview: what is told.
        style: colours, or none.
    """
    yield from _verdict(overview, style)
    yield from _section("Problems", [style("denied", printable(each)) for each in overview.problems], style)
    yield from _section("Could not be read", [printable(each) for each in overview.unknown], style)
    yield from _section("Worth knowing", [style("warned", printable(each)) for each in overview.notes], style)
    replicas = [_replica(each) for each in overview.replicas]
    heads = ("replica", "version", "revision", "workers", "clock", "certificate ends")
    yield from _section("Control plane", _table([heads, *replicas]) if replicas else [], style)
    yield from _section("Settings", _settings(overview), style)
    yield from _section("Webhook configuration", _configuration(overview), style)
    yield from _section(
        _counted("Policies", [_state(each) for each in overview.policies]),
        _table([_policy(each) for each in overview.policies]),
        style,
    )
    yield from _section(
        _counted("Risk acceptances", [each.phase for each in overview.acceptances]),
        _table([_acceptance(each) for each in overview.acceptances]),
        style,
    )
    yield from _section("Audit of what is there", audit_lines(overview.audit), style)
    yield from _section("Who may act as an approver", _impersonators(overview), style)


def _verdict(overview: Overview, style: Style) -> Iterator[str]:
    count = len(overview.problems)
    if count:
        yield style("denied", f"{count} problem{'s' if count != 1 else ''}")
    elif overview.complete:
        yield style("accepted", "all is well")
    else:
        yield style("warned", "nothing wrong was found, but not everything could be read")


def _section(title: str, rows: Sequence[str], style: Style) -> Iterator[str]:
    if rows:
        yield ""
        yield style("strong", title)
        for row in rows:
            yield f"  {row}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows with their columns below each other."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]


def _counted(title: str, states: Sequence[str]) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in sorted(Counter(states).items()))
    return f"{title}: {counts}"


def _replica(replica: Replica) -> tuple[str, ...]:
    revisions = {each["revision"][:_SHOWN_REVISION] for each in replica.workers}
    workers = f"{len(replica.workers)}"
    if revisions - {replica.revision[:_SHOWN_REVISION]}:
        workers += f" at {', '.join(sorted(each or 'none' for each in revisions))}"
    return (
        replica.name + (" (leads)" if replica.leader else "") + ("" if replica.alive else " (silent)"),
        replica.version,
        replica.revision[:_SHOWN_REVISION] or "none",
        workers,
        f"{replica.clock_skew_seconds:+.0f} s",
        replica.certificate_expires or "not known",
    )


def _settings(overview: Overview) -> list[str]:
    settings = overview.settings
    if not settings:
        return []
    exempt = ", ".join(map(str, settings.get("exemptNamespaces") or ())) or "none"
    users = ", ".join(map(str, settings.get("exemptUsers") or ())) or "none"
    rows = [
        ("cluster", str(settings.get("cluster") or "without a name")),
        ("the most a policy does", str(settings.get("maxAction") or "Deny")),
        ("when nobody answers", str(settings.get("failurePolicy") or "Fail")),
        ("exempt namespaces", exempt),
        ("exempt users", users),
    ]
    return _table(rows)


def _configuration(overview: Overview) -> list[str]:
    configuration = overview.configuration
    if not configuration:
        return []
    rows = [(str(entry["name"]), str(entry["failurePolicy"])) for entry in configuration["entries"]]
    rows += [(each["subject"], f"trusted until {each['expires']}") for each in configuration["authorities"]]
    return _table(rows)


def _state(policy: PolicyLine) -> str:
    return "enforced" if policy.enforced else "not enforced"


def _policy(policy: PolicyLine) -> tuple[str, ...]:
    name = f"{policy.namespace}/{policy.name}" if policy.namespace else policy.name
    actions = ",".join(policy.actions) + (" (capped)" if policy.capped else "")
    return policy.kind, name, actions, _state(policy), policy.message.partition("\n")[0]


def _acceptance(acceptance: AcceptanceLine) -> tuple[str, ...]:
    name = f"{acceptance.namespace}/{acceptance.name}" if acceptance.namespace else acceptance.name
    until = f"until {acceptance.until}" if acceptance.until else acceptance.message.partition("\n")[0]
    return acceptance.kind, name, acceptance.phase, until


def _impersonators(overview: Overview) -> list[str]:
    if overview.impersonators is None:
        return ["can't be told: ClusterRoles, their bindings or the RiskAppetite can't be read"]
    return _table(
        [
            (each.subject, f"users {_named(each.users)}, groups {_named(each.groups)}", f"by {each.binding}")
            for each in overview.impersonators
        ]
    )


def _named(names: Sequence[str]) -> str:
    return "all" if "*" in names else ", ".join(names) or "none"
