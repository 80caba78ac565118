"""Objects nested as deeply as an API server takes them hide none of the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from webhook.adapters import snapshots
from webhook.operator import client
from webhook.operator.decode import decode

POLICY = (
    '{"apiVersion": "tidewaiter.dev/v1alpha1", "kind": "Policy", "metadata": {"name": "%s", '
    '"namespace": "shop"}, "spec": {"params": %s, "matchConstraints": {"resourceRules": [{"apiGroups": [""], '
    '"apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"]}]}, '
    '"validations": [{"name": "a", "expression": "true"}]}}'
)


def nested(depth: int, inside: str = '"]}\\"[{"') -> str:
    return '{"a": [' * depth + inside + "]}" * depth


@pytest.mark.parametrize("depth", [0, 10, 100])
def test_what_is_not_deep_is_read_as_it_is(depth: int) -> None:
    value = decode(nested(depth).encode())
    for _ in range(depth):
        value = value["a"][0]
    assert value == ']}"[{'


@pytest.mark.parametrize("depth", [600, 4500])
def test_one_object_that_is_nested_too_deeply_alone_does_not_hold(depth: int) -> None:
    text = f'{{"items": [{POLICY % ("deep", nested(depth))}, {POLICY % ("plain", nested(2))}]}}'
    items: list[dict[str, Any]] = decode(text.encode())["items"]
    assert items == decode(text.encode())["items"]
    built = snapshots.load(snapshots.dump(items, snapshots.Context()))
    assert [policy.ref.name for policy in built.policies] == ["plain"]
    assert [failure.ref.name for failure in built.failures] == ["deep"]


@pytest.mark.parametrize("text", ["", "{", '{"a": "', "[" * 2000, "]" * 2000, '{"a": ' * 2000 + '"'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode(text.encode())


class Response:
    """A watch's answer that comes in two parts."""

    def __init__(self, text: str) -> None:
        self.content = self
        self._parts = (text[:700].encode(), text[700:].encode())

    async def iter_any(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


async def test_a_watch_goes_on_after_an_object_that_is_nested_too_deeply() -> None:
    events = "".join(
        f'{{"type": "ADDED", "object": {POLICY % ("p", nested(depth))}}}\n' for depth in (2000, 1)
    )
    seen = [
        event["object"]["metadata"]["name"] async for event in client._events(cast("Any", Response(events)))
    ]
    assert seen == ["p", "p"]
