"""Where to listen, as people write it."""

from __future__ import annotations

from typing import NamedTuple

from webhook.core.errors import InputError


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return the address in `text`, ``HOST:PORT`` or ``[IPv6]:PORT``.

    Raises:
        InputError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InputError(f"{text!r} is no address: write HOST:PORT, such as 0.0.0.0:8443 or [::]:8443")
    return Address(host or "0.0.0.0", int(port))  # noqa: S104 - as an address without a host says
