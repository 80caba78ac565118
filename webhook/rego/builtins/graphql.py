"""Functions of GraphQL: schemas and queries as OPA's objects of them (being written by R2)."""
