"""The all-in-one run: embedded servers, supervised processes, ``python -m flows.local``."""
