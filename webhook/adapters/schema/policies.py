"""ClusterPolicy and Policy: ValidatingAdmissionPolicy's spec, and what follows it is ours."""

from __future__ import annotations

from dataclasses import replace

from webhook.adapters.schema.common import (
    KIND_NAME,
    NAMESPACE_NAME,
    SEVERITIES,
    duration,
    label_selector,
    prose,
    status,
)
from webhook.adapters.schema.types import (
    Column,
    Kind,
    Rule,
    Schema,
    flag,
    integer,
    listing,
    record,
    text,
)

_LONGEST_EXPRESSION = 100_000
_QUALIFIED = "^([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"


def _expression(description: str) -> Schema:
    return text(description, longest=_LONGEST_EXPRESSION)


_SOME_ACTIONS = Rule(
    "!('Deny' in self && 'Warn' in self)",
    "Deny and Warn exclude each other: a denial already says why",
    lambda value: not {"Deny", "Warn"} <= set(value),
)


def _actions(description: str) -> Schema:
    action = text("What a violation does.", choices=("Deny", "Warn", "Audit"))
    return listing(action, description, shortest=1, longest=3, kind="set", rules=(_SOME_ACTIONS,))


def _rules(description: str, shortest: int) -> Schema:
    def names(description: str, item: str) -> Schema:
        return listing(text(item, shortest=0), description, shortest=1, longest=64)

    rule = record(
        "Which operations on which resources.",
        {
            "apiGroups": names(
                "The API groups of the resources; the core group is the empty text, * is all.",
                "An API group.",
            ),
            "apiVersions": names("The API versions of the resources; * is all.", "An API version."),
            "operations": listing(
                text("An operation.", choices=("CREATE", "UPDATE", "DELETE", "CONNECT", "*")),
                "The operations; * is all.",
                shortest=1,
                longest=5,
            ),
            "resources": names(
                "The resources: pods, the subresource pods/exec, pods/* for pods and every subresource, "
                "* for all without their subresources, */* for all. Subresources such as "
                "pods/ephemeralcontainers are judged only where they are named.",
                "A resource.",
            ),
            "resourceNames": listing(
                text("A name."), "Only objects of these names; none given is all.", longest=256
            ),
            "scope": text(
                "Cluster for cluster-scoped objects only, Namespaced for the others; without it both.",
                choices=("*", "Cluster", "Namespaced"),
            ),
        },
        required=("apiGroups", "apiVersions", "operations", "resources"),
    )
    return listing(rule, description, shortest=shortest, longest=128)


_MATCH = record(
    "What the policy judges, as in a ValidatingAdmissionPolicy.",
    {
        "resourceRules": _rules("A request that matches one of these is judged.", 1),
        "excludeResourceRules": _rules("A request that matches one of these is not judged.", 0),
        "namespaceSelector": label_selector(
            "Only objects in namespaces with these labels; for a Namespace, its own. "
            "Other cluster-scoped objects are always judged."
        ),
        "objectSelector": label_selector(
            "Only objects with these labels, before or after the change. Whoever writes the object writes "
            "its labels: use this only where nobody gains from leaving a label out."
        ),
        "matchPolicy": text(
            "Equivalent, which holds without it, also judges requests through another version of the same "
            "resource, converted; Exact only the versions that the rules name.",
            choices=("Equivalent", "Exact"),
        ),
    },
    required=("resourceRules",),
)

_CONDITION = record(
    "A condition; all must hold.",
    {
        "name": text("A name that is unique in the list.", pattern=_QUALIFIED, longest=317),
        "expression": _expression("A CEL expression that gives true where the policy is to judge."),
    },
    required=("name", "expression"),
)

_PARAM_KIND = record(
    "The kind of the objects that hold parameters.",
    {
        "apiVersion": text(
            "Its API group and version, as apps/v1.", pattern="^([a-z0-9][-.a-z0-9]*/)?[a-z0-9]+$"
        ),
        "kind": text("Its kind, as ConfigMap.", pattern=KIND_NAME, longest=63),
    },
    required=("apiVersion", "kind"),
    rules=(
        Rule(
            "!(self.apiVersion == 'v1' && self.kind == 'Secret')",
            "parameters are no place for secrets: use a ConfigMap",
            lambda value: (value["apiVersion"], value["kind"]) != ("v1", "Secret"),
            ".kind",
        ),
    ),
)

