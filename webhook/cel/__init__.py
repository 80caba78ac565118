"""The Common Expression Language as Kubernetes means it, compiled to Python functions."""
