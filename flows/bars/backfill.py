"""Ask one venue for what is missing of a market, page by page, and store each page at once."""

from collections.abc import Callable
from dataclasses import dataclass, field

from flows.bars.bar import Page, sort_out
from flows.bars.span import Span, holes, missing_pages
from flows.bars.store import BarStore, Market
from flows.bars.venue import BarVenue
from flows.errors import ConfigurationError, VenueError
from flows.numeric.time import NS_PER_DAY, NS_PER_S

MOST_REFUSED = 5
"""So many refused rows are told in words; all are counted."""

_MOST_FOREIGN = 3
_REACH_MARGIN_S = 300


@dataclass(slots=True)
class Result:
    """What became of one market.

    Attributes
    ----------
    span
        Whole, final bars that were asked for.
    new, revised, total
        Bars that came in, that took another's place, and that are stored now.
    pages
        Answers that were read.
    running
        Bars that were not over yet, and are not stored.
    refused
        Rows that are no bars.
    reasons
        Of the first of them.
    holes
        Stretches of the span without a bar.
    error
        What ended it early, empty where nothing did.
    """

    market: Market
    span: Span
    new: int = 0
    revised: int = 0
    total: int = 0
    pages: int = 0
    running: int = 0
    refused: int = 0
    reasons: list[str] = field(default_factory=list)
    holes: list[Span] = field(default_factory=list)
    error: str = ""

    @property
    def missing(self) -> int:
        """Bars that the holes would hold."""
        interval_ns = self.market.interval_s * NS_PER_S
        return sum((hole.to_ns - hole.from_ns) // interval_ns for hole in self.holes)


Step = Callable[[int, int], None]
"""Called after each page with the pages that are done and those that there are."""


def final_span(venue: BarVenue, market: Market, span: Span, now_ns: int) -> Span:
    """Return the part of a span whose bars can no longer change and that the venue still has.

    Raises
    ------
    ConfigurationError
        No such part is left, or the span begins before what the venue has.
    """
    interval_ns = market.interval_s * NS_PER_S
    final_ns = (now_ns - venue.settle_s * NS_PER_S) // interval_ns * interval_ns
    from_ns, to_ns = span.from_ns, min(span.to_ns, final_ns)
    reach_days = venue.reach_days.get(market.interval)
    if reach_days is not None:
        earliest_ns = now_ns - reach_days * NS_PER_DAY
        margin_ns = _REACH_MARGIN_S * NS_PER_S
        if from_ns < earliest_ns - margin_ns:
            message = (
                f"{venue.name} has bars of {market.interval} of the last {reach_days} days alone;"
                f" say --last {reach_days}d, a later --from, or another interval"
            )
            raise ConfigurationError(message)
        # What is at the very end of its reach is out of it when the request arrives.
        from_ns = max(from_ns, -(-(earliest_ns + margin_ns) // interval_ns) * interval_ns)
    if from_ns >= to_ns:
        message = f"no bar of {market.interval} in {span} is over yet; ask again later"
        raise ConfigurationError(message)
    return Span(from_ns, to_ns)


def backfill(
    venue: BarVenue,
    market: Market,
    span: Span,
    store: BarStore,
    now_ns: Callable[[], int],
    *,
    refresh: bool = False,
    step: Step = lambda _done, _all: None,
) -> Result:
    """Store what a venue has of a market and the store has not.

    Parameters
    ----------
    span
        See :func:`final_span`.
    now_ns
        Nanoseconds since the UNIX epoch.
    refresh
        Ask for stored bars, too, and take over what the venue has changed.

    Raises
    ------
    ArchiveError
        The store cannot be read or written.
    """
    interval_ns = market.interval_s * NS_PER_S
    result = Result(market, span)
    have = store.times(market, span)
    pages = missing_pages(span, have[:0] if refresh else have, interval_ns, venue.page_bars)
    final_ns = span.to_ns
    earlier: Page | None = None
    step(0, len(pages))
    try:
        for number, asked in enumerate(pages, 1):
            page = _fetch(venue, market, asked, earlier)
            limit_ns = _final_before_ns(venue, page, now_ns())
            found = sort_out(page, asked, limit_ns, interval_ns)
            merged = store.merge(market, found.bars)
            result.pages += 1
            result.new += merged.new
            result.revised += merged.revised
            result.running += found.running
            result.refused += len(page.refused)
            result.reasons += page.refused[: MOST_REFUSED - len(result.reasons)]
            final_ns = min(final_ns, limit_ns // interval_ns * interval_ns)
            earlier = page
            step(number, len(pages))
    except VenueError as error:
        result.error = f"{market.symbol}: {error}"
    result.total = store.count(market)
    # A venue whose clock is behind ours still runs the last bar.
    known = Span(span.from_ns, max(final_ns, span.from_ns))
    result.holes = holes(known, store.times(market, span), interval_ns)
    return result


def _fetch(venue: BarVenue, market: Market, asked: Span, earlier: Page | None) -> Page:
    """Return a page that belongs to what was asked for, or holds nothing of it.

    Raises
    ------
    VenueError
        The venue answers every request alike.
    """
    for _attempt in range(_MOST_FOREIGN):
        page = venue.fetch(market.symbol, market.interval, asked)
        inside = any(asked.from_ns <= bar.ts_open_ns < asked.to_ns for bar in page.bars)
        if inside or not page.bars:
            return page
    if earlier is not None and page.bars == earlier.bars:
        message = f"{venue.name} answers every request with the same bars, also that for {asked}"
        raise VenueError(message)
    return page


def _final_before_ns(venue: BarVenue, page: Page, now_ns: int) -> int:
    """Return before when bars must end to be final, by the slower of both clocks."""
    there_ns = now_ns if page.date_s is None else int(page.date_s * NS_PER_S)
    return min(now_ns, there_ns) - venue.settle_s * NS_PER_S
