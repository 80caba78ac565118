package t

import rego.v1

violation contains {"msg": $"{input.object.metadata.name} in {input.object.metadata.namespace}: {input.object.metadata.nothing}"}

violation contains {"msg": msg} if {
	some c in input.object.spec.containers
	[image, tag] := split(c.image, ":")
	not regex.match(`^v?[0-9]+(\.[0-9]+)*$`, tag)
	msg := $"tag {tag} of {image} has {count(tag)} characters"
}

violation contains {"msg": msg} if {
	some c in input.object.spec.containers
	msg := sprintf("%-10s|%5d|%v|%x|%t", [c.name, count(c.image), c.resources, c.name, c.securityContext.privileged])
}

violation contains {"msg": msg} if {
	some label in input.parameters.labels
	value := input.object.metadata.labels[label.key]
	not regex.match(label.allowedRegex, value)
	msg := sprintf("%q doesn't match %v", [value, label.allowedRegex])
}

cleaned := replace(trim_space(lower(input.object.metadata.name)), "-", "_")

parts := [trim(p, " ") | some p in split(input.object.spec.containers[0].image, "/")]

middle := substring(input.object.metadata.name, 1, 2)

position := indexof(input.object.spec.containers[0].image, ":")

last := parts[count(parts) - 1]

cpu := n if {
	raw := input.object.spec.containers[0].resources.limits.cpu
	endswith(raw, "m")
	n := to_number(trim_suffix(raw, "m")) / 1000
} else := to_number(input.object.spec.containers[0].resources.limits.cpu)

memory := units.parse_bytes(input.object.spec.containers[0].resources.limits.memory)

larger if units.parse(input.object.spec.containers[0].resources.limits.memory) > units.parse(input.parameters.memory)

decoded := json.unmarshal(json.marshal(input.object.metadata))

encoded := base64.encode(json.marshal(input.object.spec.containers))

matches := regex.find_n("[a-z]+", input.object.spec.containers[0].image, -1)

versions := semver.compare("1.2.3", trim_prefix(input.parameters.version, "v"))

globs contains x if {
	some x in input.parameters.exemptImages
	some c in input.object.spec.containers
	glob.match(x, ["/"], c.image)
}

formatted := {
	"number": format_int(input.object.spec.containers[0].ports[0].containerPort, 16),
	"round": round(cpu),
	"text": $"{cpu} and {memory}",
}

types := {k: type_name(v) | some k, v in input.object.spec}

reversed := strings.reverse(input.object.metadata.name)

replaced := strings.replace_n({"a": "b", "p": "q"}, input.object.metadata.name)

starts if strings.any_prefix_match([c.image | some c in input.object.spec.containers], input.parameters.repos)

age := time.parse_rfc3339_ns(input.object.metadata.creationTimestamp)

duration := time.parse_duration_ns(input.parameters.timeout)

get := object.get(input.object, ["metadata", "labels", "team"], "none")

raw := `a\n{b}`

patched := json.patch(input.object.metadata, [{"op": "add", "path": "/labels/x", "value": 1}])
