"""Certificates, requests and keys are shown as OPA shows them, and chains verified as OPA verifies them."""

from __future__ import annotations

import datetime
import ipaddress
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from tests.rego.builtins.table import ask, evaluate
from webhook.rego.builtins import DECLARATIONS, BuiltinError, Context

NOW = datetime.datetime(2024, 1, 2, 3, 4, 5)
LATER = datetime.datetime(2044, 1, 2, 3, 4, 5)
DAY = 86_400 * 1_000_000_000
NOW_NS = 19_730 * DAY + 20 * 365 * DAY // 2

POLICY = """package t
certs = crypto.x509.parse_certificates(input.certs)
csr = crypto.x509.parse_certificate_request(input.csr)
check(chain, options) = crypto.x509.parse_and_verify_certificates_with_options(chain, options)
verify = check(input.chain, {"CurrentTime": input.now})
host = check(input.chain, {"DNSName": "x.b.c", "CurrentTime": input.now})[0]
other = check(input.chain, {"DNSName": "x.y.b.c", "CurrentTime": input.now})[0]
use = check(input.chain, {"KeyUsages": ["KeyUsageCodeSigning"], "CurrentTime": input.now})[0]
late = check(input.chain, {"CurrentTime": 4000000000000000000})[0]
swapped = check(input.swapped, {"CurrentTime": input.now})[0]
pair = crypto.x509.parse_keypair(input.leaf, input.key)
keys = crypto.parse_private_keys(input.keys)
jwk = crypto.x509.parse_rsa_private_key(input.key)
ec = crypto.x509.parse_rsa_private_key(input.ec)
ed = crypto.x509.parse_rsa_private_key(input.ed)
"""


def _name(**parts: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(getattr(NameOID, name), value) for name, value in parts.items()])


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, serial: int) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return builder.serial_number(serial).not_valid_before(NOW).not_valid_after(LATER)


def _usage(*named: str) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign"
    )
    flags = {name: name in named for name in [*names.split(), "crl_sign", "encipher_only", "decipher_only"]}
    return x509.KeyUsage(**flags)


