"""From manifests to a snapshot: everything judging offline needs, and every error with its file and line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from webhook.adapters import gatekeeper, strict
from webhook.adapters.kinds import Kinds, Resource
from webhook.adapters.manifests import Document, unique
from webhook.adapters.reading import Cache
from webhook.adapters.snapshots import Context, build
from webhook.core import acceptance, appetite, approvals
from webhook.core.errors import CompileError, InputError
from webhook.core.model import GROUP
from webhook.core.snapshot import Snapshot
from webhook.dialects import native
from webhook.dialects.gatekeeper.names import is_gatekeepers

SUITE = "Suite"
ACCEPTANCES = (acceptance.NAMESPACED, acceptance.CLUSTER)
APPROVALS = (approvals.NAMESPACED, approvals.CLUSTER)

_NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True)
class Settings:
    """What is said on the command line instead of by a cluster.

    Attributes:
        namespace: of namespaced objects whose manifest names none; empty for ``default``.
        user: who applies the manifests; empty for nobody.
        cluster: the cluster's name; empty when unknown.
        trust_approvals: the files come from a cluster, so an approval without a signature counts.
    """

    namespace: str = ""
    user: str = ""
    cluster: str = ""
    trust_approvals: bool = False

    @property
    def context(self) -> Context:
        """The context of the snapshot."""
        return Context(cluster=self.cluster, trust_approvals=self.trust_approvals)


@dataclass(frozen=True)
class Material:
    """What was gathered.

    Attributes:
        judged: the objects to judge, each once, with the namespace and the labels that the API server adds.
        documents: all objects, those to judge among them.
        objects: those of them that can be used, and the Namespaces that are only named.
        kinds: what is known of their kinds.
        snapshot: of all of them.
        errors: what can't be used, with its place.
    """

    judged: tuple[Document, ...]
    documents: tuple[Document, ...]
    objects: tuple[Mapping[str, Any], ...]
    kinds: Kinds
    snapshot: Snapshot
    errors: tuple[InputError, ...]


def judges(document: Document) -> bool:
    """Tell whether the object judges, and so is not judged: ours and Gatekeeper's."""
    return is_own(document) or is_gatekeepers(document.key.group)


def is_own(document: Document) -> bool:
    """Tell whether the object is of Tidewaiter's own API group: it judges, and is not judged."""
    return document.key.group == GROUP


def gather(
    judged: Sequence[Document],
    others: Sequence[Document],
    settings: Settings,
    cache: Cache | None = None,
) -> Material:
    """Return the snapshot of all objects, and what in them can't be used.

    What can't be used hides nothing else: a policy that doesn't compile alone is not enforced.

    Args:
        judged: any kinds, in any order; those of our own group judge instead of being judged.
        others: any kinds; they only serve to judge.
        settings: namespace, cluster and trust.
        cache: what was read before.
    """
    kinds = Kinds(document.object for document in (*judged, *others))
    first = [_placed(document, kinds, settings.namespace) for document in judged]
    to_judge = {id(document) for document in first if not judges(document)}
    once = unique([*first, *(_placed(document, kinds, settings.namespace) for document in others)])
    cache = cache or Cache()
    errors = list(once.errors)
    usable: list[Mapping[str, Any]] = []
    namespaces: dict[str, Mapping[str, Any]] = {}
    for document in once.documents:
        problems = _problems(document, cache) if is_own(document) else []
        if not problems:
            usable.append(document.object)
        errors += problems
        if document.key.namespace and not is_gatekeepers(document.key.group):
            namespaces.setdefault(document.key.namespace, bare_namespace(document.key.namespace))
    # Those that are given come later and replace those that are only named.
    objects = (*namespaces.values(), *usable)
    snapshot = build(objects, replace(settings.context, sync_everything=True), cache)
    errors += gatekeeper.problems(once.documents, cache.gatekeeper)
    return Material(
        tuple(document for document in once.documents if id(document) in to_judge),
        once.documents,
        objects,
        kinds,
        snapshot,
        tuple(errors),
    )


def namespace_of(obj: Mapping[str, Any], resource: Resource, default: str) -> str:
    """Return the namespace that an object goes to; empty for cluster-scoped ones."""
    if not resource.namespaced:
        return ""
    return (obj.get("metadata") or {}).get("namespace") or default or "default"


def placed(obj: Mapping[str, Any], resource: Resource, default: str) -> Mapping[str, Any]:
    """Return an object with what the API server adds before admission: its namespace, a Namespace's label."""
    metadata = obj.get("metadata") or {}
    namespace = namespace_of(obj, resource, default)
    if namespace and not metadata.get("namespace"):
        metadata = {**metadata, "namespace": namespace}
        obj = {**obj, "metadata": metadata}
    if obj.get("kind") == "Namespace" and obj.get("apiVersion") == "v1":
        labels = metadata.get("labels") or {}
        if _NAME_LABEL not in labels:
            labels = {**labels, _NAME_LABEL: metadata.get("name") or ""}
            obj = {**obj, "metadata": {**metadata, "labels": labels}}
    return obj


def _placed(document: Document, kinds: Kinds, default: str) -> Document:
    obj = placed(document.object, kinds.resource(document.object), default)
    return document if obj is document.object else replace(document, object=dict(obj))


def bare_namespace(name: str) -> dict[str, Any]:
    """Return a Namespace of which nothing but its name is known."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {_NAME_LABEL: name}},
    }


def _problems(document: Document, cache: Cache) -> list[InputError]:
    """Return why an object of our own group can't be used, with the places."""
    if document.key.kind == SUITE:
        return []
    problems = strict.check(document)
    if problems:
        return problems
    kind = document.key.kind
    try:
        if kind in native.KINDS:
            cache.compile(document.object)
        elif kind in ACCEPTANCES:
            acceptance.parse_acceptance(document.object)
        elif kind in APPROVALS:
            approvals.parse_approval(document.object)
        else:
            appetite.parse_appetite(document.object)
    except CompileError as error:
        message = f"{document.key} does not compile: {error}"
        return [InputError(message, document.file, document.line_of(error.field))]
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        text = str(error)
        field = text.partition(": ")[0] if text.startswith("spec.") else "spec"
        return [InputError(f"{document.key}: {text}", document.file, document.line_of(field))]
    return []


def of_kinds(documents: Iterable[Document], kinds: Sequence[str]) -> list[Document]:
    """Return the objects of our own group that are of one of `kinds`."""
    return [document for document in documents if is_own(document) and document.key.kind in kinds]
