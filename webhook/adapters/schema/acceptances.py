"""RiskAcceptance and ClusterRiskAcceptance: which risk, of what, why, whose, until when.

There are no defaults here, and no other types than strings, booleans, integers, lists and maps: approvals
carry a digest of the spec, so the API server must store what was written.
"""

from __future__ import annotations

from dataclasses import replace

from webhook.adapters.schema.common import (
    KIND_NAME,
    NOT_YET,
    SEVERITIES,
    applier,
    date,
    label_selector,
    person,
    prose,
    status,
    time,
)
from webhook.adapters.schema.types import Column, Kind, Rule, Schema, flag, integer, listing, record, text
from webhook.core.times import parse_time


def _policy_fields(own: bool) -> dict[str, Schema]:
    kind = "The policy's kind: ClusterPolicy" + (
        ", or Policy for one of the acceptance's namespace." if own else "."
    )
    return {
        "kind": text(kind, pattern=KIND_NAME, longest=63),
        "name": text("The policy's name."),
    }


def _no_namespaced_policy(own: bool) -> tuple[Rule, ...]:
    if own:
        return ()
    return (
        Rule(
            "self.kind != 'Policy'",
            "a ClusterRiskAcceptance can't name a Policy: use a RiskAcceptance in its namespace",
            lambda value: value["kind"] != "Policy",
            ".kind",
        ),
    )


def _policies(own: bool) -> Schema:
    policy = record(
        "A policy.",
        {
            **_policy_fields(own),
            "validations": listing(
                text("The name of a validation.", longest=128),
                "Only these of its validations; none given is all, also those that it gets later.",
                longest=64,
                kind="set",
            ),
            "severity": text(
                "The policy's severity as it is accepted. The RiskAppetite's rule for it holds where the "
                "policy by then says less; where it says more, the one for that.",
                choices=SEVERITIES,
            ),
        },
        required=("kind", "name"),
        rules=_no_namespaced_policy(own),
    )
    return listing(policy, "The policies whose violations are accepted.", shortest=1, longest=32)


def _scope(own: bool) -> Schema:
    kind = record(
        "A kind.",
        {
            "group": text(
                "The API group, as apps; without it the core group.",
                shortest=0,
                pattern="^([a-z0-9]([-.a-z0-9]*[a-z0-9])?)?$",
            ),
            "kind": text("The kind, as Deployment.", pattern=KIND_NAME, longest=63),
        },
        required=("kind",),
    )
    fields = {
        "kinds": listing(
            kind,
            "The kinds of the objects. A workload's kind also covers the Pods and other objects that "
            "Kubernetes makes of it.",
            shortest=1,
            longest=32,
        ),
        "names": listing(
            text("A name; * stands for any characters."),
            "The names of the objects. Names or images must be given.",
            longest=64,
            kind="set",
        ),
        "objectSelector": label_selector(
            "Only objects with these labels. It narrows, and never widens: whoever writes the object writes "
            "its labels."
        ),
        "containers": listing(
            text("A container's name.", longest=63),
            "Only violations of these containers. A violation that names no container is then not covered.",
            longest=64,
            kind="set",
        ),
        "images": listing(
            text("A container's image; * stands for any characters.", longest=1024),
            "Only violations of containers with these images, best named with their digest. A violation that "
            "names no container is then not covered.",
            longest=64,
            kind="set",
        ),
    }
    if not own:
        fields["namespaces"] = listing(
            text("A namespace; * stands for any characters.", longest=63),
            "The namespaces of the objects. Without it, objects in namespaces are not covered.",
            longest=64,
            kind="set",
        )
    return record(
        "Which objects. What isn't given doesn't narrow, but kinds, and names or images, must be given.",
        fields,
        required=("kinds",),
        rules=(
            Rule(
                "(has(self.names) && size(self.names) > 0) || (has(self.images) && size(self.images) > 0)",
                "names or images must be given: without them it would cover too much",
                lambda value: bool(value.get("names") or value.get("images")),
            ),
        ),
    )


