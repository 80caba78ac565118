"""What providers of external data have said: answers ``external_data``, or says whom to ask.

Evaluating neither waits nor asks: what isn't known is lacking; whoever evaluates brings it, and tries again.
https://open-policy-agent.github.io/gatekeeper/website/docs/externaldata
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from webhook.core.constraint import ExternalLacking
from webhook.dialects.gatekeeper.config import Provider

TTL = 180.0
"""How long an answer counts, in seconds, as Gatekeeper has it."""
FAILURE_TTL = 2.0
"""How long it counts that a provider could not be asked: the next request tries again soon."""

_MOST = 20_000
_UNKNOWN = "key is not found in provider cache"
_BAD_REQUEST = 400
_OK = 200


class Item(NamedTuple):
    """What a provider says of one key."""

    value: Any
    error: str


class _Kept(NamedTuple):
    until: float
    item: Item | None


class _Failure(NamedTuple):
    until: float
    status: int
    message: str
    answered: bool


class ExternalData:
    """The providers of a cluster, and what they said.

    Args:
        clock: gives seconds that only go up.

    Attributes:
        providers: by name.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.providers: dict[str, Provider] = {}
        self._clock = clock
        self._items: dict[tuple[str, str], _Kept] = {}
        self._failures: dict[tuple[str, tuple[str, ...]], _Failure] = {}

    def know(self, providers: Sequence[Provider]) -> None:
        """Take in which providers there are; what one said that has changed is forgotten."""
        now = {provider.name: provider for provider in providers}
        changed = {name for name, known in self.providers.items() if now.get(name) != known}
        if changed:
            self._items = {key: kept for key, kept in self._items.items() if key[0] not in changed}
            self._failures.clear()
        self.providers = now

    def __call__(self, provider: str, keys: Sequence[str], /) -> Mapping[str, Any]:
        """Return what Rego gets for keys.

        Raises:
            ExternalLacking: some must be asked for.
        """
        if provider not in self.providers:
            return _system_error(_BAD_REQUEST, _UNKNOWN)
        now = self._clock()
        responses, errors, missing = [], [], []
        for key in keys:
            kept = self._items.get((provider, key))
            if kept is None or kept.until < now:
                missing.append(key)
            elif kept.item is None:
                continue
            elif kept.item.error:
                errors.append([key, kept.item.error])
            else:
                responses.append([key, kept.item.value])
        if missing:
            failure = self._failures.get((provider, tuple(missing)))
            if failure is None or failure.until < now:
                raise ExternalLacking(provider, tuple(missing))
            return _system_error(failure.status, failure.message, answered=failure.answered)
        return {
            "responses": responses,
            "errors": errors,
            "status_code": _OK if keys else 0,
            "system_error": "",
        }

    def learn(self, provider: str, keys: Sequence[str], answer: Any) -> None:
        """Take in a provider's answer to keys; of what it doesn't mention nothing is said.

        Args:
            provider: its name.
            keys: what it was asked.
            answer: a decoded ProviderResponse.
        """
        response = answer.get("response") if isinstance(answer, Mapping) else None
        items = response.get("items") if isinstance(response, Mapping) else None
        system = response.get("systemError") if isinstance(response, Mapping) else None
        if not isinstance(response, Mapping) or system:
            message = str(system or "the answer is no ProviderResponse")
            self.fail(provider, keys, _OK, message, answered=True)
            return
        if len(self._items) > _MOST:
            self._items.clear()
        now = self._clock()
        said: dict[str, Item] = {}
        for each in items if isinstance(items, list) else ():
            if isinstance(each, Mapping):
                said[str(each.get("key", ""))] = Item(each.get("value"), str(each.get("error") or ""))
        for key in keys:
            item = said.get(key)
            self._items[provider, key] = _Kept(now + (TTL if item else FAILURE_TTL), item)

    def fail(
        self, provider: str, keys: Sequence[str], status: int, message: str, *, answered: bool = False
    ) -> None:
        """Take in that a provider could not be asked, or has `answered` that it can't say anything."""
        if len(self._failures) > _MOST:
            self._failures.clear()
        self._failures[provider, tuple(keys)] = _Failure(
            self._clock() + FAILURE_TTL, status, message, answered
        )


def _system_error(status: int, message: str, *, answered: bool = False) -> dict[str, Any]:
    nothing: list[Any] | None = [] if answered else None
    return {"responses": nothing, "errors": nothing, "status_code": status, "system_error": message}
