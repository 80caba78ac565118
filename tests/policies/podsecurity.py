"""Asks a real kube-apiserver what its PodSecurity admission says of pods, in dry runs."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.controlplane import ControlPlane

CONNECTIONS = 24

CONTROLS = {
    "privileged": "Privileged Containers",
    "non-default capabilities": "Capabilities",
    "unrestricted capabilities": "Capabilities (restricted)",
    "hostPath volumes": "HostPath Volumes",
    "hostPort": "Host Ports",
    "probe or lifecycle host": "Host Probes / Lifecycle Hooks",
    "forbidden AppArmor profile": "AppArmor",
    "forbidden AppArmor profiles": "AppArmor",
    "seLinuxOptions": "SELinux",
    "procMount": "/proc Mount Type",
    "seccompProfile": "Seccomp",
    "forbidden sysctls": "Sysctls",
    "hostProcess": "HostProcess",
    "restricted volume types": "Volume Types",
    "allowPrivilegeEscalation != false": "Privilege Escalation",
    "runAsNonRoot != true": "Running as Non-root",
    "runAsUser=0": "Running as Non-root user",
}
"""The reasons in PodSecurity's message, and the control of the standards that each belongs to."""

HOST_NAMESPACES = {
    "hostNetwork=true": "Host Namespaces: network",
    "hostPID=true": "Host Namespaces: PID",
    "hostIPC=true": "Host Namespaces: IPC",
}
"""The details of its reason `host namespaces`: Tidewaiter has a policy for each."""


@dataclass(frozen=True)
class Answer:
    """What the API server says of one object.

    Attributes:
        valid: PodSecurity judged it; else the API server refuses it whatever PodSecurity says.
        controls: those that it violates, and the containers that the message names; none when it is allowed.
        object: it with its defaults, when it is allowed.
        message: why not, when it isn't.
    """

    valid: bool
    controls: Mapping[str, frozenset[str]]
    object: dict[str, Any] | None
    message: str = ""


@dataclass(frozen=True)
class Question:
    """One request: a pod to create in a namespace, or an ephemeral container to add to a pod there."""

    namespace: str
    pod: dict[str, Any]
    ephemeral: dict[str, Any] | None = None


def namespace_name(level: str, version: str) -> str:
    """Return the name of the namespace with this level and version."""
    return f"{level}-{version.replace('.', '-')}"


def make_namespaces(
    plane: ControlPlane, pairs: Iterable[tuple[str, str]], pods: Sequence[dict[str, Any]]
) -> None:
    """Make a namespace for each level and version, with `pods` in it from before it got its level."""
    for level, version in pairs:
        name = namespace_name(level, version)
        _made(plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}}))
        for pod in pods:
            _made(plane.request("POST", f"/api/v1/namespaces/{name}/pods", pod))
        labels = {
            "pod-security.kubernetes.io/enforce": level,
            "pod-security.kubernetes.io/enforce-version": version,
        }
        status, answer = plane.request(
            "PATCH",
            f"/api/v1/namespaces/{name}",
            {"metadata": {"labels": labels}},
            "application/merge-patch+json",
        )
        assert status == 200, answer
        if level != "privileged":
            _wait_for(plane, name)


def _wait_for(plane: ControlPlane, namespace: str) -> None:
    """Wait until PodSecurity has seen the labels: its namespaces come through a watch."""
    container = {"name": "web", "image": "shop/web:1", "securityContext": {"privileged": True}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "probe"},
        "spec": {"containers": [container]},
    }
    deadline = time.monotonic() + 30
    while plane.request("POST", f"/api/v1/namespaces/{namespace}/pods?dryRun=All", pod)[0] != 403:
        assert time.monotonic() < deadline, f"PodSecurity does not judge {namespace}"
        time.sleep(0.05)


def _made(answer: tuple[int, Any]) -> None:
    assert answer[0] == 201, answer


def ask(plane: ControlPlane, questions: Sequence[Question]) -> list[Answer]:
    """Return the answers to `questions`, in their order."""
    return asyncio.run(_ask(plane, questions))


async def _ask(plane: ControlPlane, questions: Sequence[Question]) -> list[Answer]:
    tls = ssl.create_default_context(cafile=str(plane.ca_file))
    tls.load_cert_chain(plane.cert_file, plane.key_file)
    answers: list[Answer | None] = [None] * len(questions)
    numbers = iter(range(len(questions)))
    async with aiohttp.ClientSession(
        plane.url, connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=tls), trust_env=False
    ) as session:

        async def work() -> None:
            for number in numbers:
                answers[number] = await _ask_one(session, questions[number])

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return [answer for answer in answers if answer is not None]


async def _ask_one(session: aiohttp.ClientSession, question: Question) -> Answer:
    path = f"/api/v1/namespaces/{question.namespace}/pods"
    if question.ephemeral is None:
        method, body, content = "POST", question.pod, "application/json"
    else:
        method = "PATCH"
        path += f"/{question.pod['metadata']['name']}/ephemeralcontainers"
        body, content = (
            {"spec": {"ephemeralContainers": [question.ephemeral]}},
            "application/merge-patch+json",
        )
    async with session.request(
        method, path, params={"dryRun": "All"}, data=json.dumps(body), headers={"Content-Type": content}
    ) as response:
        answer = await response.json()
        if response.status in (200, 201):
            return Answer(valid=True, controls={}, object=answer)
        message = str(answer.get("message", ""))
        if response.status == 422:
            return Answer(valid=False, controls={}, object=None, message=message)
        assert response.status == 403, (response.status, answer)
        return Answer(valid=True, controls=controls_in(message), object=None, message=message)


def controls_in(message: str) -> dict[str, frozenset[str]]:
    """Return the controls that PodSecurity's `message` names, each with the containers it names.

    An unknown control is an AssertionError.
    """
    found = _VIOLATES.search(message)
    assert found, message
    controls: dict[str, frozenset[str]] = {}
    for reason, detail in _REASON.findall(found[1]):
        if reason == "host namespaces":
            controls |= {HOST_NAMESPACES[each]: frozenset() for each in detail.split(", ")}
        else:
            quoted = [name for names in _CONTAINERS.findall(detail) for name in _QUOTED.findall(names)]
            controls[CONTROLS[reason]] = frozenset(quoted + _ANNOTATED.findall(detail))
    return controls


_VIOLATES = re.compile(r'violates PodSecurity "[^"]+": (.*)')
# one (details), other (details): nothing that the generator makes has parentheses in its details.
_REASON = re.compile(r"([^(, ][^(,]*?)(?: \(([^)]*)\))?(?:, |$)")
_CONTAINERS = re.compile(r'containers? ((?:"[^"]*"(?:, )?)+)')
_QUOTED = re.compile(r'"([^"]*)"')
_ANNOTATED = re.compile(r"container\.apparmor\.security\.beta\.kubernetes\.io/([a-z-]+)=")
