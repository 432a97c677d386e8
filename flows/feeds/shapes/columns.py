"""Frames that are one tick each, as columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from flows.codec.symbols import SymbolTable
from flows.codec.validity import defects, latest_credible_ns
from flows.numeric.arrays import Bool, Float64, Int8, Int64


@dataclass(frozen=True, slots=True)
class Columns:
    """Some frames, in order; all arrays have shape (n,).

    Attributes
    ----------
    names
        The log's symbols, by number.
    symbol_id, ts_event_ns
        int64.
    ts_recv_ns, trade_id, sequence
        int64: of the tick; -1 where there is none.
    received_ns
        int64: when the frame arrived; -1 where the recording does not say.
    side
        int8.
    price, size, bid, ask, bid_size, ask_size
        float64; NaN where there is none.
    """

    names: Sequence[tuple[str, str]]
    symbol_id: Int64
    ts_event_ns: Int64
    ts_recv_ns: Int64
    trade_id: Int64
    sequence: Int64
    received_ns: Int64
    side: Int8
    price: Float64
    size: Float64
    bid: Float64
    ask: Float64
    bid_size: Float64
    ask_size: Float64

    def __len__(self) -> int:
        return len(self.symbol_id)

    def first(self, count: int) -> "Columns":
        """Return the first frames."""
        if count == len(self):
            return self
        arrays = [getattr(self, each.name)[:count] for each in fields(self)[1:]]
        return Columns(self.names, *arrays)

    def by_symbol(self) -> Iterator[tuple[str, Int64]]:
        """Yield each symbol and its rows, int64, rising."""
        for number in np.unique(self.symbol_id).tolist():
            yield self.names[number][1], np.flatnonzero(self.symbol_id == number)

    def quote(self, row: int) -> tuple[float | None, float | None, float | None, float | None]:
        """Return what a row states: all of the quote or nothing, as :meth:`plain` has it."""
        if np.isnan(self.bid[row]):
            return None, None, None, None
        return (
            float(self.bid[row]),
            float(self.ask[row]),
            float(self.bid_size[row]),
            float(self.ask_size[row]),
        )

    def plain(self) -> Bool:
        """Return which rows are usable ticks as they stand, with a whole quote or none."""
        quote = np.stack([self.bid, self.ask, self.bid_size, self.ask_size])
        stated = (quote > 0) & (quote < np.inf)
        whole = stated.all(axis=0) & (self.bid <= self.ask)
        quoted = whole | np.isnan(quote).all(axis=0)
        sized = ((self.size > 0) & (self.size < np.inf)) | np.isnan(self.size)
        latest_ns = latest_credible_ns(self.ts_recv_ns, np.full(len(self), -1, np.int64))
        columns = {each.name: getattr(self, each.name) for each in fields(self)[1:]}
        bad = np.logical_or.reduce([mask for _reason, mask in defects(columns, latest_ns)])
        found: Bool = quoted & sized & ~bad & (self.trade_id != 0)
        return found


def leading(mask: Bool) -> int:
    """Return how many rows hold before the first that does not."""
    return len(mask) if mask.all() else int(np.argmin(mask))


def columns_of(
    symbols: SymbolTable, symbol_id: Int64, integers: Int64, floats: Float64, side: Int8
) -> Columns:
    """Return scanned columns, int64, shape (6, n), and float64, shape (6, n), by their names."""
    ts_event_ns, ts_recv_ns, trade_id, sequence, _side, received_ns = integers
    return Columns(
        symbols.names,
        symbol_id,
        ts_event_ns,
        ts_recv_ns,
        trade_id,
        sequence,
        received_ns,
        side,
        *floats,
    )
