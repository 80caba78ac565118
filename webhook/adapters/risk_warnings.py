"""What an approver or an auditor should know of an acceptance: where its evidence is weaker than it looks."""

from __future__ import annotations

from collections.abc import Sequence

from webhook.core.acceptance import Acceptance
from webhook.core.appetite import SHARED_APPLIERS, Appetite
from webhook.core.approvals import Approval


def warnings_of(
    acceptance: Acceptance, approvals: Sequence[Approval], appetite: Appetite | None
) -> tuple[str, ...]:
    """Say what evidence is weaker than it looks.

    The shared accounts with which Flux and Argo CD apply every tenant's repository vouch for nobody.
    """
    found = []
    if acceptance.applied_by:
        found.append(
            f"{acceptance.applied_by} brought it: that {acceptance.requester} asked for it is a claim"
        )
    brought = {acceptance.applied_by, *(each.applied_by for each in approvals)}
    listed = appetite.shared_appliers() if appetite is not None else ()
    shared = {user for user in brought if user.rpartition(":")[2] in SHARED_APPLIERS}
    shared.update(user for user in listed if appetite and appetite.trusts(user, acceptance.ref.namespace))
    found += [
        f"{user} is by its name a shared account of Flux or Argo CD that applies every tenant's repository: "
        "whoever may write to one can bring approvals; use an account of its own for the reviewed folder"
        for user in sorted(shared)
    ]
    if acceptance.break_glass:
        found.append("it is for an emergency (break-glass): one approval was enough, for a short time")
    unnamed = unnamed_severity(acceptance)
    return (*found, unnamed) if unnamed else tuple(found)


def unnamed_severity(acceptance: Acceptance) -> str:
    """Say for which policies an acceptance names no severity; empty where it does for all.

    The cluster keeps no older version of a policy: where nothing else says how severe it was taken to be when
    somebody approved, it is as severe as it is now.
    """
    unnamed = [f"{each.kind} {each.name}" for each in acceptance.policies if each.severity is None]
    if not unnamed:
        return ""
    return (
        f"it names no severity for {', '.join(unnamed)}: should somebody edit that policy to be less severe, "
        "its approvals count by the rule for the lesser severity"
    )
