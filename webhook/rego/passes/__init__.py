"""The passes between parser and code generator, and what they share; `webhook.rego.compile` runs them."""
