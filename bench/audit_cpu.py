"""The audit's CPU beside Gatekeeper's: both audit the same Pods of a real API server by the same rules.

Gatekeeper's manager runs as its chart's audit Pod does (``--operation=audit``), of the constraints' kinds
alone, with its own defaults for pages (500) and for what it keeps (20 violations a constraint). It judges one
Pod after another, and for each constraint decodes the Pod and converts it for Rego; that is what takes its
time: it neither waits for the API server nor is it throttled. Its log says which violating Pods it has
judged, and it takes pages in order. So an audit that is cut off after `--limit` still gives a lower bound:
its CPU time until then, over the most Pods that it can have judged.
"""

from __future__ import annotations

import copy
import http.client
import json
import re
import ssl
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.audit_run import Audit
from bench.list_server import VIOLATING
from bench.pods import NAMESPACE, compliant
from bench.report import Figure
from bench.rules import policies
from bench.sides import Gatekeeper
from bench.tree import cpu_of_tree
from tests.controlplane import ControlPlane

POLICIES = 100
OBJECTS = 10_000
LEAST_OBJECTS = 100
LEAST_RATIO = 10.0
OWN_RUNS = 3

_PAGE = 500
_INTERVAL = 10
_LONGEST = 1800.0
_TOLD = 15.0
_NAMED = re.compile(rb'"event_type":"violation_audited".*?"resource_name":"pod-(\d+)"')

Say = Callable[[str], None]


class Progress:
    """Which of the violating Pods Gatekeeper's log names: how far its audit is.

    Args:
        log: its log.
        objects: how many Pods there are.
    """

    def __init__(self, log: Path, objects: int) -> None:
        self._log = log
        self._objects = objects
        self._place = log.stat().st_size
        self._rest = b""
        self.named: set[int] = set()

    def read(self) -> None:
        """Take in what was written since.

        Raises:
            RuntimeError: it finds violations of a Pod that has none.
        """
        with self._log.open("rb") as log:
            log.seek(self._place)
            data = self._rest + log.read()
            self._place = log.tell()
        *lines, self._rest = data.split(b"\n")
        for line in lines:
            found = _NAMED.search(line)
            if found:
                self.named.add(int(found[1]))
        wrong = [number for number in self.named if number % VIOLATING]
        if wrong:
            raise RuntimeError(f"Gatekeeper's audit finds violations of a Pod that has none: {min(wrong)}")

    @property
    def about(self) -> int:
        """About how many Pods it has judged."""
        return min(len(self.named) * VIOLATING, self._objects)

    @property
    def most(self) -> int:
        """How many it can have judged at most: all of the page that it is at; pages come in order."""
        pages = len(self.named) * VIOLATING // _PAGE + 1
        return min(pages * _PAGE, self._objects)


@dataclass(frozen=True)
class Theirs:
    """What Gatekeeper's audit took.

    Attributes:
        cpu: seconds, its start included.
        objects: over how many Pods: all of them, or where it was cut off the most it can have judged.
        complete: it came to its end.
        seconds: how long it ran.
        about: about how many Pods it had judged.
    """

    cpu: float
    objects: int
    complete: bool
    seconds: float
    about: int

    @property
    def each(self) -> float:
        """Seconds of CPU a Pod; where it was cut off, at least so many."""
        return self.cpu / self.objects


def cpu(oracles: Path, assets: Path, objects: int, runs: int, limit: float, say: Say) -> list[Figure]:
    """Let both audit the same Pods; tell how many times less CPU an object ours takes.

    Args:
        oracles: has ``gatekeeper-manager``.
        assets: has ``kube-apiserver``, ``etcd`` and ``kubectl``.
        objects: how many Pods.
        runs: of Gatekeeper's audit.
        limit: after so many seconds each of them is cut off.
        say: takes how far it is.
    """
    chosen = policies(POLICIES)
    with tempfile.TemporaryDirectory() as name, ControlPlane(assets, Path(name) / "plane") as plane:
        folder = Path(name)
        gatekeeper = Gatekeeper(oracles / "gatekeeper-manager", plane, folder / "gatekeeper")
        gatekeeper.install(chosen)
        say(f"{POLICIES} templates with their constraints are there")
        _make_pods(plane, objects)
        say(f"{objects} Pods are there")
        ours, found = [], 0
        for number in range(OWN_RUNS):
            with Audit(folder / f"audit-{number}", plane.kubeconfig, chosen) as audit:
                ours.append(audit.wait_until_complete(_LONGEST).cpu / objects)
                found = audit.facts.findings["fail"]
            say(f"Tidewaiter: {ours[-1] * objects:.1f} s of CPU, {found} violations")
        theirs = [_audit_of(gatekeeper, objects, found, limit, say) for _ in range(runs)]
    return [figure(objects, ours, theirs, found)]


