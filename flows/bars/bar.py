"""One bar of a market, and what makes a bar usable."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from flows.bars.span import Span
from schemas.ticks import EARLIEST_NS, LATEST_NS

_MOST_TRADES = 2**63 - 1


class Bar(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a venue says about [ts_open_ns, ts_open_ns + interval); null where it does not say.

    Attributes
    ----------
    ts_open_ns
        Start, nanoseconds since the UNIX epoch.
    open, high, low, close
        Prices in quote currency, > 0.
    volume, taker_buy_volume
        Traded quantity in base currency, or in shares: all of it, and what takers bought.
    quote_volume, taker_buy_quote_volume
        The same in quote currency.
    trade_count
        Number of trades.
    """

    ts_open_ns: int
    open: float
    high: float
    low: float
    close: float
    volume: float | None = None
    quote_volume: float | None = None
    trade_count: int | None = None
    taker_buy_volume: float | None = None
    taker_buy_quote_volume: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a venue.

    Attributes
    ----------
    bars
        In the order of the answer; the running one and repeats included.
    refused
        Why rows are no bars, one sentence a row.
    date_s
        The venue's clock, seconds since the UNIX epoch; None where it does not tell.
    """

    bars: Sequence[Bar] = ()
    refused: Sequence[str] = ()
    date_s: float | None = None


@dataclass(frozen=True, slots=True)
class Sorted:
    """The bars of a page that can be stored, and how many cannot.

    Attributes
    ----------
    bars
        By rising time, one for each.
    outside
        Bars of other times than those asked for.
    running
        Bars that were not over yet.
    """

    bars: list[Bar]
    outside: int = 0
    running: int = 0


def problem_of(bar: Bar, interval_ns: int) -> str | None:
    """Return why a bar cannot be what its venue means; None where it can."""
    if not EARLIEST_NS <= bar.ts_open_ns < LATEST_NS:
        return f"its time {bar.ts_open_ns} ns is before 2009 or after 2261"
    if bar.ts_open_ns % interval_ns:
        return f"its time {bar.ts_open_ns} ns is no multiple of {interval_ns // 10**9} s"
    prices = (bar.open, bar.high, bar.low, bar.close)
    if not all(math.isfinite(price) and price > 0 for price in prices):
        return f"a price is not positive: {prices}"
    if bar.low > min(prices) or bar.high < max(prices):
        return f"open or close is not between low and high: {prices}"
    volumes = (
        *(bar.volume, bar.quote_volume, bar.trade_count),
        *(bar.taker_buy_volume, bar.taker_buy_quote_volume),
    )
    if not all(each is None or (math.isfinite(each) and each >= 0) for each in volumes):
        return f"a volume or a count is negative or no number: {volumes}"
    if bar.trade_count is not None and bar.trade_count > _MOST_TRADES:
        return f"its number of trades {bar.trade_count} is beyond 64 bits"
    return None


def sort_out(page: Page, asked: Span, final_before_ns: int, interval_ns: int) -> Sorted:
    """Return the bars of a page that were asked for and are over.

    Of two bars of one time the one with the larger volume is kept, for a bar only grows; of equal
    ones the later.

    Parameters
    ----------
    final_before_ns
        A bar that ends later may still change.
    """
    kept: dict[int, Bar] = {}
    outside = running = 0
    for bar in page.bars:
        if not asked.from_ns <= bar.ts_open_ns < asked.to_ns:
            outside += 1
        elif bar.ts_open_ns + interval_ns > final_before_ns:
            running += 1
        else:
            known = kept.get(bar.ts_open_ns)
            if known is None or _volume(bar) >= _volume(known):
                kept[bar.ts_open_ns] = bar
    return Sorted([kept[at] for at in sorted(kept)], outside, running)


def _volume(bar: Bar) -> float:
    known = bar.volume if bar.volume is not None else bar.quote_volume
    return -1.0 if known is None else known
