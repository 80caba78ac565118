"""Drafts of risk acceptances: manifests for a person to finish, refused everywhere until they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from webhook.adapters.text_report import printable
from webhook.core.model import GROUP

TO_FILL: Mapping[str, str] = {
    "justification": "why the risk is worth it, for an auditor to read",
    "riskOwner": "who answers for the risk",
    "requester": "who asks: the user who will apply this",
    "validFrom": 'its first moment, as "2027-01-01T00:00:00Z"',
    "validUntil": "its last moment",
}
"""What a person must say; blank in a draft, which the schema and the engine refuse."""

_LONGEST_NAME = 63
_NO_NAME = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft.

    Attributes:
        object: a RiskAcceptance or ClusterRiskAcceptance manifest, blank where a person must say something.
        notes: what that person should know: where it came from, what could not be carried over.
    """

    object: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def draft(
    policies: Sequence[Mapping[str, Any]],
    scope: Mapping[str, Any],
    namespace: str = "",
    *,
    name: str = "",
    notes: Sequence[str] = (),
    spec: Mapping[str, Any] | None = None,
) -> Draft:
    """Return a draft; it is in force nowhere before a person has filled it and others have approved it.

    Args:
        policies: what it is to accept, as in ``spec.policies``.
        scope: for which objects, as in ``spec.scope``; kinds and names that are unknown are left empty.
        namespace: where; empty for a ClusterRiskAcceptance.
        name: of the acceptance; made of its content where empty.
        notes: comments for the person who finishes it.
        spec: other fields of the spec that are known, such as a title or the window.
    """
    said = dict(spec or {})
    body = {
        **({"title": said.pop("title")} if "title" in said else {}),
        "policies": [dict(policy) for policy in policies],
        "scope": {"kinds": [], "names": [], **scope},
        **{field: said.pop(field, "") for field in TO_FILL},
        **said,
    }
    if not body["scope"]["names"] and body["scope"].get("images"):
        del body["scope"]["names"]
    metadata = {"name": name or _name(policies, scope, namespace)}
    if namespace:
        metadata["namespace"] = namespace
    return Draft(
        {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "RiskAcceptance" if namespace else "ClusterRiskAcceptance",
            "metadata": metadata,
            "spec": body,
        },
        tuple(notes),
    )


def name_of(*parts: str) -> str:
    """Return a valid object name made of `parts`; other parts give another name, also where it is cut."""
    slug = _NO_NAME.sub("-", "-".join(parts).lower()).strip("-")
    suffix = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]
    head = slug[: _LONGEST_NAME - len(suffix) - 1].rstrip("-")
    return f"{head}-{suffix}" if head else f"draft-{suffix}"


def _name(policies: Sequence[Mapping[str, Any]], scope: Mapping[str, Any], namespace: str) -> str:
    names = [str(policy.get("name", "")) for policy in policies]
    return name_of(*names, *map(str, scope.get("names") or ()), namespace)


def as_yaml(drafts: Sequence[Draft]) -> str:
    """Return drafts as a YAML stream: notes as comments above, and what is to be filled as comments beside.

    Whatever a note holds, it stays one comment: texts from foreign objects can't add fields.
    """
    return "".join(f"---\n{_comments(each)}{_body(each)}" for each in drafts)


def _comments(each: Draft) -> str:
    return "".join(f"# {printable(' '.join(note.split()))}\n" for note in each.notes)


def _body(each: Draft) -> str:
    text = yaml.dump(dict(each.object), Dumper=_Dumper, sort_keys=False, allow_unicode=False, width=10**6)
    lines = []
    for line in text.splitlines():
        field, _, value = line.strip().partition(": ")
        blank = line.startswith("  ") and not line.startswith("   ") and value == "''"
        hint = TO_FILL.get(field, "") if blank else ""
        hint = hint or _SCOPE_HINTS.get(line, "")
        lines.append(f"{line}  # to fill: {hint}" if hint else line)
    return "\n".join(lines) + "\n"


_SCOPE_HINTS = {
    "  policies: []": "the policies that it accepts",
    "    kinds: []": "for which kinds, as [{group: apps, kind: Deployment}]",
    "    names: []": "the names of the objects",
}


class _Dumper(yaml.SafeDumper):
    """Writes no anchors, which nobody expects in a manifest."""

    def ignore_aliases(self, data: Any) -> bool:
        """Tell that nothing is shared."""
        return True
