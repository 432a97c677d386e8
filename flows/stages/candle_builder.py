"""Build candles from one partition's ticks: a function of its log alone.

A candle covers [open, open + interval) of event time, cut at multiples of the interval since the
UNIX epoch. A tick counts in the candle of its own event time. What is a duplicate or a restart is
what the features say (:class:`flows.features.FeatureState`), so candles and predictions agree.

A candle is closed, and written once, by the first message of the partition after which it can no
longer change:

- a tick of its symbol whose event time is ``GRACE_NS`` or more past the candle's end;
- a tick with which the symbol restarts (a jump of its clock), which closes all its candles;
- any message whose Kafka timestamp lies ``IDLE_MS`` past that of the symbol's last tick: the
  symbol fell silent;
- a tick with which the symbol's memory ends, since too many others had one meanwhile.

A tick older than its symbol's newest counts while its candle is open. Afterwards it is left out and
counted as late: a candle that was written is never changed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from flows.numeric.time import NS_PER_S
from schemas.features import MAX_SYMBOLS
from schemas.ticks import Candle

INTERVALS_S = (1, 60)
"""Lengths of the candles, seconds."""

GRACE_NS = 5 * NS_PER_S
"""How long a candle waits for late ticks, in its symbol's event time."""

IDLE_MS = 1000 * max(INTERVALS_S) + GRACE_NS // 1_000_000
"""Silence, in Kafka timestamps, after which a symbol's candles are closed without a tick of its."""

NO_TIMESTAMP_MS = -1
_SPARE_DEADLINES = 1024
NOTHING_OPEN = 2**63 - 1


class CandleTick(NamedTuple):
    """What a candle takes from a tick.

    Attributes
    ----------
    offset, log_ms
        Of the tick's message: its offset and its Kafka timestamp, milliseconds, -1 for none.
    newest_ns
        Newest event time of the tick's symbol so far, this tick included.
    size
        Quantity in base currency; None where the venue does not say.
    gap, restart, duplicate
        What the features found: ticks were lost just before; the symbol's memory began anew; the
        tick is in its candle already.
    """

    series: tuple[str, str]
    offset: int
    log_ms: int
    ts_event_ns: int
    newest_ns: int
    price: float
    size: float | None
    gap: bool
    restart: bool
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """A finished candle, and the input offset that closed it."""

    offset: int
    candle: Candle


@dataclass(slots=True)
class _Bar:
    depends_on: int
    open: float
    high: float
    low: float
    close: float
    tick_count: int = 0
    volume: float | None = None
    notional: float = 0.0
    gap: bool = False

    def add(self, tick: CandleTick) -> None:
        price, size = tick.price, tick.size
        if price > self.high:
            self.high = price
        if price < self.low:
            self.low = price
        self.close = price
        self.tick_count += 1
        self.gap = self.gap or tick.gap
        if size is not None:
            self.volume = size if self.volume is None else self.volume + size
            self.notional += price * size


@dataclass(slots=True)
class _Series:
    """The open candles of a (venue, symbol); each interval has its dict by opening time."""

    newest_ns: int
    last_log_ms: int
    deadline_ms: int | None = None
    next_end_ns: int = NOTHING_OPEN
    """The earliest end of an open candle."""
    bars: dict[int, dict[int, _Bar]] = field(
        default_factory=lambda: {interval_s: {} for interval_s in INTERVALS_S}
    )
    closed_until_ns: dict[int, int] = field(
        default_factory=lambda: dict.fromkeys(INTERVALS_S, -(2**63))
    )


