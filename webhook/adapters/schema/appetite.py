"""RiskAppetite: which risks may be accepted at all, by whom, for how long."""

from __future__ import annotations

from webhook.adapters.schema.common import (
    NAMESPACE_NAME,
    ROUTES,
    SERVICE_ACCOUNT,
    SEVERITIES,
    digest,
    duration,
    groups,
    person,
    prose,
    status,
    time,
    users,
)
from webhook.adapters.schema.types import Column, Kind, Rule, flag, integer, listing, record, text
from webhook.core.times import parse_time

_RULE = record(
    "What holds for some severities.",
    {
        "severities": listing(
            text("A severity.", choices=SEVERITIES),
            "The severities of the policies whose violations this is about.",
            shortest=1,
            longest=5,
            kind="set",
        ),
        "acceptable": flag("Such a risk may be accepted at all; true without it."),
        "maxDuration": duration(
            "The longest that an acceptance may last; without it only the policy limits it."
        ),
        "approvals": integer("How many people must approve; 1 without it.", 1, 10),
        "approvers": record(
            "Who may approve: whoever is listed or in a group that is.",
            {"groups": groups("Their groups."), "users": users("Their user names.")},
        ),
        "routes": listing(
            text("A route.", choices=ROUTES),
            "By which routes an approval may come; ClusterUser and Signature without it. ClusterUser: the "
            "approver wrote it to the cluster. Signature: a key of the approver's under signers signed it. "
            "TrustedApplier: a service account under trustedAppliers vouches for it.",
            shortest=1,
            longest=3,
            kind="set",
        ),
        "required": listing(
            text(
                "A field of the acceptance's spec.",
                choices=(
                    "title",
                    "reason",
                    "residualRisk",
                    "compensatingControls",
                    "remediation",
                    "ticket",
                ),
            ),
            "Fields of the acceptance that must be filled.",
            longest=6,
            kind="set",
        ),
    },
    required=("severities",),
    rules=(
        Rule(
            "(has(self.acceptable) && !self.acceptable) || (has(self.approvers) && "
            "((has(self.approvers.groups) && size(self.approvers.groups) > 0) || "
            "(has(self.approvers.users) && size(self.approvers.users) > 0)))",
            "an acceptable risk needs approvers: name groups or users, or set acceptable: false",
            lambda value: (
                value.get("acceptable") is False
                or bool((value.get("approvers") or {}).get("groups"))
                or bool((value.get("approvers") or {}).get("users"))
            ),
        ),
    ),
)

_SIGNER = record(
    "An SSH key and whose it is.",
    {
        "approver": person("Whose key it is."),
        "groups": groups(
            "Those of this person's groups that count; what an approval says of groups doesn't."
        ),
        "publicKey": text(
            "The public key, as in an authorized_keys file. RSA keys have at least 3072 bits.",
            longest=16384,
            pattern="^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh[.]com|"
            "sk-ecdsa-sha2-nistp256@openssh[.]com) [A-Za-z0-9+/]+=*( .*)?$",
        ),
        "validFrom": time("Approvals count whose approvedAt is not before it."),
        "validUntil": time("Approvals count whose approvedAt is not after it."),
        "revokedAt": time("From then on no approval counts that this key ever signed."),
    },
    required=("approver", "publicKey"),
    rules=(
        Rule(
            "!has(self.validFrom) || !has(self.validUntil) || self.validUntil > self.validFrom",
            "must be later than validFrom",
            lambda value: (
                "validFrom" not in value
                or "validUntil" not in value
                or parse_time(value["validUntil"]) > parse_time(value["validFrom"])
            ),
            ".validUntil",
        ),
    ),
)

_APPLIER = record(
    "A service account that vouches for the approvals it brings.",
    {
        "user": text(
            "Its user name, as system:serviceaccount:risk:applier.", pattern=SERVICE_ACCOUNT, longest=400
        ),
        "namespaces": listing(
            text("A namespace by its name.", pattern=NAMESPACE_NAME, longest=63),
            "Where.",
            shortest=1,
            longest=256,
            kind="set",
        ),
    },
    required=("user", "namespaces"),
)

