"""One line on the tests that need Apache Kafka, for whoever reads no more of a run."""

from collections.abc import Mapping, Sequence
from typing import Any

_RAN = ("passed", "failed", "error", "xfailed", "xpassed")


def apache_line(stats: Mapping[str, Sequence[Any]]) -> str:
    """Return whether they ran, and the reason where they were skipped.

    Parameters
    ----------
    stats
        The run's reports by outcome, as pytest's terminal reporter keeps them.
    """
    if any(_marked(report) for outcome in _RAN for report in stats.get(outcome, ())):
        return "apache: run"
    for report in stats.get("skipped", ()):
        if _marked(report):
            _path, _line, reason = report.longrepr
            return f"apache: SKIPPED: {reason.removeprefix('Skipped: ')}"
    return "apache: not asked for"


def _marked(report: Any) -> bool:
    return "apache" in getattr(report, "keywords", ())