@pytest.fixture(scope="module")
def material() -> dict[str, Any]:
    """Make an authority, a certificate with every extension, one of another algorithm, and a request."""
    authority, leaf_key = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    edwards = ed25519.Ed25519PrivateKey.generate()
    issuer = _name(
        COUNTRY_NAME="DE", ORGANIZATION_NAME="Ö rg", ORGANIZATIONAL_UNIT_NAME="U", COMMON_NAME="ca"
    )
    subject = _name(
        STATE_OR_PROVINCE_NAME="B", LOCALITY_NAME="L", STREET_ADDRESS="s", POSTAL_CODE="1", SERIAL_NUMBER="n"
    )
    root = _builder(issuer, issuer, authority.public_key(), 1)
    root = root.add_extension(x509.BasicConstraints(True, 1), True)
    root = root.add_extension(_usage("key_cert_sign", "crl_sign"), True)
    root = root.add_extension(x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), False)
    uri = x509.UniformResourceIdentifier
    names = [
        x509.DNSName("a.example.com"),
        x509.DNSName("*.b.c"),
        x509.RFC822Name("x@y.z"),
        uri("https://u/x"),
        uri("urn:uuid:6ba7b810?q#f"),
        uri("spiffe://me:pw@trust.example:8443/a%2Fb/%20c?#%41!"),
        uri("file:/a?"),
        uri("HTTPS://h"),
        uri("http://a%40b:p@h/x[1] y/%2f"),
        uri("x:"),
        uri("file:///a"),
        uri("http://h?q"),
    ]
    names += [x509.IPAddress(ipaddress.ip_address(text)) for text in ("10.0.0.1", "2001:db8::1")]
    uses = [
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        x509.ObjectIdentifier("1.2.3.4"),
    ]
    access = [
        x509.AccessDescription(AuthorityInformationAccessOID.OCSP, uri("http://ocsp")),
        x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, uri("http://ca")),
    ]
    leaf = _builder(subject, issuer, leaf_key.public_key(), 2**100 + 5)
    for extension, critical in (
        (x509.BasicConstraints(False, None), True),
        (_usage("digital_signature", "key_encipherment"), True),
        (x509.ExtendedKeyUsage(uses), False),
        (x509.SubjectAlternativeName(names), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), False),
        (x509.AuthorityInformationAccess(access), False),
        (x509.CRLDistributionPoints([x509.DistributionPoint([uri("http://crl")], None, None, None)]), False),
        (
            x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.5.29.32.0"), None)]),
            False,
        ),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), False),
    ):
        leaf = leaf.add_extension(extension, critical)
    plain = _builder(_name(COMMON_NAME="ed"), _name(COMMON_NAME="ed"), edwards.public_key(), 7)
    request = x509.CertificateSigningRequestBuilder().subject_name(issuer)
    request = request.add_extension(x509.SubjectAlternativeName([x509.DNSName("a.b")]), False)

    def pem(signed: Any) -> str:
        return signed.public_bytes(Encoding.PEM).decode()

    def private(key: Any, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
        return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()

    root_pem, leaf_pem = (
        pem(root.sign(authority, hashes.SHA256())),
        pem(leaf.sign(authority, hashes.SHA384())),
    )
    old = PrivateFormat.TraditionalOpenSSL
    return {
        "certs": root_pem + leaf_pem + pem(plain.sign(edwards, None)),
        "chain": root_pem + leaf_pem,
        "swapped": leaf_pem + root_pem,
        "leaf": leaf_pem,
        "csr": pem(request.sign(authority, hashes.SHA256())),
        "key": private(leaf_key),
        "keys": private(leaf_key, old) + private(authority, old) + private(edwards),
        "ec": private(authority),
        "ed": private(edwards),
        "now": NOW_NS,
    }


def _call(name: str, *operands: Any) -> Any:
    implementation = DECLARATIONS[name].implementation
    assert implementation is not None
    return implementation(Context(now_ns=NOW_NS), *operands)


def _computed(material: dict[str, Any]) -> dict[str, Any]:
    verify = "crypto.x509.parse_and_verify_certificates_with_options"
    now, chain = {"CurrentTime": NOW_NS}, material["chain"]
    return {
        "certs": _call("crypto.x509.parse_certificates", material["certs"]),
        "csr": _call("crypto.x509.parse_certificate_request", material["csr"]),
        "verify": _call(verify, chain, now),
        "host": _call(verify, chain, {"DNSName": "x.b.c", **now})[0],
        "other": _call(verify, chain, {"DNSName": "x.y.b.c", **now})[0],
        "use": _call(verify, chain, {"KeyUsages": ["KeyUsageCodeSigning"], **now})[0],
        "late": _call(verify, chain, {"CurrentTime": 4 * 10**18})[0],
        "swapped": _call(verify, material["swapped"], now)[0],
        "pair": _call("crypto.x509.parse_keypair", material["leaf"], material["key"]),
        "keys": _call("crypto.parse_private_keys", material["keys"]),
        "jwk": _call("crypto.x509.parse_rsa_private_key", material["key"]),
        "ec": _call("crypto.x509.parse_rsa_private_key", material["ec"]),
        "ed": _call("crypto.x509.parse_rsa_private_key", material["ed"]),
    }


def test_certificates_are_shown_as_opa_shows_them(
    material: dict[str, Any], opa: Path, tmp_path: Path
) -> None:
    (tmp_path / "t.rego").write_text(POLICY)
    (tmp_path / "input.json").write_text(json.dumps(material))
    command = [
        opa,
        "eval",
        "--v0-compatible",
        "-d",
        tmp_path / "t.rego",
        "-i",
        tmp_path / "input.json",
        "data.t",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert _computed(material) == json.loads(done.stdout)["result"][0]["expressions"][0]["value"]


def test_chains_are_verified(material: dict[str, Any]) -> None:
    found = _computed(material)
    assert [found[name] for name in ("host", "other", "use", "late", "swapped")] == [
        True,
        False,
        False,
        False,
        False,
    ]
    assert [c["Subject"]["SerialNumber"] for c in found["verify"][1]] == ["n", ""]
    assert found["certs"][1]["DNSNames"] == ["a.example.com", "*.b.c"]


def test_a_key_of_another_certificate_is_no_pair(material: dict[str, Any]) -> None:
    with pytest.raises(BuiltinError, match="private key does not match public key"):
        _call("crypto.x509.parse_keypair", material["leaf"], material["ec"])


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("http://h:x/", 'parse "http://h:x/": invalid port ":x" after host'),
        ("http://a..b/", "invalid domain"),
        ("http://.a/", "invalid domain"),
        ("http://a./", "invalid domain"),
    ],
)
def test_a_certificate_for_no_uri_is_none(uri: str, problem: str, opa: Path) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)])
    signed = _builder(name, name, key.public_key(), 1).add_extension(names, False).sign(key, hashes.SHA256())
    call = f"crypto.x509.parse_certificates(`{signed.public_bytes(Encoding.PEM).decode()}`)"
    found = evaluate(call)
    assert found.endswith(f': x509: cannot parse URI "{uri}": {problem}')
    assert [found] == ask(opa, [call])
