"""Who may act as somebody who approves risks, as RBAC says; pure functions.

Admission sees only the impersonated user, so whoever may impersonate an approver is one:
https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from webhook.core.appetite import Appetite

_VERBS = frozenset({"impersonate", "impersonate:user-info", "*"})
_GROUPS = frozenset({"", "authentication.k8s.io", "*"})
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Impersonator:
    """A subject that may act as an approver.

    Attributes:
        subject: kind and name, as ``Group platform``.
        users: the approvers as whom it may act; ``*`` for anybody.
        groups: the approvers' groups that it may claim; ``*`` for any.
        binding: the ClusterRoleBinding that says so.
    """

    subject: str
    users: tuple[str, ...]
    groups: tuple[str, ...]
    binding: str


def impersonators(
    roles: Iterable[Mapping[str, Any]], bindings: Iterable[Mapping[str, Any]], appetite: Appetite
) -> list[Impersonator]:
    """Return who may act as an approver of the appetite.

    Users and groups lie in no namespace, so only ClusterRoleBindings can give that right.

    Args:
        roles: all ClusterRoles.
        bindings: all ClusterRoleBindings.
        appetite: names the approvers.
    """
    rules = [*appetite.rules, *([appetite.break_glass] if appetite.break_glass else [])]
    users = frozenset().union(*(rule.users for rule in rules))
    groups = frozenset().union(*(rule.groups for rule in rules))
    allowed = {}
    for role in roles:
        found = _allowed(role, "users", users), _allowed(role, "groups", groups)
        if any(found):
            allowed[str(role["metadata"]["name"])] = found
    result = []
    for binding in bindings:
        found = allowed.get(str((binding.get("roleRef") or {}).get("name", "")), ((), ()))
        if any(found):
            name = str(binding["metadata"]["name"])
            result += [
                Impersonator(_subject(subject), *found, name) for subject in binding.get("subjects") or ()
            ]
    return sorted(result, key=lambda each: (each.subject, each.binding))


def _allowed(role: Mapping[str, Any], resource: str, approvers: frozenset[str]) -> tuple[str, ...]:
    """Return as which approvers a role lets act; ``*`` for anybody."""
    found: set[str] = set()
    for rule in role.get("rules") or ():
        if not (
            _VERBS.intersection(rule.get("verbs") or ()) and _GROUPS.intersection(rule.get("apiGroups") or ())
        ):
            continue
        if not {resource, _ANY}.intersection(rule.get("resources") or ()):
            continue
        names = rule.get("resourceNames")
        if not names:
            return (_ANY,)
        found |= approvers.intersection(names)
    return tuple(sorted(found))


def _subject(subject: Mapping[str, Any]) -> str:
    namespace = subject.get("namespace")
    name = f"{namespace}/{subject.get('name')}" if namespace else subject.get("name")
    return f"{subject.get('kind')} {name}"
