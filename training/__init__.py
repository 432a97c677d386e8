"""Training: from ticks to evaluated, proven and published models."""
