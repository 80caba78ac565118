"""What Gatekeeper's objects mean together: constraints with their templates, and what they are judged in."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from webhook.adapters.external_data import ExternalData
from webhook.adapters.kinds import Kinds
from webhook.adapters.manifests import Document
from webhook.core.constraint import OWN_POINT, WEBHOOK_POINT, ConstraintContext, Expansion
from webhook.core.errors import CompileError, InputError
from webhook.core.fields import generation_of, metadata_of
from webhook.core.model import GroupKind, PolicyRef
from webhook.core.policy import CompiledPolicy, PolicyFailure
from webhook.dialects.gatekeeper import names
from webhook.dialects.gatekeeper.config import (
    CONFIG_NAME,
    Config,
    Inventory,
    Provider,
    SyncKind,
    SyncSet,
    parse_config,
    parse_expansion,
    parse_provider,
    parse_sync_set,
    without_circles,
)
from webhook.dialects.gatekeeper.constraint import compile_constraint, constraint_ref
from webhook.dialects.gatekeeper.template import Template, compile_template

REPLACE, BESIDE = "replace", "beside"
"""How we stand to Gatekeeper: in its place, or beside it, where we enforce only at our own point."""


@dataclass(frozen=True, slots=True)
class ConstraintSource:
    """A constraint that is compiled once its template is there."""

    object: Mapping[str, Any]
    digest: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """One of Gatekeeper's other objects that can't be used."""

    kind: str
    name: str
    error: CompileError


Meaning = (
    Template | PolicyFailure | ConstraintSource | Config | SyncSet | Expansion | Provider | Failed | None
)


@dataclass
class GatekeeperCache:
    """What was compiled for the last snapshot.

    Attributes:
        templates: by the digest of their source.
        constraints: by the template, which is kept with it, and the digest of their source.
        inventory: the synced objects and what was built of them.
        external: what providers said.
    """

    templates: dict[bytes, Template | CompileError] = field(default_factory=dict)
    constraints: dict[tuple[int, bytes], tuple[Template, CompiledPolicy | CompileError]] = field(
        default_factory=dict
    )
    inventory: tuple[list[Mapping[str, Any]], dict[str, Any]] = field(default_factory=lambda: ([], {}))
    external: ExternalData = field(default_factory=ExternalData)

    def keep(self, used: Iterable[Template]) -> None:
        """Forget all templates but these, and what was said of those that don't compile, which is short."""
        kept = {id(each) for each in used}
        self.templates = {
            digest: made
            for digest, made in self.templates.items()
            if isinstance(made, CompileError) or id(made) in kept
        }


def read(kind: GroupKind, obj: Mapping[str, Any], cache: GatekeeperCache) -> Meaning:
    """Return what one of Gatekeeper's objects means by itself."""
    name = str(metadata_of(obj).get("name", ""))
    try:
        if kind.group == names.CONSTRAINTS:
            return ConstraintSource(obj, _digest(obj))
        if kind == names.TEMPLATE:
            return template(obj, cache)
        if kind == names.CONFIG:
            return parse_config(obj) if name == CONFIG_NAME else None
        if kind == names.SYNC_SET:
            return parse_sync_set(obj)
        if kind == names.EXPANSION:
            return parse_expansion(obj)
        if kind == names.PROVIDER:
            return parse_provider(obj)
    except CompileError as error:
        if kind == names.TEMPLATE:
            return PolicyFailure(PolicyRef(kind.kind, "", name), generation_of(obj), str(error))
        return Failed(kind.kind, name, error)
    return None


def template(obj: Mapping[str, Any], cache: GatekeeperCache) -> Template:
    """Return a ConstraintTemplate, compiled once for all snapshots.

    Raises:
        CompileError: as it did the first time.
    """
    digest = _digest(obj)
    known = cache.templates.get(digest)
    if known is None:
        try:
            known = compile_template(obj)
        except CompileError as error:
            known = error.with_traceback(None)
            known.__context__ = None  # whose traceback would hold the modules
        except Exception as error:  # whatever is wrong with one template, the others are enforced
            known = CompileError(f"can't be compiled: {type(error).__name__}: {error}")
        cache.templates[digest] = known
    if isinstance(known, CompileError):
        raise known.with_traceback(None)
    return known


def _digest(obj: Mapping[str, Any]) -> bytes:
    metadata = metadata_of(obj)
    content = [
        obj.get("apiVersion"),
        obj.get("kind"),
        metadata.get("name"),
        metadata.get("labels"),
        metadata.get("annotations"),
        metadata.get("generation"),
        metadata.get("creationTimestamp"),
        obj.get("spec"),
    ]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def placed(document: Document, message: str, error: CompileError) -> InputError:
    """Return an error of a template or constraint with its place in the file.

    Args:
        document: the object.
        message: what is wrong.
        error: where; a line inside a block of code counts from the block's first.
    """
    line = document.line_of(error.field) if error.field else document.line
    return InputError(f"{document.key}: {message}", document.file, line + document.code_line(error))


def problems(documents: Iterable[Document], cache: GatekeeperCache) -> list[InputError]:
    """Return why Gatekeeper's objects among manifests can't be used, with the places.

    Args:
        documents: any objects.
        cache: what was compiled of them.
    """
    own = [document for document in documents if names.is_gatekeepers(document.key.group)]
    templates: dict[str, Template] = {}
    unusable: set[str] = set()
    found: list[InputError] = []
    for document in own:
        if (document.key.group, document.key.kind) == names.TEMPLATE:
            try:
                made = template(document.object, cache)
                templates[made.kind] = made
            except CompileError as error:
                found.append(placed(document, str(error), error))
                unusable.add(document.key.name)
    for document in own:
        try:
            if document.key.group == names.CONSTRAINTS:
                known = templates.get(document.key.kind)
                if known is not None:
                    compile_constraint(document.object, known, plural)
                elif document.key.kind.lower() not in unusable:
                    message = f"there is no ConstraintTemplate for {document.key.kind}"
                    found.append(placed(document, message, CompileError(message)))
            elif (document.key.group, document.key.kind) != names.TEMPLATE:
                meaning = read(GroupKind(*document.key[:2]), document.object, cache)
                if isinstance(meaning, Failed):
                    found.append(placed(document, meaning.error.message, meaning.error))
        except CompileError as error:
            found.append(placed(document, str(error), error))
    return found


