"""The least that an admission webhook on aiohttp does: decode the review, answer that it may pass."""

from __future__ import annotations

import ssl
import sys

import orjson
import uvloop
from aiohttp import web


async def _admit(request: web.Request) -> web.Response:
    review = orjson.loads(await request.read())
    answer = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": True},
    }
    return web.Response(body=orjson.dumps(answer), content_type="application/json")


async def _ready(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def _serve(port: int, plain: int, certificate: str, key: str) -> web.AppRunner:
    app = web.Application(client_max_size=8 * 1024 * 1024)
    app.router.add_post("/admit", _admit)
    app.router.add_get("/readyz", _ready)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    await web.TCPSite(runner, "127.0.0.1", plain).start()
    return runner


def main() -> None:
    """Serve until a signal: PORT PLAIN_PORT CERTIFICATE KEY."""
    port, plain, certificate, key = sys.argv[1:]
    loop = uvloop.new_event_loop()
    runner = loop.run_until_complete(_serve(int(port), int(plain), certificate, key))
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(runner.cleanup())


if __name__ == "__main__":
    main()
