"""Extensions of certificates (RFC 5280) as Go's JSON shows them."""

from __future__ import annotations

import re
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID as Access

from webhook.rego.context import BuiltinError, Halt
from webhook.rego.go.certificates.der import base64_text, oid_numbers
from webhook.rego.go.urls import Url, parse_url, url_text
from webhook.rego.value_text import quote

USES: Final = {
    "2.5.29.37.0": 0, "1.3.6.1.5.5.7.3.1": 1, "1.3.6.1.5.5.7.3.2": 2, "1.3.6.1.5.5.7.3.3": 3,
    "1.3.6.1.5.5.7.3.4": 4, "1.3.6.1.5.5.7.3.5": 5, "1.3.6.1.5.5.7.3.6": 6, "1.3.6.1.5.5.7.3.7": 7,
    "1.3.6.1.5.5.7.3.8": 8, "1.3.6.1.5.5.7.3.9": 9, "1.3.6.1.4.1.311.10.3.3": 10,
    "2.16.840.1.113730.4.1": 11, "1.3.6.1.4.1.311.2.1.22": 12, "1.3.6.1.4.1.311.61.1.1": 13,
}  # fmt: skip
_LABEL: Final = re.compile("[!-~]+")
HANDLED: Final = frozenset(f"2.5.29.{n}" for n in (14, 15, 17, 19, 30, 31, 32, 33, 35, 36, 37, 54))


def raw_fields(extensions: x509.Extensions) -> list[dict[str, Any]] | None:
    """Return all extensions as they are encoded."""
    return [
        {"Id": oid_numbers(e.oid), "Critical": e.critical, "Value": base64_text(e.value.public_bytes())}
        for e in extensions
    ] or None


def find(extensions: x509.Extensions, kind: Any) -> Any:
    """Return the extension of a kind; None if there is none.

    Raises:
        Halt: it constrains names, which isn't supported.
    """
    found = next((e.value for e in extensions if isinstance(e.value, kind)), None)
    if kind is x509.NameConstraints and found is not None:
        raise Halt("certificates with constraints of names are not supported")
    return found


def policy_fields(extensions: x509.Extensions) -> dict[str, Any]:
    """Return what extensions say of policies."""
    policies = find(extensions, x509.CertificatePolicies)
    constraints = find(extensions, x509.PolicyConstraints)
    inhibit = find(extensions, x509.InhibitAnyPolicy)
    any_skipped = None if inhibit is None else inhibit.skip_certs
    explicit = None if constraints is None else constraints.require_explicit_policy
    mapping = None if constraints is None else constraints.inhibit_policy_mapping
    oids = [] if policies is None else [policy.policy_identifier for policy in policies]
    return {
        "PolicyIdentifiers": [oid_numbers(oid) for oid in oids] or None,
        "Policies": [oid.dotted_string for oid in oids] or None,
        "InhibitAnyPolicy": any_skipped or 0,
        "InhibitAnyPolicyZero": any_skipped == 0,
        "InhibitPolicyMapping": mapping or 0,
        "InhibitPolicyMappingZero": mapping == 0,
        "RequireExplicitPolicy": explicit or 0,
        "RequireExplicitPolicyZero": explicit == 0,
    }


def usage_fields(extensions: x509.Extensions) -> dict[str, Any]:
    """Return what extensions say of uses, authorities and where more is to be had."""
    find(extensions, x509.NameConstraints)
    basic = find(extensions, x509.BasicConstraints)
    length = 0 if basic is None else -1 if basic.path_length is None else basic.path_length
    subject = find(extensions, x509.SubjectKeyIdentifier)
    authority = find(extensions, x509.AuthorityKeyIdentifier)
    uses = [oid.dotted_string for oid in find(extensions, x509.ExtendedKeyUsage) or ()]
    access = list(find(extensions, x509.AuthorityInformationAccess) or ())
    points = find(extensions, x509.CRLDistributionPoints) or ()
    lists = [name.value for point in points for name in point.full_name or () if _is_uri(name)]
    return {
        "KeyUsage": _key_usage(find(extensions, x509.KeyUsage)),
        "ExtKeyUsage": [USES[use] for use in uses if use in USES] or None,
        "UnknownExtKeyUsage": [oid_numbers(x509.ObjectIdentifier(u)) for u in uses if u not in USES] or None,
        "BasicConstraintsValid": basic is not None,
        "IsCA": basic is not None and basic.ca,
        "MaxPathLen": length,
        "MaxPathLenZero": basic is not None and basic.path_length == 0,
        "SubjectKeyId": None if subject is None else base64_text(subject.digest),
        "AuthorityKeyId": None if authority is None else base64_text(authority.key_identifier),
        "OCSPServer": [a.access_location.value for a in access if a.access_method == Access.OCSP] or None,
        "IssuingCertificateURL": [
            a.access_location.value for a in access if a.access_method == Access.CA_ISSUERS
        ]
        or None,
        "CRLDistributionPoints": lists or None,
    }


def _is_uri(name: x509.GeneralName) -> bool:
    return isinstance(name, x509.UniformResourceIdentifier)


def _key_usage(usage: x509.KeyUsage | None) -> int:
    if usage is None:
        return 0
    agrees = usage.key_agreement
    bits = [
        usage.digital_signature,
        usage.content_commitment,
        usage.key_encipherment,
        usage.data_encipherment,
        agrees,
        usage.key_cert_sign,
        usage.crl_sign,
        agrees and usage.encipher_only,
        agrees and usage.decipher_only,
    ]
    return sum(1 << place for place, bit in enumerate(bits) if bit)


def name_fields(extensions: x509.Extensions, with_uris: bool) -> dict[str, Any]:
    """Return the alternative names of a subject."""
    found = find(extensions, x509.SubjectAlternativeName)
    names = [] if found is None else list(found)
    urls = [_url(name.value) for name in names if _is_uri(name)]
    result = {
        "DNSNames": [name.value for name in names if isinstance(name, x509.DNSName)] or None,
        "EmailAddresses": [name.value for name in names if isinstance(name, x509.RFC822Name)] or None,
        "IPAddresses": [str(name.value) for name in names if isinstance(name, x509.IPAddress)] or None,
        "URIs": [_uri(url) for url in urls] or None,
    }
    if with_uris:
        result["URIStrings"] = [url_text(url) for url in urls] or None
    return result


def _url(text: str) -> Url:
    try:
        url = parse_url(text)
    except BuiltinError as error:
        raise BuiltinError(f"x509: cannot parse URI {quote(text)}: {error}") from None
    if url.host and not all(_LABEL.fullmatch(label) for label in url.host.split(".")):
        raise BuiltinError(f"x509: cannot parse URI {quote(text)}: invalid domain")
    return url


def _uri(url: Url) -> dict[str, Any]:
    return {
        "Scheme": url.scheme,
        "Opaque": url.opaque,
        "User": None if url.user is None else {},
        "Host": url.host,
        "Path": url.path,
        "Fragment": url.fragment,
        "RawQuery": url.raw_query,
        "RawPath": url.raw_path,
        "RawFragment": url.raw_fragment,
        "ForceQuery": url.force_query,
        "OmitHost": url.omit_host,
    }