def figure(objects: int, ours: Sequence[float], theirs: Sequence[Theirs], found: int) -> Figure:
    """Return how many times less CPU a Pod ours takes; where an audit was cut off, at least so many.

    Args:
        objects: how many Pods there were.
        ours: seconds of CPU a Pod, for each run.
        theirs: Gatekeeper's runs.
        found: how many violations ours found.
    """
    own = statistics.median(ours)
    ratios = sorted(each.each / own for each in theirs)
    whole = all(each.complete for each in theirs)
    each = statistics.median(one.each for one in theirs) * 1e6
    if whole:
        kind = "measured"
        how = f"both to their end; both find {found} violations, of which Gatekeeper keeps 20 a constraint"
    else:
        cut = next(one for one in theirs if not one.complete)
        kind = "a lower bound"
        how = (
            f"Gatekeeper was cut off after {cut.seconds:.0f} s and {cut.cpu:.0f} s of CPU, with about "
            f"{cut.about} of {objects} Pods judged, {cut.objects} at most; so its violations were not counted"
        )
    note = (
        f"{kind}: {own * 1e6:.0f} µs and {each:.0f} µs, each with its start; "
        f"ours {min(ours) * 1e6:.0f} to {max(ours) * 1e6:.0f} µs in {len(ours)} runs, "
        f"ratio {ratios[0]:.1f} to {ratios[-1]:.1f} in {len(theirs)}; {how}"
    )
    return Figure(
        f"audit of {objects} Pods by {POLICIES} policies: CPU an object beside Gatekeeper",
        statistics.median(ratios),
        "x less",
        LEAST_RATIO,
        at_least=True,
        note=note,
    )


def _audit_of(gatekeeper: Gatekeeper, objects: int, found: int, limit: float, say: Say) -> Theirs:
    """Run Gatekeeper's first audit to its end, or for so many seconds.

    Raises:
        RuntimeError: it finds another number of violations than ours.
    """
    with ExitStack() as stack:
        started = told = time.monotonic()
        manager, metrics = gatekeeper.start_audit(stack, _INTERVAL)
        progress = Progress(manager.log, objects)
        while True:
            time.sleep(0.2)
            taken = cpu_of_tree(manager.pid)
            seconds = time.monotonic() - started
            ended = _ended(metrics)
            if ended or seconds >= limit:
                progress.read()
                break
            if time.monotonic() - told >= _TOLD:
                told = time.monotonic()
                progress.read()
                say(f"Gatekeeper: about {progress.about} of {objects} Pods judged, {taken:.0f} s of CPU")
        if ended:
            kept = _metric(metrics, r"gatekeeper_violations\{[^}]*deny[^}]*\}")
            if float(kept or 0) != found:
                raise RuntimeError(f"Gatekeeper's audit finds {kept or 'no'} violations, ours {found}")
    say(f"Gatekeeper: {'ended' if ended else 'cut off'} after {seconds:.0f} s, {taken:.0f} s of CPU")
    return Theirs(taken, objects if ended else progress.most, ended, seconds, progress.about)


def _make_pods(plane: ControlPlane, objects: int) -> None:
    """Create the Pods, one in ten of which violates."""
    pod = copy.deepcopy(compliant())
    for field in ("ownerReferences", "generateName"):
        pod["metadata"].pop(field)
    bad = copy.deepcopy(pod)
    bad["spec"]["containers"][0]["image"] = "docker.io/library/busybox:latest"
    context = ssl.create_default_context(cafile=str(plane.ca_file))
    context.load_cert_chain(plane.cert_file, plane.key_file)
    where = urlsplit(plane.url)

    def make(start: int) -> None:
        connection = http.client.HTTPSConnection(
            where.hostname or "", where.port, context=context, timeout=60
        )
        for number in range(start, objects, 8):
            made = bad if number % VIOLATING == 0 else pod
            made = {**made, "metadata": {**made["metadata"], "name": f"pod-{number:05}"}}
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/api/v1/namespaces/{NAMESPACE}/pods", json.dumps(made), headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 201:
                raise RuntimeError(f"a Pod was not made: {text.decode()[:500]}")
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(8)))


def _ended(metrics: int) -> bool:
    return float(_metric(metrics, r"gatekeeper_audit_last_run_end_time(?:{.*?})?") or 0) > 0


def _metric(metrics: int, pattern: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=10) as answer:
            found = re.search(rf"^{pattern} (\S+)", answer.read().decode(), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""
