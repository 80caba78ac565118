"""A client of the API server that never pauses, and knows of each answer whether it is right."""

from __future__ import annotations

import contextlib
import enum
import http.client
import itertools
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from tests.controlplane import ControlPlane
from tests.e2e.cluster import API_VERSION, configmap, eventually

SPACE = "load"
RATE = 50.0
CLIENTS = 8
KUBECTL_EVERY = 2.0
PATIENCE = 60.0
_numbers = itertools.count(1)

_SAYS_DENIED = "denied the request"
_SAYS_FAILED = "failed calling webhook"


class Outcome(enum.StrEnum):
    """What an answer of the API server is."""

    RIGHTLY_ALLOWED = "rightly allowed"
    RIGHTLY_DENIED = "rightly denied"
    WRONGLY_ALLOWED = "wrongly allowed"
    WRONGLY_DENIED = "wrongly denied"
    """Denied though it should pass, or not by all policies that it violates."""
    FAILED = "failed"
    NOT_TAKEN = "not taken"
    """By the API server itself: it restarts, or its etcd does."""


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        outcome: what it is.
        step: what was asked.
        message: what the API server said.
        started: when it was asked, on the monotonic clock.
        ended: when the answer was there.
    """

    outcome: Outcome
    step: str
    message: str
    started: float
    ended: float

    def __str__(self) -> str:
        return f"{self.outcome}: {self.step} ({self.ended - self.started:.2f} s): {self.message[:300]}"


@dataclass(frozen=True)
class Step:
    """One request, and what must come of it.

    Attributes:
        name: for a person.
        method: of HTTP.
        path: with the query.
        body: an object, or None.
        denial: texts that must all be in the denial, as `policy/validation`; none: it must pass.
    """

    name: str
    method: str
    path: str
    body: Any = None
    denial: tuple[str, ...] = ()


def classify(step: Step, status: int, message: str) -> Outcome:
    """Return what an answer is.

    Args:
        step: what was asked.
        status: of HTTP; 0 when there was no answer.
        message: of the answer, when it is an error.
    """
    if 200 <= status < 300:
        return Outcome.WRONGLY_ALLOWED if step.denial else Outcome.RIGHTLY_ALLOWED
    if _SAYS_FAILED in message:
        return Outcome.FAILED
    if _SAYS_DENIED in message:
        complete = step.denial and all(text in message for text in step.denial)
        return Outcome.RIGHTLY_DENIED if complete else Outcome.WRONGLY_DENIED
    return Outcome.NOT_TAKEN


def load_policies() -> list[dict[str, Any]]:
    """Return the policies that the load is judged by."""
    return [
        load_policy("load-no-password", "!has(object.data) || !('password' in object.data)"),
        load_policy(
            "load-no-secret", "!has(object.data) || object.data.all(key, object.data[key] != 'secret')"
        ),
        load_policy("load-kept", "!('kept' in oldObject.metadata.?labels.orValue({}))", ("DELETE",)),
    ]


def load_policy(
    name: str, expression: str, operations: Sequence[str] = ("CREATE", "UPDATE")
) -> dict[str, Any]:
    """Return a ClusterPolicy on the load's ConfigMaps."""
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    return {
        "apiVersion": API_VERSION,
        "kind": "ClusterPolicy",
        "metadata": {"name": name},
        "spec": {
            "severity": "medium",
            "matchConstraints": {
                "resourceRules": [{**rule, "operations": list(operations)}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SPACE}},
            },
            "validations": [{"name": "check", "expression": expression, "message": "must not be"}],
        },
    }


KEPT = configmap(SPACE, "kept", {"kept": "yes"})
"""What no policy lets anybody delete; it must be there before the load starts."""


def story(name: str) -> Iterator[Step]:
    """Yield the life of one ConfigMap: what policies allow of it and what they deny."""
    path = f"/api/v1/namespaces/{SPACE}/configmaps"
    good, bad = configmap(SPACE, name, colour="blue"), configmap(SPACE, f"{name}-bad", password="secret")
    both = ("load-no-password/check", "load-no-secret/check")
    yield Step("create", "POST", path, good)
    yield Step("create what is bad", "POST", path, bad, both)
    yield Step("try what is bad", "POST", f"{path}?dryRun=All", bad, both)
    yield Step("try what is good", "POST", f"{path}?dryRun=All", configmap(SPACE, f"{name}-try"))
    yield Step("update", "PUT", f"{path}/{name}", configmap(SPACE, name, colour="red"))
    yield Step(
        "make it bad",
        "PUT",
        f"{path}/{name}",
        configmap(SPACE, name, colour="secret"),
        ("load-no-secret/check",),
    )
    yield Step("delete what is kept", "DELETE", f"{path}/kept", None, ("load-kept/check",))
    yield Step("delete", "DELETE", f"{path}/{name}")


