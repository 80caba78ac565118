"""Which policies a request is for: resource rules, scopes and the index over them.

Rules mean what they mean in Kubernetes' admission webhooks and policies; see
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from webhook.core.constraint import Constraint, is_sent
from webhook.core.policy import CompiledPolicy, Rule
from webhook.core.review import AdmissionRequest, Triple
from webhook.core.selectors import Labels, Selector
from webhook.core.workloads import RESOURCES

_PODS = ("", "v1", "pods")
# The resource as sent and as asked for, its subresource, the operation, the object's kind.
_Key = tuple[Triple, Triple, str, str, Triple]
_CACHED_KEYS = 4096  # distinct resources and operations of one cluster stay far below this
_CARRIED_KEYS = 256


@dataclass(frozen=True, slots=True)
class Selection:
    """Which policies a webhook entry asks for, as its path says.

    Attributes:
        scope: ``cluster`` for ClusterPolicies, ``namespaced`` for Policies, ``all``.
        versions: the comma-joined, sorted API versions that a policy must name for the resource; ``*`` for
            any. Entries exist by versions only where policies name different ones for one resource.
    """

    scope: str = "all"
    versions: str = "*"


EVERY_POLICY = Selection()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A policy whose rules name a request's resource and operation, before selectors and conditions.

    Attributes:
        policy: the policy.
        template: it judges the pod template of the request's object, not the object.
        versions: the lists of versions under which webhook entries send us what these rules name: what
            the policy names of the same groups and resources, which may be wildcards.
        rules: those of its rules that name the resource and operation.
        exclude_rules: the same of its exclusions.
        certain: the rules take every such request, whatever its scope and name.
        plain: its validations alone say whether an object passes, given that its policy is asked for.
    """

    policy: CompiledPolicy
    template: bool
    versions: frozenset[str]
    rules: tuple[Rule, ...]
    exclude_rules: tuple[Rule, ...]
    certain: bool
    plain: bool = False

    def takes(self, request: AdmissionRequest) -> bool:
        """Tell whether scopes, names and exclusions let the policy judge `request`."""
        return self.certain or (
            any(_takes(rule, request) for rule in self.rules)
            and not any(_takes(rule, request) for rule in self.exclude_rules)
        )


def _takes(rule: Rule, request: AdmissionRequest) -> bool:
    return _in_scope(rule, request) and (not rule.names or request.name in rule.names)


def _resource_matches(rule: Rule, resource: str, sub_resource: str) -> bool:
    for wanted in rule.resources:
        name, _, sub = wanted.partition("/")
        if name in ("*", resource) and sub in ("*", sub_resource):
            return True
    return False


def _naming(
    rules: Sequence[Rule],
    resource: Triple,
    sub_resource: str,
    operation: str,
    *,
    any_version: bool = False,
) -> tuple[Rule, ...]:
    """Return the rules that name a resource and an operation on it."""
    group, version, plural = resource
    return tuple(
        rule
        for rule in rules
        if ("*" in rule.groups or group in rule.groups)
        and (any_version or "*" in rule.versions or version in rule.versions)
        and ("*" in rule.operations or operation in rule.operations)
        and _resource_matches(rule, plural, sub_resource)
    )


def _in_scope(rule: Rule, request: AdmissionRequest) -> bool:
    if rule.scope == "*":
        return True
    cluster_scoped = not request.namespace or request.resource[::2] == ("", "namespaces")
    return cluster_scoped is (rule.scope == "Cluster")


def versions_named(rules: Iterable[Rule], group: str, resource: str) -> str:
    """Return the versions that `rules` name for a resource: sorted, comma-joined; ``*`` where any will do."""
    named: set[str] = set()
    for rule in rules:
        if ("*" in rule.groups or group in rule.groups) and any(
            wanted.partition("/")[0] in ("*", resource) for wanted in rule.resources
        ):
            named |= rule.versions
    return "*" if "*" in named else ",".join(sorted(named))


class Bucket:
    """The candidates of one resource and operation, so ordered that most that can't match are never met.

    A candidate waits under one label value that its namespace selector or its object selector demands, where
    there is such a value; the few labels of a request then find it.

    Args:
        candidates: in the order in which they are to be judged.
    """

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self.every = list(candidates)
        self.policies = frozenset(id(candidate.policy) for candidate in candidates)
        self.always: list[tuple[int, Candidate]] = []
        self.by_namespace: dict[str, list[tuple[int, Candidate]]] = {}
        self.by_namespace_label: dict[tuple[str, str], list[tuple[int, Candidate]]] = {}
        self.by_label: dict[tuple[str, str], list[tuple[int, Candidate]]] = {}
        for entry in enumerate(candidates):
            policy, template = entry[1].policy, entry[1].template
            wanted = _demanded(policy.namespace_selector)
            label = None if template else _demanded(policy.object_selector)
            if policy.ref.namespace:
                self.by_namespace.setdefault(policy.ref.namespace, []).append(entry)
            elif wanted:
                for pair in wanted:
                    self.by_namespace_label.setdefault(pair, []).append(entry)
                # A namespace selector passes every cluster-scoped object.
                self.by_namespace.setdefault("", []).append(entry)
            elif label:
                for pair in label:
                    self.by_label.setdefault(pair, []).append(entry)
            else:
                self.always.append(entry)
        self.plain = not (self.by_namespace or self.by_namespace_label or self.by_label)

    def find(
        self, namespace: str, namespace_labels: Sequence[Labels] | None, labels: Sequence[Labels]
    ) -> list[Candidate]:
        """Return the policies that may judge a request, in order.

        Args:
            namespace: of the request.
            namespace_labels: of its namespace; for a Namespace of the object itself; None when unknown, which
                leaves nothing out.
            labels: of the object, new and old.
        """
        if self.plain or namespace_labels is None:
            return self.every
        found = dict(self.always)
        found.update(self.by_namespace.get(namespace, ()))
        for index, sources in ((self.by_namespace_label, namespace_labels), (self.by_label, labels)):
            if index:
                for source in sources:
                    for pair in source.items():
                        if pair[1].__class__ is str:
                            found.update(index.get(pair, ()))
        return [found[position] for position in sorted(found)]


