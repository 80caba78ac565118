"""Tidewaiter: policies, accepted risks and verdicts for Kubernetes. The command is `tidewaiter`."""

__version__ = "0.1.0"
