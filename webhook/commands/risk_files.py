"""Risk acceptances as files give them: what the commands that take one share."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from webhook.core.errors import InputError

if TYPE_CHECKING:
    from webhook.adapters.manifests import Document

namespace = click.option(
    "--namespace",
    "-n",
    default="",
    metavar="NAME",
    help="The namespace of acceptances whose manifest names none; without it, default.",
)


def read_acceptances(file: str, place: str) -> tuple[Sequence[Document], Sequence[InputError]]:
    """Return the acceptances in a file, each with its namespace, and what can't be used.

    Args:
        file: a path, or ``-`` for standard input.
        place: the namespace of those that name none.
    """
    from webhook.adapters.manifests import read
    from webhook.adapters.material import ACCEPTANCES, Settings, gather, of_kinds

    documents = read([file], sys.stdin.buffer)
    own = of_kinds(documents, ACCEPTANCES)
    material = gather((), own, Settings(namespace=place))
    errors = [*documents.errors, *material.errors]
    if not own and not errors:
        errors.append(InputError("holds no RiskAcceptance and no ClusterRiskAcceptance", file))
    return material.documents, errors


def read_acceptance(file: str, place: str) -> Mapping[str, Any]:
    """Return the one acceptance in a file.

    Raises:
        InputError: there is none, or more than one, or it can't be used.
    """
    documents, errors = read_acceptances(file, place)
    if errors:
        raise errors[0]
    if len(documents) > 1:
        names = ", ".join(str(document.key) for document in documents)
        raise InputError(f"holds {len(documents)} acceptances, where one is signed at a time: {names}", file)
    return documents[0].object
