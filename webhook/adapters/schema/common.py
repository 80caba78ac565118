"""Parts that several kinds share: selectors, times, durations, people, conditions."""

from __future__ import annotations

from webhook.adapters.schema.types import Rule, Schema, integer, listing, mapping, record, text

NOT_YET = " It comes with the audit, in a later release."

SEVERITIES = ("info", "low", "medium", "high", "critical")
ROUTES = ("ClusterUser", "Signature", "TrustedApplier")

KIND_NAME = "^[A-Z][A-Za-z0-9]*$"
NAMESPACE_NAME = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
SERVICE_ACCOUNT = "^system:serviceaccount:[a-z0-9]([-a-z0-9]*[a-z0-9])?:[a-z0-9]([-.a-z0-9]*[a-z0-9])?$"
_DURATION = "^([0-9]{1,5}d)?([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?$"
_TIME = (
    "^[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,6})?"
    "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
_DIGEST = "^sha256:[0-9a-f]{64}$"
_NOT_BLANK = r"\S"

NO_SYSTEM_NAME = Rule(
    "!self.startsWith('system:')",
    "must not start with system:, since Kubernetes' own users and groups are no person's",
    lambda value: not value.startswith("system:"),
)


# The API server takes a list where a text has the format date-time; a rule that reads the value refuses it.
_IS_A_TIME = Rule(
    "self >= timestamp('1000-01-01T00:00:00Z')",
    "must be a text, an RFC 3339 time",
    lambda value: isinstance(value, str),
)


def time(description: str) -> Schema:
    """Return the schema of an RFC 3339 time."""
    return Schema("string", description, format="date-time", pattern=_TIME, max_size=32, rules=(_IS_A_TIME,))


def date(description: str) -> Schema:
    """Return the schema of a day."""
    return text(description, pattern="^[12][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$", longest=10)


def duration(description: str) -> Schema:
    """Return the schema of a duration such as ``90d``."""
    return text(
        f"{description} Written in days, hours, minutes and seconds: 90d, 4h, 1h30m.",
        pattern=_DURATION,
        shortest=2,
        longest=24,
        rules=(
            Rule(
                "self.matches('[1-9]')",
                "must be longer than nothing",
                lambda value: any(digit in value for digit in "123456789"),
            ),
        ),
    )


def digest(description: str) -> Schema:
    """Return the schema of a risk acceptance's digest."""
    return text(description, pattern=_DIGEST, longest=71)


def prose(description: str, longest: int = 8192) -> Schema:
    """Return the schema of a text for people; it may not be blank."""
    return text(description, pattern=_NOT_BLANK, longest=longest)


def person(description: str) -> Schema:
    """Return the schema of the user name of a person, as the cluster authenticates it."""
    return text(description, pattern=_NOT_BLANK, rules=(NO_SYSTEM_NAME,))


def applier(what: str) -> Schema:
    """Return the schema of the service account that brings an object which somebody else wrote."""
    return text(
        f"The service account that brings the {what}, as system:serviceaccount:risk:applier, where not the "
        "person themselves writes it to the cluster. The RiskAppetite must list it under trustedAppliers.",
        pattern=SERVICE_ACCOUNT,
        longest=400,
    )


def groups(description: str) -> Schema:
    """Return the schema of a list of people's groups."""
    group = text("A group, as the cluster authenticates it.", rules=(NO_SYSTEM_NAME,))
    return listing(group, description, longest=64, kind="set")


def users(description: str) -> Schema:
    """Return the schema of a list of people's user names."""
    return listing(person("A user name."), description, longest=256, kind="set")


def label_selector(description: str) -> Schema:
    """Return the schema of a ``metav1.LabelSelector``."""
    label = "^(([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)$"
    requirement = record(
        "One requirement on one label.",
        {
            "key": text("The label.", pattern=label, longest=317),
            "operator": text(
                "How the label relates to the values.", choices=("In", "NotIn", "Exists", "DoesNotExist")
            ),
            "values": listing(
                text("A value of the label.", shortest=0, longest=63),
                "The values; for In and NotIn there must be some, for Exists and DoesNotExist none.",
                longest=64,
            ),
        },
        required=("key", "operator"),
        rules=(
            Rule(
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                "In and NotIn need values, Exists and DoesNotExist take none",
                lambda value: (value["operator"] in ("In", "NotIn")) is bool(value.get("values")),
            ),
        ),
    )
    return record(
        f"{description} All requirements must hold; an empty selector matches everything.",
        {
            "matchLabels": mapping(
                text("The value that the label must have.", shortest=0, longest=63),
                "Labels and the values that they must have.",
                longest=64,
            ),
            "matchExpressions": listing(requirement, "More requirements.", longest=32),
        },
    )


def status(description: str, **fields: Schema) -> Schema:
    """Return the schema of a status with conditions."""
    condition = record(
        "What holds about the object now.",
        {
            "type": text("What the condition says, such as Ready.", longest=316),
            "status": text("Whether it holds.", choices=("True", "False", "Unknown")),
            "observedGeneration": integer("The generation of the object that this was said of."),
            "lastTransitionTime": Schema("string", "When the status last changed.", format="date-time"),
            "reason": text("Why, in one word for programs.", shortest=0, longest=1024),
            "message": text("Why, for people.", shortest=0, longest=32768),
        },
        required=("type", "status", "lastTransitionTime", "reason", "message"),
    )
    return record(
        description,
        {
            "conditions": listing(
                condition, "What holds about the object now.", longest=32, kind="map", keys=("type",)
            ),
            "observedGeneration": integer("The generation of the object that this status is about."),
            **fields,
        },
    )
