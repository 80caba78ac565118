"""The control plane, wired: what every replica does, and what only the leader does.

Every replica watches, publishes snapshots for the workers beside it, answers their authorizer checks, gives
them the server certificate once the API server trusts it, and says in a Lease of its own how it is. The
leader also keeps certificates, webhook configuration and statuses.

The rights it needs, and no more (API group: resources: verbs):

* ``tidewaiter.dev``: all seven kinds: list, watch; those with a status (all but the approvals): get, and
  their ``/status``: patch. Kopf also lists and watches ``apiextensions.k8s.io`` customresourcedefinitions,
  to notice kinds that come and go.
* core: namespaces: list, watch; events: create (cluster-wide: they lie where the object is).
* core, in the own namespace, only the one named Secret: get, list, watch, create, patch. None of it with
  ``--cert-source``.
* core, in the own namespace, only the one named ConfigMap, which remembers what was revoked: list, watch,
  create, patch.
* ``coordination.k8s.io`` leases, in the own namespace: get, list, create, update, patch, delete: the leader's
  Lease, and one for each replica.
* ``admissionregistration.k8s.io`` validatingwebhookconfigurations, only the one named: get, list, watch,
  create, patch. Server-side apply honours the name for create. `tidewaiter run` also deletes it.
* With ``--owner-deployment``: ``apps`` deployments, in the own namespace, only that one: get. With
  ``--owner-cluster-role``: ``rbac.authorization.k8s.io`` clusterroles, only that one: get.
* ``admissionregistration.k8s.io`` validatingadmissionpolicies and validatingadmissionpolicybindings, only
  those of ``--guard-policy``: list, watch.
* ``authorization.k8s.io`` subjectaccessreviews: create, for policies that ask ``authorizer``.
* ``authentication.k8s.io`` selfsubjectreviews: create, and the path ``/version``: get; every account
  has both.
* With ``--gatekeeper``: ``templates.gatekeeper.sh``, ``config.gatekeeper.sh``, ``syncset.gatekeeper.sh``,
  ``expansion.gatekeeper.sh``, ``externaldata.gatekeeper.sh`` and ``constraints.gatekeeper.sh``, all kinds:
  list, watch; kinds that are synced: list, watch. With ``--gatekeeper=replace`` also:
  constrainttemplates/status and ``constraints.gatekeeper.sh`` ``*/status``: patch;
  customresourcedefinitions: get, create, patch; ``status.gatekeeper.sh`` constrainttemplatepodstatuses:
  list.
* Kinds that policies name as ``paramKind``: list, watch. Never Secrets.
* ``apps`` replicasets, deployments, statefulsets, daemonsets, controllerrevisions; ``batch`` jobs, cronjobs;
  core replicationcontrollers: list, watch; used only while a risk acceptance exists.
* The same but controllerrevisions: get, to find the topmost workload of a Pod that was denied; also of other
  kinds that make Pods, where somebody gives it.
* With ``--audit``: what policies match: get, list, watch. With ``--audit-reports``: ``openreports.io``
  reports and clusterreports, or ``wgpolicyk8s.io`` policyreports and clusterpolicyreports: list, create,
  patch, delete.

`tidewaiter uninstall` needs: ``coordination.k8s.io`` leases, in the own namespace, only the leader's: create,
patch; validatingwebhookconfigurations, only the one named: get, delete.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import uuid
from collections.abc import Awaitable, Callable

from webhook.adapters import snapshots
from webhook.adapters.gatekeeper import BESIDE, REPLACE
from webhook.core.snapshot import EXEMPT_NAMESPACES
from webhook.operator import facts, health, startup, webhooks
from webhook.operator.acknowledgements import Acknowledgements
from webhook.operator.audit.keeper import Keeper, Told
from webhook.operator.authorizer import Authorizer
from webhook.operator.client import Client, KubernetesClient, Resource, connect
from webhook.operator.clock import Clock
from webhook.operator.content import Contents
from webhook.operator.denials import Denials
from webhook.operator.floor import Floor
from webhook.operator.gatekeeper_keeper import GatekeeperKeeper
from webhook.operator.informer import Informer
from webhook.operator.inventory import Inventory
from webhook.operator.issuing import SECRETS, CertificateReconciler
from webhook.operator.leader import Elector, LeaderClient
from webhook.operator.leading import Compiled, Leading, Parts, supervised
from webhook.operator.options import Options
from webhook.operator.owners import Owners
from webhook.operator.pair_files import Given
from webhook.operator.publisher import Publisher
from webhook.operator.reconcile import WebhookReconciler
from webhook.operator.replicas import ReplicaLease, Replicas
from webhook.operator.reporting import Reporter
from webhook.operator.revocations import Revocations, as_context
from webhook.operator.serving import FolderSource, SecretSource, Serving, Source
from webhook.operator.status_writer import StatusReconciler
from webhook.operator.uninstalling import uninstalling
from webhook.operator.webhooks import Endpoint, Registration

SECRET_NAME = "{}-certificates"  # noqa: S105 - a name

logger = logging.getLogger(__name__)


async def run(options: Options, stop: asyncio.Event) -> None:
    """Run the control plane until `stop` is set.

    Raises:
        InputError: an option or the kubeconfig can't be used.
    """
    options.check()
    client = await connect(options.kubeconfig)
    try:
        await Operator(options, client).run(stop)
    finally:
        await client.close()


class Operator:
    """One replica of the control plane.

    Args:
        options: what it is told.
        client: the API server.
    """

    def __init__(self, options: Options, client: KubernetesClient) -> None:
        self.options = options
        self.client = client
        self._trigger = asyncio.Event()
        self.clock = Clock(client, lambda: self._changed(at_once=False))
        self.revocations = Revocations(
            client,
            options.namespace,
            options.webhook_name,
            self.clock.now,
            lambda: self._changed(at_once=True),
        )
        self.inventory = Inventory(
            client, self._changed, gatekeeper=options.gatekeeper != "off", keep=self.revocations.keep
        )
        self.floor = Floor(client, options.guard_policy, lambda: self._changed(at_once=True))
        contents = Contents(
            self.inventory,
            self._context,
            lambda: self.floor.known and self.clock.known and self.revocations.known,
        )
        self.publisher = Publisher(options.snapshot, contents, self._trigger.set)
        self.acknowledgements = Acknowledgements(options.snapshot, self._trigger.set)
        name = SECRET_NAME.format(options.webhook_name)
        self.secret = Informer(
            client,
            Resource("", "v1", SECRETS.plural, SECRETS.kind, True, options.namespace, name),
            lambda _: self._trigger.set(),
        )
        configurations = webhooks.CONFIGURATIONS
        self.configuration = Informer(
            client,
            Resource(
                configurations.group,
                configurations.version,
                configurations.plural,
                configurations.kind,
                name=options.webhook_name,
            ),
            lambda _: self._trigger.set(),
        )
        folder = options.cert_source
        self._source: Source = FolderSource(folder, options.hosts[0]) if folder else SecretSource(self.secret)
        self.serving = Serving(
            self._source, self.configuration, options.cert_dir, options.settle_seconds, self._trigger.set
        )
        self.owners = Owners(client, options.namespace, options.owner_deployment, options.owner_cluster_role)
        replica = options.replica or f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self.reporter = Reporter(
            options,
            replica,
            self.inventory,
            self.publisher,
            self.acknowledgements,
            self.serving,
            self.clock,
            self.floor,
            self.revocations,
        )
        self.lease = ReplicaLease(
            client,
            options.namespace,
            replica,
            options.webhook_name,
            self.reporter.report,
            lambda: self.owners.namespaced,
        )
        self.elector = Elector(
            client,
            options.namespace,
            options.lease_name,
            f"{replica}_{uuid.uuid4().hex[:8]}",
            self._lead,
            options.timing,
            lambda: self.owners.namespaced,
        )
        self.denials = Denials(client, options.snapshot)
        self.webhooks: WebhookReconciler | None = None
        self.leading: Leading | None = None
        self.audit: Keeper | None = None
        self._own_users: tuple[str, ...] = ()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then stop in order: the leader's work, what is registered, the rest."""
        async with contextlib.AsyncExitStack() as until_the_end:
            if self.options.metrics_listen is not None:
                listening = health.listening(self.options.metrics_listen, lambda: facts.gather(self))
                logger.info("metrics on %s", await until_the_end.enter_async_context(listening))
            await self._run(stop)

    async def _run(self, stop: asyncio.Event) -> None:
        options = self.options
        own_users = await startup.until_answered(
            lambda: startup.own_users(self.client, options.namespace), stop
        )
        if own_users is None:
            return
        self._own_users = own_users
        if options.create_namespace:
            await startup.until_answered(lambda: startup.make_namespace(self.client, options.namespace), stop)
        tasks = [asyncio.create_task(supervised(name, part)) for name, part in self._parts().items()]
        try:
            if options.leader_elect:
                await self.elector.run(stop)
            else:
                await self._lead_until(stop)
            if options.remove_on_exit and self.webhooks is not None:
                await self.webhooks.remove()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.lease.remove()

    # What every replica does.

    def _parts(self) -> dict[str, Callable[[], Awaitable[None]]]:
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "inventory": self.inventory.run,
            "publisher": self.publisher.run,
            "acknowledgements": self.acknowledgements.run,
            "webhook configuration": self.configuration.run,
            "serving": self.serving.run,
            "authorizer": lambda: Authorizer(self.client).serve(self.options.snapshot),
            "clock": self.clock.run,
            "kinds": lambda: startup.advise_on_missing_kinds(self.inventory),
            "owners": self.owners.run,
            "lease": self.lease.run,
            "denials": self.denials.run,
            "floor": self.floor.run,
            "revocations": self.revocations.run,
        }
        if self.options.cert_source is None:
            parts["secret"] = self.secret.run
        return parts

    def _changed(self, at_once: bool) -> None:
        self.publisher.change(at_once=at_once)
        self._trigger.set()

    def _exempt_namespaces(self) -> frozenset[str]:
        return frozenset({*EXEMPT_NAMESPACES, self.options.namespace, *self.options.exempt_namespaces})

    def _context(self) -> snapshots.Context:
        return snapshots.Context(
            cluster=self.options.cluster,
            exempt_namespaces=tuple(sorted(self._exempt_namespaces())),
            trust_approvals=True,  # the API server brought them
            clock_skew=self.clock.skew,
            max_action=self.options.max_action,
            exempt_users=self.options.exempt_users,
            administrators=self.options.risk_admin_groups,
            guarded_since=self.floor.since,
            revocations=as_context(self.revocations.all),
            gatekeeper=BESIDE if self.options.gatekeeper == BESIDE else REPLACE,
        )

    # What only the leader does.

    def _webhook_reconciler(self, client: Client) -> WebhookReconciler:
        options = self.options
        endpoint = Endpoint(
            b"", options.webhook_url, options.service, options.namespace, options.service_port
        )
        registration = Registration(
            options.webhook_name,
            endpoint,
            options.failure_policy,
            self._exempt_namespaces(),
            self._own_users,
            options.exempt_users,
            options.labels,
        )
        return WebhookReconciler(
            client,
            registration,
            self.acknowledgements,
            lambda: self.owners.cluster,
            lambda: uninstalling(
                self.client, options.namespace, options.lease_name, self.owners.installed_at
            ),
        )

    def _audit(self) -> Keeper:
        options = self.options
        told = Told(
            options.snapshot,
            options.kubeconfig,
            options.audit_reports,
            options.log_level,
            options.log_format,
            options.violations_limit,
        )
        left = self.elector.left if options.leader_elect else lambda: options.timing.renew
        return Keeper(told, left, self._trigger.set)

    async def _lead_until(self, stop: asyncio.Event) -> None:
        task = asyncio.create_task(supervised("reconcilers", self._lead))
        await stop.wait()
        task.cancel()
        await asyncio.wait({task})

    async def _lead(self) -> None:
        """Do the leader's work; all that it remembers is of this term, since others may lead in between."""
        options = self.options
        client: Client = LeaderClient(self.client, self.elector.left) if options.leader_elect else self.client
        issuing = CertificateReconciler(client, self.secret, options.hosts, lambda: self.owners.namespaced)

        async def given() -> Given | None:
            return self._source.current()

        self.webhooks = self.reporter.webhooks = self._webhook_reconciler(client)
        audit = self._audit() if options.audit else None
        parts = Parts(
            given if options.cert_source else issuing.reconcile,
            Replicas(client, options.namespace, options.webhook_name, options.settle_seconds),
            self.webhooks,
            StatusReconciler(
                client,
                self.inventory,
                self.publisher,
                self.acknowledgements,
                *((audit.policies.get, audit.covered) if audit is not None else ()),
            ),
            audit,
            GatekeeperKeeper(
                client, self.inventory.gatekeeper, audit.policies.get if audit is not None else lambda _: None
            )
            if self.inventory.gatekeeper is not None and options.gatekeeper == REPLACE
            else None,
            lambda: self.revocations.record(client),
        )
        compiled = Compiled(lambda: bool(self.publisher.revision), self.inventory.objects, self._context)
        try:
            self.audit = self.reporter.audit = audit
            self.leading = Leading(self.client, parts, self._trigger, compiled)
            await self.leading.run()
        finally:
            self.leading = None
            self.audit = self.reporter.audit = None
            self.webhooks.in_place = False
            self.reporter.webhooks = None
