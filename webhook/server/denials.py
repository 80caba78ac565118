"""Tells the operator in the same Pod of the denials that nobody sees: those of controllers.

A person reads a denial on the terminal. A controller only tries again, and the workload above it looks
healthy; so the operator makes an Event of it. Nothing here waits: a datagram that finds no room is dropped.
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from webhook.adapters.denials import LARGEST, SOCKET, Denial, Reference
from webhook.core.fields import metadata_of
from webhook.core.owners import controller_reference
from webhook.core.review import AdmissionRequest
from webhook.core.verdict import Verdict
from webhook.server.metrics import Metrics


class Reporter:
    """Sends denials to the operator's socket.

    Args:
        folder: the operator's snapshot folder.
        metrics: counts what was sent and what was dropped.
    """

    def __init__(self, folder: Path, metrics: Metrics) -> None:
        self._path = str(folder / SOCKET)
        self._metrics = metrics
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def __call__(self, request: AdmissionRequest, verdict: Verdict) -> None:
        """Tell of a denial, if a controller made the request and meant it."""
        denial = denial_of(request, verdict)
        if denial is None:
            return
        sent = False
        # The operator is away, behind or not there yet; or a name can't be written as UTF-8.
        with contextlib.suppress(OSError, TypeError):
            data = denial.encode()
            sent = len(data) <= LARGEST and self._socket.sendto(data, self._path) == len(data)
        self._metrics.reported(sent=sent)

    def close(self) -> None:
        """Send no more."""
        self._socket.close()


def denial_of(request: AdmissionRequest, verdict: Verdict) -> Denial | None:
    """Return what to tell of a denied request; None where nobody needs to be told.

    An object without a controller was made by whoever reads the answer. An ownerReference alone proves
    nothing, since anyone can write one: the user must be one that only the API server gives out.
    """
    if request.dry_run or not request.namespace or not request.user.username.startswith("system:"):
        return None
    metadata = metadata_of(request.object if request.object is not None else request.old_object)
    reference = controller_reference(metadata)
    if reference is None:
        return None
    return Denial(
        review=request.uid,
        operation=request.operation,
        kind=request.kind[2],
        namespace=request.namespace,
        name=request.name or str(metadata.get("name") or metadata.get("generateName") or ""),
        owner=Reference.of(reference),
        policies=tuple(map(str, verdict.denied_by)),
        message=verdict.message,
    )
