"""What the snapshot lacked is looked for again a few times, later each time, and not for ever."""

from __future__ import annotations

from webhook.operator.audit.lacking import MOST_OBJECTS, MOST_TRIES, Lacking
from webhook.operator.client import Resource

MAPS = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
PODS = Resource("", "v1", "pods", "Pod", namespaced=True)


def names(lacking: Lacking, now: float) -> list[str]:
    return [each.name for each in lacking.due(now)]


def test_it_is_due_later_each_time_and_then_no_more() -> None:
    lacking, now, waits = Lacking(), 100.0, []
    for _ in range(MOST_TRIES):
        lacking.add(MAPS, "u-a", {"namespace": "shop", "name": "a"}, now)
        wait = next(each for each in range(100) if names(lacking, now + each))
        waits.append(wait)
        now += wait
    assert waits == sorted(set(waits))
    lacking.add(MAPS, "u-a", {"namespace": "shop", "name": "a"}, now)
    assert not names(lacking, now + 1000)


def test_what_was_judged_or_is_followed_no_more_is_forgotten() -> None:
    lacking = Lacking()
    for resource in (MAPS, PODS):
        for name in "ab":
            lacking.add(resource, f"u-{name}", {"name": name}, 0)
    lacking.remove(PODS, "u-b")
    lacking.drop(MAPS)
    assert names(lacking, 100) == ["a"]


def test_there_is_an_end_of_what_is_remembered() -> None:
    lacking = Lacking()
    for number in range(MOST_OBJECTS + 10):
        lacking.add(MAPS, str(number), {"name": str(number)}, 0)
    assert len(lacking.due(100)) == MOST_OBJECTS
