"""The control plane, wired: what every replica does, and what only the leader does.

Every replica watches, publishes snapshots for the workers beside it, answers their authorizer checks and
writes the server certificate where they find it. The leader also keeps certificates, webhook configuration
and statuses.

The rights it needs, and no more (API group: resources: verbs):

* ``tidewaiter.dev``: all seven kinds: get, list, watch; their ``/status``: patch. Kopf also lists and watches
  ``apiextensions.k8s.io`` customresourcedefinitions, to notice kinds that come and go.
* core: namespaces: list, watch; events: create (cluster-wide: they lie where the object is).
* core, in the own namespace, only the one named Secret: get, list, watch, create, patch.
* ``coordination.k8s.io``, in the own namespace, only the one named Lease: get, create, update.
* ``admissionregistration.k8s.io`` validatingwebhookconfigurations, only the one named: get, list, watch,
  create, patch. Server-side apply honours the name for create. `tidewaiter run` also deletes it.
* ``authorization.k8s.io`` subjectaccessreviews: create, for policies that ask ``authorizer``.
* Kinds that policies name as ``paramKind``: list, watch. Never Secrets.
* ``apps`` replicasets, deployments, statefulsets, daemonsets, controllerrevisions; ``batch`` jobs, cronjobs;
  core replicationcontrollers: list, watch; used only while a risk acceptance exists.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from webhook.adapters import snapshots
from webhook.core.snapshot import EXEMPT_NAMESPACES
from webhook.operator import certificates, handlers, webhooks
from webhook.operator.acknowledgements import Acknowledgements
from webhook.operator.authorizer import Authorizer
from webhook.operator.client import ApiError, KubernetesClient, Resource, connect
from webhook.operator.clock import Clock
from webhook.operator.informer import Informer
from webhook.operator.inventory import OWN_RESOURCES, Inventory
from webhook.operator.leader import Elector
from webhook.operator.options import Options
from webhook.operator.publisher import Content, PolicyKey, Publisher
from webhook.operator.reconcile import SECRETS, CertificateReconciler, WebhookReconciler
from webhook.operator.status_writer import KINDS_WITH_STATUS, StatusReconciler
from webhook.operator.webhooks import Endpoint, Registration

SECRET_NAME = "tidewaiter-certificates"  # noqa: S105 - a name
CRDS_ADVICE = "kubectl apply -k charts/tidewaiter/crds"
RESYNC = 10.0
_DEBOUNCE = 0.05
_AGAIN = 1.0

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
        self._loop = asyncio.get_running_loop()
        self._trigger = asyncio.Event()
        self._cache = snapshots.PolicyCache()
        self._clock = Clock(client, lambda: self._changed(at_once=False))
        self.inventory = Inventory(client, self._changed)
        self.publisher = Publisher(options.snapshot, self._render, self._trigger.set)
        self.acknowledgements = Acknowledgements(options.snapshot, self._trigger.set)
        self.secret = Informer(
            client,
            Resource("", "v1", SECRETS.plural, SECRETS.kind, True, options.namespace, SECRET_NAME),
            self._secret_changed,
        )
        configurations = webhooks.CONFIGURATIONS
        self._configuration = Informer(
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
        self.certificates = CertificateReconciler(client, self.secret, options.hosts)
        self.statuses = StatusReconciler(client, self.inventory, self.publisher, self.acknowledgements)
        self.webhooks: WebhookReconciler | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then stop in order: the leader's work, what is registered, the rest."""
        own_users = await self._until_answered(self._who_we_are, stop)
        if own_users is None:
            return
        if self.options.create_namespace:
            await self._until_answered(self._make_namespace, stop)
        self.webhooks = self._webhook_reconciler(own_users)
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "inventory": self.inventory.run,
            "publisher": self.publisher.run,
            "acknowledgements": self.acknowledgements.run,
            "secret": self.secret.run,
            "authorizer": lambda: Authorizer(self.client).serve(self.options.snapshot),
            "clock": self._clock.run,
            "kinds": self._advise_on_missing_kinds,
        }
        tasks = [asyncio.create_task(_supervised(name, part)) for name, part in parts.items()]
        try:
            if self.options.leader_elect:
                identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
                options = self.options
                elector = Elector(
                    self.client,
                    options.namespace,
                    options.lease_name,
                    identity,
                    self._lead,
                    options.timing,
                )
                await elector.run(stop)
            else:
                await self._lead_until(stop)
            if self.options.remove_on_exit:
                await self.webhooks.remove()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # What every replica does.

    def _changed(self, at_once: bool) -> None:
        self.publisher.change(at_once=at_once)
        self._trigger.set()

    def _secret_changed(self, _: Informer) -> None:
        bundle = self.certificates.bundle
        if bundle is not None and certificates.store(bundle, self.options.cert_dir):
            logger.info("certificate written to %s", self.options.cert_dir)
        self._trigger.set()

    def _exempt_namespaces(self) -> frozenset[str]:
        return frozenset({*EXEMPT_NAMESPACES, self.options.namespace, *self.options.exempt_namespaces})

    def _context(self) -> snapshots.Context:
        return snapshots.Context(
            cluster=self.options.cluster,
            exempt_namespaces=tuple(sorted(self._exempt_namespaces())),
            trust_approvals=True,  # the API server brought them
            clock_skew=self._clock.skew,
            max_action=self.options.max_action,
            exempt_users=self.options.exempt_users,
            administrators=self.options.risk_admin_groups,
        )

    def _render(self) -> Content | None:
        if not self.inventory.complete:
            return None
        data = snapshots.dump(self.inventory.objects(), self._context())
        generations: dict[PolicyKey, int] = {
            (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): int(
                each["metadata"].get("generation") or 0
            )
            for each in self.inventory.policies
        }
        return Content(data, snapshots.digest(data), generations)

    async def _advise_on_missing_kinds(self) -> None:
        told: list[str] = []
        while True:
            await asyncio.sleep(1)
            missing = self.inventory.missing_kinds
            if missing and missing != told:
                logger.warning(
                    "the cluster has no %s: apply our kinds with `%s`; waiting for them",
                    ", ".join(missing),
                    CRDS_ADVICE,
                )
            elif told and not missing:
                logger.info("our kinds are there")
            told = missing

    async def _who_we_are(self) -> tuple[str, ...]:
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        answer = await self.client.request("POST", path, body=review)
        user = ((answer.body.get("status") or {}).get("userInfo") or {}).get("username", "")
        # A person who runs us keeps being judged; only an account of our own namespace is left out.
        own = f"system:serviceaccount:{self.options.namespace}:"
        return (user,) if user.startswith(own) and "'" not in user else ()

    async def _make_namespace(self) -> None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.options.namespace}}
        try:
            await self.client.request("POST", "/api/v1/namespaces", body=body)
        except ApiError as error:
            if error.status != 409:
                raise

    async def _until_answered(
        self, ask: Callable[[], Awaitable[Any]], stop: asyncio.Event, every: float = _AGAIN
    ) -> Any:
        """Return what `ask` gives, tried until the API server answers; None when stopped before."""
        told = ""
        while not stop.is_set():
            try:
                return await ask()
            except ApiError as error:
                if str(error) != told:
                    logger.warning("the API server: %s; trying again", error)
                told = str(error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every)
        return None

    # What only the leader does.

    def _webhook_reconciler(self, own_users: tuple[str, ...]) -> WebhookReconciler:
        options = self.options
        endpoint = Endpoint(
            b"", options.webhook_url, options.service, options.namespace, options.service_port
        )
        registration = Registration(
            options.webhook_name,
            endpoint,
            options.failure_policy,
            self._exempt_namespaces(),
            own_users,
        )
        return WebhookReconciler(self.client, registration, self.acknowledgements)

    async def _lead_until(self, stop: asyncio.Event) -> None:
        task = asyncio.create_task(_supervised("reconcilers", self._lead))
        await stop.wait()
        task.cancel()
        await asyncio.wait({task})

    async def _lead(self) -> None:
        watched = [resource for resource in OWN_RESOURCES if resource.kind in KINDS_WITH_STATUS]
        kopf = handlers.Supervised(
            lambda: handlers.registry(watched, self._seen, self.client.configuration), self._unheard
        )
        tasks = [
            asyncio.create_task(_supervised("kopf", kopf.run)),
            asyncio.create_task(_supervised("webhook configuration", self._configuration.run)),
        ]
        try:
            while True:
                done = await self._reconcile()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._trigger.wait(), RESYNC if done else _AGAIN)
                    await asyncio.sleep(_DEBOUNCE)
                self._trigger.clear()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _seen(self, resource: Resource, kind: str, obj: Mapping[str, Any]) -> None:
        """Take in what Kopf saw, from its thread."""

        def take_in() -> None:
            if self.statuses.saw(resource, kind, obj):
                self._trigger.set()

        with contextlib.suppress(RuntimeError):  # the loop is closed: we are stopping
            self._loop.call_soon_threadsafe(take_in)

    def _unheard(self, seconds: float) -> str:
        return self.statuses.unheard(seconds)

    async def _reconcile(self) -> bool:
        """Take every step that is due; tell whether all went well."""
        webhook_reconciler = self.webhooks
        if webhook_reconciler is None or not self.publisher.revision:
            return True
        done = True
        snapshot = await asyncio.to_thread(
            snapshots.build, self.inventory.objects(), self._context(), self._cache
        )
        bundle = None
        try:
            registered = webhook_reconciler.carries(self.certificates.bundle)
            bundle = await self.certificates.reconcile(registered=registered)
            if bundle is not None:
                await webhook_reconciler.reconcile(snapshot.policies, bundle)
        except (ApiError, ValueError) as error:
            logger.warning("webhook configuration: %s", error)
            done = False
        try:
            await self.statuses.reconcile(snapshot, registered=webhook_reconciler.in_place)
        except ApiError as error:
            logger.warning("statuses: %s", error)
            done = False
        return done and bundle is not None


async def _supervised(name: str, part: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await part()
            logger.warning("%s ended: starting it again", name)
        except Exception:
            logger.exception("%s failed: starting it again", name)
        await asyncio.sleep(_AGAIN)
