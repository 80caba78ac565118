"""From a request to its verdict: evaluates, brings what the verdict lacks, and evaluates again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from webhook.core.activation import Budget
from webhook.core.authorization import AuthorizerCheck, AuthorizerDecision
from webhook.core.evaluate import evaluate
from webhook.core.match import Selection
from webhook.core.meter import Meter
from webhook.core.review import AdmissionRequest
from webhook.core.snapshot import Snapshot
from webhook.core.verdict import DecisionLack, Lack, NamespaceLack, OwnerLack, Verdict
from webhook.server.authorizer import Authorizer
from webhook.server.current import Current
from webhook.server.deadline import Deadline

_ROUNDS = 4
"""How often an authorizer's answers may lead to further questions."""

EVALUATION_SECONDS = 0.25
"""How long one request may compute, all its policies and evaluations together: so long others wait for it."""


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


class Judge:
    """Judges requests by the current snapshot.

    Args:
        current: the snapshot.
        authorizer: answers the checks of policies; None: nobody can be asked.
        namespace_wait: seconds that a request waits at most for a snapshot with its namespace.
        evaluate: the engine.
        clock: gives the time to judge at.
        meter: gives what measures the policies of the next request; None for most.
    """

    def __init__(
        self,
        current: Current,
        authorizer: Authorizer | None = None,
        namespace_wait: float = 1.0,
        evaluate: Evaluate = evaluate,
        clock: Callable[[], datetime] = utc_now,
        meter: Callable[[], Meter | None] = _unmetered,
    ) -> None:
        self._current = current
        self._authorizer = authorizer
        self._namespace_wait = namespace_wait
        self._evaluate = evaluate
        self._clock = clock
        self._meter = meter

    async def __call__(self, request: AdmissionRequest, selection: Selection, deadline: Deadline) -> Verdict:
        """Return the verdict: the last one when what it lacks doesn't come in time.

        Args:
            request: what is to be judged.
            selection: which policies the path asks for.
            deadline: when the answer must be out.
        """
        decisions: dict[AuthorizerCheck, AuthorizerDecision] = {}
        namespace_deadline = Deadline(min(self._namespace_wait, deadline.left))
        rounds = 0
        seconds = EVALUATION_SECONDS
        meter = self._meter()
        while True:
            snapshot = self._current.snapshot
            assert snapshot is not None  # noqa: S101 - the handler looked; a snapshot is never taken back
            budget = Budget(expired=deadline.passed, taken=time.thread_time, seconds=seconds)
            verdict = self._evaluate(
                request,
                snapshot,
                self._clock(),
                budget=budget,
                decisions=decisions if self._authorizer is not None else None,
                selection=selection,
                meter=meter,
            )
            if not verdict.lacking:
                return verdict
            seconds = budget.seconds_left()
            checks = [lack.check for lack in verdict.lacking if isinstance(lack, DecisionLack)]
            if checks and self._authorizer is not None and rounds < _ROUNDS and deadline.left > 0:
                rounds += 1
                decisions.update(await self._ask(self._authorizer, request, checks, deadline))
                continue
            wait = _wait_for(verdict.lacking, namespace_deadline, deadline)
            if wait <= 0 or not await self._current.newer_than(snapshot, wait):
                return verdict

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
