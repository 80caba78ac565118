"""Manifests from files, folders and standard input: Kubernetes objects with their file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from webhook.adapters.decoded import Decoded
from webhook.adapters.field_lines import line_of
from webhook.adapters.json_text import decode_json
from webhook.adapters.kustomize import kustomization_in, read_resources
from webhook.adapters.yaml_text import decode_yaml
from webhook.core.errors import CompileError, InputError
from webhook.core.fields import metadata_of
from webhook.core.model import GROUP

MAX_BYTES = 64 * 1024 * 1024
SUFFIXES = (".yaml", ".yml", ".json")
STDIN = "-"
_LITERAL = re.compile(r":\s*\|[-+0-9]*\s*(#.*)?$")


class Key(NamedTuple):
    """What makes two manifests the same object."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Document:
    """One object of a manifest.

    Attributes:
        object: the object as plain JSON data; parts may be shared, so nobody may change it.
        file: the file as it was named or found, ``-`` for standard input.
        line: the first line with content of the document, or of the element of a List, counted from 1.
    """

    object: dict[str, Any]
    file: str
    line: int
    _origin: _Origin = field(repr=False, compare=False)

    @cached_property
    def key(self) -> Key:
        """Group, kind, namespace and name; the name is empty when the API server is to make one."""
        group, _, _version = self.object.get("apiVersion", "").rpartition("/")
        metadata = metadata_of(self.object)
        return Key(group, self.object["kind"], metadata.get("namespace") or "", metadata.get("name") or "")

    def line_of(self, path: str) -> int:
        """Return the line of the field at `path`, or of the nearest field above it.

        The text is parsed once more for it, so it is meant for errors.
        """
        origin = self._origin
        return line_of(origin.text, origin.offset, origin.line, origin.prefix + path)

    def code_line(self, error: CompileError) -> int:
        """Return how many lines below its field an error in code lies; 0 where the text can't tell.

        Only a literal block (``rego: |``) has its lines as they are.
        """
        if not error.line or not error.field:
            return 0
        lines = self._origin.text.splitlines()
        at = self.line_of(error.field)
        if not 0 < at <= len(lines) or not _LITERAL.search(lines[at - 1]):
            return 0
        return error.line


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where in a text a document lies."""

    text: str
    offset: int
    line: int
    prefix: str


@dataclass(frozen=True)
class Documents:
    """What was read: the objects in order, and the errors of what couldn't be."""

    documents: tuple[Document, ...]
    errors: tuple[InputError, ...]

    def __iter__(self) -> Iterator[Document]:
        return iter(self.documents)

    def __len__(self) -> int:
        return len(self.documents)


def read(paths: Iterable[str], stdin: BinaryIO | None = None) -> Documents:
    """Read every manifest of `paths`.

    A folder is read with its sub-folders, without hidden files, in sorted order; one with a kustomization is
    read by its ``resources`` only. A file that is reached twice is read once.

    Args:
        paths: files, folders, or ``-`` for standard input.
        stdin: what ``-`` reads.
    """
    reader = _Reader(stdin)
    for path in paths:
        reader.path(path)
    return Documents(tuple(reader.documents), tuple(reader.errors))


def parse(data: bytes, file: str = STDIN) -> Documents:
    """Read the manifests in `data`, a YAML stream or JSON values."""
    reader = _Reader(None)
    reader.data(data, file)
    return Documents(tuple(reader.documents), tuple(reader.errors))


def whole(decoded: Decoded, text: str, file: str) -> Document:
    """Return a decoded document as one object, whatever it is.

    Args:
        decoded: the document; its value must be a mapping with a kind.
        text: all of the text that it stands in.
        file: where that came from.
    """
    return Document(decoded.value, file, decoded.line, _Origin(text, decoded.offset, decoded.line, ""))


def unique(documents: Iterable[Document]) -> Documents:
    """Return `documents` with each object once.

    An object may be given several times when the copies say the same: status and what the API server adds to
    metadata don't count, labels do except on our own kinds, where they decide nothing.
    """
    kept: list[Document] = []
    errors: list[InputError] = []
    known: dict[Key, tuple[Document, bytes]] = {}
    for document in documents:
        if not document.key.name:
            kept.append(document)
            continue
        first = known.get(document.key)
        if first is None:
            known[document.key] = (document, b"")
            kept.append(document)
            continue
        original, content = first
        content = content or _content(original)
        known[document.key] = (original, content)
        if _content(document) != content:
            place = f"{original.file}:{original.line}"
            message = f"{document.key} is given twice, and differs from {place}: keep one of them"
            errors.append(InputError(message, document.file, document.line))
    return Documents(tuple(kept), tuple(errors))


def _content(document: Document) -> bytes:
    content = {name: value for name, value in document.object.items() if name not in ("metadata", "status")}
    if document.key.group != GROUP:
        labels = (document.object.get("metadata") or {}).get("labels")
        content["metadata"] = {"labels": labels or {}}
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


