"""Consistency: what the flow wrote, compared with the same code run over the log again."""
