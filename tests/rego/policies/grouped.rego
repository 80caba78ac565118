package t

import future.keywords.in

# Comprehensions that depend on a variable around them: the last value of a key stays, or it is a conflict.
by_name[[name, m]] {
	name := input.parameters.names[_]
	m := {k: v | c := input.object.spec.containers[_]; c.name == name; k := c.imagePullPolicy; v := c.image}
}

by_label[[value, m]] {
	value := input.object.metadata.labels[_]
	m := {"pod": name | data.inventory.namespace[_][_].Pod[name].metadata.labels.team = value}
}

names_of(value) = m {
	m := {k: v | input.object.metadata.labels[k] = value; v := k}
}

labels_of[[value, m]] {
	value := input.object.metadata.labels[_]
	m := names_of(value)
}

image_of(name) = x {
	x := input.object.spec.containers[_].image
	name != "app"
}

images_of[[name, m]] {
	name := input.parameters.names[_]
	m := [image | c := input.object.spec.containers[_]; c.name = name; image := image_of(c.name)]
}

found[[name, paths]] {
	name := input.parameters.names[_]
	paths := {"path": path | walk(input.object.spec.containers, [path, value]); value == name}
}

not_grouped[[name, m]] {
	name := input.parameters.names[_]
	m := {"image": v | c := input.object.spec.containers[_]; startswith(c.name, name); v := c.image}
}
