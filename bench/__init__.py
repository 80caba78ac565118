"""Benchmarks with a command each; `make bench` runs them all and says which bar holds."""
