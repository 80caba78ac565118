"""The guard of RiskAppetite: only its administrators change it, and what is revoked stays revoked."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from webhook.core.appetite import NAME, Appetite, parse_appetite
from webhook.core.approvals import is_person
from webhook.core.fields import metadata_of
from webhook.core.guard_findings import Findings, listed
from webhook.core.snapshot import Snapshot

DEFAULT_ADMINISTRATORS = frozenset({"system:masters"})
"""Who may change the RiskAppetite where no groups are named: those whom no rule of ours could hold anyway."""


def judge_appetite(findings: Findings, snapshot: Snapshot, now: datetime) -> None:
    """Judge a write to an appetite; raises ValueError when it can't be read."""
    del now
    old = findings.request.old_object
    before = _readable(old) if old is not None else None
    _judge_administrator(findings, snapshot.administrators or DEFAULT_ADMINISTRATORS, before)
    if findings.request.operation == "DELETE":
        if before is not None and before.revoked:
            findings.deny(
                "revoked",
                "spec.revoked",
                "what is revoked stays revoked: keep this, without rules it accepts nothing",
            )
        return
    wanted = parse_appetite(findings.object)
    gone = sorted(before.revoked - wanted.revoked) if before is not None else []
    if gone:
        findings.deny("revoked", "spec.revoked", f"only grows: put back {listed(gone)}")
    system = sorted({name for name in _approvers(wanted) if not is_person(name)})
    if system:
        findings.deny("approvers", "spec", f"{listed(system)} can't approve: Kubernetes' own are no people")
    _judge_signers(findings, wanted)
    for applier in wanted.shared_appliers():
        findings.warn(
            "appliers",
            "spec.trustedAppliers",
            f"{applier} applies every tenant's repository: list one of the reviewed folder's own",
        )
    if wanted.administrators and not findings.groups & wanted.administrators:
        findings.warn(
            "administrators",
            "spec.administrators.groups",
            f"{findings.user} is in none of them, and can't change this again",
        )
    name = metadata_of(findings.object).get("name")
    if name != NAME:
        findings.warn("name", "metadata.name", f"only the RiskAppetite named {NAME} holds")


def _readable(obj: Mapping[str, Any]) -> Appetite | None:
    try:
        return parse_appetite(obj)
    except (ValueError, TypeError, OverflowError):
        return None  # it holds nothing, and must be mendable


def _judge_administrator(findings: Findings, outside: frozenset[str], before: Appetite | None) -> None:
    for groups, where in (
        (outside, "the installation"),
        (before.administrators if before is not None else frozenset(), "spec.administrators"),
    ):
        if groups and not findings.groups & groups:
            findings.deny(
                "administrator",
                "spec",
                f"{findings.user} is in none of the groups that may change it, as {where} names them: "
                f"{listed(sorted(groups))}",
            )


def _judge_signers(findings: Findings, wanted: Appetite) -> None:
    """Tell what of the keys can't be meant."""
    owners: dict[str, str] = {}
    for signer in wanted.signers:
        kind, _, encoded = signer.public_key.partition(" ")
        if not _is_key(kind, encoded):
            findings.warn(
                "signers", "spec.signers", f"{signer.approver}'s key {kind} is none: it signs nothing"
            )
        other = owners.setdefault(signer.public_key, signer.approver)
        if wanted.person(other) != wanted.person(signer.approver):
            findings.warn(
                "signers",
                "spec.signers",
                f"{other} and {signer.approver} have one key: whoever holds it approves as both",
            )


def _is_key(kind: str, encoded: str) -> bool:
    """Tell whether base64 is spelt in its one way, and begins with the key's type (RFC 4253, section 6.6)."""
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return False
    name = kind.encode()
    start = len(name).to_bytes(4, "big") + name
    return base64.b64encode(blob).decode("ascii") == encoded and blob.startswith(start)


def _approvers(wanted: Appetite) -> Iterable[str]:
    for rule in (*wanted.rules, *([wanted.break_glass] if wanted.break_glass else [])):
        yield from rule.groups
        yield from rule.users
