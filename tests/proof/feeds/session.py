"""A venue that follows a plan, and notes every message that it has sent whole."""

import random
import threading
import time
from collections.abc import Sequence
from functools import cache, partial
from typing import Self

from websockets.exceptions import ConnectionClosed

from tests.proof.feeds.plan import SHORT_SILENCE_S, SILENT_ENDS, Connection, Plan
from tests.support.captures import FRAMES, SUFFIX
from tests.support.venues.dialects.base import Dialect, Entry, damaged
from tests.support.venues.dialects.binance import NS_PER_MS, BinanceDialect
from tests.support.venues.dialects.coinbase_advanced import AdvancedDialect
from tests.support.venues.dialects.coinbase_exchange import ExchangeDialect
from tests.support.venues.market import NS_PER_S, NS_PER_US, Market, Move, recorded_moves
from tests.support.venues.server import Refusal, VenueConnection, VenueServer

_RECORDINGS = {
    "coinbase-exchange": "coinbase-exchange_btc_20251112_165s",
    "coinbase-advanced": "coinbase-advanced_btc-eth_20260809_25s",
    "binance": "binance_btcusdt_20240808_11min",
}
_RECORDED_MOST = 3_000
_ALIVE_S = 0.1


class Session:
    """The server of one plan.

    Attributes
    ----------
    log
        What was sent whole on each connection, in order.
    newest
        The last trade of each symbol, once all has been sent.
    finished
        Set once all has been sent.
    disturbed
        The client left while nothing was wrong, so that messages may have been sent to nobody.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.log: list[list[Entry]] = []
        self.newest: dict[str, int] = {}
        self.finished = threading.Event()
        self.disturbed = False
        rng = plan.rng("market")
        tick_ns = NS_PER_MS if plan.feed == "binance" and not plan.microseconds else NS_PER_US
        moves = _recorded(plan.feed) if rng.random() < 0.3 else ()
        start = rng.randrange(len(moves) // 2) if moves else 0
        self._market = Market(rng, plan.symbols, tick_ns, moves[start:])
        scripts = [partial(self._serve, number) for number in range(len(plan.connections))]
        refusals: list[Refusal | None] = []
        for each in plan.connections:
            refusals += [*each.refusals, None]
        self._server = VenueServer(scripts, refusals)

    @property
    def url(self) -> str:
        """Address for the client."""
        return self._server.url + self.plan.path

    @property
    def connections(self) -> int:
        """How many the client has made."""
        return self._server.connections

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.__exit__(*exc)

    def _serve(self, number: int, connection: VenueConnection) -> None:
        try:
            self._follow(number, connection)
        except (ConnectionClosed, OSError):
            # Nothing in a plan makes a client leave before its connection's end.
            self.disturbed |= not self.finished.is_set()
            raise

    def _follow(self, number: int, connection: VenueConnection) -> None:
        part = self.plan.connections[number]
        rng = self.plan.rng(f"connection {number}")
        wire: list[Entry] = []
        self.log.append(wire)
        dialect = self._dialect(part, rng, connection.path)
        while not dialect.ready:
            self._send(connection, wire, dialect.answer(connection.receive()))
        chunks = _Chunks(self.plan, self._market, dialect, rng)
        for index in range(part.chunks):
            clean = number == 0 and index == 0
            self._send(connection, wire, chunks.make(clean=clean))
            self._answer(connection, wire, dialect)
        if number < len(self.plan.connections) - 1:
            self._pass_by(rng, part)
            # Where a client gives up after a short silence, a busy machine can make it leave just
            # before the end: its pong says that it is there, and has read all that was sent.
            there = connection.ping() if self.plan.has_silence else connection.listen(0)
            self.disturbed |= not there
            self._end(connection, wire, part, dialect)
            return
        self._send(connection, wire, chunks.last())
        self.newest = dict(self._market.newest)
        self.finished.set()
        while connection.listen(0):
            alive = dialect.heartbeats() or [dialect.unknown()]
            self._send(connection, wire, alive)
            self._answer(connection, wire, dialect, _ALIVE_S)

    def _dialect(self, part: Connection, rng: random.Random, path: str) -> Dialect:
        common = (self._market, self.plan.symbols, rng, part.manners)
        if self.plan.feed == "coinbase-exchange":
            return ExchangeDialect(*common)
        if self.plan.feed == "coinbase-advanced":
            return AdvancedDialect(*common)
        dialect = BinanceDialect(*common)
        dialect.unit_ns = NS_PER_US if self.plan.microseconds else NS_PER_MS
        dialect.open(path)
        dialect.ready = False  # the client confirms by a message what the address names
        return dialect

    @staticmethod
    def _send(connection: VenueConnection, wire: list[Entry], entries: Sequence[Entry]) -> None:
        wire += entries
        connection.burst(entry.wire for entry in entries)

    def _answer(
        self,
        connection: VenueConnection,
        wire: list[Entry],
        dialect: Dialect,
        wait_s: float = 0.0,
    ) -> None:
        for request in connection.pending(wait_s):
            self._send(connection, wire, dialect.answer(request))

    def _pass_by(self, rng: random.Random, part: Connection) -> None:
        """Let the market trade while nobody listens."""
        for symbol in self.plan.symbols:
            for _ in range(rng.randint(0, part.unseen)):
                self._market.trade(symbol)

    def _end(
        self, connection: VenueConnection, wire: list[Entry], part: Connection, dialect: Dialect
    ) -> None:
        begin_s = time.monotonic()
        if part.end == "drop":
            connection.drop()
        elif part.end == "mid-frame":
            connection.break_off()
        elif part.end in SILENT_ENDS:
            connection.half_open() if part.end == "half-open" else connection.hang()
            self.disturbed |= time.monotonic() - begin_s < SHORT_SILENCE_S / 2
        elif part.end == "day":
            connection.close(1001, "24 hours are over")
        elif part.end == "farewell":
            self._send(connection, wire, [dialect.farewell()])
            if self.plan.feed == "binance":
                connection.hang()  # the client leaves by itself
            else:
                connection.close(1012, "maintenance")
        else:
            connection.close(part.code)


class _Chunks:
    """Make runs of messages with the plan's faults in them."""

    def __init__(self, plan: Plan, market: Market, dialect: Dialect, rng: random.Random) -> None:
        self._plan = plan
        self._market = market
        self._dialect = dialect
        self._rng = rng

    def make(self, *, clean: bool) -> list[Entry]:
        """Return a run of messages.

        Parameters
        ----------
        clean
            Without faults: a client that has just begun knows no id to compare with.
        """
        rng, dialect, faults = self._rng, self._dialect, self._plan.faults
        if clean:
            return [entry for symbol in self._plan.symbols for entry in dialect.trades(symbol, 2)]
        self._market.skew_ns = 0
        if "clock skew" in faults:
            self._market.skew_ns = rng.choice((-5, 5, -1, 0)) * NS_PER_S
        entries: list[Entry] = []
        for _ in range(rng.randint(2, 8)):
            entries += self._some()
        if "burst" in faults and rng.random() < 0.5:
            symbol = rng.choice(self._plan.symbols)
            entries += dialect.trades(symbol, self._plan.burst)
        if rng.random() < 0.5:
            entries += dialect.heartbeats()
        return (
            _reordered(self._spoiled(entries), rng)
            if "reorder" in faults
            else self._spoiled(entries)
        )

    def last(self) -> list[Entry]:
        """Return one trade of each symbol, without faults."""
        return [entry for symbol in self._plan.symbols for entry in self._dialect.trades(symbol, 1)]

    def _some(self) -> list[Entry]:
        rng, dialect, faults = self._rng, self._dialect, self._plan.faults
        symbol = rng.choice(self._plan.symbols)
        quote = self._market.quote(symbol)
        if "empty book" in faults and rng.random() < 0.3:
            quote = dialect.blank(quote)
        elif "crossed book" in faults and rng.random() < 0.3:
            quote = dialect.cross(quote)
        count = rng.choice((1, 1, 2, 5))
        entries = [dialect.quoted(quote)]
        if "heartbeat ahead" in faults and rng.random() < 0.3:
            entries += dialect.heartbeats(count)
        entries += dialect.trades(symbol, count)
        if "unknown type" in faults and rng.random() < 0.3:
            entries.append(dialect.unknown())
        return entries

    def _spoiled(self, entries: list[Entry]) -> list[Entry]:
        rng, dialect, faults = self._rng, self._dialect, self._plan.faults
        sent: list[Entry] = []
        later: list[tuple[int, Entry]] = []
        for index, made in enumerate(entries):
            entry = made
            sent += [each for due, each in later if due == index]
            if "missing fields" in faults and rng.random() < 0.1:
                entry = self._without_optional(entry)
            if "bad trade" in faults and rng.random() < 0.05:
                entry = dialect.bad_trade(entry)
            if "damage" in faults and rng.random() < 0.05:
                entry = damaged(entry, rng)
            if "loss" in faults and rng.random() < 0.08:
                continue
            sent.append(entry)
            unnamed = any(not trade.named for trade in entry.trades)
            if "repeat" in faults and rng.random() < 0.08 and not unnamed:
                later.append((index + rng.randint(1, 6), entry))
        return sent + [each for due, each in later if due >= len(entries)]

    def _without_optional(self, entry: Entry) -> Entry:
        slim = self._dialect.without_optional(entry)
        unnamed = [trade for trade in slim.trades if not trade.named]
        # A trade without an id has no place among trades that overtake each other, and if the venue
        # replays it with its id after a reconnect, it cannot be known again.
        is_newest = any(self._market.newest[each.symbol] == each.trade_id for each in unnamed)
        return entry if unnamed and (is_newest or "reorder" in self._plan.faults) else slim


def _reordered(entries: list[Entry], rng: random.Random) -> list[Entry]:
    """Let some messages arrive up to four places late."""
    places = [
        (index + (rng.randint(1, 4) + 0.5 if rng.random() < 0.1 else 0), index)
        for index in range(len(entries))
    ]
    return [entries[index] for _, index in sorted(places)]


@cache
def _recorded(feed: str) -> tuple[Move, ...]:
    path = FRAMES / f"{_RECORDINGS[feed]}{SUFFIX}"
    return tuple(recorded_moves(path, _RECORDED_MOST))
