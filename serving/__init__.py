"""The HTTP API and the live page: reads what the pipeline wrote, and scores on request.

The root holds the entry, the application and what its routes share. Nothing in here writes to
Kafka or Redis; the only thing it changes is a model's alias, for holders of the token.
"""
