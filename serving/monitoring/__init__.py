"""Health and metrics of the API."""
