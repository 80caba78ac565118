"""Exceptions of other tools, read into drafts of risk acceptances; none of them is honoured.

Sources: annotations ``*/policy.exclusion.<policy>`` of Security Tower and Phylake, Kyverno's PolicyExceptions
(https://kyverno.io/docs/exceptions/), Gatekeeper's exclusions
(https://open-policy-agent.github.io/gatekeeper/website/docs/exempt-namespaces/), Polaris' annotations
(https://polaris.docs.fairwinds.com/customization/exemptions/).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from webhook.adapters.drafts import Draft, draft, name_of
from webhook.adapters.foreign_policies import ANNOTATIONS, GATEKEEPER, KYVERNO, POLARIS
from webhook.adapters.manifests import Document
from webhook.core.workloads import TEMPLATE_PATHS

ANNOTATION, KYVERNO_V2, KYVERNO_CEL, CONSTRAINT, CONFIG, POLARIS_EXEMPT = FORMATS = (
    "security-tower",
    "kyverno",
    "kyverno-cel",
    "gatekeeper",
    "gatekeeper-config",
    "polaris",
)

_EXCLUSION = re.compile(r"[^/]+/policy\.exclusion\.(.+)")
_POLARIS = re.compile(r"polaris\.fairwinds\.com/(?:(.+)-)?exempt")
_TRUE = frozenset({"1", "t", "T", "true", "True", "TRUE"})  # as Go's strconv.ParseBool, which Polaris uses
_KIND = re.compile(r"[A-Z][A-Za-z0-9]*\Z")
_GROUPS = {**{kind.kind: kind.group for kind in TEMPLATE_PATHS}, "Pod": ""}

Names = Sequence[str]


def drafts_of(document: Document, formats: Names = FORMATS) -> list[Draft]:
    """Return the drafts that an object's exceptions make.

    Args:
        document: any object; one without exceptions makes none.
        formats: which sources are looked for.
    """
    group = document.key.group
    reader: Callable[[Document], Iterator[Draft]] | None = None
    if document.key.kind == "PolicyException" and group == "kyverno.io" and KYVERNO_V2 in formats:
        reader = _kyverno
    elif document.key.kind == "PolicyException" and group == "policies.kyverno.io" and KYVERNO_CEL in formats:
        reader = _kyverno_cel
    elif group == "constraints.gatekeeper.sh" and CONSTRAINT in formats:
        reader = _constraint
    elif (group, document.key.kind) == ("config.gatekeeper.sh", "Config") and CONFIG in formats:
        reader = _config
    found = list(reader(document)) if reader else []
    return [*found, *_annotations(document, formats)]


def _annotations(document: Document, formats: Names) -> Iterator[Draft]:
    for place, found in _annotated(document):
        for key, value in sorted(found.items()):
            exclusion, polaris = _EXCLUSION.fullmatch(key), _POLARIS.fullmatch(key)
            if exclusion and ANNOTATION in formats:
                said = str(value).strip()
                name = exclusion[1]
                ours = ANNOTATIONS.get(name.lower().replace("-", ""))
                notes = [_came(document, f"the annotation {key}{place}")]
                yield _of_object(document, *_policies([(name, ours)]), notes, said)
            elif polaris and POLARIS_EXEMPT in formats and str(value) in _TRUE:
                notes = [_came(document, f"the annotation {key}{place}")]
                if polaris[1]:
                    policies, remarks = _policies([(polaris[1], POLARIS.get(polaris[1]))])
                else:
                    policies, remarks = [], ["It exempts from every check: name the policies that are meant."]
                yield _of_object(document, policies, remarks, notes, "")


def _annotated(document: Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "", _mapping(_mapping(document.object.get("metadata")).get("annotations"))
    for kind, path in TEMPLATE_PATHS.items():
        if (kind.group, kind.kind) == (document.key.group, document.key.kind):
            template: Any = document.object
            for part in path:
                template = _mapping(template).get(part)
            yield (
                " of its pod template",
                _mapping(_mapping(_mapping(template).get("metadata")).get("annotations")),
            )


def _of_object(
    document: Document,
    policies: list[dict[str, Any]],
    remarks: list[str],
    notes: list[str],
    justification: str,
) -> Draft:
    """Return the draft for one object; a Namespace's is for what is in it."""
    key = document.key
    spec = {"justification": justification} if justification else {}
    name = name_of("imported", *(policy["name"] for policy in policies), key.kind, key.namespace, key.name)
    if key.kind == "Namespace" and not key.group:
        remarks = [
            *remarks,
            "It stood on a Namespace, for all in it: name the kinds and objects that need it.",
        ]
        return draft(policies, {}, key.name, name=name, notes=[*notes, *remarks], spec=spec)
    scope: dict[str, Any] = {
        "kinds": [{"group": key.group, "kind": key.kind} if key.group else {"kind": key.kind}],
        "names": [key.name] if key.name else [],
    }
    namespace = key.namespace or ("" if key.kind.startswith("Cluster") else "default")
    return draft(policies, scope, namespace, name=name, notes=[*notes, *remarks], spec=spec)


