"""What a worker answers to HTTP requests: reviews in, verdicts out, probes and metrics beside them."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from webhook.adapters import logs
from webhook.core.errors import ReviewError
from webhook.core.match import Selection
from webhook.core.review import AdmissionRequest, response
from webhook.core.verdict import Verdict
from webhook.server.answers import JSON, Answer, Rest, failure
from webhook.server.bodies import Bodies
from webhook.server.current import Current
from webhook.server.deadline import Deadline
from webhook.server.decoding import decode
from webhook.server.denial_log import DenialLog
from webhook.server.denials import Reporter
from webhook.server.guarding import Guard, Record
from webhook.server.judging import Judge, Later
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

Judging = Callable[[AdmissionRequest, Selection, Deadline], Verdict | Later]
"""What gives the verdict: `Judge`, or the guard of the risk kinds."""

_TOO_MANY = "too many requests are being worked on"

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

    async def answer(self, http: web.BaseRequest, began: float) -> Answer:
        """Answer whatever comes over TLS.

        Args:
            http: the request.
            began: when its first byte came, by the monotonic clock.
        """
        if http.method != "POST":
            return await self._pages.answer(http, began)
        try:
            target = self._target(http.path_qs)
            if http.headers.get("Content-Type") != JSON and http.content_type != JSON:
                raise RefusedError(415, "the body must be application/json", unread=True)
            body = await self.bodies.read(http, Deadline(target.seconds, began))
        except Exception as error:
            return self._without_verdict(error, began)
        answer = self.review(target, body, began)
        return answer if isinstance(answer, Answer) else await answer()

    def review(self, target: Target, body: bytes, began: float) -> Answer | Rest:
        """Answer one review at once, as nearly all can be, or return what will bring the answer.

        Args:
            target: what is asked for.
            body: the AdmissionReview.
            began: when the request's first byte came, by the monotonic clock.
        """
        request: AdmissionRequest | None = None
        try:
            try:
                request = AdmissionRequest.parse(decode(body))
            except orjson.JSONDecodeError as error:
                raise RefusedError(400, f"the body is no JSON: {error}") from None
            except ReviewError as error:
                raise RefusedError(400, str(error)) from None
            if self.current.snapshot is None:
                raise RefusedError(503, "no policies are loaded yet")
            namespaced = request.namespace and request.kind != _NAMESPACE
            namespace = request.namespace if namespaced else _CLUSTER
            # Who is answered at once takes no place; but where there is none, nobody is.
            if not self.room.has_place(namespace, len(body)):
                raise RefusedError(429, _TOO_MANY)
            deadline = Deadline(target.seconds, began)
            verdict = self._judges[target.path](request, target.selection, deadline)
            if isinstance(verdict, Verdict):
                return self._with_verdict(request, verdict, began)
            return partial(self._go_on, request, verdict, namespace, len(body), began)
        except Exception as error:
            return self._without_verdict(error, began, request)

    async def _go_on(
        self, request: AdmissionRequest, judging: Later, namespace: str, size: int, began: float
    ) -> Answer:
        """Answer a review whose verdict must be waited for."""
        try:
            place = self.room.enter(namespace, size)
            if place is None:
                raise RefusedError(429, _TOO_MANY)
            with place:
                verdict = await judging()
            return self._with_verdict(request, verdict, began)
        except Exception as error:
            return self._without_verdict(error, began, request)

    def _with_verdict(self, request: AdmissionRequest, verdict: Verdict, began: float) -> Answer:
        answer = Answer(orjson.dumps(response(request.uid, verdict)))
        if not verdict.found_nothing:
            self.metrics.verdict(verdict)
            if self.recorder is not None and (verdict.accepted or not verdict.allowed):
                self.recorder.decision(request, verdict)
        if not verdict.allowed:
            self._denials.note(request, verdict)
            if self.reporter is not None:
                self.reporter(request, verdict)
        return self._last(answer, request.operation, "allowed" if verdict.allowed else "denied", began)

    def _without_verdict(
        self, error: Exception, began: float, request: AdmissionRequest | None = None
    ) -> Answer:
        if isinstance(error, RefusedError):
            answer = failure(error.code, str(error))
            if error.unread:
                answer.force_close()
            return self._last(answer, "none", "refused", began)
        uid = request.uid if request is not None else ""
        logger.error("request_failed", extra=logs.fields(uid=uid, exception=logs.describe(error)))
        which = f"request {uid}" if uid else "this request"
        answer = failure(500, f"Tidewaiter failed at {which}; its log says where")
        return self._last(answer, request.operation if request is not None else "none", "failed", began)

    def _last(self, answer: Answer, operation: str, outcome: str, began: float) -> Answer:
        """Do what is due with every answer."""
        self.answered += 1
        ended = time.monotonic()
        if self.draining or self._closes() or self._moves(ended):
            answer.force_close()
        self.metrics.request(operation, outcome, str(answer.status), ended - began)
        return answer

    def _moves(self, now: float) -> bool:
        """Tell whether this answer closes its connection: as often in a second, however busy the worker is.

        The API server sends what it can on the connection it used last. One answer in so many would leave a
        replica that comes back without requests for as long as there are few.
        """
        since, self._answered_at = now - self._answered_at, now
        return self._random() < min(_MOST_MOVE, since / self.limits.move_every)

    def target(self, text: str) -> Target | None:
        """Return what a request's target asks for; None when it is no path of reviews.

        Raises:
            ReviewError: its timeout is no duration.
        """
        return self._targets.read(text)

    def _target(self, text: str) -> Target:
        try:
            target = self.target(text)
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
