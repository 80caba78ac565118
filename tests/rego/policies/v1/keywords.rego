package t

import data.inventory
import input.object.spec as spec

violation contains {"msg": msg, "details": {"container": c.name}} if {
	some c in spec.containers
	not allowed(c)
	msg := sprintf("%v: %v isn't one of %v", [c.name, c.image, input.parameters.repos])
}

violation contains {"msg": msg} if {
	some i, c in spec.containers
	some port in c.ports
	port.containerPort < 1024
	msg := $"container {i} ({c.name}) listens on {port.containerPort}"
}

violation contains {"msg": "not all are limited"} if {
	not every_limited
}

violation contains {"msg": msg} if {
	some key, value in input.object.metadata.labels
	not value in {"sales", "billing", "ops"}
	msg := $"label {key} is {value}"
}

violation contains {"msg": msg} if {
	missing := {l.key | some l in input.parameters.labels} - object.keys(input.object.metadata.labels)
	count(missing) > 0
	msg := sprintf("missing: %v", [concat(", ", sort(missing))])
}

every_limited if {
	every c in spec.containers {
		c.resources.limits.cpu
		c.resources.limits.memory
	}
}

every_port_named if {
	every i, c in spec.containers {
		every p in c.ports {
			p.name != ""
			i < 10
		}
	}
}

allowed(c) if {
	some repo in input.parameters.repos
	startswith(c.image, repo)
}

allowed(c) if c.name in input.parameters.names

same_team contains name if {
	some namespace, versions in inventory.namespace
	some name, pod in versions.v1.Pod
	pod.metadata.labels.team == input.object.metadata.labels.team
	namespace != input.object.metadata.namespace
}

drops if "ALL" in spec.containers[_].securityContext.capabilities.drop

drops if {
	some c in spec.containers
	"NET_ADMIN", "ALL" in c.securityContext
}

positions contains [i, x] if {
	some i, x in ["a", "b", "c"]
	i in [0, 2]
}

known if input.object.metadata.name in ["a", "web", "app", input.object.metadata.labels.team]

known if {
	some x in input.object.metadata.labels
	x == "shop"
}
