"""A thin REST client for the Kubernetes API: paths and plain dicts, no model classes."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
from kubernetes_asyncio import client as kubernetes
from kubernetes_asyncio import config as kubernetes_config

from webhook.core.errors import InputError, TidewaiterError
from webhook.operator.decode import decode

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
FIELD_MANAGER = "tidewaiter"

_TIMEOUT = 30.0
_CONNECT_TIMEOUT = 5.0
_RELOAD_INTERVAL = 10.0
CLOSING = 0.25
"""How long connections may take to end after whatever used them, in seconds: TLS says goodbye."""

logger = logging.getLogger(__name__)


class ApiError(TidewaiterError):
    """The API server answered with an error, or did not answer.

    Args:
        status: the HTTP status; 0 when there was no answer.
        reason: the machine-readable reason, such as ``NotFound``; may be empty.
        message: what it said.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.status or 'no answer'}: {self.message}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answered.

    Attributes:
        body: the decoded JSON.
        skew: its clock minus ours in seconds, from the Date header; None without one.
        size: of the JSON, in bytes.
    """

    body: dict[str, Any] = field(default_factory=dict)
    skew: float | None = None
    size: int = 0


class Client(Protocol):
    """What the control plane asks of the Kubernetes API."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        timeout: float = _TIMEOUT,  # noqa: ASYNC109 - one deadline for connecting, sending and reading
        most: int = 0,
    ) -> Answer:
        """Send one request.

        Args:
            method: of HTTP.
            path: with its leading slash.
            params: the query.
            body: sent as JSON.
            content_type: of that.
            timeout: for connecting, sending and reading.
            most: so many bytes may come; 0 for any number.

        Raises:
            ApiError: any answer but a success, or none; 413 for one that is too large.
        """
        ...

    def watch(
        self, path: str, *, params: Mapping[str, str], idle: float
    ) -> contextlib.AbstractAsyncContextManager[AsyncIterator[dict[str, Any]]]:
        """Open a watch; its iterator gives each event.

        Args:
            path: of the collection.
            params: the query, ``watch`` included.
            idle: after so many seconds without a byte the connection counts as lost.

        Raises:
            ApiError: as for `request`; also while iterating.
        """
        ...


