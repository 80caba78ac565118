package t

import future.keywords.contains
import future.keywords.if
import future.keywords.in

subject_of(thing) = account {
	thing.kind == "Pod"
	account := thing.spec.serviceAccountName
} {
	thing.kind == "Deployment"
	account := thing.spec.template.spec.serviceAccountName
} {
	not thing.kind
	account := "nobody"
}

violation[{"msg": msg}] {
	input.operation == "CREATE"
	subject_of(input.object) != "robot"
	msg := "not by a robot"
} {
	not subject_of(input.object)
	msg := "by no one"
}

violation contains ({"msg": msg}) if {
	container := by_name[name]
	found := profile(container)
	not found.kind in {"quiet", "calm"}
	msg := sprintf("%v is %v, from %v; may be %v", [name, found.kind, found.place, permitted])
}

violation[{"msg": label_trouble}] {
	count(input.object.metadata.labels) > 1
	not input.object.metadata.labels.missing
}

label_trouble := sprintf("labels %v, one of [%v]", args) {
	input.parameters.wanted
	object.get(input.parameters, "classes", null) == null
	args := [count(input.object.metadata.labels), concat(", ", [n | data.inventory.cluster["v1"].Namespace[n]])]
} else := sprintf("labels %v", args) {
	classes := {n | data.inventory.cluster["v1"].Namespace[n]} & {x | x = object.get(input.parameters, "names", [])[_]}
	args := [classes]
} else := sprintf("labels of %v", [input.object.metadata.name])

violation[{"msg": port_trouble(port)}] {
	port := input.object.spec.containers[_].ports[_]
	port.containerPort < 1024
}

port_trouble(port) := msg {
	object.get(port, ["protocol"], "TCP") == "TCP"
	msg := sprintf("port <%v>", [port.containerPort])
}

port_trouble(port) := msg {
	port.protocol != "TCP"
	msg := sprintf("%v port <%v>", [port.protocol, port.containerPort])
}

by_name[container.name] = container {
	container := input.object.spec.containers[_]
}

by_name[container.name] = container {
	container := input.object.spec.initContainers[_]
}

profile(container) = {"kind": kind, "file": file, "place": place} {
	container.securityContext
	kind := spelled(container.securityContext, fallback)[_]
	file := object.get(container.securityContext, "file", "")
	place := "container"
}

profile(container) = {"kind": "none", "file": "", "place": place} {
	not container.securityContext
	place := concat("", [prefix, container.name])
}

prefix = "annotation/"

fallback() = out {
	"app" == input.parameters.names[_]
	out := "quiet"
} else = out {
	out := "loud"
}

spelled(context, otherwise) = out {
	context.runAsNonRoot == true
	otherwise != ""
	out := [otherwise]
} else = out {
	context.privileged == true
	out := ["loud", "very loud"]
} else = out {
	out := [sprintf("%s/%v", [context.kind, context.runAsUser])]
}

permitted[name] {
	name := input.parameters.names[_]
	not contains_slash(name)
}

permitted[name] {
	repo := input.parameters.repos[_]
	name := split(trim(repo, "/"), "/")[_]
}

contains_slash(text) := contains(text, "/")

path_of("/") = []

path_of(p) = out {
	p != "/"
	out := split(trim(p, "/"), "/")
}

under(outer, inner) {
	a := path_of(outer)
	b := path_of(inner)
	count(a) <= count(b)
	not differ_until(a, b, count(a))
}

differ_until(a, b, n) {
	a[i] != b[i]
	i < n
}

mounted[v] {
	v := input.object.spec.volumes[_]
	has_field(v, "hostPath")
	under(input.parameters.repos[_], v.hostPath.path)
}

has_field(object, field) = true {
	object[field]
}

accepts("any", _)

accepts("nonzero", value) := value != 0

accepts("within", value) := res {
	ranges := input.parameters.runAsUser.ranges
	matching := {1 | value >= ranges[j].min; value <= ranges[j].max}
	res := count(matching) > 0
}

judged[rule] := answers if {
	some rule in ["any", "nonzero", "within", "none"]
	answers := [answer | answer := accepts(rule, input.object.spec.containers[_].securityContext.runAsUser)]
}

chosen(parameters, fallback) := fallback {
	not parameters.message
}

chosen(parameters, _) := parameters.message

message := chosen(input.parameters, "by default")

value_of(object, key, _) := object[key]

value_of(object, key, otherwise) := otherwise {
	not object[key]
	not object[key] == false
}

wanted_or_not = value_of(input.parameters, "wanted", "NONE")

matching[pod] {
	pod := data.inventory.namespace[_]["v1"]["Pod"][name]
	wanted := {[label, value] | some label; value := input.object.spec.selector[label]}
	labels := {[label, value] | some label; value := pod.metadata.labels[label]}
	count(wanted - labels) == 0
}

volume_kinds := {kind | input.object.spec.volumes[_][kind]; kind != "name"}

flat = joined {
	parts := [s | s = concat(":", [key, val]); val = input.object.metadata.labels[key]]
	joined := concat(",", sort(parts))
}

share := new if {
	endswith(input.parameters.share, "%")
	part := to_number(replace(input.parameters.share, "%", "")) / 100
	new := ceil(count(input.object.spec.containers) * part)
}

share := new if {
	is_number(input.parameters.share)
	new := object.get(input.parameters, "share", -1)
}

source_of(obj) = obj if {
	obj.kind == "Pod"
} else = other if {
	other := data.inventory.namespace[obj.metadata.namespace]["v1"].Pod[_]
	other.metadata.name == obj.metadata.name
} else = obj.spec.template

source := source_of(input.object)
