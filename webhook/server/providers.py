"""Asks providers of external data over TLS, with the webhook's own certificate where they want one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import orjson

from webhook.adapters.external_data import ExternalData
from webhook.dialects.gatekeeper.config import Provider

API_VERSION = "externaldata.gatekeeper.sh/v1beta1"
_LARGEST = 8 << 20
_SERVER_ERROR = 500


class ProviderClient:
    """Brings what evaluating lacks of external data.

    Args:
        certificate: file with our certificate; empty for none.
        key: file with its key.
    """

    def __init__(self, certificate: str = "", key: str = "") -> None:
        self._certificate = certificate
        self._key = key
        self._contexts: dict[Provider, tuple[float, ssl.SSLContext]] = {}

    async def bring(self, data: ExternalData, name: str, keys: Sequence[str], seconds: float) -> None:
        """Ask a provider for keys, and tell `data` what it says or why it says nothing.

        Args:
            data: where the answer belongs.
            name: of the provider.
            keys: what is asked.
            seconds: how long there is time.
        """
        provider = data.providers.get(name)
        if provider is None:
            return
        request = {"apiVersion": API_VERSION, "kind": "ProviderRequest", "request": {"keys": list(keys)}}
        try:
            async with (
                asyncio.timeout(min(seconds, provider.timeout)),
                aiohttp.ClientSession() as session,
                session.post(
                    provider.url,
                    data=orjson.dumps(request),
                    headers={"Content-Type": "application/json"},
                    ssl=self._context(provider),
                    allow_redirects=False,
                ) as answer,
            ):
                body = await answer.content.read(_LARGEST)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            why = "timed out" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            data.fail(name, keys, _SERVER_ERROR, f"failed to send external data request: {why}")
            return
        try:
            said = orjson.loads(body)
        except ValueError as error:
            why = f"failed to unmarshal external data response: {error}"
            data.fail(name, keys, _SERVER_ERROR, why)
        else:
            data.learn(name, keys, said)

    def _context(self, provider: Provider) -> ssl.SSLContext:
        """Return the TLS context for a provider: its authorities alone, our certificate as it is now."""
        written = Path(self._certificate).stat().st_mtime if self._certificate else 0.0
        known = self._contexts.get(provider)
        if known is not None and known[0] == written:
            return known[1]
        context = ssl.create_default_context(cadata=provider.ca_bundle.decode("ascii", "strict"))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if self._certificate:
            context.load_cert_chain(self._certificate, self._key)
        self._contexts = {each: made for each, made in self._contexts.items() if each.name != provider.name}
        self._contexts[provider] = (written, context)
        return context
