"""A simulated market: the price model, the feed that paces it, and the parser of its frames."""
