"""Suite files: found, and read with all that they name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from webhook.adapters import gator_files
from webhook.adapters.manifests import STDIN, SUFFIXES, Document, parse, read
from webhook.adapters.material import SUITE, is_own
from webhook.adapters.suite_shape import misshapen
from webhook.core.errors import InputError
from webhook.core.model import API_VERSION
from webhook.core.times import parse_time
from webhook.dialects.gatekeeper.names import SUITE as GATOR_SUITE

_BELOW = "..."
"""What gator's users write after a folder to have what lies below it, too; here that is so anyway."""


_SAYS_SUITE = re.compile(rb"^kind: *[\"']?Suite\b", re.MULTILINE)
"""What a suite has, even one that can't be parsed: it must not be passed over."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a suite.

    Attributes:
        name: what it shows.
        objects: each is judged.
        old_object: what is there already; None for nothing.
        request: further parts of the request, as an AdmissionRequest has them.
        context: objects that are there, for this case alone.
        expect: what must come out.
        skip: why it isn't run; empty when it is.
        place: its field in the suite, as ``cases[2]``.
    """

    name: str
    objects: tuple[Mapping[str, Any], ...]
    old_object: Mapping[str, Any] | None
    request: Mapping[str, Any]
    context: tuple[Mapping[str, Any], ...]
    expect: Mapping[str, Any]
    skip: str
    place: str


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite, read.

    Attributes:
        name: its name.
        document: where it stands.
        material: policies, acceptances and what else its paths hold.
        context: objects that are there in every case.
        cluster: the cluster's name.
        trust_approvals: an approval without a signature counts.
        at: the time to judge at; None for now.
        cases: in order.
    """

    name: str
    document: Document
    material: tuple[Document, ...]
    context: tuple[Mapping[str, Any], ...]
    cluster: str
    trust_approvals: bool
    at: datetime | None
    cases: tuple[Case, ...]


def find(paths: Iterable[str]) -> tuple[list[Document], list[InputError]]:
    """Return the Suite documents in files and in folders with all below them, and what can't be read.

    A path without a suite is an error: a run that tests nothing must not look like one that passed.
    """
    found: list[Document] = []
    errors: list[InputError] = []
    for name in paths:
        recursive = name == _BELOW or name.endswith(f"/{_BELOW}")
        path = Path(name.removesuffix(_BELOW) or ".") if recursive else Path(name)
        before = len(found), len(errors)
        if recursive and not path.is_dir():
            errors.append(InputError(f"{path} is no folder", name))
            continue
        if name == STDIN or not path.exists():
            errors.append(InputError("no such file or folder", name))
            continue
        for file in _files(path) if path.is_dir() else [path]:
            try:
                data = file.read_bytes()
            except OSError as error:
                errors.append(InputError(f"can't be read: {error.strerror or error}", str(file)))
                continue
            if SUITE.encode() not in data and path.is_dir():
                continue  # most files beside the policies; a suite says its kind
            suites, problems = _suites_in(data, str(file))
            if suites or not path.is_dir() or _SAYS_SUITE.search(data):
                errors += problems
            found += suites
        if (len(found), len(errors)) == before:
            errors.append(InputError(f"there is no {SUITE} here", name))
    return list({(document.file, document.line): document for document in found}.values()), errors


def _suites_in(data: bytes, file: str) -> tuple[list[Document], Sequence[InputError]]:
    """Return the suites in a file, ours as kubectl would read them and gator's as gator does."""
    documents = parse(data, file)
    own = [each for each in documents if each.key.kind == SUITE and is_own(each)]
    if GATOR_SUITE.group.encode() not in data:
        return own, documents.errors
    try:
        gators = [each for each in gator_files.parse(data, file) if each.key[:2] == GATOR_SUITE]
    except InputError as error:
        return own, documents.errors or (error,)
    return [*own, *gators], documents.errors if own or not gators else ()


def _files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(root, name)
            if name.endswith(SUFFIXES) and not name.startswith(".") and file.is_file():
                yield file


def load(document: Document) -> tuple[Suite | None, list[InputError]]:
    """Return the suite in a document, or what is wrong with it.

    Args:
        document: of kind Suite.
    """
    content = document.object
    errors = [
        InputError(f"{document.key}: {field}: {message}", document.file, document.line_of(field))
        for field, message in misshapen(content)
    ]
    if content["apiVersion"] != API_VERSION:
        errors.append(InputError(f"{document.key}: write {API_VERSION}", document.file, document.line))
    if errors:
        return None, errors
    at = None
    try:
        at = parse_time(content["at"]) if content.get("at") else None
    except ValueError as error:
        errors.append(InputError(f"{document.key}: at: {error}", document.file, document.line_of("at")))
    if not content.get("policies"):
        errors.append(InputError(f"{document.key}: names no policies", document.file, document.line))
    if not content.get("cases"):
        errors.append(InputError(f"{document.key}: has no cases", document.file, document.line))
    material = _read(document, ("policies", "acceptances"), content, "", errors)
    cases = []
    for position, given in enumerate(content.get("cases") or ()):
        cases.append(_case(document, given, f"cases[{position}]", errors))
    if errors:
        return None, errors
    suite = Suite(
        name=document.key.name,
        document=document,
        material=tuple(material),
        context=tuple(content.get("context") or ()),
        cluster=content.get("cluster") or "",
        trust_approvals=content.get("trustApprovals") is True,
        at=at,
        cases=tuple(cases),
    )
    return suite, []


def _case(document: Document, given: Mapping[str, Any], place: str, errors: list[InputError]) -> Case:
    def wrong(message: str) -> None:
        errors.append(
            InputError(f"{document.key}: {place}: {message}", document.file, document.line_of(place))
        )

    files = _read(document, ("files",), given, f"{place}.", errors)
    objects = (*(given.get("objects") or ()), *(each.object for each in files))
    request = dict(given.get("request") or {})
    request.update({name: given[name] for name in ("operation", "userInfo") if name in given})
    if not given.get("name"):
        wrong("has no name")
    if not objects and not given.get("files"):
        wrong("has neither objects nor files")
    for obj in (*objects, *(given.get("context") or ()), *filter(None, [given.get("oldObject")])):
        if not (isinstance(obj.get("apiVersion"), str) and isinstance(obj.get("kind"), str)):
            wrong("an object needs apiVersion and kind")
        elif not isinstance(obj.get("metadata") or {}, dict):
            wrong("metadata must be a map")
    if given.get("oldObject") and len(objects) != 1:
        wrong("oldObject needs exactly one object")
    if not given.get("expect") and not given.get("skip"):
        wrong("expects nothing: say at least expect.allowed")
    return Case(
        name=given.get("name") or "",
        objects=objects,
        old_object=given.get("oldObject"),
        request=request,
        context=tuple(given.get("context") or ()),
        expect=given.get("expect") or {},
        skip=given.get("skip") or "",
        place=place,
    )


def _read(
    document: Document,
    fields: Sequence[str],
    owner: Mapping[str, Any],
    prefix: str,
    errors: list[InputError],
) -> list[Document]:
    found: list[Document] = []
    for field in fields:
        for position, name in enumerate(owner.get(field) or ()):
            documents = read([_beside(document.file, name)])
            found += documents.documents
            errors += documents.errors
            if not documents.documents and not documents.errors:
                place = f"{prefix}{field}[{position}]"
                line = document.line_of(place)
                errors.append(InputError(f"{document.key}: {place}: holds nothing", document.file, line))
    return found


def _beside(file: str, name: str) -> str:
    path = Path(file).parent / name
    short = Path(os.path.normpath(path))
    return str(short if short.resolve() == path.resolve() else path)
