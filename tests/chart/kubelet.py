"""A node for the real control plane: binds Pods to itself and runs them, behind a forwarder."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.chart.pod import Pod, describe
from tests.controlplane import ControlPlane
from tests.faults.containers import free_port
from tests.faults.forwarder import Endpoint, Forwarder

NODE = "node-1"
_EVERY = 0.2


class Kubelet:
    """Scheduler, kubelet and kube-proxy in one; a context manager.

    Args:
        plane: with controllers, which make Pods of Deployments and Jobs.
        folder: for the Pods' volumes and logs.

    Attributes:
        service: the port of this machine that stands for the Service.
        pods: the Pods that run, by uid.
        seen: every Pod that ever ran here.
        problem: what went wrong in here.
    """

    def __init__(self, plane: ControlPlane, folder: Path) -> None:
        self.plane = plane
        self.folder = folder
        self.service = free_port()
        self.pods: dict[str, Pod] = {}
        self.seen: list[Pod] = []
        self.problem: BaseException | None = None
        self._forwarder = Forwarder(self.service, ())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
        status, answer = self.plane.request("POST", "/api/v1/nodes", node)
        assert status in (201, 409), answer
        self._forwarder.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for pod in self.pods.values():
            pod.kill()
        self._forwarder.__exit__(None, None, None)

    def logs(self) -> str:
        return f"{self.problem!r}\n{describe({str(number): pod for number, pod in enumerate(self.seen)})}"

    def named(self, prefix: str) -> list[Pod]:
        """Return the Pods that ever ran here whose name starts so, the oldest first."""
        return [pod for pod in self.seen if pod.manifest["metadata"]["name"].startswith(prefix)]

    def _run(self) -> None:
        while not self._stop.wait(_EVERY):
            # An answer that doesn't come is asked for again; anything else is a fault of the test.
            with contextlib.suppress(OSError):
                try:
                    self._look()
                except BaseException as problem:
                    self.problem = problem
                    if not isinstance(problem, OSError):
                        raise

    def _look(self) -> None:
        status, found = self.plane.request("GET", "/api/v1/pods")
        if status != 200:
            return
        present = {item["metadata"]["uid"]: item for item in found["items"]}
        for uid in [uid for uid in self.pods if uid not in present]:
            self.pods.pop(uid).kill()
        for uid, item in present.items():
            self._look_at(uid, item)
        self._forwarder.endpoints = tuple(
            Endpoint(pod.port("webhook"), pod.port("metrics"), ready=True)
            for pod in self.pods.values()
            if pod.ready
        )

    def _look_at(self, uid: str, item: dict[str, Any]) -> None:
        pod = self.pods.get(uid)
        metadata = item["metadata"]
        if metadata.get("deletionTimestamp"):
            if pod is None:
                self._delete(item)
            else:
                pod.stop(self._deleter(item))
        elif not item["spec"].get("nodeName"):
            self._bind(metadata)
        elif pod is None:
            if item.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                return
            item.setdefault("spec", {})
            self.pods[uid] = started = Pod(self.plane, item, self.folder / metadata["name"])
            self.seen.append(started)
        else:
            pod.look()

    def _bind(self, metadata: dict[str, Any]) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": NODE},
        }
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding"
        self.plane.request("POST", path, binding)

    def _deleter(self, item: dict[str, Any]) -> Callable[[], object]:
        return lambda: self._delete(item)

    def _delete(self, item: dict[str, Any]) -> None:
        metadata = item["metadata"]
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        self.plane.request("DELETE", path, body)
