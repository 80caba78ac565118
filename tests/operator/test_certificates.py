"""Certificates are renewed so that at no moment a client that trusts the published bundle is refused."""

from __future__ import annotations

import base64
import itertools
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from webhook.operator import pair_files
from webhook.operator.authority import (
    AUTHORITY_LIFETIME,
    SERVER_LIFETIME,
    Pair,
    authorities_in,
    check_bundle,
    is_for,
    issue,
    issuer_of,
    new_authority,
)
from webhook.operator.certificates import (
    AUTHORITY_RENEWAL,
    ROTATE,
    SERVER_RENEWAL,
    Bundle,
    next_bundle,
    read_secret,
    wants_rotation,
    write_secret,
)
from webhook.operator.trust import Gate

NOW = datetime.now(UTC).replace(microsecond=0)
HOSTS = ["127.0.0.1", "tidewaiter.tidewaiter-system.svc"]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return next_bundle(None, HOSTS, NOW)


@pytest.fixture(scope="module")
def other() -> Bundle:
    return next_bundle(None, HOSTS, NOW)


def shakes_hands(trusted: bytes, pair: Pair, folder: Path, host: str) -> bool:
    """Tell whether a client that trusts `trusted` accepts the server's certificate for `host`."""
    pair_files.store(pair, folder)
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
        assert shakes_hands(bundle.trusted, bundle.server, tmp_path, host)
        assert is_for(bundle.server.x509, host)
    assert not shakes_hands(bundle.trusted, bundle.server, tmp_path, "elsewhere.example.com")
    assert not is_for(bundle.server.x509, "elsewhere.example.com")


@pytest.mark.parametrize(
    ("names", "host", "holds"),
    [
        (["*.shop.svc"], "tidewaiter.shop.svc", True),
        (["*.shop.svc"], "a.tidewaiter.shop.svc", False),
        (["*.shop.svc"], "shop.svc", False),
        (["TIDEWAITER.shop.svc"], "tidewaiter.shop.svc", True),
        (["10.0.0.1"], "10.0.0.1", True),
        (["10.0.0.1"], "10.0.0.2", False),
        (["svc"], "svc", True),
    ],
)
def test_a_wildcard_stands_for_one_label(names: list[str], host: str, holds: bool) -> None:
    pair = issue(new_authority(NOW), names, NOW)
    assert is_for(pair.x509, host) is holds


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


@pytest.mark.parametrize(
    ("later", "rotate"), [(AUTHORITY_LIFETIME - AUTHORITY_RENEWAL + DAY, False), (DAY, True)]
)
def test_a_new_authority_comes_when_it_is_due_or_asked_for(
    bundle: Bundle, later: timedelta, rotate: bool
) -> None:
    rotated = next_bundle(bundle, HOSTS, NOW + later, rotate=rotate)
    assert rotated.authority != bundle.authority
    assert not issuer_of(rotated.server.certificate, bundle.trusted, NOW + later)
    assert issuer_of(rotated.server.certificate, rotated.trusted, NOW + later)


def test_an_issuer_is_found_through_intermediate_authorities(bundle: Bundle, other: Bundle) -> None:
    now = NOW + DAY
    leaf = bundle.server.certificate
    root = next(iter(authorities_in(bundle.trusted)))
    assert issuer_of(leaf, other.trusted + bundle.trusted, now) == root
    assert issuer_of(leaf, other.trusted, now) == ""
    assert issuer_of(leaf + other.trusted, bundle.trusted, now) == root
    # An authority vouches for itself, but a certificate beside the leaf is not trusted for that.
    assert issuer_of(leaf + bundle.trusted, other.trusted, now) == ""
    assert issuer_of(leaf, bundle.trusted, NOW + SERVER_LIFETIME + DAY) == ""
    assert issuer_of(b"garbage", bundle.trusted, now) == ""
    assert issuer_of(leaf, b"garbage", now) == ""


