"""The guard of the risk kinds: who may write what into them, by the authenticated user.

It denies only what it can know is wrong. What a later write may put right, as when an approval comes before
its acceptance, is a warning: `standing` judges all of it again whenever an acceptance is used.
"""

from __future__ import annotations

from datetime import datetime

from webhook.core import acceptance, approvals
from webhook.core.approvals import parse_approval
from webhook.core.errors import ReviewError
from webhook.core.guard_acceptances import judge_acceptance
from webhook.core.guard_appetite import judge_appetite
from webhook.core.guard_approvals import ReadApproval, judge_approval
from webhook.core.guard_findings import Findings
from webhook.core.model import GROUP
from webhook.core.review import AdmissionRequest
from webhook.core.snapshot import Snapshot
from webhook.core.verdict import Verdict

_UNREADABLE = (ValueError, TypeError, OverflowError)


def guard(
    request: AdmissionRequest,
    snapshot: Snapshot,
    now: datetime,
    read_approval: ReadApproval = parse_approval,
) -> Verdict:
    """Return whether a write to one of the risk kinds may pass.

    The verdict lacks an acceptance when a snapshot that has it may turn a denial or warning around.

    Args:
        request: CREATE, UPDATE or DELETE of a RiskAcceptance, a RiskApproval, their cluster kinds or a
            RiskAppetite.
        snapshot: policies, acceptances, approvals, the present appetite and its administrators.
        now: the moment, with its zone, by the own clock.
        read_approval: reads an approval and verifies its signature; without it no signature holds.

    Raises:
        ReviewError: it is a write to something else.
    """
    group, _, kind = request.kind
    if group != GROUP or kind not in (*_APPROVALS, *_JUDGES):
        raise ReviewError(f"the guard judges risk kinds, not {kind} of {group or 'the core group'}")
    findings = Findings(request, snapshot.revision)
    if not request.sub_resource and not _keeps_spec(request):
        try:
            if kind in _APPROVALS:
                judge_approval(findings, snapshot, now, read_approval)
            else:
                _JUDGES[kind](findings, snapshot, now)
        except _UNREADABLE as error:
            field, _, message = str(error).partition(": ")
            readable = field.startswith("spec") and message
            findings.deny("readable", field if readable else "spec", message if readable else str(error))
    return findings.verdict()


def _keeps_spec(request: AdmissionRequest) -> bool:
    old, new = request.old_object, request.object
    return request.operation == "UPDATE" and (old or {}).get("spec") == (new or {}).get("spec")


_APPROVALS = (approvals.NAMESPACED, approvals.CLUSTER)
_JUDGES = {
    **dict.fromkeys((acceptance.NAMESPACED, acceptance.CLUSTER), judge_acceptance),
    "RiskAppetite": judge_appetite,
}
