"""Everything that learns: from ticks to judged, proven and published models."""