def _demanded(selector: Selector) -> list[tuple[str, str]]:
    """Return the label values of which a matching object must have one; none where none is demanded."""
    for requirement in selector.requirements:
        if requirement.operator == "In":
            return [(requirement.key, value) for value in sorted(requirement.values)]
    return []


class PolicyIndex:
    """Finds the policies that may judge a request without looking at the others.

    Args:
        policies: compiled, in the order in which they are to be judged.
        before: the last snapshot's. What it has found for requests is taken over as far as the policies are
            the very same ones, so that the first requests after a change don't pay for finding all anew.
    """

    def __init__(self, policies: Sequence[CompiledPolicy], before: PolicyIndex | None = None) -> None:
        self._policies = policies
        self._buckets: dict[_Key, Bucket] = {}
        if before is not None:
            self._take_over(before)

    def _take_over(self, before: PolicyIndex) -> None:
        known, now = set(map(id, before._policies)), set(map(id, self._policies))
        gone = known - now
        new = [policy for policy in self._policies if id(policy) not in known]
        # Those asked for last come last; a copy, as requests add others meanwhile.
        for key, bucket in list(before._buckets.items())[-_CARRIED_KEYS:]:
            fresh = [made for policy in new if (made := _candidate(policy, key)) is not None]
            if not fresh and gone.isdisjoint(bucket.policies):
                self._buckets[key] = bucket
                continue
            found = {id(each.policy): each for each in (*bucket.every, *fresh)}
            self._buckets[key] = Bucket([found[id(each)] for each in self._policies if id(each) in found])

    def bucket(self, request: AdmissionRequest) -> Bucket:
        """Return the policies whose rules name the request's resource and operation."""
        key = (
            request.resource,
            request.request_resource,
            request.sub_resource,
            request.operation,
            request.kind,
        )
        return self._buckets.get(key) or self._fill(key)

    def _fill(self, key: _Key) -> Bucket:
        found = [candidate for policy in self._policies if (candidate := _candidate(policy, key)) is not None]
        bucket = Bucket(found)
        if len(self._buckets) < _CACHED_KEYS:
            self._buckets[key] = bucket
        return bucket


def _is_plain(policy: CompiledPolicy) -> bool:
    """Tell whether nothing but `CompiledPolicy.passes` is needed to let an object pass."""
    return (
        policy.passes is not None
        and not policy.ref.namespace
        and not policy.namespace_selector
        and not policy.object_selector
        and not policy.match_conditions
        and policy.param_source is None
        and policy.make_authorizer is None
        and "namespaceObject" not in policy.references
    )


def _candidate(policy: CompiledPolicy, key: _Key) -> Candidate | None:
    if policy.constraint is not None:
        return _of_constraint(policy, policy.constraint, key)
    sent, asked, sub_resource, operation, _ = key
    resource = asked if policy.exact else sent
    # An equivalent exclusion takes out what it names in any version, as the API server converts to each.
    excluded = _naming(policy.exclude_rules, resource, sub_resource, operation, any_version=not policy.exact)
    if policy.pod_templates and (sent[0], sent[2]) in RESOURCES and not sub_resource:
        # A workload is judged once, as the Pod it makes. Names of Pods say nothing of workloads.
        rules = tuple(
            rule
            for rule in _naming(policy.rules, _PODS, "", operation)
            if not rule.names and rule.scope != "Cluster"
        )
        if rules:
            certain = not excluded
            return Candidate(
                policy, True, frozenset("*"), rules, excluded, certain, certain and _is_plain(policy)
            )
    rules = _naming(policy.rules, resource, sub_resource, operation)
    if not rules:
        return None
    certain = not excluded and any(rule.scope == "*" and not rule.names for rule in rules)
    versions = frozenset(
        versions_named(policy.rules, group, base)
        for rule in rules
        for group in rule.groups & {"*", resource[0]}
        for base in {wanted.partition("/")[0] for wanted in rule.resources} & {"*", resource[2]}
    )
    return Candidate(policy, False, versions, rules, excluded, certain, certain and _is_plain(policy))


def _of_constraint(policy: CompiledPolicy, constraint: Constraint, key: _Key) -> Candidate | None:
    """Return the candidate of a constraint: it names kinds where other policies name resources."""
    sent, _, sub_resource, operation, (group, _, kind) = key
    if not is_sent(sent[2], sub_resource):
        return None
    template = False
    if not constraint.concerns(group, kind):
        # Offline a constraint for Pods also judges what the Pods of a workload will be.
        template = policy.pod_templates and (sent[0], sent[2]) in RESOURCES and not sub_resource
        if not template or not constraint.concerns("", "Pod"):
            return None
    if operation not in constraint.operations and "*" not in constraint.operations:
        return None
    return Candidate(policy, template, frozenset("*"), policy.rules, (), certain=True)
