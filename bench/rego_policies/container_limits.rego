package container_limits

missing(o, field) {
  not o[field]
}

missing(o, field) {
  o[field] == ""
}

canonical_cpu(value) := result {
  is_number(value)
  result := value * 1000
}

canonical_cpu(value) := result {
  not is_number(value)
  endswith(value, "m")
  result := to_number(replace(value, "m", ""))
}

canonical_cpu(value) := result {
  not is_number(value)
  not endswith(value, "m")
  regex.match("^[0-9]+(\\.[0-9]+)?$", value)
  result := to_number(value) * 1000
}

factor("E") := 1000000000000000000000

factor("P") := 1000000000000000000

factor("T") := 1000000000000000

factor("G") := 1000000000000

factor("M") := 1000000000

factor("k") := 1000000

factor("") := 1000

factor("Ki") := 1024000

factor("Mi") := 1048576000

factor("Gi") := 1073741824000

factor("Ti") := 1099511627776000

suffix(mem) := s {
  not is_number(mem)
  count(mem) > 0
  s := substring(mem, count(mem) - 1, -1)
  factor(s)
}

suffix(mem) := s {
  not is_number(mem)
  count(mem) > 1
  s := substring(mem, count(mem) - 2, -1)
  factor(s)
}

suffix(mem) := "" {
  not is_number(mem)
  regex.match("[0-9]$", mem)
}

canonical_mem(value) := result {
  is_number(value)
  result := value * 1000
}

canonical_mem(value) := result {
  not is_number(value)
  s := suffix(value)
  number := replace(value, s, "")
  regex.match("^[0-9]+(\\.[0-9]+)?$", number)
  result := to_number(number) * factor(s)
}

violation[{"msg": msg}] {
  general("containers")[{"msg": msg}]
}

general(field) := {found |
  container := input.review.object.spec[field][_]
  found := problem(container)
}

problem(container) := {"msg": msg} {
  missing(container, "resources")
  msg := sprintf("container <%v> has no resource limits", [container.name])
} else := {"msg": msg} {
  missing(container.resources, "limits")
  msg := sprintf("container <%v> has no resource limits", [container.name])
} else := {"msg": msg} {
  cpu := canonical_cpu(container.resources.limits.cpu)
  cpu > canonical_cpu(input.parameters.cpu)
  msg := sprintf("container <%v> cpu limit <%v> is higher than the allowed %v", [container.name, container.resources.limits.cpu, input.parameters.cpu])
} else := {"msg": msg} {
  memory := canonical_mem(container.resources.limits.memory)
  memory > canonical_mem(input.parameters.memory)
  msg := sprintf("container <%v> memory limit <%v> is higher than the allowed %v", [container.name, container.resources.limits.memory, input.parameters.memory])
}
