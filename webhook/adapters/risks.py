"""What there is to say of each risk acceptance at a time: where it stands, and whose approvals count.

List, show, export, renew and revoke all read it here, whether the objects come from files or from a cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webhook.adapters.risk_warnings import warnings_of
from webhook.core.acceptance import Acceptance, AcceptedPolicy
from webhook.core.approvals import Approval
from webhook.core.counting import route_of
from webhook.core.ending import notice
from webhook.core.fields import map_in, maps, metadata_of
from webhook.core.model import GROUP, ObjectRef, PolicyRef, Severity, Violation
from webhook.core.policy import CompiledPolicy
from webhook.core.snapshot import Snapshot
from webhook.core.standing import Standing, best, counted_approvals, severity_for
from webhook.core.verdict import Verdict
from webhook.dialects import native

UNKNOWN = "Unknown"
"""The phase of an acceptance of policies that aren't here."""


@dataclass(frozen=True, slots=True)
class ForPolicy:
    """Where an acceptance stands for one of the policies that it names.

    Attributes:
        named: the policy as the acceptance names it.
        ref: which policy that is.
        policy: it, compiled; None where there is none, or it does not compile.
        severity: the severity that the RiskAppetite's rule is for; None without a policy.
        standing: where it stands; None without a policy.
        standards: the controls of standards that the policy implements, as it names them.
    """

    named: AcceptedPolicy
    ref: PolicyRef
    policy: CompiledPolicy | None = None
    severity: Severity | None = None
    standing: Standing | None = None
    standards: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """An approval that names an acceptance.

    Attributes:
        approval: the approval.
        route: by which route it would count.
        counts: it counts for at least one of the acceptance's policies.
        why: why it doesn't.
    """

    approval: Approval
    route: str
    counts: bool
    why: str


@dataclass(frozen=True, slots=True)
class Risk:
    """An acceptance at a time.

    Attributes:
        object: its manifest.
        acceptance: what it says.
        policies: where it stands for each policy that it names.
        given: every approval that names it.
        at: the time.
        latest: the same by the clock that is ahead, which counts for its end.
        warnings: what an approver or an auditor should know of how it came.
    """

    object: Mapping[str, Any]
    acceptance: Acceptance
    policies: tuple[ForPolicy, ...]
    given: tuple[Given, ...]
    at: datetime
    latest: datetime
    warnings: tuple[str, ...] = ()

    @property
    def ref(self) -> PolicyRef:
        """Its kind, namespace and name."""
        return self.acceptance.ref

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec as it is written."""
        return self.object.get("spec") or {}

    @property
    def standing(self) -> Standing | None:
        """The standing that speaks for all of its policies; None where none of them is here."""
        return best(each.standing for each in self.policies if each.standing is not None)

    @property
    def phase(self) -> str:
        """Its state, or `UNKNOWN`."""
        standing = self.standing
        return standing.state.value if standing is not None else UNKNOWN

    @property
    def until(self) -> datetime:
        """When it ends or ended: the first end of the policies for which it stands as it does."""
        standing = self.standing
        if standing is None:
            return self.acceptance.valid_until
        ends = [
            each.standing.until
            for each in self.policies
            if each.standing is not None and each.standing.state is standing.state
        ]
        return min(ends)

    @property
    def reason(self) -> str:
        """Why it isn't in force for each policy, or not for all of them; empty where it is."""
        said = [
            f"{each.ref}: {each.standing.reason}"
            if each.standing is not None
            else f"{each.ref}: no such policy is here, or it does not compile"
            for each in self.policies
            if each.standing is None or each.standing.reason
        ]
        return "; ".join(dict.fromkeys(said))

    @property
    def notice(self) -> int | None:
        """The nearest notice of its end that it has reached, in days."""
        reached = [notice(each.standing, self.latest) for each in self.policies if each.standing is not None]
        return min((days for days in reached if days is not None), default=None)

    @property
    def counting(self) -> int:
        """How many approvals count."""
        standing = self.standing
        return len(standing.approvers) if standing is not None else 0

    @property
    def required(self) -> int:
        """How many it takes, for the strictest of its policies."""
        return max((each.standing.required for each in self.policies if each.standing), default=1)

    @property
    def standards(self) -> tuple[str, ...]:
        """The controls of standards that its policies implement, each once."""
        return tuple(dict.fromkeys(text for each in self.policies for text in each.standards))

    @property
    def severity(self) -> Severity | None:
        """The worst severity of its policies; None where none is here."""
        return max((each.severity for each in self.policies if each.severity is not None), default=None)


