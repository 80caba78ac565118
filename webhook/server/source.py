"""Where snapshots come from: the operator's folder, or files that are read again when they change."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from webhook.adapters import manifests, snapshots
from webhook.adapters.reading import Cache
from webhook.core.errors import InputError
from webhook.core.snapshot import Snapshot
from webhook.dialects.native import policy_ref

CURRENT = "current"


class SnapshotSource(Protocol):
    """A place that snapshots come from.

    Attributes:
        every: seconds between two looks.
    """

    every: float

    def look(self) -> Hashable:
        """Return something that is another when the content may be another; cheap.

        Raises:
            OSError: nobody can look now.
        """

    def load(self) -> Snapshot:
        """Return the present content, compiled; only what changed is compiled. Not for two threads at once.

        Raises:
            InputError: it can't be used.
            OSError: it can't be read.
        """


class FolderSource:
    """The operator's folder: ``current`` is a link to ``snapshot-<digest>.json``, see `snapshots.file_name`.

    Args:
        folder: the folder; it may be empty until the operator has written the first.
    """

    every = 0.25

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache = Cache()

    def look(self) -> Hashable:
        """Return which file the link names."""
        return str((self._folder / CURRENT).readlink())

    def load(self) -> Snapshot:
        """Return what the link names; its name says its digest, so that a part isn't taken for the whole."""
        name = str((self._folder / CURRENT).readlink())
        file = self._folder / name
        data = file.read_bytes()
        if name != snapshots.file_name(data):
            raise InputError("the content isn't what the name says, perhaps cut short", str(file))
        return snapshots.load(data, self._cache)


class FilesSource:
    """Files and folders of manifests.

    Args:
        paths: what to read; any path may hold any kind.
        context: the cluster's name and what is trusted.
    """

    every = 1.0

    def __init__(self, paths: Sequence[str], context: snapshots.Context) -> None:
        self._paths = tuple(paths)
        self._context = context
        self._cache = Cache()
        self._read: frozenset[str] = frozenset()

    def look(self) -> Hashable:
        """Return the times, sizes and inodes of all files that were or may be read."""
        names = {name for path in self._paths for name in _files(path)} | self._read
        return frozenset((name, _signature(name)) for name in names)

    def load(self) -> Snapshot:
        """Return the snapshot of the files; a single file that can't be read fails it."""
        found = manifests.read(self._paths)
        self._read = frozenset(document.file for document in found)
        unique = manifests.unique(found)
        errors = (*found.errors, *unique.errors)
        if errors:
            raise errors[0]
        objects = [document.object for document in unique]
        revision = snapshots.digest(snapshots.dump(objects, self._context))
        snapshot = snapshots.build(objects, self._context, self._cache, revision)
        if not snapshot.failures:
            return snapshot
        places = {policy_ref(document.object): document for document in unique}
        placed = []
        for failure in snapshot.failures:
            place = places.get(failure.ref)
            placed.append(replace(failure, file=place.file, line=place.line) if place else failure)
        return replace(snapshot, failures=tuple(placed))


def _files(path: str) -> Iterator[str]:
    if not os.path.isdir(path):  # noqa: PTH112 - a look each second at many files: no objects for their names
        yield path
        return
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(folder, name) for name in files)  # noqa: PTH118


def _signature(name: str) -> tuple[int, int, int]:
    try:
        stat = os.stat(name)  # noqa: PTH116
    except OSError:
        return (0, 0, 0)
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)
