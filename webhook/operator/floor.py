"""Since when the floor of the guard has held: its ValidatingAdmissionPolicies and their bindings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from webhook.core.fields import map_in
from webhook.operator.client import Client, Resource
from webhook.operator.informer import Informer

NEVER = "9999-12-31T23:59:59Z"
"""What is given while no floor holds never counts, whatever comes later."""

_GROUP, _VERSION = "admissionregistration.k8s.io", "v1"
_PARTS = ("acceptances", "approvals")
"""The policies by which every writer is judged; the others say who may bring what others wrote."""


class Floor:
    """Watches the floor of the guard.

    Args:
        client: the API server.
        name: what its policies' names begin with; empty where there is none to watch.
        on_change: called when it may have changed.
    """

    def __init__(self, client: Client, name: str, on_change: Callable[[], None]) -> None:
        self._name = name
        self._policies, self._bindings = (
            {
                part: Informer(
                    client,
                    Resource(_GROUP, _VERSION, plural, kind, name=f"{name}-{part}"),
                    lambda _: on_change(),
                )
                for part in _PARTS
            }
            if name
            else {}
            for plural, kind in (
                ("validatingadmissionpolicies", "ValidatingAdmissionPolicy"),
                ("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"),
            )
        )

    @property
    def known(self) -> bool:
        """Each part has been looked for: found or not, or it can't be seen, which counts as not."""
        return all(
            informer.synced or informer.missing or informer.error
            for informer in (*self._policies.values(), *self._bindings.values())
        )

    @property
    def since(self) -> str:
        """Since when it has held, as RFC 3339; `NEVER` while it doesn't, empty where nobody asks for one."""
        if not self._name:
            return ""
        if self._lacking():
            return NEVER
        parts = [*self._policies.values(), *self._bindings.values()]
        found = [obj for part in parts for obj in part.items.values()]
        # All are in UTC and of one length.
        return max(str(each["metadata"].get("creationTimestamp") or NEVER) for each in found)

    @property
    def problem(self) -> str:
        """What is missing from the floor, for people; empty while it holds, and before that is known."""
        part = self._lacking() if self.known else ""
        return part and (
            f"the ValidatingAdmissionPolicy {self._name}-{part} or its binding is missing, changed or can't "
            "be read: no approval without a signature counts until both are back and it is given anew"
        )

    def _lacking(self) -> str:
        for part, policies in self._policies.items():
            policy = next(iter(policies.items.values()), None)
            binding = next(iter(self._bindings[part].items.values()), None)
            if policy is None or binding is None or not holds(policy, binding):
                return part
        return ""

    async def run(self) -> None:
        """Watch until cancelled."""
        informers = [*self._policies.values(), *self._bindings.values()]
        tasks = [asyncio.create_task(informer.run()) for informer in informers]
        try:
            await asyncio.Event().wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def holds(policy: Mapping[str, Any], binding: Mapping[str, Any]) -> bool:
    """Tell whether a policy denies wherever it matches, and its binding leaves nothing out.

    Args:
        policy: a ValidatingAdmissionPolicy of the guard.
        binding: what should be its binding.
    """
    spec, bound = map_in(policy, "spec", "spec"), map_in(binding, "spec", "spec")
    constraints = map_in(spec, "matchConstraints", "spec")
    return (
        spec.get("failurePolicy", "Fail") == "Fail"
        and not spec.get("matchConditions")
        and not constraints.get("excludeResourceRules")
        and not any(constraints.get(name) for name in ("namespaceSelector", "objectSelector"))
        and bound.get("policyName") == policy["metadata"]["name"]
        and "Deny" in (bound.get("validationActions") or ())
        and not bound.get("matchResources")
    )
