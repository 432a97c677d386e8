"""What must come of the messages that a venue has sent whole, worked out in the plainest way.

A trade is a tick once, by its id. Its mark says that trades are missing between it and the one
before it by id: the first of each symbol is marked, and each between which and the one before some
were never told. A trade without an id cannot show that, so the next one with an id is marked.
Within a connection trades may arrive in any order; a trade that only a later connection tells of,
below the newest, comes late and without a mark.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.support.venues.dialects.base import Entry
from tests.support.venues.market import Quote, Trade

Stated = tuple[float | None, float | None, float | None, float | None]
Arrival = tuple[Trade, Stated, bool]
"""A trade, the newest quote then, and whether it is from before the subscription."""


@dataclass(frozen=True)
class Wanted:
    """A tick that must be there."""

    trade: Trade
    quote: Stated
    gap: bool
    late: bool = False

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from others; a trade without an id is known by its content."""
        trade = self.trade
        if trade.named:
            return (trade.symbol, trade.trade_id)
        return (
            trade.symbol,
            None,
            trade.time_ns,
            float(trade.price),
            trade.size and float(trade.size),
        )


@dataclass
class Wants:
    """All that must come of a log.

    Attributes
    ----------
    ticks
        By symbol, in order.
    dead
        Dead letters by reason.
    """

    ticks: dict[str, list[Wanted]] = field(default_factory=dict)
    dead: Counter[str] = field(default_factory=Counter)

    @property
    def gaps(self) -> int:
        """How many ticks must be marked."""
        return sum(each.gap for ticks in self.ticks.values() for each in ticks)

    @property
    def lost(self) -> int:
        """How many trades were not told, between the first and the last that were."""
        count = 0
        for ticks in self.ticks.values():
            told = {each.trade.trade_id for each in ticks}
            count += max(told) - min(told) + 1 - len(told)
        return count


def wants(log: Sequence[Sequence[Entry]]) -> Wants:
    """Return what must come of the messages of some connections."""
    found = Wants()
    for wire in log:
        arrived = _joined(wire)
        for symbol in {trade.symbol for trade, _, _ in arrived}:
            mine = [each for each in arrived if each[0].symbol == symbol]
            _add(found.ticks.setdefault(symbol, []), mine)
        found.dead.update(reason for entry in wire for reason in entry.dead)
    found.ticks = {symbol: ticks for symbol, ticks in found.ticks.items() if ticks}
    return found


def _joined(wire: Sequence[Entry]) -> list[Arrival]:
    """Return each trade with the newest quote, and whether it is from before the subscription."""
    quotes: dict[str, Quote] = {}
    number = -1
    arrived = []
    for entry in wire:
        if entry.number is not None:
            if entry.number > number + 1 and number >= 0:
                quotes.clear()  # a change of them may have been in what is missing
            number = max(number, entry.number)
        quote = entry.quote
        if quote is not None and not quote.crossed:
            known = quotes.get(quote.symbol)
            if known is None or quote.number >= known.number:
                quotes[quote.symbol] = quote
        for trade in entry.trades:
            stated = _stated(quotes.get(trade.symbol))
            arrived.append((trade, stated, entry.before_subscription))
    return arrived


def _add(ticks: list[Wanted], arrived: Sequence[Arrival]) -> None:
    """Add what one connection tells of a symbol."""
    begun = bool(ticks)
    told = {each.trade.trade_id for each in ticks}
    newest = max(told) if begun else None
    first = min(told) if begun else 0
    fresh: dict[int, tuple[Trade, Stated]] = {}
    highest = newest
    for trade, quote, is_old in arrived:
        if is_old and (highest is None or trade.trade_id <= highest):
            continue
        highest = trade.trade_id if highest is None else max(highest, trade.trade_id)
        if trade.trade_id in told or trade.trade_id < first:
            continue
        fresh.setdefault(trade.trade_id, (trade, quote))
    told |= set(fresh)
    named = max((each.trade.trade_id for each in ticks if each.trade.named), default=newest)
    for trade_id in sorted(fresh):
        trade, quote = fresh[trade_id]
        if newest is not None and trade_id < newest:
            ticks.append(Wanted(trade, quote, gap=False, late=True))
            continue
        missing = named is None or not told.issuperset(range(named + 1, trade_id))
        is_first = newest is None
        ticks.append(Wanted(trade, quote, gap=is_first or (missing and trade.named)))
        newest = trade_id
        if trade.named or is_first:
            named = trade_id


def _stated(quote: Quote | None) -> Stated:
    if quote is None:
        return (None, None, None, None)
    bid, ask = float(quote.bid or 0) or None, float(quote.ask or 0) or None
    bid_size = None if bid is None else float(quote.bid_size or 0) or None
    ask_size = None if ask is None else float(quote.ask_size or 0) or None
    return (bid, ask, bid_size, ask_size)
