"""Plain HTTP of the control plane: ``/metrics``, ``/livez`` and ``/readyz``.

It answers from the loop that does all the work, so that a loop that hangs answers nothing, and the kubelet
starts the process again. An API server that is away is no reason for that: what was published stays.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from webhook.adapters.addresses import Address
from webhook.core.errors import InputError
from webhook.operator import metrics
from webhook.operator.metrics import Facts


@contextlib.asynccontextmanager
async def listening(address: Address, facts: Callable[[], Facts]) -> AsyncIterator[Address]:
    """Answer while the context is open; gives the address, with the port that a 0 was given.

    Args:
        address: where to listen.
        facts: what is true now.

    Raises:
        InputError: nobody can listen there.
    """
    runner = web.AppRunner(application(facts), handle_signals=False, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, address.host, address.port).start()
        except OSError as error:
            raise InputError(f"can't listen on {address}: {error.strerror or error}") from None
        yield Address(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


def application(facts: Callable[[], Facts]) -> web.Application:
    """Return the three paths."""

    async def show_metrics(_: web.Request) -> web.Response:
        body = await asyncio.to_thread(metrics.render, facts())
        return web.Response(body=body, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def live(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        # The first revision says that every kind has been listed once, and that the workers have a file.
        if facts().revision:
            return web.Response(text="ok\n")
        return web.Response(status=503, text="no snapshot has been published yet\n")

    app = web.Application()
    app.router.add_get("/metrics", show_metrics)
    app.router.add_get("/livez", live)
    app.router.add_get("/readyz", ready)
    return app
