"""SSH signatures of approvals: those that hold, and every way in which one doesn't."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from webhook.adapters import signatures
from webhook.adapters.reading import read_approval
from webhook.adapters.signatures import Checked, check, statement
from webhook.adapters.ssh_wire import string
from webhook.core.errors import InputError

SPEC = {
    "riskAcceptance": "legacy",
    "approver": "jane.doe@example.com",
    "digest": "sha256:" + "0" * 64,
    "approvedAt": "2026-11-24T09:00:00Z",
}
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256, P384, P521 = (ec.derive_private_key(7, curve()) for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1))


@pytest.fixture(scope="module")
def rsa3072() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 3072)


def mpint(value: int) -> bytes:
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big"))


def pair(signature: bytes) -> bytes:
    return string(b"".join(map(mpint, decode_dss_signature(signature))))


def armoured(data: bytes) -> str:
    text = base64.b64encode(data).decode()
    lines = [text[start : start + 70] for start in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def sshsig(
    key: bytes,
    sign: Callable[[bytes], bytes],
    *,
    magic: bytes = b"SSHSIG",
    version: int = 1,
    namespace: bytes = b"tidewaiter.dev",
    reserved: bytes = b"",
    algorithm: bytes = b"sha512",
    message: bytes = statement(SPEC),
    more: bytes = b"",
) -> str:
    """Return a signature as PROTOCOL.sshsig lays it out, or with one part that is wrong."""
    name = algorithm.decode() if algorithm in (b"sha256", b"sha512") else "sha512"
    signed = b"SSHSIG" + b"".join(
        map(string, (namespace, reserved, algorithm, hashlib.new(name, message).digest()))
    )
    head = magic + version.to_bytes(4, "big")
    return armoured(head + b"".join(map(string, (key, namespace, reserved, algorithm, sign(signed)))) + more)


def raw(key: ed25519.Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


ED_BLOB = string(b"ssh-ed25519") + string(raw(ED25519))


def ed_sign(signed: bytes) -> bytes:
    return string(b"ssh-ed25519") + string(ED25519.sign(signed))


APPLICATION = b"ssh:"
SK_ED, SK_EC = b"sk-ssh-ed25519@openssh.com", b"sk-ecdsa-sha2-nistp256@openssh.com"
SK_ED_BLOB = string(SK_ED) + string(raw(ED25519)) + string(APPLICATION)
SK_EC_BLOB = string(SK_EC) + string(b"nistp256") + string(point(P256)) + string(APPLICATION)


def by_device(signed: bytes, flags: int, application: bytes) -> tuple[bytes, bytes]:
    """Return what a FIDO device signs, and what it says beside the signature (PROTOCOL.u2f)."""
    said = bytes([flags]) + (42).to_bytes(4, "big")
    return hashlib.sha256(application).digest() + said + hashlib.sha256(signed).digest(), said


def sk_ed_sign(
    flags: int = 1, application: bytes = APPLICATION, more: bytes = b""
) -> Callable[[bytes], bytes]:
    def sign(signed: bytes) -> bytes:
        what, said = by_device(signed, flags, application)
        return string(SK_ED) + string(ED25519.sign(what)) + said + more

    return sign


def sk_ec_sign(
    flags: int = 1, application: bytes = APPLICATION, more: bytes = b""
) -> Callable[[bytes], bytes]:
    def sign(signed: bytes) -> bytes:
        what, said = by_device(signed, flags, application)
        return string(SK_EC) + pair(P256.sign(what, ec.ECDSA(hashes.SHA256()))) + said + more

    return sign


def checked(signature: Any, **spec: Any) -> Checked:
    return check({**SPEC, "signature": signature, **spec})


# What holds.


@pytest.mark.parametrize("key", [ED25519, P256, P384, P521], ids=["ed25519", "p256", "p384", "p521"])
def test_what_we_sign_holds_and_names_the_key(key: signatures.PrivateKey) -> None:
    found = checked(signatures.sign(key, statement(SPEC)))
    assert found == Checked(signed_by=signatures.public_key(key))


def test_what_we_sign_by_rsa_holds(rsa3072: rsa.RSAPrivateKey) -> None:
    found = checked(signatures.sign(rsa3072, statement(SPEC)))
    assert found == Checked(signed_by=signatures.public_key(rsa3072))


@pytest.mark.parametrize("algorithm", [b"sha256", b"sha512"])
def test_a_signature_by_either_hash_holds(algorithm: bytes) -> None:
    assert not checked(sshsig(ED_BLOB, ed_sign, algorithm=algorithm)).problem


@pytest.mark.parametrize(
    ("blob", "sign"),
    [
        (SK_ED_BLOB, sk_ed_sign()),
        (SK_EC_BLOB, sk_ec_sign()),
        (SK_ED_BLOB, sk_ed_sign(flags=0x05)),  # verified the user, too
    ],
)
def test_a_fido_key_that_somebody_touched_holds(blob: bytes, sign: Callable[[bytes], bytes]) -> None:
    found = checked(sshsig(blob, sign))
    assert not found.problem
    assert found.signed_by.split()[1] == base64.b64encode(blob).decode()


def test_an_approval_is_read_with_the_fact_of_its_signature() -> None:
    obj = {"kind": "RiskApproval", "metadata": {"name": "one", "namespace": "shop"}, "spec": SPEC}
    assert (read_approval(obj).signed_by, read_approval(obj).signature_problem) == ("", "")
    signed = signatures.sign(ED25519, statement(SPEC))
    of_jane = read_approval({**obj, "spec": {**SPEC, "signature": signed}})
    assert of_jane.signed_by == signatures.public_key(ED25519)
    of_another = read_approval({**obj, "spec": {**SPEC, "signature": signed, "approver": "eve@example.com"}})
    assert not of_another.signed_by
    assert "not of this approver" in of_another.signature_problem


# What doesn't.


@pytest.mark.parametrize("field", ["approver", "digest", "approvedAt"])
def test_what_is_signed_can_not_be_changed(field: str) -> None:
    said = {
        "approver": "eve@example.com",
        "digest": "sha256:" + "1" * 64,
        "approvedAt": "2026-11-24T09:00:01Z",
    }
    found = checked(sshsig(ED_BLOB, ed_sign), **{field: said[field]})
    assert found == Checked(problem="it is not of this approver, time and digest, or it was damaged")


def test_what_is_not_signed_may_be_another() -> None:
    assert not checked(sshsig(ED_BLOB, ed_sign), riskAcceptance="other", groups=["any"]).problem


GOOD = sshsig(ED_BLOB, ed_sign)
BODY = "".join(GOOD.splitlines()[1:-1])


def framed(body: str) -> str:
    return f"-----BEGIN SSH SIGNATURE-----\n{body}\n-----END SSH SIGNATURE-----\n"


WRONG: dict[str, tuple[Any, str]] = {
    "no text": (7, "is no text"),
    "empty": ("", "not framed"),
    "no frame": (BODY, "not framed"),
    "no end": (GOOD.rpartition("-----END")[0], "not framed"),
    "text before it": ("hello\n" + GOOD, "not framed"),
    "text after it": (GOOD + "hello", "not framed"),
    "two": (GOOD + GOOD, "not framed"),
    "a blank line in it": (framed(BODY[:20] + "\n\n" + BODY[20:]), "not framed"),
    "no base64": (framed("====="), "not framed"),
    "a cut base64": (framed(BODY[:-5]), "is no base64"),
    "a base64 of another spelling": (
        framed(base64.b64encode(b"SSHSIG ").decode().replace("A==", "B==")),
        "not spelt",
    ),
    "too long": (framed("A" * 20_000), "longer than 16384 characters"),
    "nothing in it": (armoured(b"SSHS"), "cut short"),
    "another magic": (sshsig(ED_BLOB, ed_sign, magic=b"SSHSIX"), "does not start as SSHSIG does"),
    "another version": (sshsig(ED_BLOB, ed_sign, version=2), "SSHSIG version 2, not 1"),
    "another namespace": (
        sshsig(ED_BLOB, ed_sign, namespace=b"git"),
        "the namespace 'git', not 'tidewaiter.dev'",
    ),
    "no namespace": (sshsig(ED_BLOB, ed_sign, namespace=b""), "the namespace ''"),
    "a namespace that is no text": (sshsig(ED_BLOB, ed_sign, namespace=b"\xff\x00"), "the namespace"),
    "something reserved": (sshsig(ED_BLOB, ed_sign, reserved=b"x"), "reserved field is not empty"),
    "another hash": (sshsig(ED_BLOB, ed_sign, algorithm=b"sha1"), "hash is 'sha1', not sha256 or sha512"),
    "a hash that is no text": (sshsig(ED_BLOB, ed_sign, algorithm=b"\x00"), "a name that is no text"),
    "something after it": (sshsig(ED_BLOB, ed_sign, more=b"x"), "has 1 bytes too many"),
    "no key": (sshsig(b"", ed_sign), "the public key is cut short"),
    "a short key": (sshsig(string(b"ssh-ed25519") + string(b"x" * 31), ed_sign), "has 32 bytes"),
    "a long key": (sshsig(ED_BLOB + b"x", ed_sign), "the public key has 1 bytes too many"),
    "a key of another type": (
        sshsig(string(b"ssh-dss") + string(b"x"), ed_sign),
        "keys of type 'ssh-dss' can't sign",
    ),
    "a certificate": (
        sshsig(string(b"ssh-ed25519-cert-v01@openssh.com") + string(b"x"), ed_sign),
        "can't sign approvals",
    ),
    "no signature in it": (sshsig(ED_BLOB, lambda _: b""), "own blob is cut short"),
    "a short signature": (
        sshsig(ED_BLOB, lambda _: string(b"ssh-ed25519") + string(b"x" * 63)),
        "has 64 bytes",
    ),
    "a longer signature": (sshsig(ED_BLOB, lambda data: ed_sign(data) + b"x"), "1 bytes too many"),
    "a signature of another type": (
        sshsig(ED_BLOB, lambda _: string(b"ssh-rsa") + string(b"x" * 64)),
        "does not sign with 'ssh-rsa'",
    ),
    "another key's": (
        sshsig(string(b"ssh-ed25519") + string(raw(ed25519.Ed25519PrivateKey.generate())), ed_sign),
        "not of this approver",
    ),
    "another message": (sshsig(ED_BLOB, ed_sign, message=b"{}"), "not of this approver"),
    "a curve that isn't the type's": (
        sshsig(string(b"ecdsa-sha2-nistp256") + string(b"nistp384") + string(point(P384)), ed_sign),
        "type and its curve differ",
    ),
    "a point of another curve": (
        sshsig(string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(point(P384)), ed_sign),
        "no uncompressed point",
    ),
    "a point of no curve": (
        sshsig(
            string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(b"\x04" + b"\x01" * 64), ed_sign
        ),
        "no point of its curve",
    ),
    "an ECDSA pair of zero": (
        sshsig(
            string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(point(P256)),
            lambda _: string(b"ecdsa-sha2-nistp256") + string(string(b"") + string(b"")),
        ),
        "is not positive",
    ),
    "an ECDSA pair in a longer form": (
        sshsig(
            string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(point(P256)),
            lambda _: string(b"ecdsa-sha2-nistp256") + string(string(b"\x00\x01") + string(b"\x01")),
        ),
        "in its shortest form",
    ),
    "an ECDSA pair that is too large": (
        sshsig(
            string(b"ecdsa-sha2-nistp256") + string(b"nistp256") + string(point(P256)),
            lambda _: string(b"ecdsa-sha2-nistp256") + string(mpint(2**300) + mpint(1)),
        ),
        "more than 256 bits",
    ),
    "a FIDO key that nobody touched": (sshsig(SK_ED_BLOB, sk_ed_sign(flags=0x04)), "lacks user presence"),
    "an ECDSA FIDO key that nobody touched": (sshsig(SK_EC_BLOB, sk_ec_sign(flags=0)), "lacks user presence"),
    "a FIDO key of another application": (
        sshsig(SK_ED_BLOB, sk_ed_sign(application=b"ssh:other")),
        "not of this approver",
    ),
    "a FIDO signature with more": (sshsig(SK_ED_BLOB, sk_ed_sign(more=b"x")), "1 bytes too many"),
    "an ECDSA FIDO signature with more": (sshsig(SK_EC_BLOB, sk_ec_sign(more=b"x")), "1 bytes too many"),
    "a FIDO key's signature without a device": (
        sshsig(SK_ED_BLOB, lambda data: string(SK_ED) + string(ED25519.sign(data))),
        "cut short",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_signature_is_told(case: str) -> None:
    signature, said = WRONG[case]
    found = checked(signature)
    assert not found.signed_by
    assert said in found.problem


@pytest.mark.parametrize(
    ("exponent", "modulus", "said"),
    [
        (65537, 2**2047 + 1, "at least 3072 bits, not 2048"),
        (65537, 2**16384 + 1, "more than 16384 bits"),
        (2**64 + 1, 2**3071 + 1, "more than 64 bits"),
        (2, 2**3071 + 1, ""),
        (1, 2**3071 + 1, ""),
        (65537, 2**3071, ""),
    ],
    ids=["short", "too long", "large exponent", "even exponent", "exponent of one", "even modulus"],
)
def test_an_rsa_key_that_is_none_is_refused(exponent: int, modulus: int, said: str) -> None:
    found = checked(sshsig(string(b"ssh-rsa") + mpint(exponent) + mpint(modulus), ed_sign))
    assert found.problem
    assert said in found.problem


@pytest.mark.parametrize(
    ("algorithm", "made_by", "said"),
    [
        (b"rsa-sha2-256", hashes.SHA256(), ""),
        (b"rsa-sha2-512", hashes.SHA512(), ""),
        (b"ssh-rsa", hashes.SHA1(), "rsa-sha2-256 or rsa-sha2-512, not 'ssh-rsa'"),
        (b"rsa-sha2-512", hashes.SHA256(), "not of this approver"),
    ],
)
def test_rsa_signs_by_sha2_only(
    rsa3072: rsa.RSAPrivateKey, algorithm: bytes, made_by: hashes.HashAlgorithm, said: str
) -> None:
    numbers = rsa3072.public_key().public_numbers()
    blob = string(b"ssh-rsa") + mpint(numbers.e) + mpint(numbers.n)

    def sign(signed: bytes) -> bytes:
        return string(algorithm) + string(rsa3072.sign(signed, padding.PKCS1v15(), made_by))

    found = checked(sshsig(blob, sign))
    assert bool(found.problem) is bool(said)
    assert said in found.problem


@pytest.mark.parametrize("name", ["approver", "digest", "approvedAt"])
def test_a_statement_needs_each_of_its_parts(name: str) -> None:
    spec = {key: value for key, value in SPEC.items() if key != name}
    with pytest.raises(ValueError, match=f"spec.{name}: is missing"):
        statement(spec)
    assert check({**spec, "signature": GOOD}).problem == f"spec.{name}: is missing"


def test_the_statement_is_canonical_json() -> None:
    assert statement(SPEC) == (
        b'{"approvedAt":"2026-11-24T09:00:00Z","approver":"jane.doe@example.com","digest":"sha256:'
        + b"0" * 64
        + b'","type":"tidewaiter.dev/RiskApproval/v1"}'
    )


# Hostile text.

SIGNATURES = [GOOD, sshsig(SK_ED_BLOB, sk_ed_sign()), sshsig(SK_EC_BLOB, sk_ec_sign())]


@given(which=st.sampled_from(SIGNATURES), place=st.integers(0, 10_000), byte=st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_no_changed_byte_holds_and_none_raises(which: str, place: int, byte: int) -> None:
    data = bytearray(base64.b64decode("".join(which.splitlines()[1:-1])))
    place %= len(data)
    same = data[place] == byte
    data[place] = byte
    assert bool(checked(armoured(bytes(data))).signed_by) is same


@given(
    which=st.sampled_from(SIGNATURES),
    start=st.integers(0, 600),
    end=st.integers(0, 600),
    put=st.binary(max_size=8),
)
@settings(max_examples=300, deadline=None)
def test_no_cut_or_stretched_signature_raises(which: str, start: int, end: int, put: bytes) -> None:
    data = base64.b64decode("".join(which.splitlines()[1:-1]))
    changed = data[:start] + put + data[max(start, end) :]
    found = checked(armoured(changed))
    assert bool(found.signed_by) is (changed == data)


@given(text=st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_no_text_raises(text: str) -> None:
    assert checked(text).problem
    assert checked(framed(text)).problem


# Private keys.


def written(key: Any, passphrase: bytes | None = None) -> bytes:
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    data: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, encryption
    )
    return data


@pytest.mark.parametrize("key", [ED25519, P256, P384, P521], ids=["ed25519", "p256", "p384", "p521"])
def test_a_private_key_file_signs(key: Any) -> None:
    loaded = signatures.load_private_key(written(key))
    assert signatures.public_key(loaded) == signatures.public_key(key)


def test_a_passphrase_is_asked_for_and_must_be_right() -> None:
    pytest.importorskip("bcrypt")
    data = written(ED25519, b"open sesame")
    with pytest.raises(signatures.PassphraseError, match="has a passphrase"):
        signatures.load_private_key(data)
    with pytest.raises(InputError, match="or the passphrase is wrong"):
        signatures.load_private_key(data, "wrong")
    loaded = signatures.load_private_key(data, "open sesame")
    assert signatures.public_key(loaded) == signatures.public_key(ED25519)


def test_what_can_not_sign_is_told_what_to_do() -> None:
    with pytest.raises(InputError, match="ssh-keygen -Y sign"):
        signatures.load_private_key(b"no key")
    with pytest.raises(InputError, match="has no passphrase"):
        signatures.load_private_key(written(ED25519), "some")
    with pytest.raises(InputError, match="at least 3072 bits, not 2048"):
        signatures.load_private_key(written(rsa.generate_private_key(65537, 2048)))


# OpenSSH.


@pytest.fixture(scope="module")
def ssh_keygen() -> str:
    found = shutil.which("ssh-keygen")
    if found is None:
        pytest.skip("there is no ssh-keygen on this machine: install OpenSSH's client to compare with it")
    return found


@pytest.mark.parametrize(
    "kind", [("ed25519",), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "3072")]
)
def test_openssh_and_we_agree(ssh_keygen: str, tmp_path: Path, kind: tuple[str, ...]) -> None:
    key, message, signature = tmp_path / "key", tmp_path / "statement", tmp_path / "statement.sig"
    bits = ("-b", kind[1]) if kind[1:] else ()

    def run(*words: str, feed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([ssh_keygen, *words], input=feed, capture_output=True, check=True, timeout=60)

    run("-q", "-t", kind[0], *bits, "-N", "", "-C", "a comment", "-f", str(key))
    listed = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    message.write_bytes(statement(SPEC))
    for algorithm in ("sha256", "sha512"):
        signature.unlink(missing_ok=True)
        run("-Y", "sign", "-n", "tidewaiter.dev", "-O", f"hashalg={algorithm}", "-f", str(key), str(message))
        assert checked(signature.read_text()) == Checked(signed_by=listed)
    signature.unlink()
    run("-Y", "sign", "-n", "file", "-f", str(key), str(message))
    assert "the namespace 'file'" in checked(signature.read_text()).problem

    ours = signatures.load_private_key(key.read_bytes())
    assert signatures.public_key(ours) == listed
    signature.write_text(signatures.sign(ours, statement(SPEC)))
    allowed = tmp_path / "allowed"
    allowed.write_text(f"{SPEC['approver']} {listed}\n")
    said = run(
        *("-Y", "verify", "-n", "tidewaiter.dev", "-I", SPEC["approver"]),
        *("-f", str(allowed), "-s", str(signature)),
        feed=statement(SPEC),
    )
    assert b"Good" in said.stdout


def test_fido_keys_made_here_hold_for_openssh(ssh_keygen: str, tmp_path: Path) -> None:
    """The vectors above are ours; OpenSSH says the same of them."""
    for blob, sign in ((SK_ED_BLOB, sk_ed_sign()), (SK_EC_BLOB, sk_ec_sign())):
        kind = (SK_ED if blob is SK_ED_BLOB else SK_EC).decode()
        allowed, signature = tmp_path / "allowed", tmp_path / "signature"
        allowed.write_text(f"{SPEC['approver']} {kind} {base64.b64encode(blob).decode()}\n")
        signature.write_text(sshsig(blob, sign))
        words = ("-Y", "verify", "-n", "tidewaiter.dev", "-I", SPEC["approver"])
        done = subprocess.run(
            [ssh_keygen, *words, "-f", str(allowed), "-s", str(signature)],
            input=statement(SPEC),
            capture_output=True,
            timeout=60,
        )
        assert b"Good" in done.stdout, done.stderr
