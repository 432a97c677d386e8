"""How long a server asks its clients to stay away: ``Retry-After``, in seconds or as a date."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from flows.numeric.time import NS_PER_S

LONGEST_PAUSE_S = 3_600.0
"""A live feed that is asked to stay away for longer asks again after this: the header may be wrong,
and nobody else would end the wait."""


def retry_after_s(header: str | None, now_ns: int) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for; None if it cannot be read.

    Parameters
    ----------
    header
        Seconds, or a date as HTTP writes it.
    now_ns
        The present by the clock that wrote the header, nanoseconds since the UNIX epoch.
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        until_ns = http_date_ns(header)
        return None if until_ns is None else max((until_ns - now_ns) / NS_PER_S, 0.0)
    return seconds if 0.0 <= seconds < float("inf") else None


def http_date_ns(header: str | None) -> int | None:
    """Return a date as HTTP writes it, nanoseconds since the UNIX epoch; None for no such date."""
    if header is None:
        return None
    try:
        read = parsedate_to_datetime(header)
    except (ValueError, TypeError, OverflowError):
        return None
    aware = read if read.tzinfo is not None else read.replace(tzinfo=UTC)
    return round((aware - datetime.fromtimestamp(0, UTC)).total_seconds()) * NS_PER_S
