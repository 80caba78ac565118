"""Chains of certificates, verified as Go's ``Certificate.Verify`` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from webhook.rego.context import BuiltinError, Context
from webhook.rego.go.certificates.der import MALFORMED
from webhook.rego.go.certificates.extensions import HANDLED, USES, find

USE_NAMES: Final = {
    "KeyUsageAny": 0, "KeyUsageServerAuth": 1, "KeyUsageClientAuth": 2, "KeyUsageCodeSigning": 3,
    "KeyUsageEmailProtection": 4, "KeyUsageIPSECEndSystem": 5, "KeyUsageIPSECTunnel": 6,
    "KeyUsageIPSECUser": 7, "KeyUsageTimeStamping": 8, "KeyUsageOCSPSigning": 9,
    "KeyUsageMicrosoftServerGatedCrypto": 10, "KeyUsageNetscapeServerGatedCrypto": 11,
    "KeyUsageMicrosoftCommercialCodeSigning": 12, "KeyUsageMicrosoftKernelCodeSigning": 13,
}  # fmt: skip
_MAX_CHAIN: Final = 100
_MAX_CHECKS: Final = 100


class _TooManyChecks(Exception):  # noqa: N818 - never leaves this module
    pass


def verified(
    context: Context, certificates: Sequence[x509.Certificate], now_ns: int, uses: Sequence[int], host: str
) -> list[x509.Certificate] | None:
    """Return the chain from the last certificate to the first, which is trusted; None if there is none.

    As in Go the search ends after 100 signatures: what all sign each other has chains without end.
    """
    if not 2 <= len(certificates) <= _MAX_CHAIN:
        return None
    root, leaf = certificates[0], certificates[-1]
    now = datetime.fromtimestamp(now_ns / 1e9, UTC)
    checks = iter(range(_MAX_CHECKS))

    def issued(certificate: x509.Certificate, issuer: x509.Certificate, below: int) -> bool:
        if certificate.issuer != issuer.subject:
            return False
        context.spend(500)
        if next(checks, None) is None:
            raise _TooManyChecks
        return _issued(certificate, issuer, below)

    try:
        if host and not _is_for(leaf, host):
            return None
        return _chain([leaf], root, certificates[1:-1], now, uses, issued)
    except _TooManyChecks:
        return None
    except MALFORMED as error:
        raise BuiltinError("x509: malformed certificate") from error


def _chain(
    chain: list[x509.Certificate],
    root: x509.Certificate,
    between: Sequence[x509.Certificate],
    now: datetime,
    uses: Sequence[int],
    issued: Callable[[x509.Certificate, x509.Certificate, int], bool],
) -> list[x509.Certificate] | None:
    last = chain[-1]
    if not last.not_valid_before_utc <= now <= last.not_valid_after_utc or not _allows(last, uses):
        return None
    for issuer in (root, *between):
        if issuer in chain or not issued(last, issuer, len(chain) - 1):
            continue
        if issuer is root:
            inside = root.not_valid_before_utc <= now <= root.not_valid_after_utc
            if inside and _allows(root, uses):
                return [*chain, root]
            continue
        left = [certificate for certificate in between if certificate is not issuer]
        found = _chain([*chain, issuer], root, left, now, uses, issued)
        if found is not None:
            return found
    return None


def _allows(certificate: x509.Certificate, uses: Sequence[int]) -> bool:
    found = find(certificate.extensions, x509.ExtendedKeyUsage)
    if found is None or 0 in uses:
        return True
    allowed = {USES.get(oid.dotted_string) for oid in found}
    return 0 in allowed or any(use in allowed for use in uses)


def _issued(certificate: x509.Certificate, issuer: x509.Certificate, below: int) -> bool:
    """Tell whether `issuer`, with so many authorities below it, signed the certificate."""
    basic = find(issuer.extensions, x509.BasicConstraints)
    usage = find(issuer.extensions, x509.KeyUsage)
    if basic is None or not basic.ca or (usage is not None and not usage.key_cert_sign):
        return False
    if basic.path_length is not None and below > basic.path_length:
        return False
    if any(e.critical and e.oid.dotted_string not in HANDLED for e in certificate.extensions):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_for(certificate: x509.Certificate, host: str) -> bool:
    """Tell whether a certificate is one for a host, whose first label a wildcard may stand for."""
    names = find(certificate.extensions, x509.SubjectAlternativeName)
    if names is None:
        return False
    if any(isinstance(name, x509.IPAddress) and str(name.value) == host.strip("[]") for name in names):
        return True
    wanted = host.lower().removesuffix(".").split(".")
    for name in names:
        if isinstance(name, x509.DNSName):
            parts = name.value.lower().removesuffix(".").split(".")
            if parts == wanted or (parts[0] == "*" and len(parts) > 1 and parts[1:] == wanted[1:]):
                return True
    return False
