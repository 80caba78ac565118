"""Gatekeeper's ConstraintTemplates and constraints: from their manifests to compiled policies.

https://open-policy-agent.github.io/gatekeeper/website/docs/
"""
