"""What the data plane can be told, and how its words are read."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from webhook.adapters.addresses import Address
from webhook.core.errors import InputError

MAX_BODY = 8 * 1024 * 1024
KEEP_ALIVE_SECONDS = 150.0
"""Longer than the 90 s after which the API server drops an idle connection: whoever closes first while the
other sends makes the request fail."""

TLS_VERSIONS = ("1.2", "1.3")

_SIZE = re.compile(r"(\d+)\s*(|B|K|KB|KiB|M|MB|MiB|G|GB|GiB)\Z")
_UNITS = {"": 1, "B": 1, "K": 1000, "KB": 1000, "M": 1000**2, "MB": 1000**2, "G": 1000**3, "GB": 1000**3} | {
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What the TLS listener uses.

    Attributes:
        certificate: file with the certificate and those that lead to its authority.
        key: file with its key.
        client_ca: file with the authorities of client certificates; empty: none are asked for.
        client_names: common names of the clients that are answered; empty: all that the authorities signed.
        minimum: the lowest TLS version.
    """

    certificate: str
    key: str
    client_ca: str = ""
    client_names: tuple[str, ...] = ()
    minimum: str = "1.3"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, and all together, may take.

    Attributes:
        max_body: bytes of one body.
        max_in_flight: requests that one worker works on at once, of all namespaces together.
        max_bytes: bytes of their bodies; as much again for bodies that aren't complete.
        max_connections: connections of one worker.
        head_seconds: how long a handshake may take, and then a request's head.
        body_seconds: how long a body may take.
        default_timeout: seconds for a request that names no timeout.
        namespace_wait: seconds that a request waits for a snapshot with its namespace.
        move_every: seconds in which one of a worker's answers closes its connection, so that load moves to
            workers and replicas that are new.
    """

    max_body: int = MAX_BODY
    max_in_flight: int = 256
    max_bytes: int = 64 * 1024 * 1024
    max_connections: int = 2048
    head_seconds: float = 5.0
    body_seconds: float = 5.0
    default_timeout: float = 10.0
    namespace_wait: float = 1.0
    move_every: float = 0.25


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """Where the decision log goes; `folder` or `stdout` or neither, and `otlp` beside it or alone.

    Attributes:
        folder: for files.
        stdout: to standard output.
        otlp: endpoint of an OpenTelemetry collector.
        key: file with the key that signs it; empty: one is made that is nowhere else.
    """

    folder: str = ""
    stdout: bool = False
    otlp: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that `tidewaiter serve` needs.

    Attributes:
        listen: the TLS address.
        tls: the certificate; None makes a self-signed one.
        metrics_listen: plain HTTP for metrics and probes; None for none.
        policies: files and folders with policies and all that belongs to them.
        snapshot: the operator's snapshot folder; empty when `policies` are used.
        trust_approvals: unsigned approvals in `policies` count.
        cluster: the cluster's name for `policies`.
        workers: how many processes answer.
        limits: on requests.
        drain_seconds: how long a stopping worker still answers.
        debug: serve what the process does, beside the metrics.
        evidence: the decision log; None: none is kept.
    """

    listen: Address
    tls: TlsSettings | None = None
    metrics_listen: Address | None = None
    policies: tuple[str, ...] = ()
    snapshot: str = ""
    trust_approvals: bool = False
    cluster: str = ""
    workers: int = 2
    limits: Limits = field(default_factory=Limits)
    drain_seconds: float = 10.0
    debug: bool = False
    evidence: EvidenceSettings | None = None


def default_workers() -> int:
    """Return two, or one where only one CPU may be used."""
    return min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def parse_size(text: str) -> int:
    """Return the bytes in `text`, such as ``8MiB``.

    Raises:
        InputError: it is no size, or none at all.
    """
    match = _SIZE.match(text.strip())
    size = int(match[1]) * _UNITS[match[2]] if match and len(match[1]) < 16 else 0
    if size <= 0:
        raise InputError(f"{text!r} is no size: write bytes or a number with KiB, MiB or GiB, such as 8MiB")
    return size
