"""The digest of an object of our own kinds: names what it says, whatever its labels and status are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from webhook.core.canonical import canonical_json
from webhook.core.fields import metadata_of
from webhook.core.model import GROUP


def object_digest(obj: Mapping[str, Any]) -> str:
    """Return the digest of an object of one of our kinds, as the API server has it.

    Of an acceptance it is what an approval must carry; see `webhook.core.acceptance.digest_of`.

    Args:
        obj: the object; a cluster kind has no namespace.

    Raises:
        ValueError: it holds what has no canonical JSON, such as a float.
    """
    return placed_digest(obj, metadata_of(obj).get("namespace") or "")


def placed_digest(obj: Mapping[str, Any], namespace: str) -> str:
    """Return ``sha256:`` and the hex SHA-256 of the RFC 8785 JSON of group, kind, name, namespace and spec.

    Args:
        obj: the object.
        namespace: where it is, or will be; empty for a cluster kind, of which it is no part.

    Raises:
        ValueError: it holds what has no canonical JSON, such as a float.
    """
    content = {
        "group": GROUP,
        "kind": obj.get("kind"),
        "name": metadata_of(obj).get("name", ""),
        "spec": obj.get("spec") or {},
    }
    if namespace:
        content["namespace"] = namespace
    return "sha256:" + hashlib.sha256(canonical_json(content)).hexdigest()
