"""A report over an archive: PDF and images, one page a market behind a table of all of them."""

from flows.store.report.writing import Report, write_report

__all__ = ["Report", "write_report"]
