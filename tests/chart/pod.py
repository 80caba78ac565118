"""One Pod of the API server as processes of this machine, with its volumes, its token and its probes."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.chart.container import Container, Mount
from tests.controlplane import ControlPlane, _free_ports

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Pod:
    """One Pod, from what the API server has of it.

    Its tokens are those of its ServiceAccount, bound to it, asked for as a kubelet does.

    Args:
        plane: the API server.
        manifest: the Pod.
        folder: for its volumes and logs.
    """

    def __init__(self, plane: ControlPlane, manifest: Mapping[str, Any], folder: Path) -> None:
        self.plane = plane
        self.manifest = manifest
        self.folder = folder
        self.started = time.monotonic()
        self.ready = False
        self._told: Any = None
        self._stopping: threading.Thread | None = None
        folder.mkdir(parents=True)
        spec = manifest["spec"]
        self.volumes = {each["name"]: self._volume(each) for each in spec.get("volumes", ())}
        self.containers = [self._container(each) for each in spec["containers"]]

    @property
    def path(self) -> str:
        metadata = self.manifest["metadata"]
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    def container(self, name: str) -> Container:
        return next(each for each in self.containers if each.name == name)

    def log(self) -> str:
        return "\n".join(f"--- {each.name}\n{each.log.read_text()}" for each in self.containers)

    def port(self, name: str) -> int:
        """Return the port of this machine that stands for the named one."""
        for container in self.containers:
            for each in container.spec.get("ports", ()):
                if each["name"] == name:
                    return container.ports[each["containerPort"]]
        raise LookupError(name)

    # As a kubelet prepares it.

    def _volume(self, volume: Mapping[str, Any]) -> Path:
        folder = self.folder / "volumes" / volume["name"]
        folder.mkdir(parents=True)
        if "projected" in volume:
            for source in volume["projected"]["sources"]:
                self._project(folder, source)
        elif "secret" in volume:
            secret = self._get("secrets", volume["secret"]["secretName"])
            for key, value in secret["data"].items():
                (folder / key).write_bytes(base64.b64decode(value))
        else:
            assert "emptyDir" in volume, f"a volume that is not known here: {volume}"
        return folder

    def _project(self, folder: Path, source: Mapping[str, Any]) -> None:
        metadata = self.manifest["metadata"]
        if "serviceAccountToken" in source:
            (folder / source["serviceAccountToken"]["path"]).write_text(self._token())
        elif "configMap" in source:
            data = self._get("configmaps", source["configMap"]["name"])["data"]
            for item in source["configMap"]["items"]:
                (folder / item["path"]).write_text(data[item["key"]])
        else:
            for item in source["downwardAPI"]["items"]:
                assert item["fieldRef"]["fieldPath"] == "metadata.namespace"
                (folder / item["path"]).write_text(metadata["namespace"])

    def _token(self) -> str:
        metadata = self.manifest["metadata"]
        account = self.manifest["spec"]["serviceAccountName"]
        bound = {"apiVersion": "v1", "kind": "Pod", "name": metadata["name"], "uid": metadata["uid"]}
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600, "boundObjectRef": bound},
        }
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        status, answer = self.plane.request("POST", path, body)
        assert status == 201, answer
        return str(answer["status"]["token"])

    def _get(self, plural: str, name: str) -> dict[str, Any]:
        path = f"/api/v1/namespaces/{self.manifest['metadata']['namespace']}/{plural}/{name}"
        status, answer = self.plane.request("GET", path)
        assert status == 200, answer
        return dict(answer)

    def _container(self, spec: Mapping[str, Any]) -> Container:
        mounts = [
            Mount(self.volumes[each["name"]], each["mountPath"], bool(each.get("readOnly")))
            for each in spec.get("volumeMounts", ())
        ]
        named = [each["containerPort"] for each in spec.get("ports", ())]
        ports = dict(zip(named, _free_ports(len(named)), strict=True))
        url = urlsplit(self.plane.url)
        environment = {
            "KUBERNETES_SERVICE_HOST": str(url.hostname),
            "KUBERNETES_SERVICE_PORT": str(url.port),
            **{each["name"]: self._variable(each) for each in spec.get("env", ())},
        }
        return Container(spec, mounts, ports, environment, self.folder / f"{spec['name']}.log")

    def _variable(self, variable: Mapping[str, Any]) -> str:
        if "value" in variable:
            return str(variable["value"])
        kind, _, name = variable["valueFrom"]["fieldRef"]["fieldPath"].partition(".")
        assert kind == "metadata"
        return str(self.manifest["metadata"][name])

    # As a kubelet keeps it.

    def look(self) -> None:
        """Start again what ended, probe the rest, and tell the API server."""
        if self._stopping is not None:
            return
        if self.manifest["spec"].get("restartPolicy") == "Never":
            self._look_at_end()
            return
        for container in self.containers:
            if container.status is not None:
                container.restart()
        self.ready = all(_answers(each, "readinessProbe") for each in self.containers)
        self._tell("Running", self.ready)

    def _look_at_end(self) -> None:
        statuses = [each.status for each in self.containers]
        if None in statuses:
            self._tell("Running", True)
        else:
            self._tell("Failed" if any(statuses) else "Succeeded", False)

    def _tell(self, phase: str, ready: bool) -> None:
        told = (phase, ready, [each.restarts for each in self.containers])
        if told == self._told:
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        kinds = {"Initialized": True, "PodScheduled": True, "ContainersReady": ready, "Ready": ready}
        state = {
            "phase": phase,
            "startTime": now,
            "podIP": "127.0.0.1",
            "podIPs": [{"ip": "127.0.0.1"}],
            "conditions": [
                {"type": kind, "status": str(value), "lastTransitionTime": now}
                for kind, value in kinds.items()
            ],
            "containerStatuses": [_container_status(each, ready, now) for each in self.containers],
        }
        content_type = "application/merge-patch+json"
        status, _ = self.plane.request("PATCH", f"{self.path}/status", {"status": state}, content_type)
        if status == 200:
            self._told = told

    def stop(self, then: Callable[[], object]) -> None:
        """End it as a kubelet does, beside the caller, and call `then`."""
        if self._stopping is not None:
            return
        self.ready = False

        def work() -> None:
            grace = float(self.manifest["spec"].get("terminationGracePeriodSeconds") or 30)
            end = time.monotonic() + grace
            for container in self.containers:
                container.terminate()
            for container in self.containers:
                container.wait(max(0.0, end - time.monotonic()))
            then()

        self._stopping = threading.Thread(target=work)
        self._stopping.start()

    def kill(self) -> None:
        for container in self.containers:
            container.kill()
        if self._stopping is not None:
            self._stopping.join()


def _container_status(container: Container, ready: bool, now: str) -> dict[str, Any]:
    ended = container.status
    running = {"running": {"startedAt": now}}
    terminated = {"terminated": {"exitCode": ended, "startedAt": now, "finishedAt": now}}
    return {
        "name": container.name,
        "image": container.spec["image"],
        "imageID": "",
        "ready": ready,
        "started": ended is None,
        "restartCount": container.restarts,
        "state": running if ended is None else terminated,
    }


def probe(container: Container, name: str) -> tuple[int, str]:
    """Return what one of the container's probes is answered: status and text; 0 for no answer."""
    ask = container.spec[name]["httpGet"]
    number = next(each["containerPort"] for each in container.spec["ports"] if each["name"] == ask["port"])
    url = f"http://127.0.0.1:{container.ports[number]}{ask['path']}"
    with contextlib.suppress(OSError):
        try:
            with _direct.open(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
    return 0, ""


def _answers(container: Container, name: str) -> bool:
    return name not in container.spec or probe(container, name)[0] == 200


def describe(pods: Mapping[str, Pod]) -> str:
    """Return every Pod's logs, for a test that failed."""
    return "\n".join(
        f"=== {json.dumps(pod.manifest['metadata']['name'])}\n{pod.log()}" for pod in pods.values()
    )
