"""MLflow: the client, the model registry, runs, and served models."""
