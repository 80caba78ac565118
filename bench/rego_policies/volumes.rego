package volumes

violation[{"msg": msg, "details": {}}] {
  not input.review.operation == "UPDATE"
  used := {x | input.review.object.spec.volumes[_][x]; x != "name"}
  not all_allowed(used)
  msg := sprintf("one of the volume types %v isn't allowed. Allowed are %v", [used, input.parameters.volumes])
}

all_allowed(_) {
  input.parameters.volumes[_] == "*"
}

all_allowed(used) {
  may := {x | x := input.parameters.volumes[_]}
  left := used - may
  count(left) == 0
}
