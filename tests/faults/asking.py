"""Asks one data plane itself, past the API server, what it would say now."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Mapping
from http.client import HTTPSConnection
from typing import Any

from tests.e2e.cluster import configmap
from tests.server.builders import make_review


def configmap_review(space: str, name: str, data: Mapping[str, str]) -> dict[str, Any]:
    """Return the review of a ConfigMap that somebody creates."""
    resource = {"group": "", "version": "v1", "resource": "configmaps"}
    kind = {"group": "", "version": "v1", "kind": "ConfigMap"}
    return make_review(
        name,
        namespace=space,
        kind=kind,
        resource=resource,
        requestKind=kind,
        requestResource=resource,
        object=configmap(space, name, **data),
    )


def trusting() -> ssl.SSLContext:
    """Return a context that takes any certificate: who answers is known by its port."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def ask(port: int, review: Mapping[str, Any], timeout: str = "5s") -> dict[str, Any]:
    """Return the response to a review, on a connection of its own: any worker may have it."""
    connection = HTTPSConnection("127.0.0.1", port, context=trusting(), timeout=30)
    with contextlib.closing(connection):
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"/admit?timeout={timeout}", json.dumps(review), headers)
        answer = connection.getresponse()
        text = answer.read()
    assert answer.status == 200, text
    response: dict[str, Any] = json.loads(text)["response"]
    return response