async def apply(client: Client, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Create or change the object at `path` by server-side apply, taking over what others set of it."""
    params = {"fieldManager": FIELD_MANAGER, "force": "true"}
    return (await client.request("PATCH", path, params=params, body=body, content_type=APPLY_PATCH)).body


async def merge(client: Client, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Change the object at `path` by a JSON merge patch (RFC 7396)."""
    params = {"fieldManager": FIELD_MANAGER}
    return (await client.request("PATCH", path, params=params, body=body, content_type=MERGE_PATCH)).body


async def get_or_none(client: Client, path: str) -> dict[str, Any] | None:
    """Return the object at `path`, or None when there is none."""
    try:
        return (await client.request("GET", path)).body
    except ApiError as error:
        if error.status == 404:
            return None
        raise


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the API and which of its objects.

    Attributes:
        group: its API group; empty for the core group.
        version: its version.
        plural: its name in paths.
        kind: its kind.
        namespaced: its objects lie in namespaces.
        namespace: only this namespace; empty for all.
        name: only this object; empty for all.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = False
    namespace: str = ""
    name: str = ""

    @property
    def api_version(self) -> str:
        """The ``apiVersion`` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def path(self) -> str:
        """The path of the collection, limited to `namespace` where one is set."""
        return self._collection(self.namespace)

    def path_of(self, namespace: str, name: str) -> str:
        """Return the path of one object."""
        return f"{self._collection(namespace)}/{quote(name, safe='')}"

    def _collection(self, namespace: str) -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        inside = f"/namespaces/{quote(namespace, safe='')}" if namespace and self.namespaced else ""
        return f"{root}{inside}/{self.plural}"


class KubernetesClient:
    """`Client` on kubernetes_asyncio's ApiClient.

    Args:
        configuration: where and as whom; kept for whoever needs the credentials, as Kopf does.
        reload: reads the credentials again after a 401; kubeconfigs with short-lived tokens need it.
    """

    def __init__(
        self,
        configuration: kubernetes.Configuration,
        reload: Callable[[kubernetes.Configuration], Awaitable[None]] | None = None,
    ) -> None:
        self.configuration = configuration
        self._reload = reload
        self._reloaded = -_RELOAD_INTERVAL
        self._api = kubernetes.ApiClient(configuration)
        self._api.user_agent = "tidewaiter"

    async def close(self) -> None:
        """Close every connection."""
        await self._api.close()
        # TLS connections end a moment later: https://docs.aiohttp.org/en/stable/client_advanced.html
        await asyncio.sleep(CLOSING)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        timeout: float = _TIMEOUT,  # noqa: ASYNC109
        most: int = 0,
    ) -> Answer:
        """See `Client.request`."""
        limits = aiohttp.ClientTimeout(total=timeout, sock_connect=_CONNECT_TIMEOUT)
        try:
            response = await self._call(method, path, params, body, content_type, limits)
            async with response:
                raw = await _read(response, most)
            skew = _skew(response.headers.get("Date"))
            return Answer(decode(raw) if raw else {}, skew, len(raw))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _no_answer(error) from error

    @contextlib.asynccontextmanager
    async def watch(
        self, path: str, *, params: Mapping[str, str], idle: float
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """See `Client.watch`."""
        limits = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT, sock_read=idle)
        try:
            response = await self._call("GET", path, params, None, "application/json", limits)
            try:
                yield _events(response)
            finally:
                response.close()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _no_answer(error) from error

    async def _call(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
        content_type: str,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        response: aiohttp.ClientResponse = await self._api.call_api(
            path,
            method,
            query_params=list((params or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
            _preload_content=False,
            _request_timeout=limits,
        )
        if response.status < 400:
            return response
        async with response:
            raw = await response.read()
        if response.status == 401:
            await self._read_credentials_again()
        raise _refusal(response.status, raw)

    async def _read_credentials_again(self) -> None:
        if self._reload is None or time.monotonic() - self._reloaded < _RELOAD_INTERVAL:
            return
        self._reloaded = time.monotonic()
        try:
            await self._reload(self.configuration)
        except Exception as error:  # whatever a credential plugin raises; the next 401 tries again
            logger.warning("cannot read the credentials again: %s", error)


def _is_there(path: str) -> bool:
    # KUBECONFIG may list several files, of which some may be missing.
    return any(Path(part).exists() for part in path.split(os.pathsep))


async def connect(kubeconfig: str = "") -> KubernetesClient:
    """Return a client for the cluster that `kubeconfig` names.

    Without one: the cluster that this Pod runs in, else the file that ``KUBECONFIG`` names.

    Raises:
        InputError: there is no such file, or it can't be used.
    """
    configuration = kubernetes.Configuration()
    configuration.connection_pool_maxsize = 0  # every watch holds a connection
    # As strict as Kubernetes' own clients: many clusters' CAs lack what OpenSSL's strict mode wants.
    configuration.disable_strict_ssl_verification = True
    try:
        if not kubeconfig and "KUBERNETES_SERVICE_HOST" in os.environ:
            kubernetes_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            return KubernetesClient(configuration)
        path = kubeconfig or os.environ.get("KUBECONFIG", "")
        if not path:
            raise InputError("no cluster: give --kubeconfig FILE, or set KUBECONFIG")
        if not _is_there(path):
            raise InputError("there is no such kubeconfig", path)

        async def load(target: kubernetes.Configuration) -> None:
            await kubernetes_config.load_kube_config(
                config_file=path, client_configuration=target, persist_config=False
            )

        await load(configuration)
        return KubernetesClient(configuration, load)
    except InputError:
        raise
    except Exception as error:  # whatever a YAML reader, a certificate or a credential plugin raises
        text = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot be used as a kubeconfig: {text}", kubeconfig) from error


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    if not most:
        return await response.read()
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most:
            response.close()
            raise ApiError(413, "TooLarge", f"the answer has more than {most} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield decode(line)


def _refusal(status: int, raw: bytes) -> ApiError:
    try:
        body = decode(raw)
        return ApiError(status, str(body.get("reason", "")), str(body.get("message", ""))[:1000])
    except (ValueError, AttributeError):
        return ApiError(status, "", raw[:200].decode(errors="replace").strip())


def _no_answer(error: BaseException) -> ApiError:
    text = "timed out" if isinstance(error, asyncio.TimeoutError) else str(error) or type(error).__name__
    return ApiError(0, "", text)


def _skew(date: str | None) -> float | None:
    if not date:
        return None
    try:
        # The header has whole seconds: the middle of that second errs least.
        return email.utils.parsedate_to_datetime(date).timestamp() + 0.5 - time.time()
    except ValueError:
        return None
