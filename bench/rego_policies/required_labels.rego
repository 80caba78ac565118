package required_labels

message(parameters, otherwise) := parameters.message {
  parameters.message
}

message(parameters, otherwise) := otherwise {
  not parameters.message
}

violation[{"msg": msg, "details": {"missing_labels": missing}}] {
  provided := {label | input.review.object.metadata.labels[label]}
  required := {label | label := input.parameters.labels[_].key}
  missing := required - provided
  count(missing) > 0
  msg := message(input.parameters, sprintf("these labels are missing: %v", [missing]))
}

violation[{"msg": msg}] {
  value := input.review.object.metadata.labels[key]
  expected := input.parameters.labels[_]
  expected.key == key
  expected.allowedRegex != ""
  not regex.match(expected.allowedRegex, value)
  msg := message(input.parameters, sprintf("label <%v: %v> doesn't match %v", [key, value, expected.allowedRegex]))
}
