package t

import future.keywords.contains
import future.keywords.if
import future.keywords.in

listed := object.get(input, ["parameters", "repos"], [])

every_container contains c if c := input.object.spec.containers[_]

every_container contains c if {
	c := input.object.spec.initContainers[_]
}

violation contains ({"msg": msg}) if {
	c := every_container[_]
	not strings.any_prefix_match(c.image, listed)
	not fits(c.image, object.get(input.parameters, "names", []))
	msg := sprintf("%v comes from %v, which is none of %v", [c.name, c.image, array.concat(slashed, ["local"])])
}

violation contains {"msg": msg, "details": {}} if {
	c := every_container[_]
	has(c, "image")
	not c.image == "docker.io/x:1"
	endings := [e | n := input.parameters.names[_]; e := concat(":", ["", n])]
	strings.any_suffix_match(c.image, endings)
	msg := sprintf("%v ends with one of %v", [c.image, endings])
}

violation contains {"msg": msg} if {
	input.operation in ["CREATE", "UPDATE"]
	some key
	rule := input.parameters.runAsUser[key][_]
	not within(input.object.spec.securityContext.runAsUser, sprintf("[%v:%v]", [rule.min, rule.max]))
	glob.match("*", [], key)
	msg := sprintf(
		"%v is outside of %v by %v",
		[key, rule, rule.max - rule.min],
	)
}

violation contains {"msg": msg} if {
	pod := input.object
	not data.inventory.namespace[pod.metadata.namespace].v1[pod.kind][pod.metadata.name]
	msg := sprintf("<%v/%v> is not there", [pod.metadata.namespace, pod.metadata.name])
}

slashed := [slash(r) | r := input.parameters.repos[_]]

slash(r) = out {
	not endswith(r, "/")
	out := concat("", [r, "/"])
} else = r {
	endswith(r, "/")
}

fits(image, names) if {
	n := names[_]
	not endswith(n, "*")
	n == image
}

fits(image, names) if {
	found := {n | n := names[_]; startswith(image, trim_suffix(n, "*")); ends_well(image, n)}
	not count(found) == 0
}

ends_well(image, n) if count(image) == count(n)

ends_well(image, n) if substring(image, count(n), 1) == ":"

within(number, range) if {
	parts := split(trim(range, "[]"), ":")
	number >= to_number(parts[0])
	number <= to_number(parts[1])
}

has(object, field) if object[field]
