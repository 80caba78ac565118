"""A cluster that `tidewaiter run` guards, and what tests do with it."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.controlplane import ControlPlane
from tests.operator.proxy import Proxy
from webhook.core.acceptance import digest_of

ROOT = Path(__file__).parents[2]
API_VERSION = "tidewaiter.dev/v1alpha1"
_numbers = itertools.count(1)


def eventually(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Return the first true value of `condition`; it must come within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


def stamp(offset: timedelta = timedelta()) -> str:
    """Return the time, `offset` from now, as the API writes it."""
    return (datetime.now(UTC) + offset).strftime("%Y-%m-%dT%H:%M:%SZ")


class CuttableProxy:
    """`Proxy` with a thread of its own, for tests without an event loop."""

    def __init__(self, target: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._proxy = Proxy(target)
        self.mend()

    @property
    def port(self) -> int:
        return self._proxy.port

    def mend(self) -> None:
        asyncio.run_coroutine_threadsafe(self._proxy.start(), self._loop).result(10)

    def cut(self) -> None:
        asyncio.run_coroutine_threadsafe(self._proxy.cut(), self._loop).result(10)

    def close(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Cluster:
    """A control plane, a proxy before it, and `tidewaiter run` behind the proxy, with more `options`."""

    def __init__(self, plane: ControlPlane, *options: str) -> None:
        self.plane = plane
        self.proxy = CuttableProxy(urlsplit(plane.url).port or 0)
        self.log = plane.workdir / "tidewaiter.log"
        config = plane.workdir / "operator.kubeconfig"
        through = f"https://127.0.0.1:{self.proxy.port}"
        config.write_text(plane.kubeconfig.read_text().replace(plane.url, through))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "webhook", "run"),
                    *("--kubeconfig", str(config), "--listen", "127.0.0.1:0", "--cluster", "test"),
                    *options,
                ],
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def __enter__(self) -> Self:
        # The command is started first: it waits for our kinds.
        self.kubectl("apply", "-k", str(ROOT / "charts/tidewaiter/crds"), check=True)
        try:
            eventually(self.configuration, "the webhook configuration", 60)
        except BaseException:
            print(self.log.read_text())
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.proxy.close()

    def kubectl(self, *args: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return self.plane.kubectl(*args, **more)

    def configuration(self) -> dict[str, Any] | None:
        path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/tidewaiter"
        status, found = self.plane.request("GET", path)
        return found if status == 200 else None

    def apply(self, *objects: Mapping[str, Any], flags: Sequence[str] = (), **more: Any) -> Any:
        """Apply objects through kubectl in their order, in one call for each person who writes them."""
        done = None
        for who, some in itertools.groupby(objects, as_whom):
            text = "\n---\n".join(json.dumps(each) for each in some)
            done = self.kubectl("apply", "-f", "-", *who, *flags, input=text, **more)
            if done.returncode:
                break
        return done

    def namespace(self, labels: Mapping[str, str] | None = None) -> str:
        """Make a namespace of its own for a test."""
        name = f"test-{next(_numbers)}"
        self.apply(namespace(name, labels), check=True)
        return name

    def enforce(self, *policies: Mapping[str, Any]) -> None:
        """Apply policies and wait until their status says that they hold."""
        self.apply(*policies, check=True)
        for policy in policies:
            metadata = policy["metadata"]
            where = ["-n", metadata["namespace"]] if "namespace" in metadata else []
            kind = f"{policy['kind'].lower()}.tidewaiter.dev/{metadata['name']}"
            self.kubectl("wait", "--for=condition=Enforced", "--timeout=60s", kind, *where, check=True)

    def status_of(self, kind: str, name: str, space: str = "") -> dict[str, Any]:
        where = ["-n", space] if space else []
        found = self.kubectl("get", f"{kind}.tidewaiter.dev", name, "-o", "json", *where, check=True)
        status: dict[str, Any] = json.loads(found.stdout).get("status") or {}
        return status

    def denied(self, *objects: Mapping[str, Any], flags: Sequence[str] = ()) -> str:
        """Apply what must be denied soon; return what kubectl says."""
        done = eventually(lambda: self._failed(objects, flags), "a denial")
        assert "denied the request" in done.stderr, done.stderr
        return str(done.stderr)

    def _failed(self, objects: Sequence[Mapping[str, Any]], flags: Sequence[str]) -> Any:
        done = self.apply(*objects, flags=flags)
        if done.returncode:
            return done
        if " created" in done.stdout and "dry run" not in done.stdout:
            # An object that is there already would not be sent again.
            text = "\n---\n".join(json.dumps(each) for each in objects)
            self.kubectl("delete", "-f", "-", input=text, check=True)
        return None

    def allowed(self, *objects: Mapping[str, Any], flags: Sequence[str] = ()) -> str:
        """Apply what must be let through now; return the warnings."""
        done = self.apply(*objects, flags=flags, check=True)
        return str(done.stderr)


def as_whom(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """Return kubectl's flags to write a risk kind as the person it names; none for other kinds.

    The group ``system:masters`` stands for the rights that the person has.
    """
    spec = obj.get("spec") or {}
    kind = str(obj["kind"])
    if kind not in ("RiskAcceptance", "ClusterRiskAcceptance", "RiskApproval", "ClusterRiskApproval"):
        return ()
    groups = ["system:masters", *spec.get("groups", ())]
    who = spec["approver" if kind.endswith("Approval") else "requester"]
    return ("--as", who, *(f"--as-group={group}" for group in groups))


def namespace(name: str, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}}


def configmap(
    space: str, name: str = "one", labels: Mapping[str, str] | None = None, **data: str
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": space, "labels": dict(labels or {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def pod_spec(image: str = "registry.example.com/app:1", privileged: bool = False) -> dict[str, Any]:
    container = {"name": "app", "image": image, "securityContext": {"privileged": privileged}}
    return {"containers": [container]}


def pod(space: str, name: str = "one", owner: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": space, "labels": {"app": name}}
    if owner:
        metadata["ownerReferences"] = [owner]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod_spec(**spec)}


def deployment(space: str, name: str = "legacy", **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": space},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(**spec)},
        },
    }


def policy(
    space: str,
    expression: str,
    *,
    group: str = "",
    version: str = "v1",
    resources: Sequence[str] = ("configmaps",),
    operations: Sequence[str] = ("CREATE", "UPDATE"),
    validation: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """Return a ClusterPolicy that judges one namespace only."""
    rule = {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": list(operations),
        "resources": list(resources),
    }
    check = {"name": "check", "expression": expression, "message": "must not be", **(validation or {})}
    name = f"policy-{next(_numbers)}"
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterPolicy",
        "metadata": {"name": name},
        "spec": {
            "severity": "medium",
            "matchConstraints": {
                "resourceRules": [rule],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}},
            },
            "validations": [check],
            **spec,
        },
    }


def no_privileged(space: str, **spec: Any) -> dict[str, Any]:
    return policy(
        space,
        "container.?securityContext.?privileged.orValue(false) != true",
        resources=("pods",),
        validation={"forEach": "containers", "fieldPath": "securityContext.privileged"},
        podTemplates=True,
        **spec,
    )


APPETITE = {
    "apiVersion": API_VERSION,
    "kind": "RiskAppetite",
    "metadata": {"name": "default"},
    "spec": {
        "rules": [
            {
                "severities": ["info", "low", "medium", "high"],
                "maxDuration": "90d",
                "approvals": 1,
                "approvers": {"groups": ["risk-owners"]},
            }
        ]
    },
}


def acceptance(
    accepted: Mapping[str, Any],
    space: str,
    kind: tuple[str, str],
    names: Sequence[str],
    *,
    start: timedelta = timedelta(hours=-2),
    end: timedelta = timedelta(days=1),
) -> list[dict[str, Any]]:
    """Return a RiskAcceptance of a policy's violations and an approval of it."""
    name = f"acceptance-{next(_numbers)}"
    asked = {
        "apiVersion": API_VERSION,
        "kind": "RiskAcceptance",
        "metadata": {"name": name, "namespace": space},
        "spec": {
            "policies": [{"kind": "ClusterPolicy", "name": accepted["metadata"]["name"]}],
            "scope": {"kinds": [{"group": kind[0], "kind": kind[1]}], "names": list(names)},
            "justification": "The rewrite has begun; until then nothing else can be run.",
            "riskOwner": "jane.doe@example.com",
            "requester": "john.roe@example.com",
            "validFrom": stamp(start),
            "validUntil": stamp(end),
        },
    }
    given = {
        "apiVersion": API_VERSION,
        "kind": "RiskApproval",
        "metadata": {"name": f"{name}-jane", "namespace": space},
        "spec": {
            "riskAcceptance": name,
            "digest": digest_of(asked),
            "approver": "jane.doe@example.com",
            "groups": ["risk-owners"],
            "approvedAt": stamp(),
        },
    }
    return [asked, given]
