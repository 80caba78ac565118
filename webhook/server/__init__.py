"""The data plane: the admission webhook's HTTP application, workers and supervisor."""
