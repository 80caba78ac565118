"""The TLS context of the listener, and its reload while connections go on."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from webhook.core.errors import InputError
from webhook.server.settings import TlsSettings

_MINIMUM = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_Signature = tuple[tuple[int, int, int], ...]


class LiveContext:
    """A context for the listener that always hands out the newest certificate.

    Loading another pair into a context replaces one of the same key type only, and removes no authority. So a
    whole new context is made, and every handshake is handed over to it where the client's hello is read.

    Args:
        settings: which files, and what clients must bring.
        wait: files that aren't there yet are no error: until they are, no handshake succeeds.

    Attributes:
        listener: the context to listen with.
        error: why the files can't be used as they are now; empty when they can.

    Raises:
        InputError: the files can't be used.
    """

    def __init__(self, settings: TlsSettings, *, wait: bool = False) -> None:
        self._settings = settings
        self._seen = self._look()
        self._newest: _Loaded | None = None
        self.error = ""
        self.listener = _context(settings)
        self.listener.sni_callback = self._hand_over
        try:
            self._newest = _load(settings)
        except InputError as error:
            if not (wait and self._is_missing()):
                raise
            self.error = str(error)

    @property
    def files(self) -> tuple[str, str]:
        """The files with the certificate and its key."""
        return self._settings.certificate, self._settings.key

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate (DER) that new handshakes get, in hex; empty while there is none."""
        return self._newest.fingerprint if self._newest is not None else ""

    @property
    def expires_at(self) -> float:
        """When that certificate ends, in seconds since the epoch; 0 while there is none."""
        return self._newest.expires_at if self._newest is not None else 0.0

    def _hand_over(self, connection: ssl.SSLObject, _name: Any, _context: ssl.SSLContext) -> None:
        if self._newest is not None:
            connection.context = self._newest.context

    def refresh(self) -> bool:
        """Load the files again if they have changed; tell whether a new certificate serves.

        A pair that can't be used changes nothing but `error`; files are often replaced one after the other.
        """
        seen = self._look()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self._newest = _load(self._settings)
        except InputError as error:
            self.error = str(error)
            return False
        self.error = ""
        return True

    def _is_missing(self) -> bool:
        return any(name and not Path(name).exists() for name in self._files())

    def _files(self) -> tuple[str, str, str]:
        return self._settings.certificate, self._settings.key, self._settings.client_ca

    def _look(self) -> _Signature:
        found = []
        for name in self._files():
            try:
                stat = Path(name).stat() if name else None
            except OSError:
                stat = None
            found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino) if stat else (0, 0, 0))
        return tuple(found)


class _Loaded(NamedTuple):
    """A context with its certificate, and what is told about that."""

    context: ssl.SSLContext
    fingerprint: str
    expires_at: float


def _context(settings: TlsSettings) -> ssl.SSLContext:
    """Return a context that has no certificate yet, and asks clients for theirs as told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _MINIMUM[settings.minimum]
    context.set_alpn_protocols(["http/1.1"])
    if settings.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _load(settings: TlsSettings) -> _Loaded:
    """Return a context of the files as they are."""
    context = _context(settings)
    try:
        # An encrypted key would make OpenSSL ask on the terminal; an empty password makes it fail instead.
        context.load_cert_chain(settings.certificate, settings.key, password="")
        certificate = x509.load_pem_x509_certificate(Path(settings.certificate).read_bytes())
    except (ssl.SSLError, OSError, ValueError) as error:
        pair = f"{settings.certificate} and {settings.key}"
        raise InputError(f"the certificate can't be used: {_reason(error)}", pair) from None
    if settings.client_ca:
        try:
            context.load_verify_locations(settings.client_ca)
        except (ssl.SSLError, OSError) as error:
            text = f"the client authorities can't be used: {_reason(error)}"
            raise InputError(text, settings.client_ca) from None
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    return _Loaded(context, fingerprint, certificate.not_valid_after_utc.timestamp())


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
