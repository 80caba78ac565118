package t

import rego.v1

by_name[c.name] := c if some c in input.object.spec.containers

ports[c.name][p.containerPort] := p.protocol if {
	some c in input.object.spec.containers
	some p in c.ports
}

images[registry] contains image if {
	some c in input.object.spec.containers
	[registry, image] := split(c.image, "/")
}

tree.leaf.value := input.object.metadata.name

tree.leaf.names contains c.name if some c in input.object.spec.containers

tree.branch[k] := v if some k, v in input.object.metadata.labels

tree.branch.extra := 1 if input.parameters.wanted

tree.sums[i].total := sum([p.containerPort | some p in c.ports]) if {
	some i, c in input.object.spec.containers
}

flags["a"].on if input.object.spec.hostNetwork

flags["b"].on if not input.object.spec.hostNetwork

flags[x].off := true if {
	some x in input.parameters.names
}

deep.a.b.c if input.parameters.wanted == true

deep.a.b.d := [x | some x in input.parameters.names; x != "web"]

deep.a[x] contains y if {
	some x, y in input.object.metadata.labels
}

total := count(by_name) + count(tree.leaf.names)

leaf := tree.leaf

branch_of(x) := tree.branch[x]

team := branch_of("team")

lookup contains x if {
	some name
	by_name[name].image
	x := ports[name][_]
}

all_paths contains path if {
	walk(tree, [path, value])
	is_string(value)
}

violation contains {"msg": msg} if {
	some registry, found in images
	not registry in ["docker.io", "registry.example.com"]
	msg := sprintf("%v: %v", [registry, found])
}

fn.nested(x) := y if y := x + 1

fn.nested("a") := "b"

called contains fn.nested(x) if some x in [1, 2, "a", input.object.spec.priority]

default limits.cpu := "none"

limits.cpu := input.object.spec.containers[0].resources.limits.cpu
