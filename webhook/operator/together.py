"""Both planes from one command: the control plane here, the data plane in a process beside it."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from dataclasses import dataclass

from webhook.adapters import scratch
from webhook.adapters.addresses import parse_address
from webhook.core.errors import InputError
from webhook.operator import main
from webhook.operator.children import end, end_with_parent
from webhook.operator.options import Options

_AGAIN = 1.0
_STOP_SECONDS = 15.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What `tidewaiter run` can be told; its options explain them. `data_plane` are more words of `serve`."""

    kubeconfig: str
    listen: str
    webhook_url: str
    namespace: str
    cluster: str
    webhook_name: str
    failure_policy: str
    max_action: str
    gatekeeper: str
    exempt_namespaces: tuple[str, ...]
    exempt_users: tuple[str, ...]
    risk_admin_groups: tuple[str, ...]
    guard_policy: str
    keep: bool
    workers: int | None
    metrics_listen: str
    log_level: str
    log_format: str
    audit: bool = True
    audit_reports: str = "openreports"
    violations_limit: int = 20
    data_plane: tuple[str, ...] = ()


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Run both planes until `stop` is set.

    Raises:
        InputError: an option or the kubeconfig can't be used, or the port is taken.
    """
    listen, url = _addresses(settings)
    # In the folder for temporary files: the path of a unix socket may not be long.
    with scratch.folder("tidewaiter-run-") as folder:
        options = Options(
            snapshot=folder / "snapshot",
            cert_dir=folder / "certificate",
            kubeconfig=settings.kubeconfig,
            namespace=settings.namespace,
            webhook_url=url,
            cluster=settings.cluster,
            webhook_name=settings.webhook_name,
            failure_policy=settings.failure_policy,
            max_action=settings.max_action,
            gatekeeper=settings.gatekeeper,
            exempt_namespaces=settings.exempt_namespaces,
            exempt_users=settings.exempt_users,
            risk_admin_groups=settings.risk_admin_groups,
            guard_policy=settings.guard_policy,
            metrics_listen=parse_address(settings.metrics_listen) if settings.metrics_listen else None,
            leader_elect=False,  # there is only one, and a Lease would delay the next start
            create_namespace=True,
            remove_on_exit=not settings.keep,
            audit=settings.audit,
            audit_reports=settings.audit_reports,
            violations_limit=settings.violations_limit,
            log_level=settings.log_level,
            log_format=settings.log_format,
        )
        server = asyncio.create_task(_data_plane(settings, listen, options))
        try:
            logger.info("the API server will ask %s", url)
            await main.run(options, stop)
        finally:
            server.cancel()
            await asyncio.wait({server})


def _addresses(settings: Settings) -> tuple[str, str]:
    """Return where to listen, with a port, and the URL to register."""
    host, _, port = settings.listen.rpartition(":")
    bare = host.strip("[]")
    if not bare or not port.isdigit() or int(port) > 65535:
        raise InputError(f"{settings.listen!r} is no address: write HOST:PORT, such as 127.0.0.1:8443")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bare, int(port)))
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"cannot listen on {settings.listen}: {reason}; give another --listen") from None
        number = probe.getsockname()[1]
    shown = f"[{bare}]" if ":" in bare else bare
    return f"{shown}:{number}", settings.webhook_url or f"https://{shown}:{number}"


async def _data_plane(settings: Settings, listen: str, options: Options) -> None:
    """Run `tidewaiter serve` until cancelled; a process that ends is started again."""
    certificate, key = options.cert_dir / "tls.crt", options.cert_dir / "tls.key"
    while not (certificate.exists() and key.exists()):  # noqa: ASYNC110 - files make no events
        await asyncio.sleep(0.05)
    words = ["serve", "--snapshot", str(options.snapshot), "--listen", listen]
    words += ["--tls-cert", str(certificate), "--tls-key", str(key), "--log-level", settings.log_level]
    words += ["--log-format", settings.log_format]
    words += ["--drain-seconds", "0.5", *settings.data_plane]
    if settings.workers:
        words += ["--workers", str(settings.workers)]
    while True:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "webhook",
            *words,
            start_new_session=True,  # Ctrl-C is for us, who stop it last
            preexec_fn=end_with_parent,
        )
        try:
            status = await process.wait()
            logger.error("the data plane ended with status %d: starting it again", status)
        finally:
            await end(process, _STOP_SECONDS)
        await asyncio.sleep(_AGAIN)
