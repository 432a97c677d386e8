"""Latest scores, their history and their stream, read from Redis."""
