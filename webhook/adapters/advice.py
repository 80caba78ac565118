"""Notes on input that can be used but hardly does what its writer meant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from webhook.adapters.manifests import Document
from webhook.adapters.material import ACCEPTANCES, APPROVALS, Material, judges, of_kinds
from webhook.adapters.offline import Judged
from webhook.core.acceptance import Acceptance
from webhook.core.appetite import NAME
from webhook.core.errors import InputError
from webhook.core.match import versions_named
from webhook.core.model import GroupKind, PolicyRef
from webhook.core.policy import CompiledPolicy
from webhook.core.workloads import TEMPLATE_PATHS
from webhook.dialects import native
from webhook.dialects.gatekeeper.names import TEMPLATE

_NAME_LABEL = "kubernetes.io/metadata.name"
_NAMESPACE = ("", "Namespace")


def notes(material: Material, judged: Sequence[Judged]) -> list[str]:
    """Return a line for each thing that was probably meant otherwise.

    Args:
        material: what was gathered.
        judged: what was judged.
    """
    found = [
        *_on_acceptances(material),
        *_on_cluster_acceptances(material),
        *_on_approvals(material),
        *_on_appetites(material),
        *_on_kinds(material, judged),
        *_on_versions(material, judged),
        *_on_exempt(material, judged),
        *_on_namespaces(material, judged),
        *_on_unjudged(material),
    ]
    return list(dict.fromkeys(found))


def no_policy(material: Material) -> InputError:
    """Return that nothing judges, and what would."""
    templates = no_constraint(material.documents)
    if templates:
        return InputError(f"{templates}: give one, or name its file with --policies")
    return InputError("there is no policy among the paths: name some with --policies")


def no_constraint(documents: Iterable[Document]) -> str:
    """Return that templates have no constraints, with the kinds that are missing; empty where there are none.

    Args:
        documents: that hold no constraint; their templates compiled.
    """
    kinds = [kind for _, kind in _compiled(documents)]
    if not kinds:
        return ""
    what = "the template compiles" if len(kinds) == 1 else f"the {len(kinds)} templates compile"
    return f"{what}, but there is no constraint of kind {' or '.join(kinds)} among the paths"


def on_templates(material: Material) -> list[str]:
    """Return a line for each template where nothing judges: it compiled, and its constraints are missing."""
    return [
        f"{document.file}:{document.line}: {document.key} compiles; there is no constraint of kind {kind} "
        "among the paths"
        for document, kind in _compiled(material.documents)
    ]


def _compiled(documents: Iterable[Document]) -> Iterator[tuple[Document, str]]:
    """Give templates that compiled with the kind of their constraints."""
    for document in documents:
        if document.key[:2] == TEMPLATE:
            yield document, document.object["spec"]["crd"]["spec"]["names"]["kind"]


def _on_acceptances(material: Material) -> Iterator[str]:
    given = {native.policy_ref(document.object) for document in of_kinds(material.documents, native.KINDS)}
    policies = {policy.ref: policy for policy in material.snapshot.policies}
    documents = {document.key[1:]: document for document in of_kinds(material.documents, ACCEPTANCES)}
    for acceptance in material.snapshot.register.acceptances:
        document = documents[acceptance.ref]
        for position, named in enumerate(acceptance.policies):
            namespace = document.key.namespace if named.kind == "Policy" else ""
            ref = PolicyRef(named.kind, namespace, named.name)
            if ref in policies:
                texts = list(_on_policy(acceptance, policies[ref], named.validations))
            else:
                texts = [] if ref in given else [f"accepts violations of {ref.kind} {ref}, which is not here"]
            for text in texts:
                line = document.line_of(f"spec.policies[{position}]")
                yield f"{document.file}:{line}: {document.key} {text}"


def _on_cluster_acceptances(material: Material) -> Iterator[str]:
    documents = {document.key[1:]: document for document in of_kinds(material.documents, ACCEPTANCES)}
    for acceptance in material.snapshot.register.acceptances:
        scope = acceptance.scope
        if acceptance.ref.kind != "ClusterRiskAcceptance" or scope.namespaces:
            continue
        for group, kind in sorted(scope.kinds):
            resource = material.kinds.resource({"apiVersion": f"{group}/", "kind": kind})
            if resource.known and resource.namespaced:
                document = documents[acceptance.ref]
                yield (
                    f"{document.file}:{document.line_of('spec.scope')}: {document.key} covers no {kind}: "
                    "those are in namespaces, and its scope names none (scope.namespaces)"
                )


def _on_policy(acceptance: Acceptance, policy: CompiledPolicy, validations: Iterable[str]) -> Iterator[str]:
    by_name = {validation.name: validation for validation in policy.validations}
    for name in sorted(validations):
        if name not in by_name:
            yield f"names the validation {name}, which {policy.ref} does not have"
    parts = [name for name in ("containers", "images") if getattr(acceptance.scope, name)]
    if parts:
        for validation in by_name.values():
            if not validation.for_each_container and (not validations or validation.name in validations):
                yield (
                    f"covers nothing of {policy.ref}/{validation.name}: its scope has {' and '.join(parts)}, "
                    "and that validation is not about one container (it has no forEach)"
                )
    if not policy.limits.allowed:
        yield f"covers nothing of {policy.ref}: the policy allows no risk acceptance"


def _on_approvals(material: Material) -> Iterator[str]:
    digests = {acceptance.ref: acceptance.digest for acceptance in material.snapshot.register.acceptances}
    for document in of_kinds(material.documents, APPROVALS):
        key, spec = document.key, document.object.get("spec")
        if not isinstance(spec, dict):
            continue
        ref = PolicyRef(
            key.kind.replace("Approval", "Acceptance"), key.namespace, str(spec.get("riskAcceptance"))
        )
        place = f"{document.file}:{document.line}: {key}"
        if ref not in digests:
            yield f"{place} is for {ref.kind} {ref}, which is not here"
        elif spec.get("digest") != digests[ref]:
            yield f"{place} carries another digest than {ref.kind} {ref} has now: {digests[ref]}"


def _on_appetites(material: Material) -> Iterator[str]:
    for document in of_kinds(material.documents, ("RiskAppetite",)):
        if document.key.name != NAME:
            place = f"{document.file}:{document.line}"
            yield f"{place}: {document.key} holds nowhere: only the one named {NAME} does"


def _on_kinds(material: Material, judged: Sequence[Judged]) -> Iterator[str]:
    """Say which kinds were guessed, where a policy names their group."""
    named: set[str] = set()
    for policy in material.snapshot.policies:
        for rule in policy.rules:
            named |= rule.groups
    seen: set[tuple[str, str]] = set()
    for one in judged:
        group, _, kind = one.request.kind
        if group not in named or (group, kind) in seen:
            continue
        seen.add((group, kind))
        resource = material.kinds.resource(one.document.object)
        if not resource.known:
            scope = "namespaced" if resource.namespaced else "cluster-scoped"
            yield (
                f"{one.document.file}:{one.document.line}: the kind {kind}.{group} is not known and was "
                f"taken as {scope} and served as {resource.plural}: give its CustomResourceDefinition as well"
            )


def _on_versions(material: Material, judged: Sequence[Judged]) -> Iterator[str]:
    """Say which policies a cluster would judge with after converting the object, which can't be done here."""
    seen: set[tuple[str, str, str]] = set()
    for one in judged:
        if one.request.resource in seen:
            continue
        seen.add(one.request.resource)
        group, version, resource = one.request.resource
        for policy in material.snapshot.policies:
            if policy.exact:
                continue
            rules = [rule for rule in policy.rules if rule.resources & {resource, "*", "*/*"}]
            wanted = versions_named(rules, group, resource)
            if wanted and wanted != "*" and version not in wanted.split(","):
                name = f"{group}/{version}" if group else version
                yield (
                    f"{one.document.file}:{one.document.line}: {policy.ref} judges {resource} as {wanted}, "
                    f"and did not judge this {name}: a cluster would convert it first; write it as {wanted}"
                )


