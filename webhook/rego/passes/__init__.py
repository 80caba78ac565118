"""The passes between the parser and the code generator: one module each, in the order in which `webhook.rego.compile` runs them."""
