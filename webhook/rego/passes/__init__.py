"""The passes between the parser and the code generator, one module each; `webhook.rego.compile` runs them."""
