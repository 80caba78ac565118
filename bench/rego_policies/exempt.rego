package libs.exempt

is_exempt(container) {
  patterns := object.get(object.get(input, "parameters", {}), "exemptImages", [])
  image := container.image
  pattern := patterns[_]
  matches(image, pattern)
}

matches(image, pattern) {
  not endswith(pattern, "*")
  pattern == image
}

matches(image, pattern) {
  endswith(pattern, "*")
  prefix := trim_suffix(pattern, "*")
  startswith(image, prefix)
}
