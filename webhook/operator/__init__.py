"""The control plane: informers, snapshots, statuses, certificates, webhook configurations."""
