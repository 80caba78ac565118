"""The parser of Rego, from tokens to statements: each class reads larger things than the one it extends."""
