"""Reporting: reports, plots, tables of the store, the history of runs."""
