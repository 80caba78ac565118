"""Two replicas of the control plane on a real API server; the test plays their workers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.controlplane import ControlPlane
from tests.operator.replicas import CONFIGURATIONS, POLICIES, becomes, call, policy, replicas

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("operator")]

Until = Callable[..., Awaitable[None]]
CONFIGURATION = f"{CONFIGURATIONS}/replicated"


async def _conditions(plane: ControlPlane, name: str) -> dict[str, str]:
    _, found = await call(plane, "GET", f"{POLICIES}/{name}")
    conditions = (found.get("status") or {}).get("conditions") or ()
    return {each["type"]: each["reason"] for each in conditions}


async def test_it_registers_with_the_first_worker_and_hands_over_to_the_other_replica(
    plane: ControlPlane, tmp_path: Path, until: Until
) -> None:
    async def registered() -> bool:
        return (await call(plane, "GET", CONFIGURATION))[0] == 200

    async with replicas(plane, tmp_path, 2, name="replicated", works=False) as (first, second):
        await until(lambda: first.operator.publisher.revision and second.operator.publisher.revision)
        assert first.operator.publisher.revision == second.operator.publisher.revision
        await until(lambda: (first.folder / "certificates/tls.crt").exists())
        await until(lambda: (second.folder / "certificates/tls.crt").exists())
        certificates = {(each.folder / "certificates/tls.crt").read_bytes() for each in (first, second)}
        assert len(certificates) == 1

        await call(plane, "POST", POLICIES, policy("replicated"))
        await becomes(lambda: _conditions(plane, "replicated"), {"Ready": "Compiled", "Enforced": "NoWorker"})
        assert not await registered()
        first.works = second.works = True
        await becomes(lambda: _conditions(plane, "replicated"), {"Ready": "Compiled", "Enforced": "Enforced"})
        assert await registered()

        leading, standing_by = (first, second) if first.operator.elector.leading else (second, first)
        assert not standing_by.operator.elector.leading
        await leading.end()
        assert await registered(), "who stops takes nothing down"
        await call(plane, "POST", POLICIES, policy("after", "1 +"))
        await becomes(
            lambda: _conditions(plane, "after"), {"Ready": "CompileError", "Enforced": "CompileError"}
        )
        await call(plane, "DELETE", CONFIGURATION)
        await becomes(registered, True)

        # Missing workers lower nothing; the statuses say that they are missing.
        standing_by.works = False
        os.utime(standing_by.folder / "snapshot/acks/1.json", (1, 1))
        (standing_by.folder / "snapshot/acks/1.json").unlink()
        await becomes(lambda: _conditions(plane, "replicated"), {"Ready": "Compiled", "Enforced": "NoWorker"})
        assert await registered()

        # A status that somebody else wrote is put right: Kopf shows it.
        body = {"status": {"conditions": []}}
        status, _ = await asyncio.to_thread(
            plane.request,
            "PATCH",
            f"{POLICIES}/replicated/status",
            body,
            "application/merge-patch+json",
        )
        assert status == 200
        await becomes(
            lambda: _conditions(plane, "replicated"), {"Ready": "Compiled", "Enforced": "NoWorker"}, 5
        )
    for name in ("replicated", "after"):
        await call(plane, "DELETE", f"{POLICIES}/{name}")
