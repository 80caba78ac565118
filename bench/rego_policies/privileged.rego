package privileged

import data.libs.exempt.is_exempt

violation[{"msg": msg, "details": {}}] {
  container := input_containers[_]
  not is_exempt(container)
  container.securityContext.privileged
  msg := sprintf("container %v may not run privileged: %v", [container.name, container.securityContext])
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
