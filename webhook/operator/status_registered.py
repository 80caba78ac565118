"""Tells whether the live webhook configuration is what the policies want; pure functions."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from webhook.core.policy import CompiledPolicy
from webhook.operator import mend
from webhook.operator.client import FIELD_MANAGER
from webhook.operator.webhooks import SUFFIX, Endpoint, Registration, desired

_SELF = re.compile(
    r'!\(request\.userInfo\.username in \["(system:serviceaccount:([a-z0-9-]+):[a-z0-9.-]+)"\]\)'
)


def difference(
    live: Mapping[str, Any],
    policies: Iterable[CompiledPolicy],
    settings: Mapping[str, Any],
    namespace: str,
) -> str:
    """Return what of the live configuration is not as it should be; empty where all is.

    Where the data plane is and whom the API server trusts for it is taken from the configuration itself, as
    long as all entries say the same.

    Args:
        live: the configuration.
        policies: those that compile.
        settings: what the replicas were told.
        namespace: the installation's.
    """
    ours = [entry for entry in live.get("webhooks") or () if str(entry.get("name", "")).endswith(SUFFIX)]
    if not ours:
        return "it has no entry of ours"
    endpoints = {_endpoint(entry) for entry in ours}
    if len(endpoints) != 1:
        return "its entries ask different servers, or trust different authorities"
    wanted = desired(
        policies,
        Registration(
            name=live["metadata"]["name"],
            endpoint=endpoints.pop(),
            failure_policy=str(settings.get("failurePolicy") or "Fail"),
            exempt_namespaces=frozenset(map(str, settings.get("exemptNamespaces") or ())),
            own_users=_own_users(ours, namespace),
            exempt_users=tuple(map(str, settings.get("exemptUsers") or ())),
        ),
    )
    wanted["metadata"]["labels"] = {}  # those say nothing of what is asked
    change = mend.merged(wanted, live)
    if change is None:
        return ""
    present = {entry.get("name"): entry for entry in ours}
    should = {entry["name"]: entry for entry in change["webhooks"] if entry["name"].endswith(SUFFIX)}
    words = [f"{name} is missing" for name in should if name not in present]
    words += [f"{name} should not be there" for name in present if name not in should]
    for name, entry in should.items():
        fields = sorted(key for key in entry if name in present and entry[key] != present[name].get(key))
        if fields:
            words.append(f"{name} has other {', '.join(fields)}")
    return "; ".join(words)


def other_writers(live: Mapping[str, Any]) -> list[str]:
    """Return the field managers of a configuration that are not us."""
    managers = {str(each.get("manager", "")) for each in live["metadata"].get("managedFields") or ()}
    return sorted(managers - {FIELD_MANAGER})


def _endpoint(entry: Mapping[str, Any]) -> Endpoint:
    config = entry.get("clientConfig") or {}
    try:
        bundle = base64.b64decode(config.get("caBundle") or "", validate=True)
    except ValueError:
        bundle = b""
    service = config.get("service")
    if service:
        return Endpoint(
            bundle,
            service=str(service.get("name", "")),
            namespace=str(service.get("namespace", "")),
            port=int(service.get("port") or 443),
        )
    url = urlsplit(str(config.get("url", "")))
    return Endpoint(bundle, url=f"{url.scheme}://{url.netloc}")


def _own_users(entries: Iterable[Mapping[str, Any]], namespace: str) -> tuple[str, ...]:
    """Return the service account that the configuration keeps out as our own."""
    for entry in entries:
        for condition in entry.get("matchConditions") or ():
            match = _SELF.fullmatch(str(condition.get("expression", "")))
            if condition.get("name") == "not-self" and match and match[2] == namespace:
                return (match[1],)
    return ()
