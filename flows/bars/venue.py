"""What a venue of bars is to the loop that asks it, and how its numbers are read."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from flows.bars.bar import Bar, Page, problem_of
from flows.bars.span import Span, epoch_ns
from flows.errors import VenueError
from schemas.decoding import UNREADABLE

_SHOWN = 120
_DIGITS = 20


class BarVenue(Protocol):
    """A venue that gives bars by page.

    Attributes
    ----------
    name
        As ``--venue`` and the store name it.
    intervals
        The intervals that it has, by our name; the value is its own.
    page_bars
        Most bars in an answer.
    settle_s
        So long after its end a bar may still change.
    reach_days
        How far back it goes, by interval; an interval that is not there has no limit.
    """

    name: str
    intervals: Mapping[str, str]
    page_bars: int
    settle_s: int
    reach_days: Mapping[str, int]

    def symbol(self, text: str) -> str:
        """Return the symbol as it is stored, ``BTC-USD``.

        Raises
        ------
        FeedError
            It cannot be one of the venue's.
        """
        ...

    def fetch(self, symbol: str, interval: str, span: Span) -> Page:
        """Ask for the bars that begin in a span, at most ``page_bars``; blocks.

        Raises
        ------
        VenueError
            The venue refuses, does not answer, or answers what cannot be read.
        """
        ...

    def close(self) -> None:
        """Close connections; may be called twice."""
        ...


class RowError(ValueError):
    """A row of an answer is no bar; the message says why."""


def required(value: Any, what: str) -> float:
    """Return a finite number that a venue sends as number or text.

    Raises
    ------
    RowError
        It is none.
    """
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            made = float(value)
        except (ValueError, OverflowError):
            made = math.nan
        if math.isfinite(made):
            return made
    message = f"its {what} {value!r} is no number"
    raise RowError(message)


def optional(value: Any, what: str) -> float | None:
    """Return a finite number, or None for null.

    Raises
    ------
    RowError
        It is neither.
    """
    return None if value is None else required(value, what)


def whole(value: Any, what: str) -> int:
    """Return a whole number.

    Raises
    ------
    RowError
        It is none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < _DIGITS:
        return int(value)  # of a float the last digits would be others
    made = required(value, what)
    if not made.is_integer():
        message = f"its {what} {value!r} is no whole number"
        raise RowError(message)
    return int(made)


def opening_ns(value: Any) -> int:
    """Return a row's opening time, nanoseconds since the UNIX epoch, whatever its unit.

    Raises
    ------
    RowError
        It is no time.
    """
    made = epoch_ns(whole(value, "time"))
    if made is None:
        message = f"its time {value!r} is before 2009 or after 2261 in any unit"
        raise RowError(message)
    return made


def read_rows(
    venue: str, body: bytes, make: Callable[[Sequence[Any]], Bar], interval_ns: int
) -> Page:
    """Return the bars of an answer that is a list of rows; a row that is none is refused by itself.

    Parameters
    ----------
    make
        Turns a row into a bar, or raises :class:`RowError` or ``IndexError``.

    Raises
    ------
    VenueError
        It is no list of rows.
    """
    try:
        parts = msgspec.json.decode(body, type=list[msgspec.Raw])
    except UNREADABLE as error:
        message = f"{venue} answers what is no list of bars: {error}"
        raise VenueError(message) from None
    bars: list[Bar] = []
    refused: list[str] = []
    found = 0
    for part in parts:
        row: Sequence[Any] = ()
        try:
            row = _row_of(part)
            found += 1
            bar = make(row)
            problem = problem_of(bar, interval_ns)
        except RowError as error:
            problem = str(error)
        except IndexError:
            problem = f"it has {len(row)} fields"
        if problem is None:
            bars.append(bar)
        else:
            refused.append(f"{problem} in {bytes(part)[:_SHOWN].decode(errors='replace')}")
    if refused and not found:
        message = f"{venue} answers what is no list of bars: {refused[0]}"
        raise VenueError(message)
    return Page(bars, refused)


def _row_of(part: msgspec.Raw) -> Sequence[Any]:
    try:
        return msgspec.json.decode(part, type=list[Any])
    except UNREADABLE as error:
        message = f"it is no row: {error}"
        raise RowError(message) from None
