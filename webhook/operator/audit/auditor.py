"""The audit itself: follows what policies match, judges it, and judges again what a change concerns."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from webhook.adapters.openreports import Family
from webhook.core.errors import InputError
from webhook.core.fields import metadata_of
from webhook.core.model import PolicyRef
from webhook.core.policy import CompiledPolicy
from webhook.core.snapshot import Snapshot
from webhook.operator import listing
from webhook.operator.audit import accounts
from webhook.operator.audit.current import Current
from webhook.operator.audit.facts import AuditFacts, PolicyFacts
from webhook.operator.audit.follower import Follower, Object
from webhook.operator.audit.found import Found
from webhook.operator.audit.impact import Calendar, impact
from webhook.operator.audit.judging import Judge, as_listed
from webhook.operator.audit.lacking import Lacking
from webhook.operator.audit.pace import Pace
from webhook.operator.audit.reports import CHECK_SECONDS
from webhook.operator.audit.wanted import Key, Source
from webhook.operator.client import ApiError, Client, Resource

TICK = 0.5
TELL = 1.0
REST = 10.0
"""Seconds between two tellings of what changes all the time."""
DISCOVER = 60.0
COMPARE = 60.0
"""Seconds between two listings for what Gatekeeper's constraints compare with, which changes all the time."""

_AGAIN = 2.0

logger = logging.getLogger(__name__)