def _spec(own: bool) -> Schema:
    control = record(
        "What lowers the risk meanwhile.",
        {
            "description": prose("What it is.", 2048),
            "policy": record(
                "A policy that must pass for the same object, or else the acceptance doesn't hold.",
                _policy_fields(own),
                required=("kind", "name"),
                rules=_no_namespaced_policy(own),
            ),
        },
        required=("description",),
    )
    return record(
        "Which risk is accepted, of what, why, by whom, until when. Any change makes another acceptance: "
        "it voids every approval.",
        {
            "title": prose("What is accepted, in one line.", 256),
            "reason": text(
                "Waiver: the risk is taken. Mitigated: something else lowers it. OperationalRequirement: it "
                "can't work otherwise. VendorDependency: someone else must change it. FalsePositive: there "
                "is no risk.",
                choices=(
                    "Waiver",
                    "Mitigated",
                    "OperationalRequirement",
                    "VendorDependency",
                    "FalsePositive",
                ),
            ),
            "policies": _policies(own),
            "scope": _scope(own),
            "clusters": listing(
                text("A cluster's name, as its operator is told it."),
                "Where it holds; none given is wherever it is applied. Where the name is unknown it doesn't "
                "hold.",
                longest=64,
                kind="set",
            ),
            "justification": prose("Why the risk is worth it, for an auditor to read."),
            "riskOwner": prose("Who answers for the risk.", 253),
            "requester": person(
                "Who asks: the user who writes this object, as the cluster authenticates them. It never "
                "changes, and this person's approval doesn't count."
            ),
            "appliedBy": applier("acceptance"),
            "residualRisk": text("How bad the risk remains.", choices=SEVERITIES),
            "compensatingControls": listing(control, "What lowers the risk meanwhile.", longest=32),
            "remediation": record(
                "How the violation will end.",
                {"plan": prose("What will be done."), "due": date("By which day, as 2027-01-31.")},
            ),
            "ticket": prose("Where it is tracked, best a URL.", 2048),
            "validFrom": time("Its first moment."),
            "validUntil": time(
                "Its last moment. The policy and the RiskAppetite may end it earlier, never later."
            ),
            "renews": text(
                "The name of the acceptance that this one goes on with, of the same kind and namespace. It "
                "must have been in force, and this one may accept no more than it. It never changes."
            ),
            "renewal": integer(
                "Which renewal this is: 1 for the first, then one more than what it renews says. A policy "
                "may limit it with maxRenewals. It never changes.",
                1,
                100,
            ),
            "breakGlass": flag(
                "An emergency: one approval by those whom the RiskAppetite's breakGlass names, for its short "
                "duration, only for severities that may be accepted at all. Every report says so."
            ),
            "revoked": record(
                "It was taken back, for good.",
                {
                    "at": time("When."),
                    "by": prose("By whom.", 253),
                    "reason": prose("Why.", 2048),
                },
                required=("at",),
            ),
        },
        required=(
            "policies",
            "scope",
            "justification",
            "riskOwner",
            "requester",
            "validFrom",
            "validUntil",
        ),
        rules=(
            Rule(
                "self.validUntil > self.validFrom",
                "must be later than validFrom",
                lambda value: parse_time(value["validUntil"]) > parse_time(value["validFrom"]),
                ".validUntil",
            ),
            Rule("self.requester == oldSelf.requester", "never changes", None, ".requester"),
            Rule(
                "has(self.renews) == has(self.renewal)",
                "renews and renewal need each other",
                lambda value: ("renews" in value) == ("renewal" in value),
            ),
            Rule(
                "has(self.renews) == has(oldSelf.renews) && "
                "(!has(self.renews) || (self.renews == oldSelf.renews && self.renewal == oldSelf.renewal))",
                "what it renews never changes",
                None,
            ),
            Rule(
                "!has(oldSelf.revoked) || (has(self.revoked) && self.revoked == oldSelf.revoked)",
                "a revocation is for good",
                None,
            ),
        ),
    )


_STATUS = status(
    "Where the acceptance stands.",
    phase=text(
        "Pending until enough approvals count and its time has come; then Active; then Expired or Revoked. "
        "Refused when the policy, the RiskAppetite or the cluster's name rule it out, Invalid when it can't "
        "be read. It is information, never evidence.",
        choices=("Pending", "Active", "Expired", "Revoked", "Refused", "Invalid"),
    ),
    digest=text("What an approval must carry.", longest=71),
    approvals=integer("How many approvals count."),
    covered=integer("How many violations of what is there it covers, as the audit found last."),
    lastUsed=Schema("string", "When it last let a request through." + NOT_YET, format="date-time"),
)

_COLUMNS = (
    Column("Phase", ".status.phase", description="Where it stands"),
    Column("Valid until", ".spec.validUntil", description="Its last moment"),
    Column("Owner", ".spec.riskOwner", description="Who answers for the risk"),
    Column("Approvals", ".status.approvals", "integer", "How many approvals count"),
    Column(
        "Reason",
        '.status.conditions[?(@.type=="Active")].message',
        description="Why it is in force, or what is missing",
        priority=1,
    ),
    Column(
        "Break glass",
        ".spec.breakGlass",
        "boolean",
        description="It is for an emergency",
        priority=1,
    ),
    Column("Requester", ".spec.requester", description="Who asked", priority=1),
    Column("Digest", ".status.digest", description="What an approval must carry", priority=1),
    Column("Age", ".metadata.creationTimestamp", "date"),
)

RISK_ACCEPTANCE = Kind(
    kind="RiskAcceptance",
    plural="riskacceptances",
    short_name="ra",
    namespaced=True,
    description="A named person's decision to live with violations in this namespace for a limited time.",
    spec=_spec(own=True),
    status=_STATUS,
    columns=_COLUMNS,
)

CLUSTER_RISK_ACCEPTANCE = replace(
    RISK_ACCEPTANCE,
    kind="ClusterRiskAcceptance",
    plural="clusterriskacceptances",
    short_name="cra",
    namespaced=False,
    description="A named person's decision to live with violations of cluster-scoped objects, or in several "
    "namespaces, for a limited time.",
    spec=_spec(own=False),
)