_PARAM_REF = record(
    "Which objects of paramKind hold the parameters. Each validation runs once for each of them.",
    {
        "name": text("The name of one object."),
        "namespace": text(
            "Where it is; without it, for a namespaced kind, the namespace of what is judged. "
            "A Policy reads only its own.",
            pattern=NAMESPACE_NAME,
            longest=63,
        ),
        "selector": label_selector("Every object with these labels."),
        "parameterNotFoundAction": text(
            "What holds when there is no such object: Allow judges nothing; Deny is an evaluation error.",
            choices=("Allow", "Deny"),
        ),
    },
    required=("parameterNotFoundAction",),
    rules=(
        Rule(
            "has(self.name) != has(self.selector)",
            "needs a name or a selector, and not both",
            lambda value: ("name" in value) != ("selector" in value),
        ),
    ),
)

_VARIABLE = record(
    "A variable.",
    {
        "name": text("A CEL identifier that is unique in the list.", pattern="^[A-Za-z_][A-Za-z0-9_]*$"),
        "expression": _expression("A CEL expression; it may use the variables before it."),
    },
    required=("name", "expression"),
)

_VALIDATION = record(
    "What an object must meet.",
    {
        "name": text(
            "A name that is unique in the policy. Risk acceptances and reports name the validation by it, so "
            "changing it makes another validation.",
            pattern="^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
            longest=128,
        ),
        "expression": _expression(
            "A CEL expression that gives true for an object that meets it. It sees object, oldObject, "
            "request, params, namespaceObject, variables and authorizer, and with forEach also container and "
            "containerKind."
        ),
        "message": prose("What is wrong with an object that doesn't meet it.", 4096),
        "messageExpression": _expression(
            "A CEL expression that gives the message; where it fails, message holds."
        ),
        "reason": text(
            "The machine-readable reason of a denial; without it Invalid.",
            choices=("Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge"),
        ),
        "forEach": text(
            "containers runs the expression once for each container, init container and ephemeral container; "
            "a violation names the container.",
            choices=("containers",),
        ),
        "fieldPath": text(
            "The field that is at fault, as spec.hostNetwork; with forEach relative to the container, as "
            "securityContext.runAsNonRoot. An UPDATE that leaves its value as it was adds no violation.",
            longest=1024,
        ),
    },
    required=("name", "expression"),
)

_ANNOTATION = record(
    "An audit annotation.",
    {
        "key": text("Its key; the policy's name is put before it.", pattern=_QUALIFIED, longest=63),
        "valueExpression": text(
            "A CEL expression that gives its value, a string; null leaves it out.", longest=5120
        ),
    },
    required=("key", "valueExpression"),
)

_OVERRIDE = record(
    "Other actions for some namespaces.",
    {
        "namespaceSelector": label_selector(
            "Which namespaces. It never matches cluster-scoped objects, except a Namespace, whose labels "
            "must match before and after the change."
        ),
        "validationActions": _actions("What a violation does there, instead of the whole list."),
    },
    required=("namespaceSelector", "validationActions"),
)

_STANDARD = record(
    "A control that the policy implements.",
    {
        "name": text("The standard, as PSS or CIS-Kubernetes."),
        "version": text("Its version: controls move between versions.", longest=63),
        "control": text("The control in it.", longest=512),
    },
    required=("name", "control"),
)

_RISK_ACCEPTANCE = record(
    "Limits on accepting the risk of this policy's violations. The RiskAppetite can only narrow them.",
    {
        "allowed": flag("Violations may be accepted at all; true without it."),
        "maxDuration": duration("The longest that an acceptance may last."),
        "approvals": integer("How many people must approve; 1 without it.", 1, 10),
        "maxRenewals": integer(
            "How often an acceptance may be renewed, one renewal after the other; without it, any number.",
            0,
            100,
        ),
        "requireTicket": flag("An acceptance must name a ticket."),
        "requireCompensatingControls": flag("An acceptance must name compensating controls."),
    },
)

