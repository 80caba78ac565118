"""The HTTP application of a worker: reviews in, verdicts out, probes and metrics beside them."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial

import orjson
from aiohttp import web

from webhook.adapters import logs
from webhook.core.errors import ReviewError
from webhook.core.match import EVERY_POLICY, Selection
from webhook.core.review import AdmissionRequest, response
from webhook.core.verdict import Verdict
from webhook.server.answers import failure
from webhook.server.current import Current
from webhook.server.deadline import Deadline, allowance
from webhook.server.decoding import decode
from webhook.server.denials import Reporter
from webhook.server.guarding import Guard, record
from webhook.server.judging import Judge
from webhook.server.metrics import CONTENT_TYPE, Metrics
from webhook.server.settings import Limits
from webhook.server.tls import LiveContext

logger = logging.getLogger(__name__)

Judging = Callable[[AdmissionRequest, Selection, Deadline], Awaitable[Verdict]]
"""What gives the verdict: `Judge`, or the guard of the risk kinds."""

SCOPES = ("all", "cluster", "namespaced")


class DataPlane:
    """What one worker does with HTTP requests.

    Args:
        current: the snapshot to judge by.
        metrics: where to count.
        limits: on requests.
        judge: from a request to its verdict; None judges with the engine and without an authorizer.
        certificate: what the listener shows; None where there is no TLS.
        reporter: told of denials; None: nobody is.

    Attributes:
        draining: the worker stops: it says that it isn't ready, and asks clients to connect anew.
        in_flight: reviews that are being worked on.
    """

    def __init__(
        self,
        current: Current,
        metrics: Metrics,
        limits: Limits,
        judge: Judge | None = None,
        certificate: LiveContext | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self.current = current
        self.metrics = metrics
        self.limits = limits
        self.judge = judge or Judge(current, namespace_wait=limits.namespace_wait, meter=metrics.meter)
        self.certificate = certificate
        self.guard = Guard(current)
        self.reporter = reporter
        metrics.follow(current, certificate)
        self.draining = False
        self.in_flight = 0
        self._random: Callable[[], float] = random.random
        self._selections: dict[tuple[str, str], Selection] = {}

    def application(self) -> web.Application:
        """Return everything that the TLS listener serves."""
        app = self.probes()
        app.router.add_post("/admit", self.admit)
        app.router.add_post("/admit/{scope}/{versions}", self.admit)
        app.router.add_post("/guard", partial(self.admit, judge=self.guard))
        app.router.add_post("/guard/deleted", partial(self.admit, judge=record))
        return app

    def probes(self) -> web.Application:
        """Return readiness, liveness and metrics alone: what the plain listener serves."""
        app = web.Application(client_max_size=self.limits.max_body)
        app.router.add_get("/readyz", self.ready)
        app.router.add_get("/livez", self.live)
        app.router.add_get("/metrics", self.show_metrics)
        return app

    async def admit(self, http: web.Request, judge: Judging | None = None) -> web.Response:
        """Answer one AdmissionReview, by the policies unless there is another judge."""
        started = time.perf_counter()
        operation, outcome = "none", "refused"
        if self.in_flight >= self.limits.max_in_flight:
            answer = failure(429, f"more than {self.limits.max_in_flight} requests are being worked on")
        else:
            self.in_flight += 1
            try:
                request, verdict = await self._answer(http, judge or self.judge)
                operation = request.operation
                outcome = "allowed" if verdict.allowed else "denied"
                answer = web.Response(
                    body=orjson.dumps(response(request.uid, verdict)), content_type="application/json"
                )
                self.metrics.verdict(verdict)
                if not verdict.allowed:
                    _log_denial(request, verdict)
                    if self.reporter is not None:
                        self.reporter(request, verdict)
            except _RefusedError as refused:
                answer = failure(refused.code, str(refused))
                if refused.unread:
                    answer.force_close()
            except Exception as error:
                outcome = "failed"
                logger.error("request_failed", extra=logs.fields(exception=logs.describe(error)))
                answer = failure(500, "Tidewaiter failed at this request; its log says where")
            finally:
                self.in_flight -= 1
        if self.draining or self._random() * self.limits.close_one_in < 1:
            answer.force_close()
        self.metrics.request(operation, outcome, str(answer.status), time.perf_counter() - started)
        return answer

    async def _answer(self, http: web.Request, judge: Judging) -> tuple[AdmissionRequest, Verdict]:
        try:
            deadline = Deadline(allowance(http.query.get("timeout"), self.limits.default_timeout))
        except ReviewError as error:
            raise _RefusedError(400, str(error), unread=True) from None
        selection = self._selection(http)
        if http.content_type != "application/json":
            raise _RefusedError(415, "the body must be application/json", unread=True)
        body = await self._body(http, deadline)
        try:
            request = AdmissionRequest.parse(decode(body))
        except orjson.JSONDecodeError as error:
            raise _RefusedError(400, f"the body is no JSON: {error}") from None
        except ReviewError as error:
            raise _RefusedError(400, str(error)) from None
        if self.current.snapshot is None:
            raise _RefusedError(503, "no policies are loaded yet")
        try:
            return request, await judge(request, selection, deadline)
        except Exception as error:
            logger.error("request_failed", extra=logs.fields(uid=request.uid, exception=logs.describe(error)))
            raise _RefusedError(
                500, f"Tidewaiter failed at request {request.uid}; its log says where"
            ) from None

    async def _body(self, http: web.Request, deadline: Deadline) -> bytes:
        limit = self.limits.max_body
        too_large = f"the body is larger than {limit} bytes"
        if (http.content_length or 0) > limit:
            raise _RefusedError(413, too_large, unread=True)
        try:
            if http.content.is_eof():
                return await http.read()
            async with asyncio.timeout(deadline.left):
                return await http.read()
        except web.HTTPRequestEntityTooLarge:
            raise _RefusedError(413, too_large, unread=True) from None
        except TimeoutError:
            raise _RefusedError(408, "the body did not arrive in time", unread=True) from None

    def _selection(self, http: web.Request) -> Selection:
        """Return which policies the path asks for: ``cluster/v1.v1beta1``, or ``any`` for all versions."""
        match = http.match_info
        if not match:
            return EVERY_POLICY
        scope, versions = match["scope"], match["versions"]
        known = self._selections.get((scope, versions))
        if known is not None:
            return known
        if scope not in SCOPES:
            raise _RefusedError(
                404, f"the path must be /admit or /admit/{'|'.join(SCOPES)}/VERSIONS", unread=True
            )
        named = "*" if versions in ("*", "any") else ",".join(sorted(versions.replace(".", ",").split(",")))
        selection = Selection(scope, named)
        if len(self._selections) < 256:
            self._selections[scope, versions] = selection
        return selection

    async def ready(self, _http: web.Request) -> web.Response:
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
        answer = web.Response(
            status=200 if ready else 503, body=orjson.dumps(detail), content_type="application/json"
        )
        if self.draining:
            answer.force_close()
        return answer

    async def live(self, _http: web.Request) -> web.Response:
        """Say that the event loop turns."""
        return web.Response(text="ok")

    async def show_metrics(self, _http: web.Request) -> web.Response:
        """Return the metrics of all workers."""
        self.metrics.flush(self.in_flight)
        # Off the loop: with many policies the text takes longer than many a request.
        body = await asyncio.to_thread(self.metrics.render)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


class _RefusedError(Exception):
    """A request that gets an HTTP error instead of a verdict.

    Args:
        code: the HTTP status.
        message: for the API server's log, and with failurePolicy Fail for the user.
        unread: the body wasn't read, so the connection can't be used further.
    """

    def __init__(self, code: int, message: str, *, unread: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.unread = unread


def _log_denial(request: AdmissionRequest, verdict: Verdict) -> None:
    policies = [str(violation.policy) for violation in verdict.denying]
    policies += [str(error.policy) for error in verdict.errors if error.actions]
    logger.info(
        "denied",
        extra=logs.fields(
            uid=request.uid,
            operation=request.operation,
            kind=request.kind[2],
            namespace=request.namespace,
            name=request.name,
            user=request.user.username,
            policies=list(dict.fromkeys(policies)),
            dry_run=request.dry_run,
        ),
    )
