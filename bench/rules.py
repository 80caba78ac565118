"""Ten rules on Pods, written for Tidewaiter and for Gatekeeper as each one's users write them.

Each rule takes parameters, so that ten of it with different ones are ten policies: what a template with ten
constraints is to Gatekeeper. Every one of them holds for the compliant Pod of `bench.pods` and denies the
same of its other Pods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.pods import LABELS, REGISTRY

_CONTAINERS = """
containers[c] { c := input.review.object.spec.containers[_] }
containers[c] { c := input.review.object.spec.initContainers[_] }
containers[c] { c := input.review.object.spec.ephemeralContainers[_] }
"""
_EXEMPT = """
exempt(c) { strings.any_prefix_match(c.image, input.parameters.exemptImages) }
"""


@dataclass(frozen=True)
class Rule:
    """One rule in each language.

    Attributes:
        name: also its validation's, and in CamelCase the Gatekeeper kind's.
        cel: what must hold of the Pod; of `container`, where `each` is set.
        rego: its `violation` and what that calls.
        each: it judges container by container.
        params: for a number, parameters that no other number gets.
    """

    name: str
    cel: str
    rego: str
    params: Callable[[int], Mapping[str, Any]]
    each: bool = True

    @property
    def kind(self) -> str:
        """The kind of its Gatekeeper constraints, where one template serves all of them."""
        return "Bench" + "".join(part.capitalize() for part in self.name.split("-"))


RULES = (
    Rule(
        "required-labels",
        "has(object.metadata.labels) && params.labels.all(l, l in object.metadata.labels)",
        """
violation[{"msg": msg}] {
  provided := {label | input.review.object.metadata.labels[label]}
  required := {label | label := input.parameters.labels[_]}
  missing := required - provided
  count(missing) > 0
  msg := sprintf("you must provide labels: %v", [missing])
}
""",
        lambda n: {"labels": ["team", LABELS[n % len(LABELS)]]},
        each=False,
    ),
    Rule(
        "allowed-repos",
        "params.repos.exists(r, container.image.startsWith(r))",
        _CONTAINERS
        + """
violation[{"msg": msg}] {
  c := containers[_]
  not strings.any_prefix_match(c.image, input.parameters.repos)
  msg := sprintf("container <%v> has an invalid image repo <%v>", [c.name, c.image])
}
""",
        lambda n: {"repos": [f"mirror-{n}.example.com/", f"{REGISTRY}/"]},
    ),
    Rule(
        "disallowed-tags",
        "!params.tags.exists(t, container.image.endsWith(':' + t)) && container.image.contains(':')",
        _CONTAINERS
        + """
violation[{"msg": msg}] {
  c := containers[_]
  tags := [suffix | suffix := concat(":", ["", input.parameters.tags[_]])]
  strings.any_suffix_match(c.image, tags)
  msg := sprintf("container <%v> uses a disallowed tag <%v>", [c.name, c.image])
}
violation[{"msg": msg}] {
  c := containers[_]
  not contains(c.image, ":")
  msg := sprintf("container <%v> didn't specify an image tag <%v>", [c.name, c.image])
}
""",
        lambda n: {"tags": ["latest", f"canary-{n}"]},
    ),
    Rule(
        "required-limits",
        "params.exemptImages.exists(i, container.image.startsWith(i)) || (has(container.resources)"
        " && has(container.resources.limits) && params.limits.all(l, l in container.resources.limits))",
        _CONTAINERS
        + _EXEMPT
        + """
violation[{"msg": msg}] {
  c := containers[_]
  not exempt(c)
  provided := {name | c.resources.limits[name]}
  required := {name | name := input.parameters.limits[_]}
  missing := required - provided
  count(missing) > 0
  msg := sprintf("container <%v> does not have <%v> limits defined", [c.name, missing])
}
""",
        lambda n: {"limits": ["memory", "cpu"], "exemptImages": [f"{REGISTRY}/batch-{n}/"]},
    ),
    Rule(
        "max-memory",
        "has(container.resources) && has(container.resources.limits)"
        " && has(container.resources.limits.memory)"
        " && quantity(container.resources.limits.memory).compareTo(quantity(params.memory)) <= 0",
        _CONTAINERS
        + """
has_limit(c) { c.resources.limits.memory }
violation[{"msg": msg}] {
  c := containers[_]
  not has_limit(c)
  msg := sprintf("container <%v> has no memory limit", [c.name])
}
violation[{"msg": msg}] {
  c := containers[_]
  limit := c.resources.limits.memory
  units.parse_bytes(limit) > units.parse_bytes(input.parameters.memory)
  msg := sprintf("container <%v> memory limit <%v> is higher than the maximum allowed", [c.name, limit])
}
""",
        lambda n: {"memory": f"{2048 + n}Mi"},
    ),
    Rule(
        "non-root-user",
        "has(container.securityContext) && has(container.securityContext.runAsUser)"
        " ? params.min <= container.securityContext.runAsUser"
        " && container.securityContext.runAsUser <= params.max"
        " : has(object.spec.securityContext) && has(object.spec.securityContext.runAsUser)"
        " && params.min <= object.spec.securityContext.runAsUser"
        " && object.spec.securityContext.runAsUser <= params.max",
        _CONTAINERS
        + """
