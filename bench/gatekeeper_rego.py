"""Gatekeeper and Tidewaiter with the very same templates in Rego: python -m bench.gatekeeper_rego.

It needs what `bench.gatekeeper` needs. CPU a request with 10 and with 100 constraints, in turn; and different
Pods to both, whose verdicts and messages must be equal to the letter.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from bench import manifests
from bench.gatekeeper import cpu_figure
from bench.measure import in_turn
from bench.pods import samples
from bench.report import Figure, show
from bench.rules import policies
from bench.sides import Gatekeeper, Side, tidewaiter
from tests.controlplane import ControlPlane

REQUESTS = 10_000
CONNECTIONS = 8
SECONDS = 3.0
RUNS = 5
SEED = 6
LEAST_RATIO = {10: 12.0, 100: 20.0}
"""Times less CPU a request that Tidewaiter must take, by the number of constraints."""

_IMAGES = (
    "registry.example.com/shop/checkout:2.1",
    "registry.example.com/shop/checkout:latest",
    "registry.example.com/batch-3/job",
    "docker.io/library/nginx",
    "evil.example.com/x:canary-4",
    "",
)
_MEMORY = ("64Mi", "2Gi", "4096Mi", "1e9", "3000000000", "x", None)


def compare(number: int, gatekeeper: Gatekeeper, folder: Path) -> bool:
    """Measure with so many constraints, and compare what both say; tell whether it holds."""
    with ExitStack() as stack:
        chosen = policies(number)
        documents = [
            manifests.namespace(),
            *manifests.templates(chosen),
            *(manifests.constraint(policy) for policy in chosen),
        ]
        ours = tidewaiter(stack, folder / f"{number}-constraints", chosen, documents=documents)
        gatekeeper.install(chosen)
        theirs = gatekeeper.start(stack, chosen)
        mine, other = in_turn([ours, theirs], CONNECTIONS, SECONDS, RUNS)
        name = f"{number} constraints in Rego: CPU a request"
        held = show([cpu_figure(name, mine, other, LEAST_RATIO[number])])
        if number == max(LEAST_RATIO):
            different, denied = asyncio.run(_different(ours, theirs))
            note = f"of {REQUESTS:,} requests, {denied:,} of them denied"
            held &= show([Figure("different verdicts or messages", different, "", 0.0, note=note)])
    return held


async def _different(ours: Side, theirs: Side) -> tuple[int, int]:
    """Return how many of the requests get different answers, and how many are denied."""
    chance = random.Random(SEED)
    reviews = [_review(chance, number) for number in range(REQUESTS)]
    different = denied = 0
    contexts = {side.name: _context(side) for side in (ours, theirs)}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:
        for start in range(0, REQUESTS, CONNECTIONS):
            some = reviews[start : start + CONNECTIONS]
            pairs = await asyncio.gather(*(_both(session, contexts, review, ours, theirs) for review in some))
            for one, other in pairs:
                denied += not one[0]
                if one != other:
                    different += 1
                    if different <= 3:
                        print(f"different: {one} and {other}", file=sys.stderr)
    return different, denied


def _context(side: Side) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(side.target.authority))
    context.check_hostname = False
    return context


async def _both(
    session: aiohttp.ClientSession, contexts: Mapping[str, ssl.SSLContext], review: bytes, *sides: Side
) -> list[tuple[bool, list[str]]]:
    return [await _asked(session, contexts[side.name], side, review) for side in sides]


async def _asked(
    session: aiohttp.ClientSession, context: ssl.SSLContext, side: Side, review: bytes
) -> tuple[bool, list[str]]:
    url = f"https://127.0.0.1:{side.target.port}{side.target.path}"
    headers = {"Content-Type": "application/json"}
    for left in reversed(range(5)):
        try:
            async with session.post(url, data=review, ssl=context, headers=headers) as answer:
                response = orjson.loads(await answer.read())["response"]
            break
        except aiohttp.ClientError:  # a connection that was closed meanwhile; the answer is what counts
            if not left:
                raise
            await asyncio.sleep(0.2)
    message = (response.get("status") or {}).get("message") or ""
    return response["allowed"], sorted(message.split("\n")) if not response["allowed"] else []


def _review(chance: random.Random, number: int) -> bytes:
    """Return a review of a Pod like one of the samples, with some parts changed."""
    sample = chance.choice(samples())
    review: dict[str, Any] = orjson.loads(sample.head + f"{number:032x}".encode() + sample.tail)
    request = review["request"]
    pod = request["object"]
    for container in pod["spec"]["containers"]:
        if chance.random() < 0.3:
            container["image"] = chance.choice(_IMAGES)
        if chance.random() < 0.3:
            memory = chance.choice(_MEMORY)
            container["resources"] = {"limits": {} if memory is None else {"memory": memory, "cpu": "1"}}
        if chance.random() < 0.2:
            context = {"privileged": chance.random() < 0.5, "runAsUser": chance.choice([0, 1000, 70000])}
            container["securityContext"] = context
        if chance.random() < 0.1:
            container["ports"] = [{"hostPort": chance.choice([80, 8500, 9500]), "containerPort": 80}]
        if chance.random() < 0.1:
            container["name"] = chance.choice(["ä <b>&", 'quoted "x"', "\u2028", "plain"])
    if chance.random() < 0.3:
        labels = pod["metadata"].get("labels") or {}
        pod["metadata"]["labels"] = {key: value for key, value in labels.items() if chance.random() < 0.7}
    if chance.random() < 0.1:
        pod["spec"]["hostNetwork"] = True
    return orjson.dumps(review)


def main() -> int:
    """Compare, and print each figure as soon as it is there; exit status 1 when a bar doesn't hold."""
    oracles, assets = (os.environ.get(name) for name in ("TIDEWAITER_ORACLES", "KUBEBUILDER_ASSETS"))
    if not oracles or not assets:
        print("set TIDEWAITER_ORACLES and KUBEBUILDER_ASSETS: see the first lines of bench/gatekeeper.py")
        return 2
    held = True
    with tempfile.TemporaryDirectory() as name, ControlPlane(assets, Path(name) / "plane") as plane:
        folder = Path(name)
        gatekeeper = Gatekeeper(Path(oracles) / "gatekeeper-manager", plane, folder / "gatekeeper")
        for number in LEAST_RATIO:
            held &= compare(number, gatekeeper, folder)
    return not held


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
