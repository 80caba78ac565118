"""Rego, as OPA 1.17 means it, compiled to Python."""
