"""What the log says of a snapshot that judges from now on, and of what in it doesn't hold."""

from __future__ import annotations

import logging

from webhook.adapters import logs
from webhook.core.snapshot import Snapshot


def log_snapshot(
    to: logging.Logger, snapshot: Snapshot, seconds: float, before: Snapshot | None = None
) -> None:
    """Log that a snapshot judges from now on, and what of it doesn't hold, unless it was so before."""
    to.info(
        "snapshot_loaded",
        extra=logs.fields(
            revision=snapshot.revision,
            policies=len(snapshot.policies),
            failures=len(snapshot.failures),
            seconds=round(seconds, 3),
        ),
    )
    for failure in snapshot.failures:
        if before is not None and failure in before.failures:
            continue
        place = {"file": failure.file, "line": failure.line} if failure.file else {}
        to.error(
            "policy_not_enforced",
            extra=logs.fields(kind=failure.ref.kind, policy=str(failure.ref), error=failure.message, **place),
        )
    for problem in snapshot.problems:
        if before is not None and problem in before.problems:
            continue
        to.error("object_not_used", extra=logs.fields(error=problem))
