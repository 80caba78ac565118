"""Files of gator's suites: read as ``gator verify`` reads them, with file and line."""

from __future__ import annotations

from pathlib import Path

from webhook.adapters.manifests import MAX_BYTES, Document, text_of, whole
from webhook.adapters.yaml_text import decode_yaml
from webhook.core.errors import InputError


def read(path: Path) -> tuple[Document, ...]:
    """Read a file that a suite names.

    Raises:
        InputError: it can't be read, or a document in it is no object with a kind.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError("no such file: paths are relative to the suite's", str(path)) from None
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise InputError(f"can't be read: {why}", str(path)) from None
    return parse(data, str(path))


def parse(data: bytes, file: str) -> tuple[Document, ...]:
    """Read the documents of a file.

    Unlike kubectl, gator takes a ``List`` for one object, asks nothing of metadata, and always reads YAML,
    of which JSON is a part.

    Raises:
        InputError: as `read` does.
    """
    text = text_of(data, file)
    found = []
    for decoded in decode_yaml(text, file, as_gator=True):
        value = decoded.value
        if not isinstance(value, dict):
            raise InputError("not a Kubernetes object: it is no mapping", file, decoded.line)
        for name in ("kind", "apiVersion"):
            if not isinstance(value.get(name, ""), str):
                raise InputError(f"not a Kubernetes object: {name} must be a text", file, decoded.line)
        if not value.get("kind"):
            raise InputError("not a Kubernetes object: it has no kind", file, decoded.line)
        found.append(whole(decoded, text, file))
    return tuple(found)
