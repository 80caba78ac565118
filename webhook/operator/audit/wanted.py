"""What a report must say and what one in the cluster says, by digests: only what differs is written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from webhook.adapters.findings import Finding
from webhook.adapters.openreports import Family, reports_on
from webhook.core.model import PolicyRef
from webhook.operator.client import Resource

DIGEST = "tidewaiter.dev/digest"
"""The annotation by which the next leader knows what a report was to say."""

_LENGTH = 16
_EPOCH = datetime.fromtimestamp(0, UTC)


class Key(NamedTuple):
    """Which report."""

    namespace: str
    name: str


class Source(NamedTuple):
    """The object that a report is on."""

    resource: Resource
    namespace: str
    name: str


class Wanted(NamedTuple):
    """The reports on an object.

    Attributes:
        digest: of what they say, whenever it was found.
        bodies: the reports as JSON, without their time.
        digests: of what each says.
    """

    digest: bytes
    bodies: Sequence[bytes]
    digests: Sequence[bytes]


def wanted(
    findings: Sequence[Finding], family: Family, categories: Mapping[PolicyRef, str], form: str = ""
) -> Wanted:
    """Return the reports on an object, and their digest; `form` as for `reports_on`."""
    made = reports_on(findings, _EPOCH, family, categories, form)
    digests = [digest_of(each) for each in made]
    whole = digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()[:_LENGTH]
    return Wanted(whole, [orjson.dumps(each) for each in made], digests)


def digest_of(report: Mapping[str, Any]) -> bytes:
    """Return the digest of what a report says, whenever that was found, and whose it is.

    Args:
        report: as it was made, or as the API server returns it, which may be anything that its schema allows.
    """
    results = report.get("results")
    said = {
        "source": report.get("source"),
        "scope": report.get("scope"),
        "summary": report.get("summary"),
        "owners": (report.get("metadata") or {}).get("ownerReferences"),
        "results": [
            {name: value for name, value in each.items() if name != "timestamp"}
            for each in (results if isinstance(results, list) else ())
            if isinstance(each, dict)
        ],
    }
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()[:_LENGTH]


class There(NamedTuple):
    """A report in the cluster.

    Attributes:
        digest: of what we wrote; empty for what nobody knows.
        stored: of what is there: an API server may leave out or add fields of what we write.
    """

    digest: bytes
    stored: bytes = b""


SOMETHING = There(b"")
"""What may be there, and may say anything: it is being written, or removed."""


class Body(NamedTuple):
    """A report that waits to be written."""

    digest: bytes
    data: bytes

    def report(self, at: datetime) -> dict[str, Any]:
        """Return it, written at a time."""
        report: dict[str, Any] = orjson.loads(self.data)
        report["metadata"]["annotations"] = {DIGEST: self.digest.hex()}
        for result in report["results"]:
            result["timestamp"] = {"seconds": int(at.timestamp()), "nanos": 0}
        return report


def there(report: Mapping[str, Any]) -> There:
    """Return what is known of a report from itself: what it was to say, if it still says that."""
    stored = digest_of(report)
    annotations = report["metadata"].get("annotations") or {}
    return There(stored if annotations.get(DIGEST) == stored.hex() else b"", stored)
