package t

import rego.v1

default verdict := "unknown"

verdict := "denied" if {
	count(violation) > 2
} else := "warned" if {
	count(violation) == 2
} else := $"one: {x}" if {
	some v in violation
	x := v.msg
} else := input.object.metadata.name if {
	input.object.metadata.name != "app"
}

violation contains {"msg": msg} if {
	some c in input.object.spec.containers
	r := reason(c, input.operation)
	r != "fine"
	msg := sprintf("%s is %q", [c.name, r])
}

violation contains {"msg": level(input.object.metadata.namespace, input.object.metadata.labels)}

violation contains {"msg": msg} if {
	scoped with input.object.spec.containers as [{"name": "x", "image": "y"}]
	msg := "scoped"
}

violation contains {"msg": msg} if {
	n := size with count as 7
	m := size with input as {"object": {"spec": {"containers": [1, 2]}}}
	msg := sprintf("%v and %v", [n, m])
}

violation contains {"msg": msg} if {
	not quiet with data.inventory as {"namespace": {}}
	k := named with data.t.names as ["x", "y"]
	msg := sprintf("%v", [k])
}

default reason(_, _) := "fine"

reason(c, _) := "privileged" if c.securityContext.privileged

else := "root" if c.securityContext.runAsUser == 0

else := r if {
	some p in c.ports
	p.containerPort < 1024
	r := $"port {p.containerPort}"
}

reason(c, "DELETE") := "deleted" if not c.securityContext.privileged

level("shop", _) := "high"

level("kube-system", {"team": team}) := team

level(x, labels) := "other" if {
	not x in {"shop", "kube-system"}
	labels
} else := "nothing"

names := [c.name | some c in input.object.spec.containers]

named := concat("+", names)

size := count(input.object.spec.containers)

scoped if {
	some c in input.object.spec.containers
	c.name == "x"
}

quiet if {
	some ns, _ in data.inventory.namespace
	ns == "shop"
}

mapped := x if x := lowered(input.object.metadata.name) with lower as upper

lowered(x) := lower(x)

replaced := x if x := lowered("ABC") with lowered as shout

shout(x) := concat("", [upper(x), "!"])

inputs := x if {
	x := [a | some a in [1, 2, 3]; picks(a)] with input.parameters.names as [1, 3]
}

picks(a) if a in input.parameters.names

conflict := 1 if input.parameters.wanted

conflict := 2 if input.object.spec.hostPID

short := "yes" if input.parameters.wanted else := "no"
