package t

# What the index of rules leaves out, in functions with constant arguments, and what ends early.
clash(x) := y if {
	y := input.object.spec.containers[_].name
	x != "quiet"
}

mode("a", x) := 1 if {
	clash(x) != ""
	x == "app"
}

mode("b", x) := 2 if {
	clash(x) != ""
	x in {"web", "api"}
}

mode("b", x) := 3 if {
	x == "quiet"
	clash(x) != ""
} else := 4 if {
	glob.match("w*", [], x)
	glob.match("web", ["/"], x)
} else := 5 if clash(x) == "app"

modes contains [x, mode("a", x)] if some x in input.parameters.names

other_modes contains [x, y] if {
	some x in input.parameters.names
	y := mode("b", x)
}

quiet_mode := mode("b", "quiet")

repo := 1 if {
	glob.match("docker.io/*", ["/", "."], input.parameters.repos[0])
	clash("repo") != ""
} else := 2 if {
	glob.match("docker.*", [], input.parameters.repos[0])
} else := 3 if {
	input.parameters.repos[0] == "docker"
	clash("repo") == "app"
}

any_of if {
	some c in input.object.spec.containers
	mode("a", c.name) == 1
}

any_of if {
	clash("any") != ""
}

some_of := "first" if {
	some c in input.object.spec.containers
	mode("b", c.name) > 1
}

some_of := "second" if input.operation == "UPDATE"

some_of := "third" if {
	"registry.example.com/" in input.parameters.repos
	clash("third") == "web"
}

with_other contains x if {
	x := quiet_mode with input.object.spec.containers as [{"name": "a"}, {"name": "b"}]
}

with_other contains x if {
	x := repo with input.parameters.repos as ["docker.io/x", "docker"] with glob.match as true
}

with_other contains x if {
	x := some_of with input.operation as "UPDATE"
}

shaped[x] := y if {
	[x, y] = input.parameters.names
	clash(x) != ""
}

shaped.app := y if {
	input.parameters.names = ["app", y]
	input.operation in ["DELETE", "UPDATE"]
	clash(y) != ""
}