_PERSON = record(
    "One person's several user names.",
    {
        "name": prose("The person.", 253),
        "users": listing(
            text("A user name."), "Every name of this person.", shortest=1, longest=32, kind="set"
        ),
    },
    required=("name", "users"),
)

_REVOKED = record(
    "An acceptance that never holds again.",
    {
        "digest": digest("The acceptance's digest."),
        "at": time("When it was revoked."),
        "reason": prose("Why.", 2048),
    },
    required=("digest",),
)

_SPEC = record(
    "The appetite for risk. Without rules no risk is acceptable.",
    {
        "rules": listing(
            _RULE,
            "By the policy's severity: the first rule that lists it holds; where none does, the risk is not "
            "acceptable.",
            longest=32,
        ),
        "signers": listing(_SIGNER, "Whose SSH keys count for the route Signature.", longest=256),
        "trustedAppliers": listing(
            _APPLIER,
            "Service accounts that may bring acceptances and approvals that others wrote. Their approvals "
            "without a signature are of the route TrustedApplier: one for each acceptance, never for high "
            "or critical risks, and only where the rule's routes name it.",
            longest=64,
            kind="map",
            keys=("user",),
        ),
        "people": listing(
            _PERSON,
            "Who has several user names: approvals are counted by person, and nobody approves their own "
            "request.",
            longest=1024,
            kind="map",
            keys=("name",),
        ),
        "revoked": listing(
            _REVOKED,
            "Acceptances that never hold again, whoever approves them. The list only grows.",
            longest=4096,
            kind="map",
            keys=("digest",),
        ),
        "workloadControllers": listing(
            text(
                "A service account's user name, as system:serviceaccount:rollouts:controller.",
                pattern=SERVICE_ACCOUNT,
                longest=400,
            ),
            "Service accounts, beside Kubernetes' own controllers, that make Pods from workloads: what is "
            "accepted for a workload also holds for the Pods that they make of it.",
            longest=64,
            kind="set",
        ),
        "afterExpiry": text(
            "KeepRunning, which holds without it, lets the Pod of an unchanged, once accepted workload be "
            "made again after expiry, so that draining a node is no outage; Deny refuses it.",
            choices=("KeepRunning", "Deny"),
        ),
        "keepRunningFor": duration("For how long after expiry; 30d without it."),
        "breakGlass": record(
            "Emergencies: acceptances with breakGlass need one approval by these, for a short time. Without "
            "it there are none.",
            {
                "maxDuration": duration("The longest; 4h without it."),
                "groups": groups("The groups of those who may approve."),
                "users": users("The user names of those who may approve."),
            },
            rules=(
                Rule(
                    "(has(self.groups) && size(self.groups) > 0) || "
                    "(has(self.users) && size(self.users) > 0)",
                    "name the groups or users who may approve in an emergency",
                    lambda value: bool(value.get("groups") or value.get("users")),
                ),
            ),
        ),
        "administrators": record(
            "Who may change or delete the appetite; it can only narrow whom RBAC and the installation allow.",
            {"groups": groups("Their groups.")},
        ),
    },
    rules=(
        Rule(
            "!has(oldSelf.revoked) || (has(self.revoked) && self.revoked + oldSelf.revoked == self.revoked)",
            "only grows: what is revoked stays revoked",
            None,
            ".revoked",
        ),
    ),
)

RISK_APPETITE = Kind(
    kind="RiskAppetite",
    plural="riskappetites",
    short_name="rapt",
    namespaced=False,
    description="Which risks may be accepted at all, by whom, for how long. The one named default holds; "
    "without it no acceptance is in force.",
    spec=_SPEC,
    status=status("What is known of the appetite."),
    columns=(
        Column("After expiry", ".spec.afterExpiry", description="What becomes of workloads"),
        Column("Break glass", ".spec.breakGlass.maxDuration", description="How long an emergency may last"),
        Column("Age", ".metadata.creationTimestamp", "date"),
    ),
)
