"""Quotes and quantities as a venue states them, with null for what it does not state."""

from math import inf

import numpy as np

from flows.feeds.shapes.columns import Columns

Quote = tuple[float | None, float | None, float | None, float | None]
"""Bid, ask, and the quantities at them; None for what is not known."""

NO_QUOTE: Quote = (None, None, None, None)

_NEW_NUMBERING = 1_000_000
"""A number that is lower by more than this is no older message but another way of counting."""


class NewestQuotes:
    """The newest quote of each symbol on one connection.

    A message can arrive late or twice, so where the venue numbers its messages, a lower number does
    not replace a higher one.
    """

    __slots__ = ("_numbers", "_quotes")

    def __init__(self) -> None:
        self._quotes: dict[str, Quote] = {}
        self._numbers: dict[str, int] = {}

    def keep(self, symbol: str, quote: Quote, number: int | None) -> None:
        """Keep a quote; ``number`` is that of the message, None where it has none."""
        if number is not None:
            last = self._numbers.get(symbol, -1)
            if 0 < last - number < _NEW_NUMBERING:
                return
            self._numbers[symbol] = number
        self._quotes[symbol] = quote

    def usual(self, run: Columns) -> int:
        """Return how many of the first frames have quotes each of which is newer than the last."""
        count = len(run)
        for symbol, rows in run.by_symbol():
            numbers = run.sequence[rows]
            last = self._numbers.get(symbol, -1)
            newer = np.diff(numbers, prepend=np.int64(last)) >= 0
            usual = newer if numbers[0] >= 0 else numbers < 0
            if not usual.all():
                count = min(count, int(rows[np.argmin(usual)]))
        return count

    def note(self, run: Columns) -> None:
        """Keep the newest quotes of a run that is usual."""
        for symbol, rows in run.by_symbol():
            row = int(rows[-1])
            number = int(run.sequence[row])
            self.keep(symbol, run.quote(row), number if number >= 0 else None)

    def of(self, symbol: str) -> Quote:
        """Return the newest quote of a symbol; four times None if there is none."""
        return self._quotes.get(symbol, NO_QUOTE)

    def clear(self) -> None:
        """Forget all quotes, as where the messages before may be of another connection."""
        self._quotes.clear()
        self._numbers.clear()


def positive_or_none(value: float | None) -> float | None:
    """Return a price or quantity; None for 0, NaN, an infinite or a negative number.

    Venues write such a number, or none at all, where they have nothing to say.
    """
    return value if value is not None and 0.0 < value < inf else None


def stated_quote(
    bid: float | None, ask: float | None, bid_size: float | None, ask_size: float | None
) -> Quote | None:
    """Return the quote that a message states; None for a crossed one, with the bid above the ask.

    A side without a usable price has no quantity either. A quote is crossed where it was taken
    between two changes of the book: the older one is the better one then.
    """
    if (
        bid is not None
        and ask is not None
        and bid_size is not None
        and ask_size is not None
        and 0.0 < bid <= ask < inf
        and 0.0 < bid_size < inf
        and 0.0 < ask_size < inf
    ):
        return bid, ask, bid_size, ask_size
    bid, ask = positive_or_none(bid), positive_or_none(ask)
    if bid is not None and ask is not None and bid > ask:
        return None
    return (
        bid,
        ask,
        None if bid is None else positive_or_none(bid_size),
        None if ask is None else positive_or_none(ask_size),
    )
