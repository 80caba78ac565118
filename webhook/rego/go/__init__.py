"""Go's packages, and libraries written in Go, that OPA's builtins stand on; each behaves to the letter."""
