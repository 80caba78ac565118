"""Between the outside's formats and the core: manifests, snapshots, reports."""
