"""Gatekeeper's API groups and kinds."""

from __future__ import annotations

from webhook.core.model import GroupKind

CONSTRAINTS = "constraints.gatekeeper.sh"
CONSTRAINT_VERSIONS = ("v1beta1", "v1alpha1")
TEMPLATES = "templates.gatekeeper.sh"

TEMPLATE = GroupKind(TEMPLATES, "ConstraintTemplate")
CONFIG = GroupKind("config.gatekeeper.sh", "Config")
SYNC_SET = GroupKind("syncset.gatekeeper.sh", "SyncSet")
PROVIDER = GroupKind("externaldata.gatekeeper.sh", "Provider")
EXPANSION = GroupKind("expansion.gatekeeper.sh", "ExpansionTemplate")
SUITE = GroupKind("test.gatekeeper.sh", "Suite")

CONFIGURING = frozenset({TEMPLATE, CONFIG, SYNC_SET, PROVIDER, EXPANSION})
"""What judges, beside constraints; it isn't judged itself."""

_MUTATORS = "mutations.gatekeeper.sh"
_GROUPS = frozenset(
    {
        CONSTRAINTS,
        TEMPLATES,
        CONFIG.group,
        SYNC_SET.group,
        PROVIDER.group,
        EXPANSION.group,
        SUITE.group,
        _MUTATORS,
        "status.gatekeeper.sh",
        "connection.gatekeeper.sh",
    }
)


def is_gatekeepers(group: str) -> bool:
    """Tell whether an API group is Gatekeeper's: its objects judge, and are not judged offline."""
    return group in _GROUPS
