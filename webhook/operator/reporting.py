"""What a replica says of itself: how far its workers are, what is wrong, what it was told."""

from __future__ import annotations

from typing import Any

from webhook import __version__
from webhook.core.snapshot import EXEMPT_NAMESPACES
from webhook.operator.acknowledgements import Acknowledgements
from webhook.operator.audit import overview
from webhook.operator.audit.keeper import Keeper
from webhook.operator.clock import Clock
from webhook.operator.floor import Floor
from webhook.operator.inventory import Inventory
from webhook.operator.options import Options
from webhook.operator.publisher import Publisher
from webhook.operator.reconcile import WebhookReconciler
from webhook.operator.revocations import Revocations
from webhook.operator.serving import Serving

_SKEW_SECONDS = 30.0


class Reporter:
    """Makes the report of one replica.

    Args:
        options: what it was told.
        replica: its name.
        inventory: what it watches.
        publisher: what it publishes.
        acknowledgements: what its workers say.
        serving: their certificate.
        clock: the API server's.
        floor: of the guard.
        revocations: what was revoked.

    Attributes:
        webhooks: keeps the webhook configuration while this replica leads; None while it doesn't.
        audit: keeps the audit while this replica leads; None while it doesn't, or where there is none.
    """

    def __init__(
        self,
        options: Options,
        replica: str,
        inventory: Inventory,
        publisher: Publisher,
        acknowledgements: Acknowledgements,
        serving: Serving,
        clock: Clock,
        floor: Floor,
        revocations: Revocations,
    ) -> None:
        self.webhooks: WebhookReconciler | None = None
        self.audit: Keeper | None = None
        self._options = options
        self._replica = replica
        self._inventory = inventory
        self._publisher = publisher
        self._acknowledgements = acknowledgements
        self._serving = serving
        self._clock = clock
        self._floor = floor
        self._revocations = revocations

    def problems(self) -> list[str]:
        """Return what is wrong with this replica and with what it keeps, as text for people."""
        found = [self._serving.problem, self._floor.problem, self._revocations.problem]
        if self.webhooks is not None:
            found.append(self.webhooks.problem)
        if self._publisher.failing:
            found.append(f"the snapshot is not published: {self._publisher.failing}")
        if self._inventory.missing_kinds:
            found.append(f"the cluster has no {', '.join(self._inventory.missing_kinds)}")
        found += [f"{kind}: {error}" for kind, (_, error) in self._inventory.contacts().items() if error]
        found += [f"worker {each.pid}: {each.error}" for each in self._acknowledgements.live if each.error]
        skew = self._clock.skew
        if abs(skew) > _SKEW_SECONDS:
            found.append(f"the API server's clock differs from ours by {skew:+.0f} s")
        return [each for each in found if each]

    def report(self) -> dict[str, Any]:
        """Return what goes into the replica's Lease; nothing that changes by itself, nothing secret."""
        options = self._options
        exempt = {*EXEMPT_NAMESPACES, options.namespace, *options.exempt_namespaces}
        return {
            "version": __version__,
            "pod": self._replica,
            "leader": self.webhooks is not None,
            "revision": self._publisher.revision,
            "certificate": self._serving.fingerprint,
            "certificateExpires": self._serving.expires_at,
            "workers": [
                {"revision": each.revision, "certificate": each.certificate, "error": each.error}
                for each in self._acknowledgements.live
            ],
            "clockSkewSeconds": self._clock.skew,
            "guardedSince": self._floor.since,
            "problems": self.problems(),
            "settings": {
                "cluster": options.cluster,
                "maxAction": options.max_action,
                "exemptNamespaces": sorted(exempt),
                "exemptUsers": sorted(options.exempt_users),
                "failurePolicy": options.failure_policy,
                "gatekeeper": options.gatekeeper,
            },
            **({"audit": overview.said(self.audit.facts)} if self.audit is not None else {}),
        }
