"""Bytewax sources and sinks, and readers and writers of Kafka and Redis."""
