package users

import data.libs.exempt.is_exempt

violation[{"msg": msg}] {
  field := ["runAsUser", "runAsGroup", "supplementalGroups", "fsGroup"][_]
  container := input_containers[_]
  not is_exempt(container)
  msg := type_violation(field, container)
}

type_violation("runAsUser", container) := msg {
  msg := user_violation(input.parameters.runAsUser, container)
}

type_violation(field, container) := msg {
  field != "runAsUser"
  msg := group_violation(field, input.parameters[field], container)
}

user_violation(params, container) := msg {
  rule := params.rule
  provided := field_value("runAsUser", container, input.review)
  not accepts_user(rule, provided, params.ranges)
  msg := sprintf("container %v runs as user %v. Allowed: %v", [container.name, provided, params])
}

user_violation(params, container) := msg {
  not field_value("runAsUser", container, input.review)
  params.rule == "MustRunAs"
  msg := sprintf("container %v must set runAsUser", [container.name])
}

user_violation(params, container) := msg {
  params.rule == "MustRunAsNonRoot"
  not field_value("runAsUser", container, input.review)
  not field_value("runAsNonRoot", container, input.review)
  msg := sprintf("container %v must set runAsNonRoot or runAsUser", [container.name])
}

accepts_user("RunAsAny", _, _)

accepts_user("MustRunAsNonRoot", provided, _) := provided != 0

accepts_user("MustRunAs", provided, ranges) := true {
  range := ranges[_]
  provided >= range.min
  provided <= range.max
}

group_violation(field, params, container) := msg {
  params.rule == "MustRunAs"
  provided := field_value(field, container, input.review)
  not in_ranges(provided, params.ranges)
  msg := sprintf("container %v has %v %v. Allowed: %v", [container.name, field, provided, params])
}

in_ranges(value, ranges) {
  range := ranges[_]
  value >= range.min
  value <= range.max
}

field_value(field, container, review) := container.securityContext[field]

field_value(field, container, review) := out {
  not container.securityContext[field]
  out := review.object.spec.securityContext[field]
}

input_containers[c] {
  c := input.review.object.spec.containers[_]
}

input_containers[c] {
  c := input.review.object.spec.initContainers[_]
}
