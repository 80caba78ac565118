package host_namespaces

violation[{"msg": msg, "details": {}}] {
  shares(input.review.object)
  msg := sprintf("the host's namespaces may not be shared: %v", [input.review.object.metadata.name])
}

shares(o) {
  o.spec.hostPID
}

shares(o) {
  o.spec.hostIPC
}

violation[{"msg": msg, "details": {}}] {
  ports_used(input.review.object)
  msg := sprintf("hostNetwork or host ports aren't allowed: %v, allowed: %v", [input.review.object.metadata.name, input.parameters])
}

ports_used(o) {
  not input.parameters.hostNetwork
  o.spec.hostNetwork
}

ports_used(_) {
  port := containers[_].ports[_].hostPort
  port < input.parameters.min
}

ports_used(_) {
  port := containers[_].ports[_].hostPort
  port > input.parameters.max
}

containers[c] {
  c := input.review.object.spec.containers[_]
}

containers[c] {
  c := input.review.object.spec.initContainers[_]
}
