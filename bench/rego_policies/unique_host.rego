package unique_host

identical(other, review) {
  other.metadata.namespace == review.object.metadata.namespace
  other.metadata.name == review.object.metadata.name
}

violation[{"msg": msg}] {
  input.review.kind.kind == "Ingress"
  regex.match("^(extensions|networking.k8s.io)$", input.review.kind.group)
  host := input.review.object.spec.rules[_].host
  other := data.inventory.namespace[_][version]["Ingress"][_]
  regex.match("^(extensions|networking.k8s.io)/.+$", version)
  other.spec.rules[_].host == host
  not identical(other, input.review)
  msg := sprintf("the host %v is taken by an Ingress in %v", [host, other.metadata.namespace])
}