_SPEC = record(
    "What the policy demands of which objects.",
    {
        "title": prose("What the policy demands, in one line.", 256),
        "description": prose("Why it matters."),
        "remediation": prose("What to change in an object that violates it, with a snippet."),
        "severity": text("How bad a violation is; high without it.", choices=SEVERITIES),
        "category": prose("A heading to list the policy under, as Pod security.", 128),
        "standards": listing(_STANDARD, "The controls of standards that the policy implements.", longest=64),
        "validationActions": _actions(
            "What a violation does, as in a ValidatingAdmissionPolicyBinding: Deny, which holds without it, "
            "refuses the request; Warn lets it through with a warning; Audit only records it."
        ),
        "validationActionOverrides": listing(
            _OVERRIDE, "Other actions for some namespaces; the first that matches holds.", longest=32
        ),
        "matchConstraints": _MATCH,
        "matchConditions": listing(
            _CONDITION,
            "What must also hold for the policy to judge a request.",
            longest=64,
            kind="map",
            keys=("name",),
        ),
        "podTemplates": flag(
            "A policy whose rules name pods also judges the pod templates of Deployments, ReplicaSets, "
            "StatefulSets, DaemonSets, Jobs, CronJobs, ReplicationControllers and PodTemplates, each as the "
            "Pod that it would make. false without it."
        ),
        "paramKind": _PARAM_KIND,
        "paramRef": _PARAM_REF,
        "params": Schema(
            "object", "The parameters themselves, in place of paramKind and paramRef.", open=True
        ),
        "variables": listing(
            _VARIABLE,
            "Named expressions; each is evaluated at most once, when first used.",
            longest=256,
            kind="map",
            keys=("name",),
        ),
        "validations": listing(
            _VALIDATION, "What an object must meet.", longest=256, kind="map", keys=("name",)
        ),
        "auditAnnotations": listing(
            _ANNOTATION,
            "What to write to the API server's audit log about each request that the policy judges.",
            longest=20,
            kind="map",
            keys=("key",),
        ),
        "failurePolicy": text(
            "What an evaluation error means: Fail, which holds without it, takes the actions of a violation; "
            "Ignore takes none.",
            choices=("Fail", "Ignore"),
        ),
        "existingViolations": text(
            "Allow, which holds without it, lets an UPDATE through that adds no violation; Deny judges the "
            "whole object.",
            choices=("Allow", "Deny"),
        ),
        "background": flag("The audit judges the objects that exist, too; true without it."),
        "riskAcceptance": _RISK_ACCEPTANCE,
    },
    required=("matchConstraints",),
    rules=(
        Rule(
            "!has(self.params) || (!has(self.paramKind) && !has(self.paramRef))",
            "params excludes paramKind and paramRef",
            lambda value: "params" not in value or not ({"paramKind", "paramRef"} & set(value)),
            ".params",
        ),
        Rule(
            "has(self.paramKind) == has(self.paramRef)",
            "paramKind and paramRef need each other",
            lambda value: ("paramKind" in value) == ("paramRef" in value),
        ),
        Rule(
            "(has(self.validations) && size(self.validations) > 0) || "
            "(has(self.auditAnnotations) && size(self.auditAnnotations) > 0)",
            "needs validations or auditAnnotations",
            lambda value: bool(value.get("validations") or value.get("auditAnnotations")),
        ),
    ),
)

_STATUS = status(
    "What is enforced.",
    violations=integer(
        "How many violations of the policy the audit found last, of what is there, that no acceptance covers."
    ),
    accepted=integer("How many more a risk acceptance covered then."),
    errors=integer("For how many objects it could not be evaluated then."),
    topViolations=listing(
        record(
            "A violation that nothing accepts.",
            {
                "kind": text("The object's kind."),
                "namespace": text("Its namespace."),
                "name": text("Its name."),
                "validation": text("What it does not meet."),
                "container": text("The container that it is about."),
                "message": text("What is wrong.", longest=1024),
            },
        ),
        "The first of them, by namespace, kind and name. The reports have all.",
        longest=10,
    ),
    lastAudit=Schema(
        "string",
        "When that was known to hold last. While nothing changes it is written every ten minutes.",
        format="date-time",
    ),
)

_COLUMNS = (
    Column("Severity", ".spec.severity", description="How bad a violation is"),
    Column("Actions", ".spec.validationActions", description="What a violation does; none given is Deny"),
    Column("Ready", '.status.conditions[?(@.type=="Ready")].status', description="It compiles"),
    Column("Enforced", '.status.conditions[?(@.type=="Enforced")].status', description="Workers judge by it"),
    Column("Reason", '.status.conditions[?(@.type=="Enforced")].reason', description="Why, or why not"),
    Column("Violations", ".status.violations", "integer", description="Violations that nothing accepts"),
    Column("Accepted", ".status.accepted", "integer", description="Violations that are accepted", priority=1),
    Column("Title", ".spec.title", description="What it demands", priority=1),
    Column("Age", ".metadata.creationTimestamp", "date"),
)

CLUSTER_POLICY = Kind(
    kind="ClusterPolicy",
    plural="clusterpolicies",
    short_name="twcp",
    namespaced=False,
    description="A rule set that objects must meet, in every namespace and outside of namespaces.",
    spec=_SPEC,
    status=_STATUS,
    columns=_COLUMNS,
)

POLICY = replace(
    CLUSTER_POLICY,
    kind="Policy",
    plural="policies",
    short_name="twp",
    namespaced=True,
    description="A rule set that the objects of its own namespace must meet.",
)
