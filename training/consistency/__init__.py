"""Served against recomputed: what the flow wrote, compared with its own code run over the log."""
