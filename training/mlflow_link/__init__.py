"""Link to MLflow, an extra: log runs to it, import versions from it."""
