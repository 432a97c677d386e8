"""Where ticks come from: one folder a venue, recordings and a simulator."""
