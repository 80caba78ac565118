"""What a worker does and holds, for whoever looks into a problem: off unless it is asked for.

Neither objects nor parameters are shown: a Secret could be among them.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from io import StringIO

import orjson

from webhook.server.answers import Answer
from webhook.server.current import Current
from webhook.server.pages import Page


def pages(current: Current) -> dict[str, Page]:
    """Return the pages by their paths.

    Args:
        current: the snapshot that is shown.
    """

    async def stacks() -> Answer:
        return Answer(_stacks().encode("utf-8", "replace"), content_type="text/plain; charset=utf-8")

    async def snapshot() -> Answer:
        return Answer(orjson.dumps(_snapshot(current), default=str))

    return {"/debug/stacks": stacks, "/debug/snapshot": snapshot}


def _stacks() -> str:
    """Return where every thread and every task of this process is: lines of source, no values."""
    text = StringIO()
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the documented way
        text.write(f"thread {names.get(ident, ident)}\n")
        traceback.print_stack(frame, file=text)
    for task in asyncio.all_tasks():
        text.write(f"task {task.get_name()}\n")
        task.print_stack(file=text)
    return text.getvalue()


def _snapshot(current: Current) -> dict[str, object]:
    snapshot = current.snapshot
    return {
        "revision": current.revision,
        "loadedAt": current.loaded_at,
        "error": current.error,
        "policies": [
            {"kind": policy.ref.kind, "namespace": policy.ref.namespace, "name": policy.ref.name}
            for policy in (snapshot.policies if snapshot is not None else ())
        ],
        "failures": [
            {"policy": str(failure.ref), "kind": failure.ref.kind, "error": failure.message}
            for failure in (snapshot.failures if snapshot is not None else ())
        ],
        "problems": list(snapshot.problems) if snapshot is not None else [],
    }
