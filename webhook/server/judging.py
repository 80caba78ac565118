"""From a request to its verdict: evaluates, brings what the verdict lacks, and evaluates again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

from webhook.adapters.external_data import ExternalData
from webhook.core.activation import Budget
from webhook.core.authorization import AuthorizerCheck, AuthorizerDecision
from webhook.core.evaluate import evaluate
from webhook.core.match import Selection
from webhook.core.meter import Meter
from webhook.core.review import AdmissionRequest
from webhook.core.snapshot import Snapshot
from webhook.core.verdict import DecisionLack, ExternalLack, Lack, NamespaceLack, OwnerLack, Verdict
from webhook.server.authorizer import Authorizer
from webhook.server.current import Current
from webhook.server.deadline import Deadline
from webhook.server.ledger import Ledger
from webhook.server.providers import ProviderClient

_ROUNDS = 4
"""How often an authorizer's answers may lead to further questions."""

EVALUATION_SECONDS = 0.25
"""How long one request may compute, all its policies and evaluations together: so long others wait for it."""


Later = Callable[[], Awaitable[Verdict]]
"""What brings a verdict that something has to be waited for; it may be dropped instead of called."""


class Evaluate(Protocol):
    """`webhook.core.evaluate.evaluate`, or what a test puts in its place."""

    def __call__(
        self,
        request: AdmissionRequest,
        snapshot: Snapshot,
        now: datetime,
        *,
        budget: Budget | None = None,
        decisions: Mapping[AuthorizerCheck, AuthorizerDecision] | None = None,
        selection: Selection = ...,
        meter: Meter | None = None,
    ) -> Verdict:
        """Judge one request."""


def _unmetered() -> Meter | None:
    return None


def utc_now() -> datetime:
    """Return the time to judge at."""
    return datetime.now(UTC)


def _unwatched(_budget: Budget) -> AbstractContextManager[None]:
    return nullcontext()


class _Judging:
    """One request while it is judged.

    Attributes:
        decisions: the authorizer's answers so far.
        seconds: how long it may still compute.
        snapshot: what it was judged by last.
    """

    __slots__ = ("deadline", "decisions", "meter", "request", "seconds", "selection", "snapshot")

    def __init__(
        self, request: AdmissionRequest, selection: Selection, deadline: Deadline, meter: Meter | None
    ) -> None:
        self.request = request
        self.selection = selection
        self.deadline = deadline
        self.meter = meter
        self.decisions: dict[AuthorizerCheck, AuthorizerDecision] = {}
        self.seconds = EVALUATION_SECONDS
        self.snapshot: Snapshot | None = None


class Judge:
    """Judges requests by the current snapshot.

    Args:
        current: the snapshot.
        authorizer: answers the checks of policies; None: nobody can be asked.
        namespace_wait: seconds that a request waits at most for a snapshot with its namespace.
        evaluate: the engine.
        clock: gives the time to judge at.
        meter: gives what measures the policies of the next request; None for most.
        providers: asks providers of external data; None: nobody can be asked.
        watching: looks after the time that a budget's steps take.
    """

    def __init__(
        self,
        current: Current,
        authorizer: Authorizer | None = None,
        namespace_wait: float = 1.0,
        evaluate: Evaluate = evaluate,
        clock: Callable[[], datetime] = utc_now,
        meter: Callable[[], Meter | None] = _unmetered,
        providers: ProviderClient | None = None,
        watching: Callable[[Budget], AbstractContextManager[None]] = _unwatched,
    ) -> None:
        self._current = current
        self._watching = watching
        self._providers = providers
        self._authorizer = authorizer
        self._namespace_wait = namespace_wait
        self._evaluate = evaluate
        self._clock = clock
        self._meter = meter
        self._ledger = Ledger()

    def __call__(
        self, request: AdmissionRequest, selection: Selection, deadline: Deadline
    ) -> Verdict | Later:
        """Return the verdict, or what will bring it where it lacks something.

        Args:
            request: what is to be judged.
            selection: which policies the path asks for.
            deadline: when the answer must be out.
        """
        judging = _Judging(request, selection, deadline, self._meter())
        verdict = self._once(judging)
        return verdict if not verdict.lacking else partial(self._go_on, judging, verdict)

    def _once(self, judging: _Judging) -> Verdict:
        snapshot = judging.snapshot = self._current.snapshot
        assert snapshot is not None  # noqa: S101 - the handler looked; a snapshot is never taken back
        budget = Budget(
            expired=judging.deadline.passed,
            taken=time.thread_time,
            seconds=judging.seconds,
            ledger=self._ledger,
        )
        with self._watching(budget):
            verdict = self._evaluate(
                judging.request,
                snapshot,
                self._clock(),
                budget=budget,
                decisions=judging.decisions if self._authorizer is not None else None,
                selection=judging.selection,
                meter=judging.meter,
            )
        if verdict.lacking:
            judging.seconds = budget.seconds_left()
        return verdict

    async def _go_on(self, judging: _Judging, verdict: Verdict) -> Verdict:
        """Return the verdict with what it lacks: the last one when that doesn't come in time."""
        deadline = judging.deadline
        namespace_deadline = Deadline(min(self._namespace_wait, deadline.left))
        rounds = 0
        while verdict.lacking:
            checks = [lack.check for lack in verdict.lacking if isinstance(lack, DecisionLack)]
            external = [lack for lack in verdict.lacking if isinstance(lack, ExternalLack)]
            if external and rounds < _ROUNDS and deadline.left > 0 and await self._bring(judging, external):
                rounds += 1
            elif checks and self._authorizer is not None and rounds < _ROUNDS and deadline.left > 0:
                rounds += 1
                judging.decisions.update(await self._ask(self._authorizer, judging.request, checks, deadline))
            else:
                wait = _wait_for(verdict.lacking, namespace_deadline, deadline)
                if wait <= 0 or not await self._current.newer_than(judging.snapshot, wait):
                    break
            verdict = self._once(judging)
        return verdict

    async def _bring(self, judging: _Judging, lacking: list[ExternalLack]) -> bool:
        """Ask the providers that are lacking; tell whether there was somebody to ask."""
        snapshot, providers = judging.snapshot, self._providers
        data = snapshot.constraints.external if snapshot is not None else None
        if providers is None or not isinstance(data, ExternalData):
            return False
        seconds = judging.deadline.left * 0.8
        await asyncio.gather(*(providers.bring(data, lack.provider, lack.keys, seconds) for lack in lacking))
        return True

    async def _ask(
        self, authorizer: Authorizer, request: AdmissionRequest, checks: list[Any], deadline: Deadline
    ) -> dict[AuthorizerCheck, AuthorizerDecision]:
        # A little is kept back, so that the evaluation that uses the answers has time.
        seconds = deadline.left * 0.9
        answers = await asyncio.gather(*(authorizer.ask(request.user, check, seconds) for check in checks))
        return dict(zip(checks, answers, strict=True))


def _wait_for(lacking: tuple[Lack, ...], namespace_deadline: Deadline, deadline: Deadline) -> float:
    """Return how many seconds a newer snapshot is worth waiting for."""
    wait = 0.0
    if any(isinstance(lack, OwnerLack) for lack in lacking):
        wait = deadline.left * 0.9
    if any(isinstance(lack, NamespaceLack) for lack in lacking):
        wait = max(wait, namespace_deadline.left)
    return wait