class CandleBuilder:
    """All open candles of one partition. Not safe for use by several threads at once.

    Parameters
    ----------
    partition
        Which partition of ``ticks.raw``.
    max_symbols
        As of :class:`flows.features.FeatureState`.
    """

    def __init__(self, partition: int, max_symbols: int = MAX_SYMBOLS) -> None:
        self._partition = partition
        self._max_symbols = max_symbols
        # The series whose last tick, be it a duplicate, is newest comes last.
        self._series: dict[tuple[str, str], _Series] = {}
        self._deadlines: list[tuple[int, tuple[str, str]]] = []
        self.late = 0
        """Ticks so far that came after their candle was closed."""

    @property
    def rebuild_from(self) -> int:
        """Offset that the oldest open candle depends on; ``NOTHING_OPEN`` where there is none."""
        return min(
            (
                bar.depends_on
                for series in self._series.values()
                for bars in series.bars.values()
                for bar in bars.values()
            ),
            default=NOTHING_OPEN,
        )

    def update(self, ticks: Iterable[CandleTick], depends_on: int) -> list[Closed]:
        """Add ticks in offset order; return the candles that they close, in the order written.

        Parameters
        ----------
        depends_on
            Offset from which a run must start to see these ticks as this one does: with the same
            duplicates, restarts and newest times.
        """
        closed: list[Closed] = []
        for tick in ticks:
            if tick.duplicate:
                if tick.series in self._series:
                    self._series[tick.series] = self._series.pop(tick.series)
                continue
            if tick.log_ms != NO_TIMESTAMP_MS:
                self._close_silent(tick, closed)
            self._add(tick, depends_on, closed)
        return closed

    def _add(self, tick: CandleTick, depends_on: int, closed: list[Closed]) -> None:
        series = self._series.pop(tick.series, None)
        if series is None and len(self._series) == self._max_symbols:
            oldest = next(iter(self._series))
            self._close(oldest, self._series.pop(oldest), None, tick.offset, closed)
        if series is not None and tick.restart:
            self._close(tick.series, series, None, tick.offset, closed)
        if series is None or tick.restart:
            series = _Series(tick.newest_ns, tick.log_ms)
        self._series[tick.series] = series
        series.newest_ns = tick.newest_ns
        series.last_log_ms = tick.log_ms
        self._watch(tick.series, series)
        is_late = False
        for interval_s, bars in series.bars.items():
            interval_ns = interval_s * NS_PER_S
            open_ns = tick.ts_event_ns - tick.ts_event_ns % interval_ns
            end_ns = open_ns + interval_ns
            if end_ns <= tick.newest_ns - GRACE_NS or end_ns <= series.closed_until_ns[interval_s]:
                is_late = True
                continue
            bar = bars.get(open_ns)
            if bar is None:
                price = tick.price
                bar = bars[open_ns] = _Bar(depends_on, price, price, price, price)
                series.next_end_ns = min(series.next_end_ns, end_ns)
            bar.add(tick)
        self.late += is_late
        if series.next_end_ns <= series.newest_ns - GRACE_NS:
            self._close(tick.series, series, series.newest_ns - GRACE_NS, tick.offset, closed)

    def _watch(self, name: tuple[str, str], series: _Series) -> None:
        """Have the series looked at once it may have fallen silent."""
        if series.last_log_ms == NO_TIMESTAMP_MS:
            return
        deadline_ms = series.last_log_ms + IDLE_MS
        if series.deadline_ms is None or deadline_ms < series.deadline_ms:
            series.deadline_ms = deadline_ms
            heappush(self._deadlines, (deadline_ms, name))
            if len(self._deadlines) > 2 * len(self._series) + _SPARE_DEADLINES:
                self._deadlines = [
                    (each.deadline_ms, name)
                    for name, each in self._series.items()
                    if each.deadline_ms is not None
                ]
                heapify(self._deadlines)

    def _close_silent(self, tick: CandleTick, closed: list[Closed]) -> None:
        """Close the candles of the series that fell silent before this message."""
        silent: list[tuple[str, str]] = []
        while self._deadlines and self._deadlines[0][0] <= tick.log_ms:
            deadline_ms, name = heappop(self._deadlines)
            series = self._series.get(name)
            # An earlier one was set meanwhile, or the symbol began anew.
            if series is None or series.deadline_ms != deadline_ms:
                continue
            series.deadline_ms = None
            if series.last_log_ms + IDLE_MS > tick.log_ms:
                self._watch(name, series)
            elif series.last_log_ms != NO_TIMESTAMP_MS:
                silent.append(name)
        for name in sorted(silent):
            self._close(name, self._series[name], None, tick.offset, closed)

    def _close(
        self,
        name: tuple[str, str],
        series: _Series,
        until_ns: int | None,
        offset: int,
        closed: list[Closed],
    ) -> None:
        """Close the candles that end at ``until_ns`` or before; all of them where it is None."""
        for interval_s, bars in series.bars.items():
            interval_ns = interval_s * NS_PER_S
            due = sorted(
                open_ns for open_ns in bars if until_ns is None or open_ns + interval_ns <= until_ns
            )
            for open_ns in due:
                candle = self._candle(name, interval_s, open_ns, bars.pop(open_ns), offset)
                closed.append(Closed(offset, candle))
            if until_ns is None:
                newest_open_ns = series.newest_ns - series.newest_ns % interval_ns
                series.closed_until_ns[interval_s] = newest_open_ns + interval_ns
        series.next_end_ns = min(
            (
                open_ns + interval_s * NS_PER_S
                for interval_s, bars in series.bars.items()
                for open_ns in bars
            ),
            default=NOTHING_OPEN,
        )

    def _candle(
        self, name: tuple[str, str], interval_s: int, open_ns: int, bar: _Bar, offset: int
    ) -> Candle:
        venue, symbol = name
        return Candle(
            symbol=symbol,
            venue=venue,
            ts_open_ns=open_ns,
            interval_s=interval_s,
            open=bar.open,
            high=bar.high,
            low=bar.low,
            close=bar.close,
            tick_count=bar.tick_count,
            volume=bar.volume,
            vwap=bar.notional / bar.volume if bar.volume else None,
            gap=bar.gap,
            partition=self._partition,
            closed_offset=offset,
        )
