"""A seeded market: the trades and quotes that a venue tells its clients of."""

import gzip
import json
import random
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

NS_PER_US = 1_000
NS_PER_S = 1_000_000_000
START_NS = 1_700_000_000 * NS_PER_S

_HISTORY = 50
_JUMP_NS = 600 * NS_PER_S


@dataclass(frozen=True)
class Trade:
    """One trade, as a message states it; None for what the message leaves out.

    Attributes
    ----------
    taker
        1 bought, -1 sold, 0 unknown.
    named
        Whether the message states the id.
    """

    symbol: str
    trade_id: int
    price: str
    size: str | None
    taker: int
    time_ns: int
    named: bool = True


@dataclass(frozen=True)
class Quote:
    """The book's top, as a message states it: text of prices and quantities, "" or "0" for none.

    Attributes
    ----------
    number
        The venue's number of the change; a lower one is older.
    """

    symbol: str
    bid: str
    ask: str
    bid_size: str
    ask_size: str
    number: int

    @property
    def crossed(self) -> bool:
        """Whether it was taken between two changes of the book."""
        return bool(float(self.bid or 0) and float(self.ask or 0)) and float(self.bid) > float(
            self.ask
        )


@dataclass(frozen=True)
class Move:
    """A trade of a recording, without its id."""

    price: str
    size: str
    taker: int
    time_ns: int


class Market:
    """Trades of some symbols, made up from a seed or taken from a recording.

    Parameters
    ----------
    rng
        Decides everything.
    symbols
        What is traded.
    tick_ns
        Resolution of the venue's times.
    recorded
        Trades to begin with.

    Attributes
    ----------
    newest
        Id of each symbol's newest trade.
    skew_ns
        Added to the times of all trades: a venue's clock that is wrong.
    """

    def __init__(
        self,
        rng: random.Random,
        symbols: Sequence[str],
        tick_ns: int = NS_PER_US,
        recorded: Sequence[Move] = (),
    ) -> None:
        self.newest = {symbol: rng.randrange(1_000, 2_000_000_000) for symbol in symbols}
        self.skew_ns = 0
        self._rng = rng
        self._tick_ns = tick_ns
        self._recorded = {symbols[0]: iter(recorded)}
        self._prices = {symbol: rng.uniform(0.5, 60_000.0) for symbol in symbols}
        self._numbers = {symbol: rng.randrange(10**6, 10**10) for symbol in symbols}
        self._now_ns = recorded[0].time_ns if recorded else START_NS
        self._history: dict[str, deque[Trade]] = defaultdict(lambda: deque(maxlen=_HISTORY))

    def trade(self, symbol: str) -> Trade:
        """Trade once."""
        self.newest[symbol] += 1
        move = next(self._recorded.get(symbol, iter(())), None) or self._move(symbol)
        self._now_ns = max(self._now_ns, move.time_ns)
        time_ns = (move.time_ns + self.skew_ns) // self._tick_ns * self._tick_ns
        trade = Trade(symbol, self.newest[symbol], move.price, move.size, move.taker, time_ns)
        self._history[symbol].append(trade)
        return trade

    def last(self, symbol: str, count: int) -> list[Trade]:
        """Return the newest trades, oldest first."""
        return list(self._history[symbol])[-count:] if count else []

    def number(self, symbol: str) -> int:
        """Count a change of the symbol's book."""
        self._numbers[symbol] += self._rng.randint(1, 40)
        return self._numbers[symbol]

    def quote(self, symbol: str) -> Quote:
        """Return a new quote around the price."""
        mid, half = self._prices[symbol], self._prices[symbol] * self._rng.uniform(0, 2e-4)
        sizes = [f"{self._rng.uniform(0.001, 9):.6f}" for _ in range(2)]
        bid, ask = f"{mid - half:.4f}", f"{mid + half:.4f}"
        return Quote(symbol, bid, ask, sizes[0], sizes[1], self.number(symbol))

    def _move(self, symbol: str) -> Move:
        rng = self._rng
        self._now_ns += rng.choice((0, 1, 1_000, 37_000, 400_000)) * NS_PER_US
        self._prices[symbol] *= 1 + rng.gauss(0, 1e-4)
        price, size = f"{self._prices[symbol]:.4f}", f"{rng.uniform(1e-5, 3):.8f}"
        return Move(price, size, rng.choice((1, -1)), self._now_ns)


def recorded_moves(path: Path, most: int) -> list[Move]:
    """Return the first trades of one symbol of a recording; empty where it is absent."""
    if not path.exists():
        return []
    moves: list[Move] = []
    with gzip.open(path, "rt") as lines:
        next(lines)
        for line in lines:
            moves += _moves(json.loads(json.loads(line)["frame"]))
            if len(moves) >= most:
                break
    # Where several recordings follow each other, the first is taken: ids repeated from before
    # such a jump would be those of a new numbering.
    jumps = (i for i in range(1, len(moves)) if moves[i].time_ns - moves[i - 1].time_ns > _JUMP_NS)
    return moves[: min(next(jumps, most), most)]


def _moves(message: Mapping[str, object]) -> Iterator[Move]:
    data = message.get("data")
    if isinstance(data, dict) and data.get("e") == "trade":
        yield Move(data["p"], data["q"], -1 if data["m"] else 1, data["T"] * 1_000_000)
    elif message.get("type") == "ticker" and "last_size" in message:
        taker = 1 if message["side"] == "buy" else -1
        time_ns = iso_ns(str(message["time"]))
        yield Move(str(message["price"]), str(message["last_size"]), taker, time_ns)
    elif message.get("channel") == "market_trades":
        events = message["events"]
        assert isinstance(events, list)
        trades = [trade for event in events for trade in event["trades"]]
        for trade in reversed(trades):
            if trade["product_id"] == "BTC-USD":
                taker = 1 if trade["side"] == "SELL" else -1
                yield Move(trade["price"], trade["size"], taker, iso_ns(trade["time"]))


def iso_ns(text: str) -> int:
    """Return nanoseconds since the UNIX epoch of ``2026-04-04T21:13:43.528894520Z``."""
    second, _, rest = text.removesuffix("Z").partition(".")
    epoch_s = int(datetime.fromisoformat(f"{second}+00:00").timestamp())
    return epoch_s * NS_PER_S + int(rest.ljust(9, "0") or 0)


def iso(time_ns: int, digits: int = 6) -> str:
    """Return a time as the venues write it."""
    second = datetime.fromtimestamp(time_ns // NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    rest = f"{time_ns % NS_PER_S:09d}"[:digits].rstrip("0")
    return f"{second}.{rest}Z" if rest else f"{second}Z"