class _Reader:
    """Collects documents and errors of one call."""

    def __init__(self, stdin: BinaryIO | None) -> None:
        self.stdin = stdin
        self.documents: list[Document] = []
        self.errors: list[InputError] = []
        self.seen: set[Path] = set()

    def path(self, name: str) -> None:
        if name == STDIN:
            self.standard_input()
            return
        path = Path(name)
        try:
            if path.is_dir():
                self.folder(path)
            elif not path.exists():
                self.errors.append(InputError("no such file or folder", name))
            elif path.name in ("kustomization.yaml", "kustomization.yml", "Kustomization"):
                self.kustomization(path)
            else:
                self.file(path)
        except (OSError, ValueError) as error:
            self.errors.append(_unreadable(error, name))

    def standard_input(self) -> None:
        if self.stdin is None:
            self.errors.append(InputError("there is no standard input to read", STDIN))
            return
        try:
            data = self.stdin.read(MAX_BYTES + 1)
        except OSError as error:
            self.errors.append(_unreadable(error, STDIN))
            return
        self.data(data, STDIN)

    def folder(self, folder: Path) -> None:
        real = folder.resolve()
        if real in self.seen:
            return
        self.seen.add(real)
        kustomization = kustomization_in(folder)
        if kustomization:
            self.kustomization(kustomization)
            return
        try:
            entries = sorted(folder.iterdir())
        except OSError as error:
            self.errors.append(_unreadable(error, str(folder)))
            return
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                self.folder(entry)
            elif entry.suffix in SUFFIXES and entry.is_file():
                self.file(entry)

    def kustomization(self, file: Path) -> None:
        files, errors = read_resources(file)
        self.errors += errors
        for resource in files:
            self.file(resource)

    def file(self, path: Path) -> None:
        real = path.resolve()
        if real in self.seen:
            return
        self.seen.add(real)
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            self.errors.append(_unreadable(error, str(path)))
            return
        self.data(data, str(path))

    def data(self, data: bytes, file: str) -> None:
        try:
            for decoded, text in decode(data, file):
                self.document(decoded, text, file)
        except InputError as error:
            self.errors.append(error)

    def document(self, decoded: Decoded, text: str, file: str) -> None:
        origin = _Origin(text, decoded.offset, decoded.line, "")
        self.add(decoded.value, decoded.line, file, origin, decoded.item_lines)

    def add(self, value: Any, line: int, file: str, origin: _Origin, item_lines: Sequence[int] = ()) -> None:
        if isinstance(value, dict) and _is_list(value):
            api_version, kind = value.get("apiVersion"), value["kind"].removesuffix("List")
            for index, item in enumerate(value["items"]):
                if kind and isinstance(item, dict) and "kind" not in item:
                    # The API server leaves these out in the typed lists, such as a PodList.
                    item = {"apiVersion": api_version, "kind": kind, **item}
                place = _Origin(origin.text, origin.offset, origin.line, f"{origin.prefix}items[{index}].")
                self.add(item, item_lines[index] if item_lines else line, file, place)
            return
        problem = _problem(value)
        if problem:
            self.errors.append(InputError(problem, file, line))
        else:
            self.documents.append(Document(value, file, line, origin))


def decode(data: bytes, file: str) -> Iterator[tuple[Decoded, str]]:
    """Yield the documents of a YAML stream or of JSON values, each with the whole text.

    Raises:
        InputError: the data is too large, isn't UTF-8, or is neither.
    """
    text = text_of(data, file)
    if file.endswith(".json"):
        documents: Iterable[Decoded] = decode_json(text, file)
    elif text.lstrip()[:1] == "{":
        documents = _json_or_yaml(text, file)
    else:
        documents = decode_yaml(text, file)
    for decoded in documents:
        yield decoded, text


def text_of(data: bytes, file: str) -> str:
    """Return a manifest's bytes as text.

    Raises:
        InputError: there are too many, or they aren't UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES // 1024 // 1024} MiB: split it", file)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError("not UTF-8: save it as UTF-8", file, line) from None


def _json_or_yaml(text: str, file: str) -> list[Decoded]:
    # A text that starts with a brace is JSON for kubectl, or else YAML in flow style.
    try:
        return list(decode_json(text, file))
    except InputError as error:
        if "no valid JSON" not in error.message:
            raise
        return list(decode_yaml(text, file))


def _is_list(value: dict[str, Any]) -> bool:
    kind = value.get("kind")
    return isinstance(kind, str) and kind.endswith("List") and isinstance(value.get("items"), list)


def _problem(value: Any) -> str:
    """Return why `value` is no Kubernetes object; empty if it is one."""
    if not isinstance(value, dict):
        return f"not a Kubernetes object but {_kind_of(value)}"
    for name in ("apiVersion", "kind"):
        if name not in value:
            return f"not a Kubernetes object: it has no {name}"
        if not isinstance(value[name], str) or not value[name]:
            return f"not a Kubernetes object: {name} must be a text that isn't empty"
    metadata = value.get("metadata")
    if metadata is None:
        return ""
    if not isinstance(metadata, dict):
        return f"metadata must be a mapping, not {_kind_of(metadata)}"
    for name in ("name", "namespace", "generateName", "uid"):
        if not isinstance(metadata.get(name, ""), str | None):
            return f"metadata.{name} must be a text, not {_kind_of(metadata[name])}: quote it"
    for name in ("labels", "annotations"):
        entries = metadata.get(name) or {}
        if not isinstance(entries, dict):
            return f"metadata.{name} must be a mapping, not {_kind_of(entries)}"
        for key, text in entries.items():
            if not isinstance(text, str):
                return f"metadata.{name}['{key}'] must be a text, not {_kind_of(text)}: quote it"
    return ""


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "a mapping"


def _unreadable(error: Exception, file: str) -> InputError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return InputError(f"can't be read: {reason}", file)
