package capabilities

import data.libs.exempt.is_exempt

violation[{"msg": msg}] {
  container := input_containers[_]
  not is_exempt(container)
  disallowed(container)
  msg := sprintf("container <%v> has a disallowed capability. Allowed capabilities are %v", [container.name, allowed])
}

violation[{"msg": msg}] {
  container := input_containers[_]
  not is_exempt(container)
  not_dropped(container)
  msg := sprintf("container <%v> doesn't drop all of %v", [container.name, input.parameters.requiredDropCapabilities])
}

allowed := object.get(input.parameters, "allowedCapabilities", [])

disallowed(container) {
  has := {lower(c) | c := container.securityContext.capabilities.add[_]}
  may := {lower(c) | c := allowed[_]}
  not may["*"]
  count(has - may) > 0
}

not_dropped(container) {
  must := {lower(c) | c := input.parameters.requiredDropCapabilities[_]}
  dropped := {lower(c) | c := container.securityContext.capabilities.drop[_]}
  not dropped.all
  count(must - dropped) > 0
}

input_containers[c] {
  c := input.review.object.spec.containers[_]
}

input_containers[c] {
  c := input.review.object.spec.initContainers[_]
}

input_containers[c] {
  c := input.review.object.spec.ephemeralContainers[_]
}
