"""Experiments: from rows to evaluated and perhaps published versions; once or continuously."""
