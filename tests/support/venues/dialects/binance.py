"""Binance spot: streams named in the address or by ``SUBSCRIBE``, combined or raw."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from tests.support.venues.dialects.base import Dialect, Entry, Message
from tests.support.venues.market import Quote, Trade

NS_PER_MS = 1_000_000


@dataclass
class BinanceDialect(Dialect):
    """One connection.

    Attributes
    ----------
    combined
        Whether messages name their stream.
    unit_ns
        Of the times: milliseconds, or microseconds where the client asks for them.
    streams
        What the client is subscribed to.
    """

    combined: bool = True
    unit_ns: int = NS_PER_MS
    streams: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Subscribe to what the address names."""
        self.combined = path.startswith("/stream")
        _, _, query = path.partition("streams=")
        names = query.partition("&")[0].split("/") if query else []
        self._add(name for name in names if self._trades(name))

    def answer(self, request: Message) -> list[Entry]:
        """Answer a subscription, or a question for the subscriptions."""
        number = request.get("id")
        if request.get("method") == "LIST_SUBSCRIPTIONS":
            return [Entry({"result": list(self.streams), "id": number})]
        if request.get("method") != "SUBSCRIBE":
            return [Entry({"error": {"code": 2, "msg": "Invalid request"}, "id": number})]
        unknown = [name for name in request["params"] if not self._trades(name)]
        if unknown and self.manners.refused is not None:
            words = f"unknown stream {unknown[0]}" if self.manners.names_refused else "bad stream"
            return [Entry({"error": {"code": 2, "msg": f"Invalid request: {words}"}, "id": number})]
        self._add(name for name in request["params"] if name not in unknown)
        answer = Entry({"result": None, "id": number})
        quotes = [self.quoted(self.market.quote(symbol)) for symbol in self.symbols]
        return [*quotes, answer] if self.manners.data_first else [answer, *quotes]

    def trades(self, symbol: str, count: int) -> list[Entry]:
        """One message a trade, then a quote."""
        made = [self._trade(self.market.trade(symbol)) for _ in range(count)]
        return [*made, self.quoted(self.market.quote(symbol))]

    def quoted(self, quote: Quote) -> Entry:
        """Return a book ticker."""
        data = {
            "u": quote.number,
            "s": _name(quote.symbol),
            "b": quote.bid,
            "B": quote.bid_size,
            "a": quote.ask,
            "A": quote.ask_size,
        }
        return Entry(self._enveloped(data, quote.symbol, "bookTicker"), quote=quote)

    def heartbeats(self, ahead: int = 0) -> list[Entry]:
        """There are none but the protocol's pings."""
        return []

    def unknown(self) -> Entry:
        """Return a message of a stream that nobody asked for."""
        symbol = self.symbols[0]
        kinds: tuple[tuple[str, Message], ...] = (
            ("avgPrice", {"e": "avgPrice", "E": 1, "s": _name(symbol), "i": "5m", "w": "25"}),
            (
                "aggTrade",
                {"e": "aggTrade", "E": 1, "s": _name(symbol), "a": 12, "p": "1"},
            ),
            ("newThing", {"e": "newThing", "E": 1, "s": _name(symbol), "x": {"t": 5}}),
        )
        kind, data = self.rng.choice(kinds)
        return Entry(self._enveloped(data, symbol, kind))

    def farewell(self) -> Entry:
        """Return how the venue announces that it shuts down."""
        data: Message = {"e": "serverShutdown", "E": 1_770_123_456_789}
        if self.combined and self.rng.random() < 0.5:
            return Entry({"stream": "!serverShutdown", "data": data})
        return Entry(data)

    def without_optional(self, entry: Entry) -> Entry:
        """Leave out some of a trade's fields."""
        if not isinstance(entry.body, dict) or not entry.trades:
            return entry
        [trade] = entry.trades
        data = dict(entry.body["data"] if self.combined else entry.body)
        gone = self.rng.choice(("q", "m", "t", "E", "M"))
        if self.rng.random() < 0.5:
            del data[gone]
        else:
            data[gone] = None
        if gone == "q":
            trade = replace(trade, size=None)
        elif gone == "m":
            trade = replace(trade, taker=0)
        elif gone == "t":
            trade = replace(trade, named=False)
        body = self._enveloped(data, trade.symbol, "trade")
        return replace(entry, body=body, trades=(trade,))

    def bad_trade(self, entry: Entry) -> Entry:
        """Spoil a trade's price or time."""
        if not isinstance(entry.body, dict) or not entry.trades:
            return entry
        [trade] = entry.trades
        data = dict(entry.body["data"] if self.combined else entry.body)
        name, value, reason = self.rng.choice(
            (
                ("p", "abc", "broken_frame"),
                ("p", None, "broken_frame"),
                ("p", "NaN", "bad_price"),
                ("T", "yesterday", "broken_frame"),
                ("T", -5, "broken_frame"),
                ("s", 7, "broken_frame"),
            )
        )
        data[name] = value
        return Entry(self._enveloped(data, trade.symbol, "trade"), dead=(reason,))

    def _trade(self, trade: Trade) -> Entry:
        data = {
            "e": "trade",
            "E": trade.time_ns // self.unit_ns + 1,
            "s": _name(trade.symbol),
            "t": trade.trade_id,
            "p": trade.price,
            "q": trade.size,
            "T": trade.time_ns // self.unit_ns,
            "m": trade.taker == -1,
            "M": True,
        }
        return Entry(self._enveloped(data, trade.symbol, "trade"), (trade,))

    def _enveloped(self, data: Message, symbol: str, kind: str) -> Message:
        if not self.combined:
            return data
        return {"stream": f"{_name(symbol).lower()}@{kind}", "data": data}

    def _trades(self, stream: str) -> bool:
        return stream.partition("@")[0].upper() in {_name(symbol) for symbol in self.symbols}

    def _add(self, names: Iterable[str]) -> None:
        self.streams = list(dict.fromkeys([*self.streams, *names]))
        wanted = {f"{_name(s).lower()}@{k}" for s in self.symbols for k in ("trade", "bookTicker")}
        self.ready = wanted <= set(self.streams)


def _name(symbol: str) -> str:
    return symbol.replace("-", "")
