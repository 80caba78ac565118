package t

violation[{"msg": msg}] {
	c := containers[_]
	not allowed(c)
	msg := sprintf("%v isn't allowed: %v", [c.name, reason(c)])
}

violation[{"msg": msg}] {
	level(input.object.metadata.namespace) == "high"
	msg := sprintf("%s %q", [input.operation, input.object.metadata.name])
}

violation[{"msg": msg}] {
	mock with input as {"object": {"spec": {"containers": [{"name": "x", "image": "y"}]}}}
	msg := "mocked"
}

violation[{"msg": msg}] {
	not any_limit with input.object.spec.containers as []
	n := size with count as 7
	msg := sprintf("%v", [n])
}

violation[{"msg": msg}] {
	[first, second] = [input.object.metadata.name, input.object.metadata.namespace]
	[{"a": first}, {"b": second}] = pair(first, second)
	msg := sprintf("%v/%v", [first, second])
}

containers[c] {
	c := input.object.spec.containers[_]
}

containers[c] {
	c := input.object.spec.initContainers[_]
}

pair(a, b) = [{"a": a}, {"b": b}]

mock {
	containers[c]
	c.name == "x"
}

any_limit {
	input.object.spec.containers[_].resources.limits
}

size = n {
	n := count(input.object.spec.containers)
}

allowed(c) {
	startswith(c.image, input.parameters.repos[_])
}

allowed(c) {
	c.name == input.parameters.names[_]
	not c.securityContext.privileged
}

default reason(_) = "unknown"

reason(c) = r {
	c.securityContext.privileged
	r := "privileged"
} else = r {
	port := c.ports[_].containerPort
	port < 1024
	r := sprintf("port %d", [port])
}

level("shop") = "high"

level("kube-system") = "low"

level(x) = "other" {
	x != "shop"
	x != "kube-system"
}

limits[name] = l {
	c := containers[_]
	name := c.name
	l := c.resources.limits
}

default wanted = false

wanted {
	input.parameters.wanted
	input.object.metadata.labels.team != "sales"
}

first_port = p {
	p := input.object.spec.containers[0].ports[0].containerPort
}

kinds[type_name(v)] {
	v := input.object.spec[_]
}

canonical = {"cpu": cpu, "memory": memory} {
	cpu := to_number(trim_suffix(input.object.spec.containers[0].resources.limits.cpu, "m"))
	memory := units.parse_bytes(input.object.spec.containers[0].resources.limits.memory)
}
