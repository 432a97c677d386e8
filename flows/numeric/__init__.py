"""Shared by compiled and vectorised code: numba settings, array types, units of time."""