own_user(c) { _ = c.securityContext.runAsUser }
user_of(c) = user { user := c.securityContext.runAsUser }
user_of(c) = user { not own_user(c); user := input.review.object.spec.securityContext.runAsUser }
accepted(c) {
  user := user_of(c)
  user >= input.parameters.min
  user <= input.parameters.max
}
violation[{"msg": msg}] {
  c := containers[_]
  not accepted(c)
  msg := sprintf("container <%v> must run as a user between %v and %v",
    [c.name, input.parameters.min, input.parameters.max])
}
""",
        lambda n: {"min": 1000 + n, "max": 65535},
    ),
    Rule(
        "host-network-ports",
        "!(has(object.spec.hostNetwork) && object.spec.hostNetwork) && (!has(container.ports)"
        " || container.ports.all(p, !has(p.hostPort)"
        " || (params.min <= p.hostPort && p.hostPort <= params.max)))",
        _CONTAINERS
        + """
refused { input.review.object.spec.hostNetwork }
refused {
  port := containers[_].ports[_].hostPort
  port < input.parameters.min
}
refused {
  port := containers[_].ports[_].hostPort
  port > input.parameters.max
}
violation[{"msg": msg}] {
  refused
  msg := sprintf("host network or host ports are not allowed for pod %v", [input.review.object.metadata.name])
}
""",
        lambda n: {"min": 8000 + n, "max": 9000},
    ),
    Rule(
        "privileged-container",
        "params.exemptImages.exists(i, container.image.startsWith(i)) || !has(container.securityContext)"
        " || !has(container.securityContext.privileged) || !container.securityContext.privileged",
        _CONTAINERS
        + _EXEMPT
        + """
violation[{"msg": msg}] {
  c := containers[_]
  not exempt(c)
  c.securityContext.privileged
  msg := sprintf("privileged container is not allowed: %v", [c.name])
}
""",
        lambda n: {"exemptImages": [f"{REGISTRY}/system-{n}/"]},
    ),
    Rule(
        "drop-capabilities",
        "params.exemptImages.exists(i, container.image.startsWith(i)) || (has(container.securityContext)"
        " && has(container.securityContext.capabilities) && has(container.securityContext.capabilities.drop)"
        " && params.drop.all(d, d in container.securityContext.capabilities.drop))",
        _CONTAINERS
        + _EXEMPT
        + """
violation[{"msg": msg}] {
  c := containers[_]
  not exempt(c)
  dropped := {name | name := c.securityContext.capabilities.drop[_]}
  required := {name | name := input.parameters.drop[_]}
  missing := required - dropped
  count(missing) > 0
  msg := sprintf("container <%v> is not dropping %v", [c.name, missing])
}
""",
        lambda n: {"drop": ["ALL"], "exemptImages": [f"{REGISTRY}/network-{n}/"]},
    ),
    Rule(
        "required-probes",
        "params.exemptImages.exists(i, container.image.startsWith(i))"
        " || params.probes.all(p, p in container)",
        _CONTAINERS
        + _EXEMPT
        + """
violation[{"msg": msg}] {
  c := containers[_]
  not exempt(c)
  probe := input.parameters.probes[_]
  not c[probe]
  msg := sprintf("container <%v> has no <%v>", [c.name, probe])
}
""",
        lambda n: {"probes": ["readinessProbe"], "exemptImages": [f"{REGISTRY}/once-{n}/"]},
    ),
)


@dataclass(frozen=True)
class Policy:
    """A rule with one set of parameters.

    Attributes:
        name: of the ClusterPolicy and of the Gatekeeper constraint.
        rule: what it says.
        params: with what.
        kind: of the Gatekeeper constraint.
    """

    name: str
    rule: Rule
    params: Mapping[str, Any]
    kind: str


def policies(number: int, shared: bool = False) -> list[Policy]:
    """Return that many policies, ten or more: each rule equally often, with different parameters.

    Args:
        number: how many.
        shared: the constraints of one rule share a template; else each has its own, as different rules have.
    """
    return [
        Policy(
            f"{rule.name}-{position // len(RULES):02}",
            rule,
            rule.params(position // len(RULES)),
            rule.kind if shared else f"{rule.kind}{position // len(RULES):02}",
        )
        for position in range(number)
        for rule in (RULES[position % len(RULES)],)
    ]