def _kyverno(document: Document) -> Iterator[Draft]:
    spec = _mapping(document.object.get("spec"))
    named: list[tuple[str, tuple[str, ...] | None]] = []
    remarks = []
    for exception in _mappings(spec.get("exceptions")):
        policy = str(exception.get("policyName", "")).rpartition("/")[2]
        named.append((policy, KYVERNO.get(policy)))
        rules = ", ".join(_texts(exception.get("ruleNames")))
        remarks.append(f"There it was for the rules {rules or 'none'} of {policy}: ours may have others.")
    policies, unknown = _policies(named)
    if spec.get("podSecurity"):
        remarks.append(
            "It was for some Pod Security controls, images or values only: narrow it as they were."
        )
    if spec.get("conditions"):
        remarks.append("It had conditions, which are not carried over: narrow it as they did.")
    match = _mapping(spec.get("match"))
    alternatives = [*_mappings(match.get("any"))] or [*_mappings(match.get("all"))][:1] or [{}]
    if len([*_mappings(match.get("all"))]) > 1:
        remarks.append("It asked for several matches at once; only the first is carried over.")
    for index, alternative in enumerate(alternatives):
        resources = _mapping(alternative.get("resources"))
        if set(alternative) - {"resources"}:
            remarks.append("It was for some users only, which an acceptance can't say.")
        scope, more = _resources(resources)
        notes = [_came(document, "the Kyverno PolicyException"), *unknown, *remarks, *more]
        name = name_of("imported", document.key.namespace, document.key.name, str(index))
        yield from _placed(policies, scope, _texts(resources.get("namespaces")), name, notes)


