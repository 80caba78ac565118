"""Many changes at once in a crowded cluster, with a real API server: python -m bench.scale.

It needs KUBEBUILDER_ASSETS, a folder with kube-apiserver, etcd and kubectl.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import crowd
from bench.crowd import Size
from bench.process import ROOT
from bench.report import Figure, show
from bench.steady import Answer
from bench.storm import Changed, Cluster, Phase, Versions
from bench.tree import pss_of_tree
from tests.controlplane import ControlPlane

LATEST = 2.0
"""A change must be effective after so many seconds."""


def stale(answers: Iterable[Answer], changes: Iterable[Changed], versions: Versions) -> float:
    """Return how long after a change a request was still sent that got an answer without it.

    Args:
        answers: of every worker, from before the first change until long after the last.
        changes: what was changed.
        versions: of each policy, by revision.
    """
    last: dict[str, float] = {}
    for answer in answers:
        last[answer.revision] = max(answer.sent, last.get(answer.revision, 0.0))
    late = [
        sent - change.at
        for change in changes
        for revision, sent in last.items()
        if int(versions[revision][crowd.policy_name(change.number)]) < change.version
    ]
    return max([0.0, *late])


def mixtures(answers: Iterable[Answer], bodies: Sequence[str], versions: Versions) -> list[str]:
    """Return which answers are not what the revision that they name gives: every policy in its version there.

    Args:
        answers: any.
        bodies: the group of policies that judges each body.
        versions: of each policy, by revision.
    """
    wrong = []
    for answer in answers:
        noted = {
            key.removesuffix(".version"): value
            for key, value in answer.notes.items()
            if key.endswith(".version")
        }
        first = int(bodies[answer.body].removeprefix("group-")) * crowd.GROUP_SIZE
        names = [crowd.policy_name(number) for number in range(first, first + crowd.GROUP_SIZE)]
        known = versions.get(answer.revision, {})
        if noted != {name: known[name] for name in names if name in known} or not noted:
            wrong.append(f"{answer.revision or 'no revision'}: {noted}")
    return wrong


@dataclass(frozen=True)
class Memory:
    """Bytes of the data plane, what its processes share counted once, and of the operator."""

    serving: int
    operating: int

    @classmethod
    def of(cls, cluster: Cluster) -> Memory:
        return cls(pss_of_tree(cluster.serve.pid), pss_of_tree(cluster.operator.pid))


@dataclass(frozen=True)
class Seen:
    """What was seen in one run.

    Attributes:
        started: what starting took.
        quiet: a time without changes.
        written: a time in which as much else was written.
        storm: the time of the changes.
        changes: those that the API server took.
        versions: of each policy by revision.
        withdrawn: how long a deleted acceptance still counted, in seconds.
        statuses: how many were written in and after the storm.
        settled: how long the operator worked on after it, in seconds.
        before: memory.
        after: the same after the storm.
        groups: the group of policies that judges each body.
        size: of the cluster.
    """

    started: Sequence[Figure]
    quiet: Phase
    written: Phase
    storm: Phase
    changes: Sequence[Changed]
    versions: Versions
    withdrawn: float
    statuses: int
    settled: float
    before: Memory
    after: Memory
    groups: Sequence[str]
    size: Size

    @property
    def failed(self) -> list[str]:
        phases = (self.quiet, self.written, self.storm)
        return [answer.failed for phase in phases for answer in phase.answers if answer.failed]

    @property
    def mixed(self) -> list[str]:
        return mixtures(self.storm.answers, self.groups, self.versions)

    @property
    def revisions(self) -> set[str]:
        return {answer.revision for answer in self.storm.answers}

    @property
    def stale(self) -> float:
        return stale(self.storm.answers, self.changes, self.versions)

    def figures(self) -> list[Figure]:
        quiet, written, storm = self.quiet, self.written, self.storm
        before, after, mebi = self.before, self.after, 1 << 20
        share = storm.swapping / 2 / self.size.seconds
        return [
            *self.started,
            Figure("requests that failed", len(self.failed), "", bar=0),
            Figure(
                "answers from a mixture of revisions",
                len(self.mixed),
                "",
                bar=0,
                note=f"{len(storm.answers)} answers from {len(self.revisions)} revisions",
            ),
            Figure("a change is not yet effective for at most", self.stale, " s", bar=LATEST),
            Figure("a deleted acceptance still counts for at most", self.withdrawn, " s", bar=LATEST),
            *(
                Figure(
                    f"{name} during the changes beside as many writes of other things",
                    storm.percentile(part) / written.percentile(part),
                    "x",
                    bar=bar,
                    note=f"{storm.percentile(part):.1f} and {written.percentile(part):.1f} ms, "
                    f"quiet {quiet.percentile(part):.1f} ms",
                )
                for name, part, bar in (("p50", 0.5, 2.0), ("p99", 0.99, None))
            ),
            Figure(
                "CPU of a worker for its swaps, share of a core",
                share,
                "",
                bar=0.25,
                note=f"{1000 * storm.swapping / 2 / len(self.revisions):.0f} ms a swap",
            ),
            Figure(
                "CPU of the workers' event loops beside other writes",
                storm.serving / written.serving,
                "x",
                bar=1.5,
            ),
            Figure("CPU of the supervisor", storm.supervising, " s"),
            Figure("CPU of the operator", storm.operating, " s", note=f"{self.statuses} status writes"),
            Figure("the operator works on after the changes for", self.settled, " s"),
            Figure(
                "memory of the data plane after the changes",
                after.serving / mebi,
                " MiB",
                note=f"{before.serving / mebi:.0f} before",
            ),
            Figure(
                "memory of the operator after the changes",
                after.operating / mebi,
                " MiB",
                note=f"{before.operating / mebi:.0f} before",
            ),
        ]


async def measure(size: Size, folder: Path, assets: str) -> Seen:
    """Make the crowd, start everything, and look on while policies change and acceptances go."""
    with ExitStack() as stack:
        plane = stack.enter_context(ControlPlane(assets, folder / "plane"))
        plane.kubectl("apply", "--server-side", "-k", str(ROOT / "charts/tidewaiter/crds"), check=True)
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s", check=True)
        async with crowd.api_of(plane) as api:
            await api.all(crowd.everything(size))
            cluster = Cluster(stack, folder, plane, size)
            try:
                started = await cluster.start()
                quiet = await cluster.quiet()
                written = await cluster.other_writes(api)
                before, statuses = Memory.of(cluster), _status_writes(plane)
                storm, changes = await cluster.storm(api, 1)
                settled = await cluster.idle()
                statuses, after = _status_writes(plane) - statuses, Memory.of(cluster)
                withdrawn = await cluster.withdraw(api)
            finally:
                await cluster.stop()
    versions = await asyncio.to_thread(cluster.published.versions)
    return Seen(
        started,
        quiet,
        written,
        storm,
        changes,
        versions,
        withdrawn,
        statuses,
        settled,
        before,
        after,
        cluster.groups,
        size,
    )


def _status_writes(plane: ControlPlane) -> int:
    return plane.audit_log.read_bytes().count(b'"subresource":"status"')


def run(size: Size = Size()) -> list[Figure]:  # noqa: B008 - frozen
    """Measure at one size."""
    with tempfile.TemporaryDirectory() as name:
        seen = asyncio.run(measure(size, Path(name), os.environ["KUBEBUILDER_ASSETS"]))
    for problem in [*seen.failed, *seen.mixed][:10]:
        print(problem, file=sys.stderr)
    return seen.figures()


if __name__ == "__main__":
    sys.exit(not show(run()))
