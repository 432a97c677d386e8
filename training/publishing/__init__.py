"""Versions with their manifests, and the moves of aliases that put them to work."""