@dataclass(frozen=True, slots=True)
class Assembled:
    """What Gatekeeper's objects of a snapshot are together.

    Attributes:
        policies: the constraints that compiled.
        failures: the constraints that didn't.
        problems: what else can't be used, as text for people.
        context: what the constraints are judged in.
    """

    policies: tuple[CompiledPolicy, ...] = ()
    failures: tuple[PolicyFailure, ...] = ()
    problems: tuple[str, ...] = ()
    context: ConstraintContext = field(default_factory=ConstraintContext)


def assemble(
    meanings: Mapping[type, Sequence[Any]],
    objects: Iterable[Mapping[str, Any]],
    cache: GatekeeperCache,
    *,
    mode: str = REPLACE,
    sync_everything: bool = False,
) -> Assembled:
    """Return what Gatekeeper's objects are together.

    Args:
        meanings: what `read` gave, by its type.
        objects: everything in the snapshot, of which the synced kinds are the inventory.
        cache: what was compiled before.
        mode: `REPLACE` or `BESIDE`.
        sync_everything: where nothing says what to sync, all of it is the inventory, as gator does.
    """
    templates = {each.kind: each for each in meanings.get(Template, ())}
    cache.keep(meanings.get(Template, ()))
    policies: list[CompiledPolicy] = []
    failures: list[PolicyFailure] = []
    used: dict[tuple[int, bytes], tuple[Template, CompiledPolicy | CompileError]] = {}
    for source in meanings.get(ConstraintSource, ()):
        made = _constraint(source, templates, cache, used)
        if isinstance(made, CompiledPolicy):
            policies.append(made)
        else:
            failures.append(made)
    cache.constraints = used
    config = next(iter(meanings.get(Config, ())), None)
    sets = meanings.get(SyncSet, ())
    cache.external.know(meanings.get(Provider, ()))
    expansions, circling = without_circles(meanings.get(Expansion, ()))
    problems = [f"{each.kind} {each.name}: {each.error}" for each in meanings.get(Failed, ())]
    problems += [f"ExpansionTemplate {each.name}: expands itself by others" for each in circling]
    inventory: Mapping[str, Any] = {}
    synced: frozenset[SyncKind] = frozenset()
    if policies:
        synced = synced.union(config.kinds if config else (), *(each.kinds for each in sets))
        everything = sync_everything and config is None and not sets
        inventory = _inventory(objects, synced, config, cache, everything)
    context = ConstraintContext(
        points=(OWN_POINT,) if mode == BESIDE else (OWN_POINT, WEBHOOK_POINT),
        unscoped=mode != BESIDE,
        excludes=config.excludes if config and config.exclusions else None,
        inventory=inventory,
        expansions=tuple(expansions),
        external=cache.external,
        synced=synced,
    )
    return Assembled(tuple(policies), tuple(failures), tuple(problems), context)


def _constraint(
    source: ConstraintSource,
    templates: Mapping[str, Template],
    cache: GatekeeperCache,
    used: dict[tuple[int, bytes], tuple[Template, CompiledPolicy | CompileError]],
) -> CompiledPolicy | PolicyFailure:
    ref, generation = constraint_ref(source.object), generation_of(source.object)
    known = templates.get(ref.kind)
    if known is None:
        message = f"there is no ConstraintTemplate for {ref.kind}, or it can't be used"
        return PolicyFailure(ref, generation, message)
    key = (id(known), source.digest)
    entry = cache.constraints.get(key)
    if entry is None or entry[0] is not known:
        try:
            entry = (known, compile_constraint(source.object, known, plural))
        except CompileError as error:
            entry = (known, error.with_traceback(None))
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            entry = (known, CompileError(f"can't be read: {error}"))
    used[key] = entry
    made = entry[1]
    return made if isinstance(made, CompiledPolicy) else PolicyFailure(ref, generation, str(made))


@functools.lru_cache(maxsize=1)
def _kinds() -> Kinds:
    return Kinds()


def plural(kind: GroupKind) -> str:
    """Return the resource that a kind of Kubernetes itself is served under; empty for every other kind."""
    version = f"{kind.group}/v1" if kind.group else "v1"
    resource = _kinds().resource({"apiVersion": version, "kind": kind.kind})
    return resource.plural if resource.known else ""


def _inventory(
    objects: Iterable[Mapping[str, Any]],
    synced: frozenset[SyncKind],
    config: Config | None,
    cache: GatekeeperCache,
    everything: bool,
) -> Mapping[str, Any]:
    """Return the inventory; the very same one as long as it is of the very same objects."""
    kinds = {(kind.api_version, kind.kind) for kind in synced}
    chosen = [
        obj
        for obj in objects
        if (everything or (obj.get("apiVersion"), obj.get("kind")) in kinds)
        and not (config is not None and config.excludes("sync", str(metadata_of(obj).get("namespace") or "")))
    ]
    before, data = cache.inventory
    if len(before) == len(chosen) and all(map(_is, before, chosen)):
        return data
    made = Inventory()
    for obj in chosen:
        made.add(obj)
    cache.inventory = (chosen, made.data)
    return made.data


def _is(one: object, other: object) -> bool:
    return one is other
