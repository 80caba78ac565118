package allowed_repos

violation[{"msg": msg}] {
  container := input.review.object.spec.containers[_]
  not from_allowed(container.image)
  msg := sprintf("container <%v> has the image <%v>, which is from none of %v", [container.name, container.image, input.parameters.repos])
}

violation[{"msg": msg}] {
  container := input.review.object.spec.initContainers[_]
  not from_allowed(container.image)
  msg := sprintf("initContainer <%v> has the image <%v>, which is from none of %v", [container.name, container.image, input.parameters.repos])
}

from_allowed(image) {
  good := [yes | repo := input.parameters.repos[_]; yes := startswith(image, repo)]
  any(good)
}
