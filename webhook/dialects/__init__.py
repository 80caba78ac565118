"""From a policy kind's YAML to compiled policies of the core."""
