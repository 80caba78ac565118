package t

import future.keywords

all_numbers contains x if {
	some x in [1, 1.0, 1e0, 10 / 3, 7 % 3, -5 % 3, 2 - 3, 0.1 + 0.2, 1e21, 123456789012345678901234567890]
}

computed := {
	"a": input.object.spec.containers[0].ports[0].containerPort * 3,
	"b": input.object.spec.containers[0].ports[0].containerPort / 7,
	"c": ceil(input.object.spec.containers[0].ports[0].containerPort / 7),
	"d": floor(-1.5),
	"e": abs(-1.5),
}

sets := {{1, 2}, {2, 1}, {"a"}, set(), {null}}

objects := {{"a": 1}: {"b"}, [1, 2]: 3, {1}: null, 4: "four", true: false}

looked_up := [objects[[1, 2]], objects[4], objects[true]]

compared contains [a, b] if {
	some a in [null, true, 0, "a", [1], {"a": 1}, {1}]
	some b in [null, false, 1, "b", [0], {"b": 0}, {0}]
	a < b
}

ordered := sort([{"b": 1}, {"a": 2}, [2], [1, 1], "z", 3, null, true, {3}, set()])

destructured := [a, b, c, d] if {
	[a, {"x": b, "y": [c]}, d] = [1, {"x": "two", "y": [[3]]}, {4}]
}

half := {"a": x, "b": y} if {
	{"name": x, "namespace": y} = object.filter(input.object.metadata, ["name", "namespace"])
}

bound contains x if {
	x = input.object.spec.containers[i].name
	i = 0
}

shared if {
	input.object.spec.containers[i].name == input.parameters.names[i]
}

indices[i] := x if x := input.parameters.names[i]

bits_ := [bits.and(6, 3), bits.or(6, 3), bits.xor(6, 3), bits.lsh(1, 40), bits.rsh(-9, 1), bits.negate(5)]

slices := [
	array.slice(input.parameters.names, 0, 1),
	array.slice(input.parameters.names, 1, 9),
	array.concat(input.parameters.names, input.parameters.volumes),
	array.reverse(input.parameters.names),
]

reached := graph.reachable({"a": ["b", "c"], "b": ["d"], "c": [], "d": ["a"]}, ["b"])

paths := graph.reachable_paths({"a": ["b", "c"], "b": ["d"], "c": [], "d": []}, ["a"])

ranges := numbers_of(input.object.spec.priority)

numbers_of(n) := numbers.range(0, n)

numbers_of(n) := [] if not is_number(n)

default fallback := {"a": [1, {2}]}

fallback := input.parameters.fallback

violation[{"msg": msg}] {
	some v in input.object.spec.volumes
	kinds := {k | v[k]} - {"name"}
	not kinds & {x | x := input.parameters.volumes[_]} == kinds
	msg := sprintf("%v: %v", [v.name, kinds])
}

violation[{"msg": msg}] {
	x := input.object.spec.containers[_]
	y := input.object.spec.containers[_]
	x.name < y.name
	msg := sprintf("%v %v %v", [x.name, y.name, x == y])
}

walked[path] = value {
	walk(input.object.metadata, [path, value])
	not is_object(value)
}

negated {
	not input.object.spec.containers[0].name == "app"
	not not_there
	not {1, 2} == {x | x := input.parameters.runAsUser.ranges[_].min}
}

not_there { false }
