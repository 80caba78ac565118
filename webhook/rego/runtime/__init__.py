"""What generated code calls while it runs, by the names that `webhook.rego.codegen.helpers` lists."""
