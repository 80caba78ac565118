"""An API server that has Pods alone, as many as it is told: python -m bench.list_server PORT COUNT.

The objects differ in name and uid, and one in ten violates. They are made when they are asked for, so that
the numbers can be large without an etcd that holds them. It takes reports and forgets them.
"""

from __future__ import annotations

import asyncio
import copy
import sys
from typing import Any

import orjson
from aiohttp import web

from bench.pods import compliant

VIOLATING = 10
"""One object in so many violates."""
_NAMESPACE = "shop"
_NAME, _UID = "NAME-PLACE", "UID-PLACE"


def _bytes(violating: bool) -> list[bytes]:
    pod = copy.deepcopy(compliant())
    pod["metadata"].pop("ownerReferences")
    pod["metadata"] |= {"name": _NAME, "namespace": _NAMESPACE, "uid": _UID, "resourceVersion": "5"}
    if violating:
        pod["spec"]["containers"][0]["image"] = "docker.io/library/busybox:latest"
        pod["spec"]["containers"][1]["securityContext"]["privileged"] = True
    first, rest = orjson.dumps(pod).split(_NAME.encode(), 1)
    second, third = rest.split(_UID.encode(), 1)
    return [first, second, third]


class Server:
    """Answers.

    Args:
        count: how many Pods there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._templates = {True: _bytes(violating=True), False: _bytes(violating=False)}

    def _pod(self, number: int) -> bytes:
        first, second, third = self._templates[number % VIOLATING == 0]
        name, uid = f"pod-{number:07}", f"00000000-0000-4000-8000-{number:012}"
        return b"".join((first, name.encode(), second, uid.encode(), third))

    async def pods(self, request: web.Request) -> web.StreamResponse:
        """List a page, or watch what never changes."""
        if request.query.get("watch"):
            response = web.StreamResponse()
            await response.prepare(request)
            while True:
                await response.write(
                    b'{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"7"}}}\n'
                )
                await asyncio.sleep(20)
        start = int(request.query.get("continue") or 0)
        end = min(start + int(request.query.get("limit") or self._count), self._count)
        head = {"resourceVersion": "7", **({"continue": str(end)} if end < self._count else {})}
        items = b",".join(map(self._pod, range(start, end)))
        body = b'{"kind":"PodList","apiVersion":"v1","metadata":%b,"items":[%b]}' % (
            orjson.dumps(head),
            items,
        )
        return web.Response(body=body, content_type="application/json")

    async def other(self, request: web.Request) -> web.Response:
        """Say which kinds there are, and take whatever is written."""
        answer: dict[str, Any] = {}
        if request.path == "/apis":
            answer = {"groups": []}
        elif request.path == "/api/v1":
            answer = {"resources": [_resource("pods", "Pod")]}
        elif request.path == "/apis/openreports.io/v1alpha1":
            answer = {
                "resources": [_resource("reports", "Report"), _resource("clusterreports", "ClusterReport")]
            }
        elif request.method in ("PATCH", "POST"):
            await request.read()
        return web.json_response(answer)


def _resource(name: str, kind: str) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "namespaced": not kind.startswith("Cluster"),
        "verbs": ["list", "watch"],
    }


def main() -> None:
    """Serve until ended."""
    port, count = map(int, sys.argv[1:])
    server = Server(count)
    app = web.Application()
    app.router.add_get("/api/v1/pods", server.pods)
    app.router.add_route("*", "/{path:.*}", server.other)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main()