def test_only_authorities_are_found_in_a_list(bundle: Bundle) -> None:
    assert list(authorities_in(bundle.server.certificate + bundle.trusted).values()) == [bundle.trusted]
    assert authorities_in(b"garbage") == {}


def _secret(bundle: Bundle) -> dict[str, Any]:
    return write_secret(bundle, "here", "certificates")


def test_the_secret_gives_the_bundle_back(bundle: Bundle) -> None:
    assert read_secret(_secret(bundle)) == bundle


def test_an_annotation_asks_for_a_rotation(bundle: Bundle) -> None:
    secret = _secret(bundle)
    assert not wants_rotation(secret)
    secret["metadata"]["annotations"] = {ROTATE: ""}
    assert wants_rotation(secret)


@pytest.mark.parametrize(
    "data",
    [
        {"tls.crt": None},
        {"tls.key": base64.b64encode(b"no key").decode()},
        {"ca.crt": "not base64!"},
        {"ca.key": None},
    ],
)
def test_a_secret_that_is_not_what_it_should_be_counts_as_none(bundle: Bundle, data: dict[str, Any]) -> None:
    secret = _secret(bundle)
    secret["data"] |= data
    secret["data"] = {name: value for name, value in secret["data"].items() if value is not None}
    assert read_secret(secret) is None


def test_a_secret_whose_key_is_another_ones_counts_as_none(bundle: Bundle, other: Bundle) -> None:
    secret = _secret(bundle)
    secret["data"]["tls.key"] = _secret(other)["data"]["tls.key"]
    assert read_secret(secret) is None
    secret = _secret(bundle)
    secret["data"]["tls.crt"], secret["data"]["tls.key"] = (
        _secret(other)["data"][name] for name in ("tls.crt", "tls.key")
    )
    assert read_secret(secret) is None