def _resources(resources: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    remarks = []
    kinds = []
    for written in _texts(resources.get("kinds")):
        parts = written.split("/")
        kind = parts[-1]
        group = parts[0] if len(parts) == 3 and parts[0] != "*" else _GROUPS.get(kind)
        if not _KIND.match(kind) or group is None:
            remarks.append(f"The kind {written} is not carried over: name its group and kind.")
        else:
            kinds.append({"group": group, "kind": kind} if group else {"kind": kind})
    names = _texts(resources.get("names")) or _texts([resources.get("name")])
    if any("?" in name for name in names):
        remarks.append("A name with ? is carried over with *, which matches more.")
    scope: dict[str, Any] = {"kinds": kinds, "names": [name.replace("?", "*") for name in names]}
    if "*" in scope["names"]:
        scope["names"] = []
        remarks.append("It was for objects of any name: name those that need it.")
    if resources.get("selector"):
        scope["objectSelector"] = resources["selector"]
    if resources.get("namespaceSelector"):
        remarks.append("Its namespaceSelector is not carried over: name the namespaces.")
    return scope, remarks


def _kyverno_cel(document: Document) -> Iterator[Draft]:
    spec = _mapping(document.object.get("spec"))
    named = [str(ref.get("name", "")) for ref in _mappings(spec.get("policyRefs"))]
    policies, remarks = _policies([(name, KYVERNO.get(name)) for name in named])
    for condition in _mappings(spec.get("matchConditions")):
        remarks.append(f"It held only where {condition.get('expression')}: say so in the scope.")
    if spec.get("allowedValues"):
        remarks.append("It allowed some values only, which an acceptance can't say.")
    if spec.get("expiresAt"):
        remarks.append(f"There it ends at {spec['expiresAt']}.")
    scope = {"images": _texts(spec.get("images"))} if spec.get("images") else {}
    notes = [_came(document, "the Kyverno PolicyException"), *remarks]
    name = name_of("imported", document.key.namespace, document.key.name)
    yield draft(policies, scope, document.key.namespace or "default", name=name, notes=notes)


def _constraint(document: Document) -> Iterator[Draft]:
    match = _mapping(_mapping(document.object.get("spec")).get("match"))
    namespaces = _texts(match.get("excludedNamespaces"))
    if not namespaces:
        return
    kind = document.key.kind
    policies, remarks = _policies([(kind, GATEKEEPER.get(kind))])
    kinds = []
    for rule in _mappings(match.get("kinds")):
        for group in _texts(rule.get("apiGroups"), empty=True):
            kinds += [
                {"group": group, "kind": name} if group else {"kind": name}
                for name in _texts(rule.get("kinds"))
                if group != "*" and _KIND.match(name)
            ]
    notes = [_came(document, "the constraint's excludedNamespaces"), *remarks]
    notes.append("It was for all objects of these namespaces: name those that need it.")
    name = name_of("imported", kind, document.key.name)
    yield from _placed(policies, {"kinds": kinds}, namespaces, name, notes)


def _config(document: Document) -> Iterator[Draft]:
    spec = _mapping(document.object.get("spec"))
    for index, entry in enumerate(_mappings(spec.get("match"))):
        namespaces = _texts(entry.get("excludedNamespaces"))
        if not namespaces:
            continue
        processes = ", ".join(_texts(entry.get("processes"))) or "none"
        notes = [
            _came(document, f"spec.match[{index}] of Gatekeeper's Config"),
            f"It kept these namespaces from the processes {processes}, for every policy: name those meant.",
        ]
        name = name_of("imported", document.key.name, str(index))
        yield from _placed([], {}, namespaces, name, notes)


def _placed(
    policies: list[dict[str, Any]], scope: Mapping[str, Any], namespaces: Names, name: str, notes: Names
) -> Iterator[Draft]:
    """Yield the drafts for some namespaces: one each where they are named, else one for the patterns."""
    exact = [each for each in namespaces if "*" not in each and "?" not in each]
    patterns = [each.replace("?", "*") for each in namespaces if each not in exact]
    for namespace in exact:
        yield draft(policies, scope, namespace, name=name, notes=notes)
    if patterns or not exact:
        if not patterns:
            notes = [*notes, "It named no namespace: name those that need it."]
        elif "*" in patterns:
            patterns = []
            notes = [*notes, "It was for every namespace: name those that need it."]
        yield draft(policies, {**scope, "namespaces": patterns}, name=name, notes=notes)


def _policies(named: Sequence[tuple[str, tuple[str, ...] | None]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what of ours the names mean, and a remark for each that means nothing here."""
    policies: dict[str, dict[str, Any]] = {}
    remarks = []
    for name, ours in named:
        if ours is None:
            remarks.append(
                f"There is no such policy as {name or 'the unnamed one'} in our packs: name yours."
            )
        else:
            remarks.append(f"{name} there is {', '.join(ours)} here: keep those that are violated.")
        for each in ours or (name,):
            policies[each] = {"kind": "ClusterPolicy", "name": each}
    return list(policies.values()), remarks


def _came(document: Document, what: str) -> str:
    return f"Draft from {what} of {document.key} in {document.file}:{document.line}. Nothing accepts it yet."


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    return (each for each in value if isinstance(each, Mapping)) if isinstance(value, list) else iter(())


def _texts(value: Any, *, empty: bool = False) -> list[str]:
    given = value if isinstance(value, list) else []
    return [each for each in given if isinstance(each, str) and (each or empty)]