def _on_exempt(material: Material, judged: Sequence[Judged]) -> Iterator[str]:
    exempt = material.snapshot.exempt_namespaces
    for name in sorted({one.request.target.namespace for one in judged} & exempt):
        yield f"the namespace {name} is exempt: there, only policies that name it judge"


def _on_namespaces(material: Material, judged: Sequence[Judged]) -> Iterator[str]:
    """Say where a policy asked for the labels of a Namespace that isn't here."""
    selecting = [policy for policy in material.snapshot.policies if _reads_namespace_labels(policy)]
    if not selecting:
        return
    here = {key.name for key in (document.key for document in material.documents) if key[:2] == _NAMESPACE}
    for one in judged:
        group, _, kind = one.request.kind
        namespace = one.request.target.namespace
        if not namespace or namespace in here:
            continue
        served = {(group, one.request.resource[2])}
        if GroupKind(group, kind) in TEMPLATE_PATHS:
            served.add(("", "pods"))
        names = [str(policy.ref) for policy in selecting if _names_one_of(policy, served)]
        if names:
            here.add(namespace)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            yield (
                f"{one.document.file}:{one.document.line}: the Namespace {namespace} is not here, so it "
                f"counted as one without labels for {', '.join(names[:3])}{more}: give its manifest as well"
            )


def _reads_namespace_labels(policy: CompiledPolicy) -> bool:
    selectors = [policy.namespace_selector, *(override.selector for override in policy.overrides)]
    return not policy.ref.namespace and any(
        requirement.key != _NAME_LABEL for selector in selectors for requirement in selector.requirements
    )


def _names_one_of(policy: CompiledPolicy, served: Iterable[tuple[str, str]]) -> bool:
    return any(
        rule.groups & {group, "*"} and rule.resources & {resource, "*", "*/*"}
        for rule in policy.rules
        for group, resource in served
    )


def _on_unjudged(material: Material) -> Iterator[str]:
    """Say which objects among policies and acceptances are neither judged nor of use in judging."""
    useful = {_NAMESPACE, ("apiextensions.k8s.io", "CustomResourceDefinition")}
    for policy in material.snapshot.policies:
        if policy.param_source is not None:
            useful.add((policy.param_source.group, policy.param_source.kind))
    judged = {id(document) for document in material.judged}
    files: set[str] = set()
    for document in material.documents:
        key = document.key
        if id(document) in judged or judges(document) or (key.group, key.kind) in useful:
            continue
        if document.file not in files:
            files.add(document.file)
            yield (
                f"{document.file}:{document.line}: {key} is given after --policies or --acceptances, "
                "so it was not judged"
            )