def test_files_are_written_only_when_they_change(bundle: Bundle, other: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert pair_files.store(bundle.server, folder)
    assert not pair_files.store(bundle.server, folder)
    assert (folder / "tls.key").stat().st_mode & 0o077 == 0
    assert pair_files.stored(folder) == bundle.server
    for number in range(3):
        assert pair_files.store((other, bundle)[number % 2].server, folder)
    assert pair_files.stored(folder) == other.server
    assert len(list(folder.glob("..pair-*"))) == 2, "the one before stays for who reads it, no others"


def test_both_files_change_at_once(bundle: Bundle, other: Bundle, tmp_path: Path) -> None:
    """Whoever opened the folder's link before a change still finds the pair of before, whole."""
    pair_files.store(bundle.server, tmp_path)
    inside = (tmp_path / "..data").resolve()
    pair_files.store(other.server, tmp_path)
    assert Pair((inside / "tls.crt").read_bytes(), (inside / "tls.key").read_bytes()) == bundle.server
    assert pair_files.stored(tmp_path) == other.server


@pytest.mark.parametrize(
    "pem", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_garbage_is_no_ca_bundle(pem: bytes) -> None:
    with pytest.raises(ValueError, match="caBundle"):
        check_bundle(pem)


def test_a_server_certificate_is_no_ca_bundle(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="no authority"):
        check_bundle(bundle.server.certificate)


def mount(folder: Path, bundle: Bundle, **other_files: bytes) -> None:
    """Put files where the kubelet would, and swap them in as it does: by a link."""
    files = {
        "tls.crt": bundle.server.certificate,
        "tls.key": bundle.server.key,
        "ca.crt": bundle.trusted,
        **{name.replace("_", "."): content for name, content in other_files.items()},
    }
    folder.mkdir(exist_ok=True)
    inside = folder / f"..{len(list(folder.iterdir()))}"
    inside.mkdir()
    for name, content in files.items():
        (inside / name).write_bytes(content)
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
    aside = folder / "..data_tmp"
    aside.symlink_to(inside.name)
    os.replace(aside, folder / "..data")  # noqa: PTH105 - as the kubelet does


def test_given_files_are_read_as_they_are_mounted(bundle: Bundle, other: Bundle, tmp_path: Path) -> None:
    mount(tmp_path, bundle)
    given = pair_files.read_given(tmp_path, HOSTS[0], NOW)
    assert (given.server, given.trusted) == (bundle.server, bundle.trusted)
    mount(tmp_path, other)
    assert pair_files.read_given(tmp_path, HOSTS[0], NOW).server == other.server


def test_given_files_that_are_no_mount_are_read(bundle: Bundle, tmp_path: Path) -> None:
    for name, content in (
        ("tls.crt", bundle.server.certificate),
        ("tls.key", bundle.server.key),
        ("ca.crt", bundle.trusted),
    ):
        (tmp_path / name).write_bytes(content)
    assert pair_files.read_given(tmp_path, HOSTS[1], NOW).server == bundle.server


@pytest.mark.parametrize(
    ("broken", "host", "later", "problem"),
    [
        ({"tls_key": b"no key"}, HOSTS[0], DAY, "Unable to load PEM|Could not deserialize"),
        ({"tls_crt": b"no certificate"}, HOSTS[0], DAY, "Unable to load PEM"),
        ({"ca_crt": b""}, HOSTS[0], DAY, "caBundle"),
        ({}, "elsewhere.example.com", DAY, "is not for elsewhere.example.com"),
        ({}, HOSTS[0], SERVER_LIFETIME + DAY, "out of date"),
    ],
)
def test_given_files_that_cannot_be_used_say_why(
    bundle: Bundle, tmp_path: Path, broken: dict[str, bytes], host: str, later: timedelta, problem: str
) -> None:
    mount(tmp_path, bundle, **broken)
    with pytest.raises(ValueError, match=problem):
        pair_files.read_given(tmp_path, host, NOW + later)


def test_given_files_of_two_pairs_cannot_be_used(bundle: Bundle, other: Bundle, tmp_path: Path) -> None:
    mount(tmp_path / "key", bundle, tls_key=other.server.key)
    with pytest.raises(ValueError, match="another certificate's"):
        pair_files.read_given(tmp_path / "key", HOSTS[0], NOW)
    mount(tmp_path / "ca", bundle, ca_crt=other.trusted)
    with pytest.raises(ValueError, match="does not vouch"):
        pair_files.read_given(tmp_path / "ca", HOSTS[0], NOW)
    with pytest.raises(ValueError, match="No such file"):
        pair_files.read_given(tmp_path / "none", HOSTS[0], NOW)


def configuration(*bundles: bytes) -> dict[str, Any]:
    return {
        "webhooks": [
            {
                "name": f"{number}.tidewaiter.dev",
                "clientConfig": {"caBundle": base64.b64encode(each).decode()},
            }
            for number, each in enumerate(bundles)
        ]
    }


def test_the_gate_opens_once_every_entry_has_trusted_a_certificate_for_a_while(
    bundle: Bundle, other: Bundle
) -> None:
    gate = Gate(60)
    chain = other.server.certificate
    assert gate.is_open(chain, NOW, 0), "nobody is asked yet"
    gate.see(configuration(bundle.trusted, bundle.trusted), 0)
    assert not gate.trusts(chain, NOW)
    both = bundle.trusted + other.trusted
    gate.see(configuration(both, bundle.trusted), 10)
    assert not gate.trusts(chain, NOW), "one entry of two"
    gate.see(configuration(both, both), 20)
    assert gate.trusts(chain, NOW)
    assert not gate.is_open(chain, NOW, 79)
    assert gate.is_open(chain, NOW, 80)
    gate.see(configuration(both, b"garbage"), 90)
    assert not gate.trusts(chain, NOW)
    gate.see(configuration(both, both), 100)
    assert not gate.is_open(chain, NOW, 159), "counted anew"


def test_entries_of_others_do_not_close_the_gate(bundle: Bundle) -> None:
    gate = Gate(0)
    live = configuration(bundle.trusted)
    live["webhooks"].append({"name": "another.example.com", "clientConfig": {"caBundle": "AAAA"}})
    gate.see(live, 0)
    assert gate.is_open(bundle.server.certificate, NOW, 0)