class Load:
    """Requests at a steady rate from several clients, and kubectl now and then; a context manager.

    Args:
        plane: the API server.
        rate: requests a second, all clients together; fewer where the machine can't.
    """

    def __init__(self, plane: ControlPlane, rate: float = RATE) -> None:
        self.answers: list[Answer] = []
        self._plane = plane
        self._pause = CLIENTS / rate
        self._going = True
        self._context = ssl.create_default_context(cafile=str(plane.ca_file))
        self._context.load_cert_chain(plane.cert_file, plane.key_file)
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(CLIENTS)]
        self._threads.append(threading.Thread(target=self._use_kubectl))

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._going = False
        for thread in self._threads:
            thread.join()

    def count(self) -> Counter[Outcome]:
        """Return how many answers there are of each kind."""
        return Counter(answer.outcome for answer in self.answers)

    @property
    def rate(self) -> float:
        """How many answers a second there have been."""
        return len(self.answers) / (time.monotonic() - self._started)

    def summary(self) -> str:
        """Return the counts for people."""
        return ", ".join(f"{count} {outcome}" for outcome, count in sorted(self.count().items()))

    def burst(self, count: int = 30) -> None:
        """Ask so often at once: the API server must open new connections, and hands out what is pooled."""
        number = next(_numbers)
        path = f"/api/v1/namespaces/{SPACE}/configmaps?dryRun=All"
        steps = [
            Step("burst", "POST", path, configmap(SPACE, f"burst-{number}-{each}")) for each in range(count)
        ]
        threads = [threading.Thread(target=self.ask, args=(step,)) for step in steps]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def ask(self, step: Step) -> None:
        """Ask once, on a connection of its own."""
        connection, started = self._connect(), time.monotonic()
        try:
            status, message = _ask(connection, step)
        except (OSError, http.client.HTTPException) as error:
            status, message = 0, repr(error)
        connection.close()
        self._note(step, status, message, started)

    def of(self, *outcomes: Outcome) -> list[Answer]:
        """Return the answers of these kinds."""
        return [answer for answer in self.answers if answer.outcome in outcomes]

    def more(self, count: int = 100) -> None:
        """Wait until so many more right answers have come."""
        right = (Outcome.RIGHTLY_ALLOWED, Outcome.RIGHTLY_DENIED)
        goal = len(self.of(*right)) + count
        eventually(lambda: len(self.of(*right)) >= goal, f"{count} more right answers", PATIENCE)

    def _send(self, client: int) -> None:
        connection = self._connect()
        due = time.monotonic() + client * self._pause / CLIENTS  # a steady stream, no bursts
        while self._going:
            for step in story(f"one-{next(_numbers)}"):
                due = max(due + self._pause, time.monotonic() - self._pause)
                time.sleep(max(0.0, due - time.monotonic()))
                if not self._going:
                    break
                started = time.monotonic()
                try:
                    status, message = _ask(connection, step)
                except (OSError, http.client.HTTPException) as error:
                    status, message = 0, repr(error)
                    connection.close()
                    connection = self._connect()
                if not self._note(step, status, message, started):
                    break  # what follows depends on it
        connection.close()

    def _use_kubectl(self) -> None:
        good, bad = (
            configmap(SPACE, "by-kubectl", colour="blue"),
            configmap(SPACE, "by-kubectl", password="x"),
        )
        flags = ("--server-side", "--force-conflicts")
        for number in itertools.count():
            step = Step("kubectl apply", "", "", bad if number % 2 else good)
            if number % 2:
                step = Step("kubectl apply what is bad", "", "", bad, ("load-no-password/check",))
            started = time.monotonic()
            done = self._plane.kubectl("apply", "-f", "-", *flags, input=json.dumps(step.body))
            self._note(step, 0 if done.returncode else 200, done.stderr, started)
            until = started + KUBECTL_EVERY
            while self._going and time.monotonic() < until:
                time.sleep(0.1)
            if not self._going:
                return

    def _connect(self) -> http.client.HTTPSConnection:
        url = urlsplit(self._plane.url)
        return http.client.HTTPSConnection(url.hostname or "", url.port, context=self._context, timeout=30)

    def _note(self, step: Step, status: int, message: str, started: float) -> bool:
        outcome = classify(step, status, message)
        self.answers.append(Answer(outcome, step.name, message, started, time.monotonic()))
        return outcome in (Outcome.RIGHTLY_ALLOWED, Outcome.RIGHTLY_DENIED)


def _ask(connection: http.client.HTTPSConnection, step: Step) -> tuple[int, str]:
    body = None if step.body is None else json.dumps(step.body)
    connection.request(step.method, step.path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status < 300:
        return answer.status, ""
    with contextlib.suppress(ValueError, AttributeError):
        return answer.status, str(json.loads(text).get("message", ""))
    return answer.status, text.decode(errors="replace")
