"""The HTTP API and the live page: reads what the pipeline wrote, and scores on request."""
