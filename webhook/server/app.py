"""What a worker answers to HTTP requests: reviews in, verdicts out, probes and metrics beside them."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from webhook.adapters import logs
from webhook.core.errors import ReviewError
from webhook.core.match import Selection
from webhook.core.review import AdmissionRequest, response
from webhook.core.verdict import Verdict
from webhook.server.answers import JSON, Answer, failure
from webhook.server.bodies import Bodies
from webhook.server.current import Current
from webhook.server.deadline import Deadline
from webhook.server.decoding import decode
from webhook.server.denial_log import DenialLog
from webhook.server.denials import Reporter
from webhook.server.guarding import Guard, Record
from webhook.server.judging import Judge
from webhook.server.metrics import CONTENT_TYPE, Metrics
from webhook.server.pages import Page, Pages
from webhook.server.refused import RefusedError
from webhook.server.room import Room
from webhook.server.settings import Limits
from webhook.server.targets import Path, Target, Targets
from webhook.server.tls import LiveContext

if TYPE_CHECKING:
    from webhook.server.evidence import Recorder

logger = logging.getLogger(__name__)

_MOST_MOVE = 0.1
"""The share of answers that close their connection at most: a handshake costs more than an answer."""

Judging = Callable[[AdmissionRequest, Selection, Deadline], Awaitable[Verdict]]
"""What gives the verdict: `Judge`, or the guard of the risk kinds."""

_CLUSTER = ""  # cluster-scoped requests share the room as if they were one namespace's


class DataPlane:
    """What one worker does with HTTP requests.

    Args:
        current: the snapshot to judge by.
        metrics: where to count.
        limits: on requests.
        judge: from a request to its verdict; None judges with the engine and without an authorizer.
        certificate: what the listener shows; None where there is no TLS.
        reporter: told of denials; None: nobody is.
        closes: tells whether the next answer is to close its connection, so that load moves.
        recorder: keeps the decision log; None: none is kept.

    Attributes:
        draining: the worker stops: it says that it isn't ready, and asks clients to connect anew.
        answered: reviews so far.
        room: for the reviews that are being worked on.
        bodies: reads those of reviews.
        pages: what the plain listener serves too, by path.
    """

    def __init__(
        self,
        current: Current,
        metrics: Metrics,
        limits: Limits,
        judge: Judge | None = None,
        certificate: LiveContext | None = None,
        reporter: Reporter | None = None,
        closes: Callable[[], bool] = lambda: False,
        recorder: Recorder | None = None,
    ) -> None:
        self.current = current
        self.metrics = metrics
        self.limits = limits
        self.certificate = certificate
        self.reporter = reporter
        self.recorder = recorder
        metrics.follow(current, certificate)
        self.draining = False
        self.answered = 0
        self.room = Room(limits.max_in_flight, limits.max_bytes)
        self.pages: dict[str, Page] = {
            "/readyz": self.ready,
            "/livez": self.live,
            "/metrics": self.show_metrics,
        }
        self._judges: dict[Path, Judging] = {
            Path.ADMIT: judge or Judge(current, namespace_wait=limits.namespace_wait, meter=metrics.meter),
            Path.GUARD: Guard(current, recorder=recorder),
            Path.GUARD_DELETED: Record(recorder, logs_deletions=True),
            Path.GUARD_RECORDED: Record(recorder),
        }
        self._targets = Targets(limits.default_timeout)
        self.bodies = Bodies(limits.max_body, limits.max_bytes, limits.body_seconds)
        self._denials = DenialLog(logger)
        self._pages = Pages(self.pages)
        self._closes = closes
        self._random: Callable[[], float] = random.random
        self._answered_at = 0.0

    async def answer(self, http: web.BaseRequest) -> Answer:
        """Answer whatever comes over TLS."""
        if http.method != "POST":
            return await self._pages.answer(http)
        started = time.perf_counter()
        operation, outcome = "none", "refused"
        try:
            request, verdict = await self._review(http)
            operation = request.operation
            outcome = "allowed" if verdict.allowed else "denied"
            answer = Answer(orjson.dumps(response(request.uid, verdict)))
            if not verdict.found_nothing:
                self.metrics.verdict(verdict)
                if self.recorder is not None and (verdict.accepted or not verdict.allowed):
                    self.recorder.decision(request, verdict)
            if not verdict.allowed:
                self._denials.note(request, verdict)
                if self.reporter is not None:
                    self.reporter(request, verdict)
        except RefusedError as refused:
            answer = failure(refused.code, str(refused))
            if refused.unread:
                answer.force_close()
        except Exception as error:
            outcome = "failed"
            logger.error("request_failed", extra=logs.fields(exception=logs.describe(error)))
            answer = failure(500, "Tidewaiter failed at this request; its log says where")
        self.answered += 1
        ended = time.perf_counter()
        if self.draining or self._closes() or self._moves(ended):
            answer.force_close()
        self.metrics.request(operation, outcome, str(answer.status), ended - started)
        return answer

    def _moves(self, now: float) -> bool:
        """Tell whether this answer closes its connection: as often in a second, however busy the worker is.

        The API server sends what it can on the connection it used last. One answer in so many would leave a
        replica that comes back without requests for as long as there are few.
        """
        since, self._answered_at = now - self._answered_at, now
        return self._random() < min(_MOST_MOVE, since / self.limits.move_every)

    async def _review(self, http: web.BaseRequest) -> tuple[AdmissionRequest, Verdict]:
        target = self._target(http)
        deadline = Deadline(target.seconds)
        if http.headers.get("Content-Type") != JSON and http.content_type != JSON:
            raise RefusedError(415, "the body must be application/json", unread=True)
        body = await self.bodies.read(http, deadline)
        try:
            request = AdmissionRequest.parse(decode(body))
        except orjson.JSONDecodeError as error:
            raise RefusedError(400, f"the body is no JSON: {error}") from None
        except ReviewError as error:
            raise RefusedError(400, str(error)) from None
        if self.current.snapshot is None:
            raise RefusedError(503, "no policies are loaded yet")
        namespaced = request.namespace and request.kind != _NAMESPACE
        place = self.room.enter(request.namespace if namespaced else _CLUSTER, len(body))
        if place is None:
            raise RefusedError(429, "too many requests are being worked on")
        try:
            with place:
                return request, await self._judges[target.path](request, target.selection, deadline)
        except Exception as error:
            logger.error("request_failed", extra=logs.fields(uid=request.uid, exception=logs.describe(error)))
            raise RefusedError(
                500, f"Tidewaiter failed at request {request.uid}; its log says where"
            ) from None

    def _target(self, http: web.BaseRequest) -> Target:
        try:
            target = self._targets.read(http.path_qs)
        except ReviewError as error:
            raise RefusedError(400, str(error), unread=True) from None
        if target is None:
            raise RefusedError(404, "the path must be /admit or /admit/SCOPE/VERSIONS", unread=True)
        return target

    async def ready(self) -> Answer:
        """Say whether this worker can judge: it has a snapshot and a certificate, and isn't stopping."""
        current = self.current
        has_certificate = self.certificate is None or bool(self.certificate.fingerprint)
        ready = current.snapshot is not None and has_certificate and not self.draining
        detail = {
            "ready": ready,
            "draining": self.draining,
            "certificate": has_certificate,
            "revision": current.revision,
            "pid": os.getpid(),
            "policies": len(current.snapshot.policies) if current.snapshot else 0,
            "failures": len(current.snapshot.failures) if current.snapshot else 0,
            "error": current.error,
        }
        answer = Answer(orjson.dumps(detail), 200 if ready else 503)
        if self.draining:
            answer.force_close()
        return answer

    async def live(self) -> Answer:
        """Say that the event loop turns."""
        return Answer(b"ok", content_type="text/plain; charset=utf-8")

    async def show_metrics(self) -> Answer:
        """Return the metrics of all workers."""
        self.metrics.flush(self.room.taken)
        # Off the loop: with many policies the text takes longer than many a request.
        body = await asyncio.to_thread(self.metrics.render)
        return Answer(body, content_type=CONTENT_TYPE)


_NAMESPACE = ("", "v1", "Namespace")
