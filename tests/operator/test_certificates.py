"""Certificates are renewed so that at no moment a client that trusts the published bundle is refused."""

from __future__ import annotations

import base64
import itertools
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from webhook.operator.certificates import (
    AUTHORITY_LIFETIME,
    AUTHORITY_RENEWAL,
    OVERLAP,
    SERVER_LIFETIME,
    SERVER_RENEWAL,
    Bundle,
    check_bundle,
    next_bundle,
    read_secret,
    store,
    write_secret,
)

NOW = datetime.now(UTC).replace(microsecond=0)
HOSTS = ["127.0.0.1", "tidewaiter.tidewaiter-system.svc"]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return next_bundle(None, HOSTS, NOW)


def shakes_hands(trusted: bytes, bundle: Bundle, folder: Path, host: str) -> bool:
    """Tell whether a client that trusts `trusted` accepts the server's certificate for `host`."""
    store(bundle, folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    client = ssl.create_default_context(cadata=trusted.decode())
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    done: set[int] = set()
    for number in itertools.islice(itertools.cycle((0, 1)), 12):
        try:
            ends[number].do_handshake()
            done.add(number)
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError:
            return False
    return len(done) == 2


def test_a_new_bundle_is_trusted_for_its_hosts_only(bundle: Bundle, tmp_path: Path) -> None:
    for host in HOSTS:
        assert shakes_hands(bundle.trusted, bundle, tmp_path, host)
    assert not shakes_hands(bundle.trusted, bundle, tmp_path, "elsewhere.example.com")


def test_nothing_is_done_before_it_is_due(bundle: Bundle) -> None:
    assert next_bundle(bundle, HOSTS, NOW + DAY) is bundle


@pytest.mark.parametrize(
    ("hosts", "later"),
    [(HOSTS, SERVER_LIFETIME - SERVER_RENEWAL + DAY), (["10.0.0.1"], DAY)],
)
def test_the_server_certificate_is_renewed_by_the_same_authority(
    bundle: Bundle, hosts: list[str], later: timedelta
) -> None:
    renewed = next_bundle(bundle, hosts, NOW + later)
    assert renewed.trusted == bundle.trusted
    assert renewed.server != bundle.server


def test_a_new_authority_comes_in_steps_that_overlap(tmp_path: Path) -> None:
    late = NOW - 2 * OVERLAP
    old = next_bundle(None, HOSTS, late - AUTHORITY_LIFETIME + AUTHORITY_RENEWAL - DAY)
    both = next_bundle(old, HOSTS, late)
    assert both.trusted.startswith(old.trusted)
    assert both.authority == old.authority
    # Before the API server knows of the new authority nothing shows a certificate of it.
    assert next_bundle(both, HOSTS, late + OVERLAP, registered=False).authority == old.authority
    assert next_bundle(both, HOSTS, late + OVERLAP / 2).authority == old.authority
    switched = next_bundle(both, HOSTS, late + OVERLAP)
    assert switched.authority != old.authority
    alone = next_bundle(switched, HOSTS, late + 2 * OVERLAP)
    assert alone.server == switched.server
    assert old.authority.certificate.strip() not in alone.trusted
    check_bundle(alone.trusted)
    steps = [old, both, switched, alone]
    for before, after in itertools.pairwise(steps[1:]):
        # Whoever knows the step before trusts what the next one shows, and the other way round.
        assert shakes_hands(before.trusted, after, tmp_path, HOSTS[0])
        assert shakes_hands(after.trusted, before, tmp_path, HOSTS[0])
    assert not shakes_hands(old.trusted, switched, tmp_path, HOSTS[0])


def test_the_secret_gives_the_bundle_back(bundle: Bundle) -> None:
    late = NOW + AUTHORITY_LIFETIME - AUTHORITY_RENEWAL + DAY
    both = next_bundle(bundle, HOSTS, late)
    switched = next_bundle(both, HOSTS, late + OVERLAP)
    for each in (bundle, both):
        assert read_secret(write_secret(each, "here", "certificates")) == each
    again = read_secret(write_secret(switched, "here", "certificates"))
    assert again is not None
    assert (again.trusted, again.server) == (switched.trusted, switched.server)


def _secret(bundle: Bundle) -> dict[str, Any]:
    return write_secret(bundle, "here", "certificates")


@pytest.mark.parametrize(
    "data",
    [
        {"tls.crt": None},
        {"tls.key": base64.b64encode(b"no key").decode()},
        {"ca.crt": "not base64!"},
        {"ca.key": None},
        {"other-ca.crt": base64.b64encode(b"no certificate").decode()},
    ],
)
def test_a_secret_that_is_not_what_it_should_be_counts_as_none(bundle: Bundle, data: dict[str, Any]) -> None:
    secret = _secret(bundle)
    secret["data"] |= data
    secret["data"] = {name: value for name, value in secret["data"].items() if value is not None}
    assert read_secret(secret) is None


def test_a_secret_whose_key_is_another_ones_counts_as_none(bundle: Bundle) -> None:
    other = next_bundle(None, HOSTS, NOW)
    secret = _secret(bundle)
    secret["data"]["tls.key"] = _secret(other)["data"]["tls.key"]
    assert read_secret(secret) is None
    secret = _secret(bundle)
    secret["data"]["tls.crt"], secret["data"]["tls.key"] = (
        _secret(other)["data"][name] for name in ("tls.crt", "tls.key")
    )
    assert read_secret(secret) is None


def test_files_are_written_only_when_they_change(bundle: Bundle, tmp_path: Path) -> None:
    assert store(bundle, tmp_path / "new")
    assert not store(bundle, tmp_path / "new")
    assert (tmp_path / "new/tls.key").stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["tls.crt", "tls.key"]


@pytest.mark.parametrize(
    "pem", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_garbage_is_no_ca_bundle(pem: bytes) -> None:
    with pytest.raises(ValueError, match="caBundle"):
        check_bundle(pem)


def test_a_server_certificate_is_no_ca_bundle(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="no authority"):
        check_bundle(bundle.server.certificate)
