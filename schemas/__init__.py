"""The contracts between the parts: messages, features, models, topic names.

Uses msgspec and the standard library alone and imports nothing else of this repository.
"""
