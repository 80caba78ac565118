package t

import future.keywords

violation[{"msg": msg}] {
	some i
	c := input.object.spec.containers[i]
	c.image != ""
	msg := sprintf("%d: %v has %v", [i, c.name, c])
}

violation[{"msg": msg, "details": d}] {
	d := {k: v | some k, v in input.object.metadata.labels; not startswith(k, "x")}
	count(d) > 1
	msg := sprintf("labels %v", [d])
}

violation[{"msg": msg}] {
	names := [n | n := input.object.spec.containers[_].name]
	sorted := sort(names)
	msg := concat(",", sorted)
}

violation[{"msg": msg}] {
	s := {x | x := input.object.spec.containers[_].ports[_].containerPort}
	msg := sprintf("%v %v %v", [s, sum(s), max(s)])
}

violation[{"msg": msg}] {
	some path
	walk(input.object.spec, [path, value])
	is_boolean(value)
	value == true
	msg := sprintf("%v", [path])
}

violation[{"msg": msg}] {
	every c in input.object.spec.containers {
		c.resources.limits.cpu
	}
	msg := "all limited"
}

violation[{"msg": msg}] {
	"ALL" in input.object.spec.containers[_].securityContext.capabilities.drop
	msg := "drops all"
}

by_name[name] := c {
	c := input.object.spec.containers[_]
	name := c.name
}

by_index := {i: c.name | some i, c in input.object.spec.containers}

images contains i if {
	some c in input.object.spec.containers
	i := split(c.image, ":")[0]
}

pairs contains [a, b] if {
	some a, b in input.object.metadata.labels
	a != b
}

total := n {
	n := sum([count(c.ports) | c := input.object.spec.containers[_]])
}

nested[i].ports contains p if {
	p := input.object.spec.containers[i].ports[_]
}

answer := "many" {
	count(input.object.spec.containers) > 2
} else := "two" {
	count(input.object.spec.containers) == 2
} else := input.object.metadata.name
