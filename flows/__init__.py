"""Everything that streams."""