@dataclass(frozen=True, slots=True)
class Cover:
    """A violation that an acceptance covers.

    Attributes:
        target: the object.
        violation: what it violates.
        place: the file and line of the object; empty for a cluster.
        kept_running: the acceptance has ended; the Pod of an unchanged workload may still be made again.
    """

    target: ObjectRef
    violation: Violation
    place: str = ""
    kept_running: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What the acceptances are read from.

    Attributes:
        snapshot: what they are judged with.
        objects: the manifests.
        at: the time.
        notes: what could not be read and may make a difference, for people.
        errors: what can't be used.
        cluster: it is a running cluster.
    """

    snapshot: Snapshot
    objects: Sequence[Mapping[str, Any]]
    at: datetime
    notes: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    cluster: bool = False


def risks_of(known: Known) -> list[Risk]:
    """Return every acceptance, by kind, namespace and name, with all that is known of it."""
    snapshot = known.snapshot
    manifests = {_ref(obj): obj for obj in known.objects}
    policies = {policy.ref: policy for policy in snapshot.policies}
    standards = {native.policy_ref(obj): _standards(obj) for obj in known.objects if _is_policy(obj)}
    acceptances = sorted(snapshot.register.acceptances, key=lambda each: each.ref)
    return [
        _risk(each, manifests.get(each.ref) or _bare(each), policies, standards, snapshot, known.at)
        for each in acceptances
    ]


def covers(risk: Risk, verdict: Verdict, target: ObjectRef, place: str = "") -> list[Cover]:
    """Return what an acceptance covers of an object, from its verdict."""
    return [
        Cover(target, each.violation, place, each.kept_running)
        for each in verdict.accepted
        if each.acceptance == risk.ref
    ]


def policy_ref(acceptance: Acceptance, named: AcceptedPolicy) -> PolicyRef:
    """Return which policy an acceptance means."""
    return PolicyRef(named.kind, acceptance.ref.namespace if named.kind == "Policy" else "", named.name)


def _ref(obj: Mapping[str, Any]) -> PolicyRef:
    metadata = metadata_of(obj)
    kind = str(obj.get("kind"))
    place = str(metadata.get("namespace") or "default") if kind == "RiskAcceptance" else ""
    return PolicyRef(kind, place, str(metadata.get("name", "")))


def _is_policy(obj: Mapping[str, Any]) -> bool:
    return obj.get("kind") in native.KINDS and str(obj.get("apiVersion", "")).startswith(f"{GROUP}/")


def _standards(obj: Mapping[str, Any]) -> tuple[str, ...]:
    named = maps(map_in(obj, "spec", "spec"), "standards", "spec")
    parts = ((each.get("name"), each.get("version"), each.get("control")) for each in named)
    return tuple(" ".join(str(part) for part in each if part) for each in parts)


def _bare(acceptance: Acceptance) -> dict[str, Any]:
    return {"kind": acceptance.ref.kind, "metadata": {"name": acceptance.ref.name}, "spec": {}}


def _risk(
    acceptance: Acceptance,
    obj: Mapping[str, Any],
    policies: Mapping[PolicyRef, CompiledPolicy],
    standards: Mapping[PolicyRef, tuple[str, ...]],
    snapshot: Snapshot,
    at: datetime,
) -> Risk:
    register = snapshot.register
    found = []
    for named in acceptance.policies:
        ref = policy_ref(acceptance, named)
        policy = policies.get(ref)
        if policy is None:
            found.append(ForPolicy(named, ref))
            continue
        standing = register.standing(acceptance, policy, at)
        severity = severity_for(acceptance, policy)
        found.append(ForPolicy(named, ref, policy, severity, standing, standards.get(ref, ())))
    given = _given(acceptance, found, snapshot, at)
    latest, _ = register.surroundings.clocks(at)
    warnings = warnings_of(acceptance, [each.approval for each in given], snapshot.register.appetite)
    return Risk(obj, acceptance, tuple(found), given, at, latest, warnings)


def _given(
    acceptance: Acceptance, policies: Iterable[ForPolicy], snapshot: Snapshot, at: datetime
) -> tuple[Given, ...]:
    """Say of each approval whether it counts for one of the policies, by `counting.count` as everywhere."""
    register = snapshot.register
    approvals = register.approvals_of(acceptance)
    appetite = register.appetite
    counting: set[PolicyRef] = set()
    why: dict[PolicyRef, dict[str, None]] = {}
    people: set[str] = set()
    for each in policies:
        rule = (
            appetite.rule_for(each.severity, break_glass=acceptance.break_glass)
            if appetite is not None and each.severity is not None
            else None
        )
        if rule is None or not rule.acceptable or each.policy is None or appetite is None:
            continue
        count = counted_approvals(acceptance, approvals, each.policy, rule, register.surroundings, at)
        counting.update(counted.approval.ref for counted in count.counting)
        people.update(appetite.person(counted.approval.approver) for counted in count.counting)
        for ref, text in count.why.items():
            why.setdefault(ref, {})[text] = None
    made = []
    for approval in sorted(approvals, key=lambda one: (one.approved_at, one.ref)):
        text = "; ".join(why.get(approval.ref, ()))
        if approval.ref not in counting and not text:
            again = appetite is not None and appetite.person(approval.approver) in people
            text = (
                "another approval by the same person counts" if again else "no rule lets any approval count"
            )
        counts = approval.ref in counting
        made.append(Given(approval, route_of(approval), counts, "" if counts else text))
    return tuple(made)


def named(risks: Iterable[Risk], name: str, namespace: str) -> list[Risk]:
    """Return the acceptances that a person means by a name.

    Args:
        risks: all there are.
        name: NAME, or the kind and a slash before it.
        namespace: of a RiskAcceptance; empty for any.
    """
    kind, _, called = name.rpartition("/")
    wanted = {"riskacceptance": "RiskAcceptance", "ra": "RiskAcceptance"}
    wanted |= {"clusterriskacceptance": "ClusterRiskAcceptance", "cra": "ClusterRiskAcceptance"}
    kinds = {wanted.get(kind.lower().partition(".")[0], kind)} if kind else {"RiskAcceptance"}
    return [
        risk
        for risk in risks
        if risk.ref.name == called
        and risk.ref.kind in kinds
        and (not namespace or risk.ref.namespace in ("", namespace))
    ]
