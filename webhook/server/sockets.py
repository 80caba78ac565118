"""Listening sockets that are shared with children, and that refuse while nobody would accept."""

from __future__ import annotations

import errno
import socket

from webhook.adapters.addresses import Address
from webhook.core.errors import InputError

BACKLOG = 1024


def bind(address: Address) -> socket.socket:
    """Return a socket that listens on `address` and is inherited by children.

    Raises:
        InputError: somebody else listens there, or the host has no such address.
    """
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(f"can't listen on {address}: {error.strerror or error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind_for_good(listener, address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        advice = ""
        if error.errno == errno.EADDRINUSE:
            advice = ": stop what listens there, or choose another port with --listen (0 takes a free one)"
        raise InputError(f"can't listen on {address}: {reason}{advice}") from None
    listener.setblocking(False)
    return listener


def _bind_for_good(listener: socket.socket, address: Address) -> None:
    """Bind so that the port stays ours while we don't listen: Linux keeps only one that was asked for."""
    if address.port:
        listener.bind((address.host, address.port))
        return
    with socket.socket(listener.family, socket.SOCK_STREAM) as finder:
        finder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        finder.bind((address.host, 0))
        listener.bind((address.host, finder.getsockname()[1]))


def refuse(listener: socket.socket) -> None:
    """Refuse connections, and reset those that nobody has accepted, in whichever process.

    Linux does so where a listening socket is shut down: ``inet_shutdown`` in net/ipv4/af_inet.c. Left alone
    they would wait in the kernel until the client gives up.
    """
    listener.shutdown(socket.SHUT_RDWR)


def take(listener: socket.socket) -> None:
    """Take connections again."""
    listener.listen(BACKLOG)
