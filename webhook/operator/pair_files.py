"""Certificates as files: those that the workers read, and those that somebody mounts for us."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from webhook.operator.authority import Pair, check_bundle, check_pair, is_for, issuer_of

CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"
_DATA = "..data"
_LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Given:
    """What others keep for us.

    Attributes:
        server: what the data plane shows.
        trusted: the authorities that the API server must trust for it, PEM.
    """

    server: Pair
    trusted: bytes


def read_given(folder: Path, host: str, now: datetime) -> Given:
    """Return the certificate, key and authorities in a folder that others keep.

    The kubelet replaces all files of a mounted Secret at once, by a link; so they are read behind it.
    https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod

    Args:
        folder: with ``tls.crt``, ``tls.key`` and ``ca.crt``.
        host: what the API server asks for.
        now: the time.

    Raises:
        ValueError: they can't be used, with why.
    """
    data = folder / _DATA
    try:
        inside = data.resolve(strict=True) if data.is_symlink() else folder
        certificate, key, trusted = (_read(inside / name) for name in (CERTIFICATE, KEY, AUTHORITY))
    except OSError as error:
        raise ValueError(f"{error.filename or folder}: {error.strerror or error}") from None
    pair = Pair(certificate, key)
    check_pair(pair)
    check_bundle(trusted)
    if not issuer_of(certificate, trusted, now):
        raise ValueError(f"{AUTHORITY} does not vouch for {CERTIFICATE}, or one of them is out of date")
    if not is_for(pair.x509, host):
        raise ValueError(f"{CERTIFICATE} is not for {host}, where the API server asks")
    return Given(pair, trusted)


def stored(folder: Path) -> Pair | None:
    """Return the pair that `store` wrote last; None for none."""
    try:
        return Pair(_read(folder / CERTIFICATE), _read(folder / KEY))
    except OSError:
        return None


def store(pair: Pair, folder: Path) -> bool:
    """Write a pair as ``tls.crt`` and ``tls.key``; tell whether it changed.

    Both change at once, as in a mounted Secret: they are links through a link that one rename replaces. The
    files before stay until the next time, for whoever is reading them.
    """
    if stored(folder) == pair:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / _DATA
    before = _target(data)
    inside = Path(tempfile.mkdtemp(dir=folder, prefix="..pair-"))  # for the owner alone
    for name, content in ((KEY, pair.key), (CERTIFICATE, pair.certificate)):
        descriptor = os.open(inside / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    _link(data, inside.name)
    for name in (KEY, CERTIFICATE):
        if _target(folder / name) != f"{_DATA}/{name}":
            _link(folder / name, f"{_DATA}/{name}")
    for old in folder.glob("..pair-*"):
        if old.name not in (inside.name, before):
            shutil.rmtree(old, ignore_errors=True)
    return True


def _link(path: Path, target: str) -> None:
    aside = path.with_name(f"..new-{path.name}")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    aside.rename(path)


def _target(path: Path) -> str:
    with contextlib.suppress(OSError):
        return str(path.readlink())
    return ""


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST)