class Auditor:
    """Audits until cancelled.

    Args:
        client: the API server.
        folder: where the operator publishes snapshots.
        family: which reports to write; None for none.
        tell: called with what is known, whenever that changed.
        check: after so many seconds it looks whether somebody else changed or removed reports.
        limit: so many violations of a Gatekeeper constraint are told.
    """

    def __init__(
        self,
        client: Client,
        folder: Path,
        family: Family | None,
        tell: Callable[[AuditFacts], None],
        check: float = CHECK_SECONDS,
        limit: int = 20,
    ) -> None:
        self.found = Found(client, family, self, check, limit)
        self.followers: dict[Resource, Follower] = {}
        self._client = client
        self._current = Current(folder)
        self._family = family or "none"
        self._tell = tell
        self._versions: listing.Versions = {}
        self._judge = Judge(Snapshot())
        self._calendar = Calendar(Snapshot())
        self._serial = 0
        self._since: dict[PolicyRef, int] = {}
        self._matched: dict[PolicyRef, frozenset[Resource]] = {}
        self._problems: list[str] = []
        self._tasks: dict[Resource, asyncio.Task[None]] = {}
        self._gate = asyncio.Semaphore(1)
        self._pace = Pace()
        self._discover = asyncio.Event()
        self._discovered = 0
        self._lacking = Lacking()
        self._ticked = datetime.now(UTC)
        self._full = 1
        self._seconds = 0.0
        self._started = time.monotonic()
        self._compared = False
        self._compared_at = float("-inf")
        self._gone: set[PolicyRef] = set()
        self._said: dict[PolicyRef, PolicyFacts] = {}

    async def run(self) -> None:
        """Audit until cancelled."""
        reports = self.found.reports
        parts = [self._keep_snapshot(), self._keep_followers(), self._keep_telling()]
        parts.append(self.found.telling.run())
        if reports is not None:
            await reports.find()
            parts.append(reports.run())
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in [*tasks, *self._tasks.values()]:
                task.cancel()
            await asyncio.gather(*tasks, *self._tasks.values(), return_exceptions=True)

    # What followers see.

    def take(self, resource: Resource, obj: Object, sweep: int) -> None:
        """Judge an object; one that can't be, for whatever reason, keeps no other from it."""
        try:
            self._take(resource, obj, sweep)
        except Exception:
            name = metadata_of(obj).get("name")
            logger.exception("audit: %s %s can't be judged", accounts.name_of(resource), name)

    def _take(self, resource: Resource, obj: Object, sweep: int) -> None:
        metadata = metadata_of(obj)
        key = _key(metadata)
        judged = self._judge(obj, resource, datetime.now(UTC))
        if judged.again:
            self._lacking.add(resource, key, metadata, time.monotonic())
        else:
            self._lacking.remove(resource, key)
        self.found.put(resource, key, obj, judged.findings, sweep)

    def gone(self, resource: Resource, obj: Mapping[str, Any]) -> None:
        """Forget an object that was deleted."""
        key = _key(metadata_of(obj))
        self._lacking.remove(resource, key)
        self.found.remove(resource, key)

    def listed(self, resource: Resource, sweep: int) -> None:
        """Forget what a listing that has ended did not hold."""
        self.found.listed(resource, sweep)

    # What is judged again.

    def look_again(self, source: Source) -> None:
        """Judge an object again: its report is to be written and was not kept."""
        self._visit(source)

    def _visit(self, source: Source) -> None:
        follower = self.followers.get(source.resource)
        if follower is not None:
            follower.visit(source.namespace, source.name)

    def look_again_at(self, keys: Iterable[Key]) -> None:
        """Judge again what these reports are on: somebody else changed or removed them."""
        self._visit_each(self.found.under(frozenset(keys)))

    def all_again(self) -> None:
        """Judge everything again, and by that find out what else is to be reported, and what no longer."""
        self._serial += 1
        self._full = self._serial
        for follower in self.followers.values():
            follower.list_again()
        self._discover.set()

    def _visit_each(self, sources: Iterable[Source]) -> None:
        for source in list(sources):
            self._visit(source)

    # What changes.

    async def _keep_snapshot(self) -> None:
        told = ""
        while True:
            try:
                snapshot = await asyncio.to_thread(self._current.newer)
                if snapshot is not None:
                    self._judge_by(snapshot)
                told = ""
            except (InputError, OSError) as error:
                if str(error) != told:
                    logger.warning("audit: the snapshot can't be read: %s", error)
                told = str(error)
            now = datetime.now(UTC)
            self._visit_each(self.found.affected(self._calendar.between(self._ticked, now)))
            self._ticked = max(now, self._ticked)
            moment = time.monotonic()
            if self._compared and moment - self._compared_at >= COMPARE:
                self._compared, self._compared_at = False, moment
                self._list_again(policy for policy in self._judge.policies if policy.constraint is not None)
            self._visit_each(self._lacking.due(moment))
            await asyncio.sleep(TICK)

    def _judge_by(self, snapshot: Snapshot) -> None:
        before = self._judge.snapshot
        changes = impact(before, snapshot)
        self._judge = Judge(snapshot, self._versions)
        self.found.categories = {policy.ref: policy.category for policy in self._judge.policies}
        if before.register is not snapshot.register or before.policies != snapshot.policies:
            self._calendar = Calendar(snapshot)
        if changes.policies:
            self._serial += 1
            refs = {policy.ref for policy in self._judge.policies}
            for policy in changes.policies:
                if policy.ref in refs:
                    self._since[policy.ref] = self._serial
                else:
                    self._since.pop(policy.ref, None)
                    self._gone.add(policy.ref)
                self.found.ledger.changed.add(policy.ref)
            self._gone -= refs
            self._list_again(changes.policies)
            self._discover.set()
        self._compared = self._compared or changes.inventory
        if changes.namespaces:
            for follower in self.followers.values():
                if follower.resource.namespaced:
                    follower.list_again()
        self._visit_each(self.found.affected(changes.affected))
        if changes.owners:
            self._visit_each(self.found.made_in(changes.owners))

    def _list_again(self, policies: Iterable[CompiledPolicy]) -> None:
        known = list(policies)
        for resource, follower in self.followers.items():
            if any(listing.concerns(policy, resource) for policy in known):
                follower.list_again()

    async def _keep_followers(self) -> None:
        told = ""
        while True:
            try:
                async with asyncio.timeout(DISCOVER):
                    await self._discover.wait()
            except TimeoutError:
                pass
            self._discover.clear()
            try:
                await self._follow()
                told = ""
            except ApiError as error:
                if str(error) != told:
                    logger.warning("audit: what there is can't be found out: %s", error)
                told = str(error)
                await asyncio.sleep(_AGAIN)
                self._discover.set()

    async def _follow(self) -> None:
        serial = self._serial
        policies = self._judge.policies
        matched = await listing.matched(self._client, map(as_listed, policies))
        found, self._problems = matched.resources, list(matched.problems)
        self._serve(matched.versions)
        for resource in [each for each in self.followers if each not in found]:
            self._tasks.pop(resource).cancel()
            del self.followers[resource]
            self.found.end(resource)
            self._lacking.drop(resource)
        for resource in found:
            if resource not in self.followers:
                follower = Follower(
                    self._client, resource, self, self._gate, self._pace, lambda: self._serial
                )
                self.found.begin(resource)
                self.followers[resource] = follower
                self._tasks[resource] = asyncio.create_task(follower.run())
        self._matched = {
            policy.ref: frozenset(each for each in found if self._judge.judges(policy, each))
            for policy in policies
        }
        self._discovered = serial

    def _serve(self, versions: listing.Versions) -> None:
        """Take in which versions there are; where they differ, policies may judge another one."""
        before, self._versions = self._versions, versions
        if before == versions:
            return
        self._judge = Judge(self._judge.snapshot, versions)
        for resource, follower in self.followers.items():
            place = resource.group, resource.plural
            if before.get(place) != versions.get(place):
                follower.list_again()

    # What is told.

    async def _keep_telling(self) -> None:
        last = float("-inf")
        while True:
            await asyncio.sleep(TELL)
            self._visit_each(self.found.hidden())
            facts = self.facts()
            if facts.complete and self.found.reports is not None and not facts.unreadable:
                self.found.reports.settle()
            if facts.complete and not self._seconds:
                self._seconds = time.monotonic() - self._started
                logger.info("audit: %d objects judged in %.1f s", facts.objects, self._seconds)
            if facts.policies or facts.gone or time.monotonic() - last >= REST:
                last = time.monotonic()
                self._tell(facts)
                self._said.update({each.policy: each for each in facts.policies})
                for ref in facts.gone:
                    self._said.pop(PolicyRef(*ref), None)
                self._gone.clear()

    def facts(self) -> AuditFacts:
        """Return what is known, with the policies of which something changed."""
        followers = list(self.followers.values())
        reports = self.found.reports
        policies = [self._account(policy) for policy in self._judge.policies]
        changed = [each for each in policies if accounts.differs(each, self._said.get(each.policy))]
        self.found.ledger.changed.clear()
        return AuditFacts(
            complete=bool(self._judge.snapshot.revision)
            and self._discovered == self._serial
            and all(each.serial >= self._full or each.refused for each in followers),
            at=accounts.heard(followers) if self._discovered else 0.0,
            seconds=self._seconds,
            objects=accounts.objects(followers),
            findings=accounts.findings(self.found.ledger),
            unreadable={
                **{accounts.name_of(each.resource): each.error for each in followers if each.error},
                **{problem.partition(":")[0]: problem for problem in self._problems},
            },
            following=sum(each.synced for each in followers),
            reports=self._family,
            problem=reports.problem if reports is not None else "",
            written=dict(reports.results) if reports is not None else {},
            waiting=reports.waiting if reports is not None else 0,
            events=dict(self.found.telling.results),
            memory=accounts.resident(),
            cpu=time.process_time(),
            series=accounts.series(self.found.ledger),
            covered=accounts.covered(self.found.ledger),
            policies=changed,
            gone=[(ref.kind, ref.namespace, ref.name) for ref in sorted(self._gone)],
        )

    def _account(self, policy: CompiledPolicy) -> PolicyFacts:
        known = self._matched.get(policy.ref)
        serial = self._since.get(policy.ref, 0)
        matched = None
        if known is not None and self._discovered >= serial:
            matched = [self.followers[each] for each in known if each in self.followers]
        return accounts.of(policy, self.found.ledger, matched, serial)


def _key(metadata: Mapping[str, Any]) -> str:
    uid = metadata.get("uid")
    return uid if isinstance(uid, str) and uid else f"{metadata.get('namespace', '')}/{metadata.get('name')}"
