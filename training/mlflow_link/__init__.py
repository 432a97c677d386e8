"""The link to MLflow, an extra: runs told to it, versions fetched from it."""
