"""Proof of the live feeds: seeded venues that fail in every way, against the real clients."""
