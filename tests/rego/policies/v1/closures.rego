package t

names := {c.name | some c in input.object.spec.containers}

pairs := [[a, b] | some a in names; some b in names; a < b]

grouped := {team: pods |
	some pod in data.inventory.namespace.shop.v1.Pod
	team := pod.metadata.labels.team
	pods := [p.metadata.name |
		some p in data.inventory.namespace.shop.v1.Pod
		p.metadata.labels.team == team
	]
}

counted := {c.name: count([p | some p in c.ports]) | some c in input.object.spec.containers}

limits := {c.name: {k: v | some k, v in c.resources.limits; k != "cpu"} |
	some c in input.object.spec.containers
}

nested contains x if {
	x := {y | some y in [z | z := input.object.spec.containers[_].image; contains(z, ":")]}
	count(x) > 0
}

duplicates contains name if {
	some name in names
	count([1 | some c in input.object.spec.containers; c.name == name]) > 1
}

missing := {x | some x in input.parameters.names} - names

both := names & {x | some x in input.parameters.names}

either := names | {x | some x in input.parameters.names}

sorted := sort([c.image | some c in input.object.spec.containers])

joined := concat(",", [upper(n) | some n in names])

unused := [x | x := input.object.metadata.labels[_]; not x in names; x != ""]

first := [i | some i, c in input.object.spec.containers; c.name == "app"][0]

totals := {
	"sum": sum([p.containerPort | some c in input.object.spec.containers; some p in c.ports]),
	"max": max([p.containerPort | some c in input.object.spec.containers; some p in c.ports]),
	"keys": sort([k | some k, _ in input.object.metadata.labels]),
}

largest := max([p.containerPort | some c in input.object.spec.containers; some p in c.ports])

strings contains x if {
	walk(input.object.spec, [path, x])
	is_string(x)
	count(path) > 2
}

numbers := {x: path |
	walk(input.object.spec.containers, [path, x])
	is_number(x)
	not x in {0, 1}
}

objects := object.union_n([{k: v} | some k, v in input.object.metadata.labels])

filtered := object.filter(input.object.metadata, {"name", "namespace"})

violation contains {"msg": msg, "details": d} if {
	d := {k: v | some k, v in input.object.metadata.annotations; startswith(k, "a")}
	msg := sprintf("%v annotations of %v: %v", [count(d), input.object.metadata.name, d])
}

violation contains {"msg": msg} if {
	texts := [t | some l in input.parameters.labels; t := sprintf("%s=%s", [l.key, l.allowedRegex])]
	msg := concat("; ", texts)
}

all_small if every x in [p.containerPort | some c in input.object.spec.containers; some p in c.ports] { x < 9000 }

any_small if {
	some x in {p.containerPort | some c in input.object.spec.containers; some p in c.ports}
	x < 100
}
