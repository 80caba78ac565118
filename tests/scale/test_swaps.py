"""Hundreds of swaps leave nothing behind, and each costs what changed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from bench import crowd
from webhook.adapters import snapshots
from webhook.core.errors import InputError
from webhook.core.policy import CompiledPolicy
from webhook.dialects import native
from webhook.server import swap
from webhook.server.source import FolderSource

SIZE = crowd.Size(policies=40, acceptances=40, namespaces=40)
CONTEXT = snapshots.Context(trust_approvals=True)


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def publish(folder: Path, objects: list[dict[str, Any]]) -> None:
    data = snapshots.dump(objects, CONTEXT)
    name = f"snapshot-{snapshots.digest(data)}.json"
    (folder / name).write_bytes(data)
    link = folder / "current"
    before = link.resolve() if link.is_symlink() else None
    link.unlink(missing_ok=True)
    link.symlink_to(name)
    if before is not None and before.name != name:
        before.unlink()


def crowd_with(versions: dict[int, int]) -> list[dict[str, Any]]:
    found = [body for _, _, body in crowd.everything(SIZE) if body["kind"] != "ClusterPolicy"]
    return [*(crowd.policy(number, version) for number, version in versions.items()), *found]


def left_to_the_collector() -> list[Any]:
    """Return the policies and their functions that only a collection frees; others' garbage doesn't count."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return [
            one
            for one in gc.garbage
            if isinstance(one, CompiledPolicy)
            or (isinstance(one, FunctionType) and one.__code__.co_filename == "<cel>")
        ]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


async def test_many_swaps_leave_nothing_in_memory(tmp_path: Path) -> None:
    source, versions = FolderSource(tmp_path), dict.fromkeys(range(SIZE.policies), 0)
    others = crowd_with({})
    blocks = []
    for turn in range(200):
        changed = range(SIZE.policies) if turn % 20 == 19 else (turn % SIZE.policies,)
        for number in changed:
            versions[number] += 1
        publish(tmp_path, [*(crowd.policy(*each) for each in versions.items()), *others])
        snapshot = await swap.load(source)
        assert len(snapshot.policies) == SIZE.policies
        if turn % 20 == 19:
            blocks.append(sys.getallocatedblocks())
    # What else runs in this process may move it a little; a swap that stayed would be a tenth each time.
    assert blocks[-1] < blocks[1] * 1.05
    del snapshot, source
    gc.unfreeze()
    assert not left_to_the_collector(), "policies hold no cycles"


async def test_a_swap_compiles_only_the_policies_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    real = native.compile_policy

    def counting(obj: Any) -> Any:
        compiled.append(obj["metadata"]["name"])
        return real(obj)

    monkeypatch.setattr(native, "compile_policy", counting)
    source, versions = FolderSource(tmp_path), dict.fromkeys(range(SIZE.policies), 0)
    publish(tmp_path, crowd_with(versions))
    first = await swap.load(source)
    assert len(compiled) == SIZE.policies
    versions[7] = 1
    publish(tmp_path, crowd_with(versions))
    second = await swap.load(source)
    assert compiled[SIZE.policies :] == [crowd.policy_name(7)]
    assert [a is b for a, b in zip(first.policies, second.policies, strict=True)].count(False) == 1


async def test_a_load_that_fails_leaves_the_collector_as_it_was(tmp_path: Path) -> None:
    publish(tmp_path, crowd_with({}))
    file = (tmp_path / "current").resolve()
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(InputError):
        await swap.load(FolderSource(tmp_path))
    assert gc.isenabled()
