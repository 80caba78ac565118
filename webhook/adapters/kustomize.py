"""The manifests that a kustomization names under ``resources``; one that would change them is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from webhook.adapters.yaml_text import decode_yaml
from webhook.core.errors import InputError

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")

_PLAIN = frozenset(("apiVersion", "kind", "metadata", "resources", "bases", "sortOptions"))
_MAX_BYTES = 1024 * 1024
_MAX_NESTING = 50


def kustomization_in(folder: Path) -> Path | None:
    """Return the kustomization of `folder`, if it has one."""
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)


def read_resources(file: Path) -> tuple[list[Path], list[InputError]]:
    """Return the manifests that the kustomization `file` names, those of the folders it names included.

    As in ``kubectl kustomize``, a manifest must lie in the kustomization's own folder or below, and a folder
    must have a kustomization of its own. Nothing is fetched.
    """
    files: list[Path] = []
    errors: list[InputError] = []
    _read(file, (), set(), files, errors)
    return files, errors


def _read(
    file: Path, above: tuple[Path, ...], done: set[Path], files: list[Path], errors: list[InputError]
) -> None:
    real = file.parent.resolve()
    if real in above or len(above) > _MAX_NESTING:
        errors.append(InputError("this kustomization names itself, through its resources", str(file)))
        return
    if real in done:
        return
    done.add(real)
    try:
        resources = _resources(file)
    except InputError as error:
        errors.append(error)
        return
    for name in resources:
        try:
            problem = _resource(file, name, real, above, done, files, errors)
        except (OSError, ValueError) as error:
            problem = f"can't be read: {error}"
        if problem:
            errors.append(InputError(f"the resource {name!r} {problem}", str(file)))


def _resource(
    file: Path,
    name: str,
    real: Path,
    above: tuple[Path, ...],
    done: set[Path],
    files: list[Path],
    errors: list[InputError],
) -> str:
    """Add what the resource `name` stands for; return what is wrong with it."""
    path = file.parent / name
    if Path(name).is_absolute():
        return "must be relative to its kustomization"
    if path.is_dir():
        inner = kustomization_in(path)
        if inner is None:
            return f"is a folder without {NAMES[0]}"
        _read(inner, (*above, real), done, files, errors)
    elif path.is_file():
        if not path.resolve().is_relative_to(real):
            return "lies outside the folder of its kustomization"
        files.append(_shorter(path))
    else:
        return (
            "is no file or folder here (remote ones aren't fetched: "
            f"kubectl kustomize {file.parent} | tidewaiter check -)"
        )
    return ""


def _shorter(path: Path) -> Path:
    """Return `path` without its ``..``, where that is the same file."""
    short = Path(os.path.normpath(path))
    return short if short.resolve() == path.resolve() else path


def _resources(file: Path) -> list[str]:
    content = _content(file)
    changing = sorted(name for name, value in content.items() if name not in _PLAIN and value)
    kind = content.get("kind", "Kustomization")
    if kind != "Kustomization":
        changing.append(f"kind: {kind}")
    if changing:
        raise InputError(
            f"only resources are honoured here, and {', '.join(changing)} would change them: "
            f"kubectl kustomize {file.parent} | tidewaiter check -",
            str(file),
        )
    names: list[str] = []
    for key in ("resources", "bases"):
        listed = content.get(key) or []
        if not isinstance(listed, list) or not all(isinstance(name, str) and name for name in listed):
            raise InputError(f"{key} must be a list of paths", str(file))
        names += listed
    return names


def _content(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror or error}", str(file)) from None
    except UnicodeDecodeError:
        raise InputError("not UTF-8: save it as UTF-8", str(file)) from None
    if len(data) > _MAX_BYTES:
        raise InputError("larger than 1 MiB", str(file))
    documents = [decoded.value for decoded in decode_yaml(text, str(file))]
    if not documents:
        return {}
    if len(documents) > 1 or not isinstance(documents[0], dict):
        raise InputError("a kustomization is one mapping", str(file))
    return documents[0]
