"""The replicas of the control plane and their workers, as `tidewaiter status` tells of them; pure.

What a replica says in its Lease may be of another version, so nothing in it is taken to be of any shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from webhook.core.times import format_time, parse_time
from webhook.operator import replicas
from webhook.operator.audit.overview import overview
from webhook.operator.status_lines import Overview, Replica
from webhook.operator.status_reading import Found

_SKEW_SECONDS = 30.0
_SILENT_SECONDS = 30.0


def add_replicas(made: Overview, found: Found) -> None:
    """Add the replicas, what they were told, and what is wrong with them.

    Args:
        made: what is told.
        found: what was read.
    """
    if "Lease" in found.unreadable:
        return
    for lease in found.objects.get("Lease", ()):
        made.replicas.append(_replica(lease, found.at))
    made.replicas.sort(key=lambda replica: replica.name)
    alive = [replica for replica in made.replicas if replica.alive]
    if not alive:
        made.problems.append("no replica of the control plane has spoken lately: nothing new is enforced")
    for replica in made.replicas:
        if not replica.alive:
            made.problems.append(f"replica {replica.name} has been silent for {replica.silent_seconds:.0f} s")
            continue
        made.problems += [f"replica {replica.name}: {problem}" for problem in replica.problems]
        if not replica.workers:
            made.problems.append(f"replica {replica.name} has no worker that judges")
        if abs(replica.clock_skew_seconds) > _SKEW_SECONDS and not replica.problems:
            made.problems.append(
                f"replica {replica.name}: its clock differs by {replica.clock_skew_seconds:+.0f} s"
            )
        if replica.certificate_expires and _seconds(replica.certificate_expires) < found.at:
            made.problems.append(
                f"replica {replica.name}: its certificate has ended {replica.certificate_expires}"
            )
    leaders = [replica.name for replica in alive if replica.leader]
    if alive and len(leaders) != 1:
        made.problems.append(f"{len(leaders)} replicas lead{': ' if leaders else ''}{', '.join(leaders)}")
    _revisions(made, alive)
    _settings(made, found, leaders)
    for lease in found.objects.get("Lease", ()):
        if _name(lease) in leaders:
            made.audit, problems, notes = overview(replicas.report_of(lease).get("audit"), found.at)
            made.problems += problems
            made.notes += notes


def _revisions(made: Overview, alive: Sequence[Replica]) -> None:
    """Tell of workers that are behind, and of replicas that differ although nothing of theirs does."""
    for replica in alive:
        behind = sum(each["revision"] != replica.revision for each in replica.workers)
        if behind:
            made.problems.append(
                f"replica {replica.name}: {behind} of {len(replica.workers)} workers judge by another "
                "revision than it has published, as for a moment after a change"
            )
    if len({replica.revision for replica in alive}) > 1:
        made.problems.append(
            "the replicas have published different revisions, as for a moment after a change"
        )


def _settings(made: Overview, found: Found, leaders: Sequence[str]) -> None:
    told = {}
    for lease in found.objects.get("Lease", ()):
        replica = next((each for each in made.replicas if each.name == _name(lease)), None)
        if replica is not None and replica.alive:
            told[replica.name] = _told(replicas.report_of(lease).get("settings"))
    made.settings = next((told[name] for name in (*leaders, *told) if name in told), {})
    if any(each != made.settings for each in told.values()):
        made.problems.append("the replicas were told different settings")
    if made.settings.get("maxAction") in ("Warn", "Audit"):
        made.notes.append(f"no policy does more than {made.settings['maxAction']}: --max-action caps them")
    if made.settings.get("failurePolicy") == "Ignore":
        made.notes.append("failurePolicy Ignore: requests pass while no worker answers")


def _told(settings: Any) -> dict[str, Any]:
    """Return a replica's settings as they should be; nothing of another shape is taken over."""
    if not isinstance(settings, dict):
        return {}
    lists = ("exemptNamespaces", "exemptUsers")
    found: dict[str, Any] = {key: str(value) for key, value in settings.items() if key not in lists}
    for key in lists:
        values = settings.get(key)
        found[key] = [str(value) for value in values] if isinstance(values, list) else []
    return found


def _replica(lease: Mapping[str, Any], now: float) -> Replica:
    spec, report = lease.get("spec") or {}, replicas.report_of(lease)
    silent = max(0.0, now - _seconds(spec.get("renewTime")))
    duration = spec.get("leaseDurationSeconds") or _SILENT_SECONDS
    workers = report.get("workers")
    problems = report.get("problems")
    skew = report.get("clockSkewSeconds")
    return Replica(
        name=_name(lease),
        alive=silent <= float(duration),
        silent_seconds=silent,
        leader=report.get("leader") is True,
        version=str(report.get("version", "")),
        revision=str(report.get("revision", "")),
        workers=tuple(
            {key: str(each.get(key, "")) for key in ("revision", "certificate", "error")}
            for each in (workers if isinstance(workers, list) else ())
            if isinstance(each, dict)
        ),
        clock_skew_seconds=float(skew) if isinstance(skew, int | float) else 0.0,
        certificate_expires=_moment(report.get("certificateExpires")),
        problems=tuple(str(each) for each in (problems if isinstance(problems, list) else ())),
    )


def _moment(seconds: Any) -> str:
    if not isinstance(seconds, int | float) or not seconds:
        return ""
    return format_time(datetime.fromtimestamp(seconds, UTC))


def _name(lease: Mapping[str, Any]) -> str:
    return str(lease["metadata"]["name"]).removeprefix(replicas.PREFIX)


def _seconds(text: Any) -> float:
    try:
        return parse_time(str(text)).timestamp()
    except ValueError:
        return 0.0
