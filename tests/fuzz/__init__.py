"""Hostile input: real-looking ticks, broken in every way we could think of, repeatable by seed."""
