"""What compiled and vectorised code shares: numba settings, array types, units of time."""
