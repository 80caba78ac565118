package t

import future.keywords.every
import future.keywords.if
import future.keywords.in

# What conflicts, in bodies that the index of rules may leave out: whether that shows depends on the input.
names = x {
	x := input.object.spec.containers[_].name
}

image_of(name) = x {
	x := input.object.spec.containers[_].image
	name != "none"
}

guarded {
	count(names) > 0
	input.operation == "UPDATE"
}

guarded_by_member {
	count(names) > 0
	input.operation in {"UPDATE", "DELETE"}
}

guarded_by_item {
	image_of("a") != ""
	input.parameters.names[_] == "web"
}

guarded_by_value {
	image_of("a") != ""
	"app" in input.parameters.names
}

guarded_by_glob {
	image_of("a") != ""
	glob.match("docker.*", ["."], input.object.spec.containers[0].image)
}

guarded_by_shape {
	image_of("a") != ""
	[first, "web"] = input.parameters.names
	first != ""
}

guarded_by_path {
	image_of("a") != ""
	input.object.spec.hostNetwork
}

glob_of_kind = "dotted" {
	glob.match("*.*", ["."], input.object.metadata.name)
} else = "plain" {
	glob.match("*", ["."], input.object.metadata.name)
}

kind_of(name) = "one" {
	name == "app"
	image_of(name) != ""
}

kind_of(name) = "two" {
	name in ["web", "api"]
	image_of(name) != ""
}

kind_of(name) = "three" {
	glob.match("*-*", ["-"], name)
	names != ""
} else = "four" {
	name == "app"
}

kinds = [kind | kind := kind_of(input.parameters.names[_])]

chain = 1 {
	input.operation == "DELETE"
	names != ""
} else = 2 {
	input.parameters.wanted == true
	names == "app"
} else = 3 {
	input.operation in ["CREATE", "CONNECT"]
}

early = 1 {
	c := input.object.spec.containers[i]
	kind_of(c.name) != ""
}

early = 1 {
	image_of("b") != ""
}

early = 2 {
	input.operation == "DELETE"
}

replaced[x] {
	guarded with input.operation as "UPDATE"
	x := "guarded"
}

replaced[x] {
	guarded_by_member with input as {"operation": "DELETE", "object": {"spec": {"containers": [{"name": "a"}]}}}
	x := "member"
}

replaced[x] {
	guarded_by_glob with input.object.spec.containers as [{"image": "docker.io"}]
	x := "glob"
}

replaced[x] {
	data.inventory.cluster.v1.kind == "x"
	names != ""
	x := "data"
}

by_name[name] = image {
	input.operation == "CREATE"
	name := input.object.spec.containers[_].name
	image := image_of(name)
}

by_name["web"] = "none" {
	input.operation == "UPDATE"
}

all_known {
	every name in input.parameters.names { kind_of(name) != "five" }
	input.parameters.cpu == "1"
}
