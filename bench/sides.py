"""The two webhooks that are compared, started as their users start them, on loopback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from bench import answers, gatekeeper_kinds, manifests
from bench.client import Target, load
from bench.manager import Manager
from bench.pods import samples
from bench.process import Process, ready
from bench.rules import Policy
from bench.tree import free_port, pss_of_tree, rss
from tests.controlplane import ControlPlane
from webhook.server.selfsigned import write_pair


@dataclass(frozen=True)
class Side:
    """One of the two webhooks while it runs.

    Attributes:
        name: what it is called in the figures.
        process: its data plane, children included.
        target: where the client asks it.
        memory: gives the bytes it has in memory.
    """

    name: str
    process: Process
    target: Target
    memory: Callable[[], int]

    def answers(self) -> bool:
        """Tell whether it answers each sample as it must."""
        try:
            load(self.target, samples(), connections=1, seconds=10, most=2 * len(samples()))
        except answers.WrongAnswerError:
            return False
        return True


def denying(policies: Sequence[Policy]) -> dict[str, frozenset[str]]:
    """Return, for each sample, which of the policies must deny it."""
    return {sample.name: answers.expected(policies, sample.denied_by) for sample in samples()}


def tidewaiter(
    stack: ExitStack,
    folder: Path,
    policies: Sequence[Policy],
    bystanders: Sequence[Policy] = (),
    workers: int = 2,
    documents: Sequence[manifests.Manifest] = (),
) -> Side:
    """Start `tidewaiter serve --policies`, with two workers as by default, and return it once it is ready.

    Args:
        stack: ends it.
        folder: an own one, for the manifests and the certificate.
        policies: those that judge Pods.
        bystanders: those that judge something else.
        workers: processes that answer.
        documents: what says these policies; without any, ClusterPolicies do.
    """
    source = folder / "policies"
    source.mkdir(parents=True)
    given = list(documents)
    if not given:
        given = [manifests.namespace(), *(manifests.cluster_policy(policy) for policy in policies)]
    given += [manifests.cluster_policy(policy, bystander=True) for policy in bystanders]
    for number, document in enumerate(given):
        (source / f"{number:03}.yaml").write_text(yaml.safe_dump(document))
    pair = write_pair(folder)
    port, plain = free_port(), free_port()
    arguments = (
        *(sys.executable, "-m", "webhook", "serve", "--policies", source),
        *("--listen", f"127.0.0.1:{port}", "--metrics-listen", f"127.0.0.1:{plain}"),
        *("--tls-cert", pair.certificate, "--tls-key", pair.key, "--workers", str(workers)),
    )
    process = stack.enter_context(Process(arguments, folder / "log", dict(os.environ)))
    process.wait_for(lambda: ready(plain), "readiness of tidewaiter serve")
    target = Target(port, "/admit?timeout=5s", Path(pair.certificate), answers.tidewaiter, denying(policies))
    side = Side("tidewaiter", process, target, lambda: pss_of_tree(process.pid))
    process.wait_for(side.answers, "right answers of tidewaiter serve")
    return side


def bare(stack: ExitStack, folder: Path) -> Side:
    """Start `bench.bare`, one process that allows everything, and return it once it is ready."""
    folder.mkdir(parents=True)
    pair = write_pair(folder)
    port, plain = free_port(), free_port()
    arguments = (sys.executable, "-m", "bench.bare", str(port), str(plain), pair.certificate, pair.key)
    process = stack.enter_context(Process(arguments, folder / "log", dict(os.environ)))
    process.wait_for(lambda: ready(plain), "readiness of the bare handler")
    target = Target(port, "/admit?timeout=5s", Path(pair.certificate), answers.tidewaiter, denying(()))
    return Side("bare aiohttp", process, target, lambda: pss_of_tree(process.pid))


class Gatekeeper:
    """Gatekeeper's manager beside a control plane, outside a cluster.

    Args:
        program: ``gatekeeper-manager``.
        plane: its API server.
        folder: an own one, for certificates and logs.
    """

    def __init__(self, program: Path, plane: ControlPlane, folder: Path) -> None:
        self._plane = plane
        self._manager = Manager(program, plane, folder)
        self._manager.apply([*gatekeeper_kinds.OWN, manifests.namespace(), *gatekeeper_kinds.KINDS])

    def install(self, policies: Sequence[Policy], engine: str = "Rego") -> None:
        """Bring templates and constraints in place of those that are there.

        Its chart has another Pod than the webhook's make the constraints' kinds; so here another process
        does it, only now.

        Args:
            policies: what to bring.
            engine: ``Rego``, or ``K8sNativeValidation`` for CEL.
        """
        templates = manifests.templates(policies, engine)
        with ExitStack() as stack:
            process, _, health = self._manager.start(stack, "webhook", "generate")
            process.wait_for(lambda: ready(health), "readiness of Gatekeeper's generator")
            self._plane.kubectl("delete", "constrainttemplates", "--all", "--timeout=60s")
            self._manager.apply(templates)
            for template in templates:
                name = f"{template['metadata']['name']}.{manifests.CONSTRAINTS}"
                process.wait_for(partial(self._is_established, name), f"the kind {name}")
            self._manager.apply([manifests.constraint(policy) for policy in policies])

    def start(self, stack: ExitStack, policies: Sequence[Policy]) -> Side:
        """Start its webhook, as the chart runs it, and return it once it judges by those policies."""
        process, port, health = self._manager.start(stack, "webhook")
        process.wait_for(lambda: ready(health), "readiness of Gatekeeper")
        target = Target(
            port, "/v1/admit?timeout=5s", self._manager.certificate, answers.gatekeeper, denying(policies)
        )
        side = Side("Gatekeeper", process, target, lambda: rss(process.pid))
        process.wait_for(side.answers, "right answers of Gatekeeper")
        return side

    def start_audit(self, stack: ExitStack, interval: int) -> tuple[Process, int]:
        """Start its audit, of the constraints' kinds alone, and return it with the port of its metrics."""
        metrics = free_port()
        more = (f"--audit-interval={interval}", "--audit-match-kind-only")
        process, _, health = self._manager.start(stack, "audit", "status", metrics=metrics, more=more)
        process.wait_for(lambda: ready(health), "readiness of Gatekeeper's audit")
        return process, metrics

    def _is_established(self, kind: str) -> bool:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind}"
        status, found = self._plane.request("GET", path)
        conditions = (found.get("status", {}).get("conditions") or []) if status == 200 else []
        return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
