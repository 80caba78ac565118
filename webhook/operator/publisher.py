"""Publishes the snapshot as a file: debounced, named by its digest, swapped in by one rename."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

QUIET = 0.1
AT_MOST = 0.5
LOOK = 0.25
"""How often the folder is looked at, so that damage is mended and an older file is not named for long."""
CURRENT = "current"
ACKNOWLEDGEMENTS = "acks"
_REMEMBERED = 16

logger = logging.getLogger(__name__)

PolicyKey = tuple[str, str, str]
"""Kind, namespace and name."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is published.

    Attributes:
        data: the file.
        digest: its revision.
        name: its name, which is another whenever it is another file.
        generations: of the policies in it, so that a revision says which state of a policy it holds.
    """

    data: bytes
    digest: str
    name: str
    generations: Mapping[PolicyKey, int] = field(default_factory=dict)


class Publisher:
    """Writes snapshots into a folder, from which the workers take them.

    Args:
        folder: the folder; made when missing.
        render: returns what to publish now, or None while something is still missing.
        on_publish: called after each new revision.

    Attributes:
        revision: the digest of the last one; empty before the first.
        published_at: when that was, in seconds since the epoch; 0.0 before the first.
        failing: why the last attempt failed; empty when it didn't.
    """

    def __init__(
        self,
        folder: Path,
        render: Callable[[], Awaitable[Content | None]],
        on_publish: Callable[[], None],
    ) -> None:
        self.folder = folder
        self.revision = ""
        self._name = ""
        self.published_at = 0.0
        self.failing = ""
        self._render = render
        self._on_publish = on_publish
        self._changed = asyncio.Event()
        self._at_once = asyncio.Event()
        self._last_change = 0.0
        self._written: tuple[str, int, int, int] | None = None
        self._generations: dict[str, Mapping[PolicyKey, int]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ACKNOWLEDGEMENTS).mkdir(exist_ok=True)
        for left in folder.glob(".snapshot-*"):
            left.unlink(missing_ok=True)

    def change(self, *, at_once: bool = False) -> None:
        """Say that something changed; `at_once` publishes without waiting for quiet."""
        self._last_change = time.monotonic()
        self._changed.set()
        if at_once:
            self._at_once.set()

    def generation(self, revision: str, policy: PolicyKey) -> int:
        """Return which generation of a policy a revision holds; 0 for none or an unknown revision."""
        return self._generations.get(revision, {}).get(policy, 0)

    async def run(self) -> None:
        """Publish what changes until cancelled; an error keeps what is published, and is tried again."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await self._changed.wait()
            if not self._changed.is_set() and self._intact():
                continue
            await self._quiet()
            self._changed.clear()
            self._at_once.clear()
            try:
                content = await self._render()
                if content is not None:
                    self._publish(content)
                self.failing = ""
            except Exception as error:
                logger.exception("the snapshot is not published; the last good one stays")
                self.failing = str(error) or type(error).__name__
                await asyncio.sleep(1)
                self._changed.set()

    def _intact(self) -> bool:
        """Tell whether the workers still find what was published: the link, and the file that it names."""
        return not self.revision or self._signature() == self._written

    def _signature(self) -> tuple[str, int, int, int] | None:
        link = self.folder / CURRENT
        try:
            stat = link.stat()
            return str(link.readlink()), stat.st_mtime_ns, stat.st_size, stat.st_ino
        except OSError:
            return None

    async def _quiet(self) -> None:
        deadline = time.monotonic() + AT_MOST
        while not self._at_once.is_set():
            now = time.monotonic()
            left = min(self._last_change + QUIET, deadline) - now
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._at_once.wait()

    def _publish(self, content: Content) -> None:
        self._generations.pop(content.digest, None)
        self._generations[content.digest] = content.generations
        while len(self._generations) > _REMEMBERED:
            del self._generations[next(iter(self._generations))]
        name = content.name
        if name == self._name:
            if self._intact():
                return
            logger.warning("what lies in %s is not what was published: published again", self.folder)
        aside = self.folder / f".{name}"
        aside.write_bytes(content.data)
        aside.rename(self.folder / name)
        link = self.folder / f".{CURRENT}"
        link.unlink(missing_ok=True)
        link.symlink_to(name)
        link.rename(self.folder / CURRENT)
        keep = {name, self._name}
        for old in self.folder.glob("snapshot-*.json"):
            if old.name not in keep:
                old.unlink(missing_ok=True)
        logger.info("published %s, %d bytes", content.digest, len(content.data))
        self.revision, self._name = content.digest, name
        self._written = self._signature()
        self.published_at = time.time()
        self._on_publish()
