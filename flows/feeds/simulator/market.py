"""A random market with the statistics of a real one, drawn from a seed.

The log volatility of a symbol is a sum of Ornstein-Uhlenbeck processes, with times from a minute
and a half to two hours, half of them shared by all symbols: volatility comes in clusters and can
partly be foreseen, and returns are fat-tailed. Trades excite further trades (a Hawkes process,
drawn through its branching form: Hawkes & Oakes 1974), and both spread and activity widen with
volatility. The mid price moves partly with the clock and partly with each trade, without drift.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from flows.errors import FeedError
from flows.feeds.simulator.parse import VENUE
from flows.numeric.arrays import Float64, Int64
from flows.numeric.time import NS_PER_S, NS_PER_US
from schemas.ticks import Tick

MAX_SYMBOLS = 500
FIRST_SYMBOLS = ("BTC-USD", "ETH-USD")

_PRICES = {"BTC-USD": 64_000.0, "ETH-USD": 3_100.0}
_CENT = 2

_TAUS_S = np.array([90.0, 600.0, 7_200.0])
_SPREADS_OF_LOG_VOL = np.array([0.35, 0.45, 0.30])
_LOG_VOL_VAR = float(np.sum(_SPREADS_OF_LOG_VOL**2))
_COMMON = math.sqrt(0.5)
_IMBALANCE_TAU_S = 10.0
_IMBALANCE_SD = 0.6
_OFFSPRING = 0.5  # mean number of trades that a trade sets off; below 1, or activity explodes
_OFFSPRING_DELAY_S = 0.8
_ACTIVITY_OF_VOL = 0.6
_CLOCK_SHARE = 0.5  # of the variance; the rest comes with trades
_T_DEGREES = 6.0
_CHUNK_TICKS = 20_000
_MAX_CHUNK_S = 300


@dataclass(frozen=True, slots=True)
class TickColumns:
    """Simulated ticks in order of time, each column of shape (n,); units as in ``Tick``."""

    symbol: Int64
    ts_event_ns: Int64
    price: Float64
    size: Float64
    side: Int64
    bid: Float64
    ask: Float64
    bid_size: Float64
    ask_size: Float64
    trade_id: Int64

    def __len__(self) -> int:
        return len(self.symbol)

    def part(self, start: int, stop: int) -> "TickColumns":
        """Return the ticks from ``start`` to before ``stop``."""
        return TickColumns(
            *(getattr(self, field.name)[start:stop] for field in dataclasses.fields(self))
        )


def symbol_names(count: int) -> tuple[str, ...]:
    """Return BTC-USD, ETH-USD, SIM001-USD, ...

    Raises
    ------
    FeedError
        Where ``count`` is not within 1-500.
    """
    if not 1 <= count <= MAX_SYMBOLS:
        message = f"the simulator makes 1 to {MAX_SYMBOLS} symbols, not {count}"
        raise FeedError(message)
    others = (f"SIM{number:03d}-USD" for number in range(1, count - len(FIRST_SYMBOLS) + 1))
    return (*FIRST_SYMBOLS, *others)[:count]


class Market:
    """The simulated market; each call of :meth:`advance` continues where the last one ended.

    Parameters
    ----------
    symbols
        1-500 distinct names.
    rate_hz
        Mean number of ticks per second, all symbols together, > 0.
    seed
        Same seed, symbols, rate and calls: same ticks.
    start_ns
        Event time at which it begins, nanoseconds since the UNIX epoch.

    Raises
    ------
    FeedError
        Where symbols or rate are outside these bounds.
    """

    def __init__(self, symbols: Sequence[str], *, rate_hz: float, seed: int, start_ns: int) -> None:
        count = len(symbols)
        if not 1 <= count <= MAX_SYMBOLS or len(set(symbols)) != count:
            message = f"the simulator takes 1 to {MAX_SYMBOLS} distinct symbols, not {count}"
            raise FeedError(message)
        if not (rate_hz > 0 and math.isfinite(rate_hz)):
            message = f"the simulator's rate must be above 0 ticks/s, not {rate_hz}"
            raise FeedError(message)
        self.symbols = tuple(symbols)
        self.now_ns = start_ns
        self.chunk_s = int(min(max(_CHUNK_TICKS // rate_hz, 1), _MAX_CHUNK_S))
        rng = self._rng = np.random.default_rng(seed)
        weights = 1.0 / np.sqrt(np.arange(1, count + 1))
        self._rate_hz = rate_hz * weights / weights.sum()
        drawn = np.exp(rng.normal(2.0, 2.0, count))
        start = np.array(
            [_PRICES.get(name, price) for name, price in zip(symbols, drawn, strict=True)]
        )
        self._factor = np.array(
            [
                10.0 ** (_CENT if name in _PRICES else max(0, math.ceil(6 - math.log10(price))))
                for name, price in zip(symbols, start, strict=True)
            ]
        )
        self._log_price = np.log(start)
        self._volatility = rng.uniform(5e-5, 1.2e-4, count)  # per root second
        self._spread = rng.uniform(0.5e-4, 1.5e-4, count)
        self._log_size = np.log(rng.uniform(300.0, 2_000.0, count) / start)
        self._log_vol = rng.normal(size=(len(_TAUS_S), count)) * _SPREADS_OF_LOG_VOL[:, None]
        self._imbalance = rng.normal(size=count) * _IMBALANCE_SD
        # Above the ids of every market that began before, so that a log can hold one after another.
        self._next_id = np.full(count, 1 + start_ns // NS_PER_US, dtype=np.int64)
        self._last_s = np.zeros(count)
        self._pending_s = np.empty(0)
        self._pending_symbol = np.empty(0, dtype=np.int64)

    def advance(self, seconds: int) -> TickColumns:
        """Return the ticks of the next seconds, a whole number > 0."""
        log_vol, imbalance = self._walk(seconds)
        times, symbol = self._arrivals(seconds, log_vol)
        order = np.lexsort((times, symbol))
        columns = self._trade(times[order], symbol[order], log_vol, imbalance)
        self._last_s -= seconds
        self.now_ns += seconds * NS_PER_S
        return columns

    def ticks(self, columns: TickColumns, *, received: bool = True) -> list[Tick]:
        """Return columns as ticks.

        Parameters
        ----------
        received
            They are received at the time of the event; False: at no time, as a history is.
        """
        names = self.symbols
        return [
            Tick(
                symbol=names[symbol],
                venue=VENUE,
                ts_event_ns=ts,
                price=price,
                ts_recv_ns=ts if received else None,
                size=size,
                side=side,
                bid=bid,
                ask=ask,
                bid_size=bid_size,
                ask_size=ask_size,
                trade_id=trade_id,
            )
            for symbol, ts, price, size, side, bid, ask, bid_size, ask_size, trade_id in zip(
                columns.symbol.tolist(),
                columns.ts_event_ns.tolist(),
                columns.price.tolist(),
                columns.size.tolist(),
                columns.side.tolist(),
                columns.bid.tolist(),
                columns.ask.tolist(),
                columns.bid_size.tolist(),
                columns.ask_size.tolist(),
                columns.trade_id.tolist(),
                strict=True,
            )
        ]

    def _walk(self, seconds: int) -> tuple[Float64, Float64]:
        """Return log volatility (mean 0) and imbalance per second, shape (seconds, symbols)."""
        count = len(self.symbols)
        keep = np.exp(-1.0 / _TAUS_S)[:, None]
        step = np.sqrt(1.0 - keep**2) * _SPREADS_OF_LOG_VOL[:, None]
        own = self._rng.normal(size=(seconds, len(_TAUS_S), count))
        common = self._rng.normal(size=(seconds, len(_TAUS_S), 1))
        shocks = (_COMMON * common + math.sqrt(1.0 - _COMMON**2) * own) * step
        keep_imbalance = math.exp(-1.0 / _IMBALANCE_TAU_S)
        imbalance_shocks = self._rng.normal(size=(seconds, count)) * (
            _IMBALANCE_SD * math.sqrt(1.0 - keep_imbalance**2)
        )
        log_vol = np.empty((seconds, count))
        imbalance = np.empty((seconds, count))
        for second in range(seconds):
            self._log_vol = self._log_vol * keep + shocks[second]
            self._imbalance = self._imbalance * keep_imbalance + imbalance_shocks[second]
            log_vol[second] = self._log_vol.sum(axis=0)
            imbalance[second] = self._imbalance
        return log_vol, imbalance

    def _arrivals(self, seconds: int, log_vol: Float64) -> tuple[Float64, Int64]:
        """Return times (seconds from now) and symbols of the trades within ``seconds``."""
        rng = self._rng
        power = _ACTIVITY_OF_VOL
        activity = np.exp(power * log_vol - 0.5 * power**2 * _LOG_VOL_VAR)
        first = rng.poisson(self._rate_hz * (1.0 - _OFFSPRING) * activity)
        second, symbol = np.nonzero(first)
        repeat = first[second, symbol]
        symbol = np.repeat(symbol, repeat)
        times = np.repeat(second, repeat) + rng.random(len(symbol))
        all_times, all_symbols = [self._pending_s, times], [self._pending_symbol, symbol]
        while len(times):
            children = rng.poisson(_OFFSPRING, len(times))
            symbol = np.repeat(symbol, children)
            times = np.repeat(times, children)
            times = times + rng.exponential(_OFFSPRING_DELAY_S, len(times))
            all_times.append(times)
            all_symbols.append(symbol)
        times, symbol = np.concatenate(all_times), np.concatenate(all_symbols)
        later = times >= seconds
        self._pending_s, self._pending_symbol = times[later] - seconds, symbol[later]
        return times[~later], symbol[~later]

    def _trade(
        self, times: Float64, symbol: Int64, log_vol: Float64, imbalance: Float64
    ) -> TickColumns:
        """Price the trades, given by symbol and within it by time; return them by time."""
        rng, count = self._rng, len(times)
        second = times.astype(np.int64)
        level = log_vol[second, symbol]
        start = np.ones(count, dtype=bool)
        start[1:] = symbol[1:] != symbol[:-1]
        starts = np.flatnonzero(start)
        ends = np.append(starts[1:], count) - 1 if count else starts
        group = np.cumsum(start) - 1

        before = np.empty(count)
        before[1:] = times[:-1]
        before[starts] = self._last_s[symbol[starts]]
        variance_s = _CLOCK_SHARE * (times - before) + (1.0 - _CLOCK_SHARE) / self._rate_hz[symbol]
        shock = rng.standard_t(_T_DEGREES, count) * math.sqrt((_T_DEGREES - 2.0) / _T_DEGREES)
        volatility = self._volatility[symbol] * np.exp(level - 0.5 * _LOG_VOL_VAR)
        moves = volatility * np.sqrt(variance_s) * shock
        path = np.cumsum(moves)
        path -= (path[starts] - moves[starts])[group]
        log_price = self._log_price[symbol] + path
        position = np.arange(count) - starts[group] if count else np.empty(0, dtype=np.int64)
        trade_id = self._next_id[symbol] + position
        self._log_price[symbol[ends]] = log_price[ends]
        self._last_s[symbol[ends]] = times[ends]
        self._next_id[symbol[ends]] = trade_id[ends] + 1

        mid = np.exp(log_price)
        width = self._spread[symbol] * np.exp(0.5 * level + 0.35 * rng.normal(size=count))
        factor = self._factor[symbol]
        bid = np.maximum(np.floor(mid * (1.0 - 0.5 * width) * factor), 1.0) / factor
        ask = np.maximum(np.ceil(mid * (1.0 + 0.5 * width) * factor), 1.0) / factor
        tilt = imbalance[second, symbol]
        buys = rng.random(count) < 1.0 / (1.0 + np.exp(-tilt))
        log_size = self._log_size[symbol]
        by_time = np.argsort(times, kind="stable")
        return TickColumns(
            symbol=symbol[by_time],
            ts_event_ns=self.now_ns + (times[by_time] * NS_PER_S).astype(np.int64),
            price=np.where(buys, ask, bid)[by_time],
            size=_size(log_size + 0.3 * level + 1.2 * rng.normal(size=count))[by_time],
            side=np.where(buys, 1, -1)[by_time].astype(np.int64),
            bid=bid[by_time],
            ask=ask[by_time],
            bid_size=_size(log_size + 1.0 + tilt + 0.8 * rng.normal(size=count))[by_time],
            ask_size=_size(log_size + 1.0 - tilt + 0.8 * rng.normal(size=count))[by_time],
            trade_id=trade_id[by_time],
        )


def simulate_history(
    symbols: Sequence[str], *, duration_s: int, seed: int, end_ns: int, rate_hz: float = 50.0
) -> Iterator[list[Tick]]:
    """Yield past ticks in order of time, some ten thousands at a time, up to before ``end_ns``.

    They are those that a feed of this market sends which begins at the same time.

    Parameters
    ----------
    symbols, rate_hz, seed
        As in :class:`Market`.
    duration_s
        How much history, seconds of event time.
    end_ns
        Event time at which the history ends, nanoseconds since the UNIX epoch.
    """
    start_ns = end_ns - duration_s * NS_PER_S
    market = Market(symbols, rate_hz=rate_hz, seed=seed, start_ns=start_ns)
    while market.now_ns < end_ns:
        columns = market.advance(market.chunk_s)
        stop = int(np.searchsorted(columns.ts_event_ns, end_ns))
        yield market.ticks(columns.part(0, stop), received=False)


def _size(log_size: Float64) -> Float64:
    return np.maximum(np.round(np.exp(log_size), 8), 1e-8)
