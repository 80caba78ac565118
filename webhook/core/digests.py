"""The digest of an object of our own kinds: names what it says, whatever its labels and status are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from webhook.core.canonical import canonical_json
from webhook.core.fields import metadata_of
from webhook.core.model import GROUP


def object_digest(obj: Mapping[str, Any]) -> str:
    """Return ``sha256:`` and the hex SHA-256 of the RFC 8785 JSON of group, kind, name, namespace and spec.

    Of an acceptance it is what an approval must carry; see `webhook.core.acceptance.digest_of`.

    Args:
        obj: an object of one of our kinds, as the API server has it; a cluster kind has no namespace.

    Raises:
        ValueError: it holds what has no canonical JSON, such as a float.
    """
    metadata = metadata_of(obj)
    content = {
        "group": GROUP,
        "kind": obj.get("kind"),
        "name": metadata.get("name", ""),
        "spec": obj.get("spec") or {},
    }
    if metadata.get("namespace"):
        content["namespace"] = metadata["namespace"]
    return "sha256:" + hashlib.sha256(canonical_json(content)).hexdigest()
