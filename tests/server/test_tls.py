"""The certificate is replaced while the listener stays open."""

from __future__ import annotations

import contextlib
import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from webhook.core.errors import InputError
from webhook.server.selfsigned import write_pair
from webhook.server.settings import TlsSettings
from webhook.server.tls import LiveContext


def touch(*files: str) -> None:
    """Make sure that the times differ, however fast the test is."""
    for file in files:
        stat = Path(file).stat()
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


def replace(folder: Path, tls: TlsSettings) -> None:
    write_pair(folder)
    touch(tls.certificate, tls.key)


@pytest.fixture
def tls(tmp_path: Path) -> TlsSettings:
    return write_pair(tmp_path)


def connect(live: LiveContext, client: ssl.SSLContext, name: str | None = "localhost") -> x509.Certificate:
    """Shake hands in memory, and return the certificate that the client is shown."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = live.listener.wrap_bio(there, back, server_side=True)
    theirs = client.wrap_bio(back, there, server_hostname=name)
    for side in (theirs, ours, theirs, ours, theirs):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    shown = theirs.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


def trusting(certificate: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_renewed_pair_is_shown_to_new_connections(tmp_path: Path, tls: TlsSettings, name: str) -> None:
    live = LiveContext(tls)
    before = connect(live, trusting(tls.certificate), name)
    assert live.refresh() is False
    replace(tmp_path, tls)
    assert live.refresh() is True
    after = connect(live, trusting(tls.certificate), name)
    assert before.serial_number != after.serial_number
    assert live.expires_at == after.not_valid_after_utc.timestamp()


def test_a_client_that_trusts_old_and_new_is_served_by_either(tmp_path: Path) -> None:
    pairs = []
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        pairs.append(write_pair(tmp_path / name))
    for order in (pairs, pairs[::-1]):
        both = tmp_path / "both.pem"
        both.write_text("".join(Path(pair.certificate).read_text() for pair in order))
        for pair in pairs:
            shown = connect(LiveContext(pair), trusting(str(both)))
            assert shown == x509.load_pem_x509_certificate(Path(pair.certificate).read_bytes())


def test_a_pair_of_another_key_type_replaces_the_old(tmp_path: Path, tls: TlsSettings) -> None:
    live = LiveContext(tls)
    key = rsa.generate_private_key(65537, 2048)
    old = x509.load_pem_x509_certificate(Path(tls.certificate).read_bytes())
    builder = x509.CertificateBuilder(
        old.issuer, old.subject, key.public_key(), 7, old.not_valid_before_utc, old.not_valid_after_utc
    )
    for name in (x509.SubjectAlternativeName, x509.BasicConstraints):
        extension = old.extensions.get_extension_for_class(name)
        builder = builder.add_extension(extension.value, extension.critical)
    pem = serialization.Encoding.PEM
    Path(tls.certificate).write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    Path(tls.key).write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    touch(tls.certificate, tls.key)
    assert live.refresh() is True
    assert (connect(live, trusting(tls.certificate))).serial_number == 7


@pytest.mark.parametrize("damage", ["key", "cut", "missing"])
def test_a_bad_pair_keeps_the_old_and_says_so(tmp_path: Path, tls: TlsSettings, damage: str) -> None:
    live = LiveContext(tls)
    before = connect(live, trusting(tls.certificate))
    context = trusting(tls.certificate)
    good = Path(tls.certificate).read_bytes()
    if damage == "key":
        other = tmp_path / "other"
        other.mkdir()
        Path(tls.key).write_bytes(Path(write_pair(other).key).read_bytes())
        touch(tls.key)
    elif damage == "cut":
        Path(tls.certificate).write_bytes(good[:100])
    else:
        Path(tls.certificate).unlink()
    assert live.refresh() is False
    assert "certificate can't be used" in live.error
    assert (connect(live, context)).serial_number == before.serial_number
    replace(tmp_path, tls)
    assert live.refresh() is True
    assert live.error == ""


def test_clients_must_bring_a_certificate_where_one_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "client").mkdir()
    server, client = write_pair(tmp_path / "server"), write_pair(tmp_path / "client")
    live = LiveContext(TlsSettings(server.certificate, server.key, client.certificate))
    with_none, with_one = trusting(server.certificate), trusting(server.certificate)
    with_one.load_cert_chain(client.certificate, client.key)
    with_another = trusting(server.certificate)
    with_another.load_cert_chain(server.certificate, server.key)
    connect(live, with_one)
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        connect(live, with_none)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        connect(live, with_another)
    # A new authority takes the place of the old one.
    Path(client.certificate).write_bytes(Path(server.certificate).read_bytes())
    touch(client.certificate)
    assert live.refresh() is True
    connect(live, with_another)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        connect(live, with_one)


def test_tls_1_2_is_refused_unless_asked_for(tls: TlsSettings) -> None:
    assert LiveContext(tls).listener.minimum_version is ssl.TLSVersion.TLSv1_3
    older = TlsSettings(tls.certificate, tls.key, minimum="1.2")
    assert LiveContext(older).listener.minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_key_is_the_owners_alone(tls: TlsSettings) -> None:
    assert Path(tls.key).stat().st_mode & 0o777 == 0o600


def test_files_that_come_later_are_waited_for(tmp_path: Path) -> None:
    pair = TlsSettings(str(tmp_path / "tls.crt"), str(tmp_path / "tls.key"))
    live = LiveContext(pair, wait=True)
    assert "No such file" in live.error
    assert (live.fingerprint, live.expires_at, live.refresh()) == ("", 0.0, False)
    (tmp_path / "other").mkdir()
    write_pair(tmp_path / "other")
    with pytest.raises(ssl.SSLError):
        connect(live, trusting(str(tmp_path / "other/tls.crt")))
    write_pair(tmp_path)
    assert live.refresh() is True
    shown = connect(live, trusting(pair.certificate))
    assert (live.error, live.fingerprint) == ("", shown.fingerprint(hashes.SHA256()).hex())


def test_files_that_are_there_and_no_certificate_are_not_waited_for(tmp_path: Path, tls: TlsSettings) -> None:
    Path(tls.certificate).write_text("none")
    with pytest.raises(InputError, match="certificate can't be used"):
        LiveContext(tls, wait=True)


@pytest.mark.parametrize("part", ["certificate", "key", "client_ca"])
def test_a_missing_file_is_named(tmp_path: Path, tls: TlsSettings, part: str) -> None:
    names = {"certificate": tls.certificate, "key": tls.key, part: str(tmp_path / "missing.pem")}
    with pytest.raises(InputError, match=r"missing\.pem"):
        LiveContext(TlsSettings(**names))
