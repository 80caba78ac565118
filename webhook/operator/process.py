"""The control plane as a process: its logs, its signals, its loop."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable

import uvloop

from webhook.adapters import logs


def configure_logs(level: str, style: str) -> None:
    """Log as the data plane does.

    Args:
        level: one of `logs.LEVELS`.
        style: one of `logs.FORMATS`.
    """
    logs.configure(level, style)
    if level != "debug":
        # What Kopf tells of each step is for its own users, and of a lost connection the informers tell.
        logging.getLogger("kopf").setLevel(logging.ERROR)
        logging.getLogger("kopf._cogs.clients").setLevel(logging.CRITICAL)


def run(main: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run `main` until SIGTERM or Ctrl-C and return the exit status 0.

    Args:
        main: the work; it ends soon after the event that it is given is set.
    """

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await main(stop)

    uvloop.run(serve())
    return 0
