"""A request that gets an HTTP error instead of a verdict."""

from __future__ import annotations


class RefusedError(Exception):
    """Why there is no verdict.

    Args:
        code: the HTTP status.
        message: for the API server's log, and with failurePolicy Fail for the user.
        unread: the body wasn't read, so the connection can't be used further.
    """

    def __init__(self, code: int, message: str, *, unread: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.unread = unread
