"""HTTP answers that are no verdict, as the API server reads them: a ``v1`` Status that says what is wrong."""

from __future__ import annotations

import orjson
from aiohttp import web

_REASONS = {
    400: "BadRequest",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "Timeout",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}

RETRY_AFTER_SECONDS = 1
"""The API server's client tries again after 429 and 503 with this header, within its own timeout."""


def failure(code: int, message: str) -> web.Response:
    """Return an answer with an HTTP error, so that the webhook's failurePolicy decides."""
    status = {
        "apiVersion": "v1",
        "kind": "Status",
        "status": "Failure",
        "message": message,
        "reason": _REASONS[code],
        "code": code,
    }
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if code in (429, 503) else None
    return web.Response(
        status=code,
        body=orjson.dumps(status, default=str),
        content_type="application/json",
        headers=headers,
    )
