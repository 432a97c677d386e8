"""Coinbase Exchange: one subscription for all channels, flat messages told apart by ``type``."""

from dataclasses import dataclass, field, replace

from tests.support.venues.dialects.base import Dialect, Entry, Message
from tests.support.venues.market import START_NS, Quote, Trade, iso

_MAKER = {1: "sell", -1: "buy"}
_TAKER = {1: "buy", -1: "sell"}


@dataclass
class ExchangeDialect(Dialect):
    """One connection; ``asked`` are its products by channel."""

    asked: dict[str, list[str]] = field(default_factory=dict)

    def answer(self, request: Message) -> list[Entry]:
        """Acknowledge a subscription, replay the last trades, refuse what is not traded."""
        if request.get("type") != "subscribe":
            return [_error("Malformed JSON", "")]
        products = list(request["product_ids"])
        known = [each for each in products if each in self.symbols]
        refusal = [
            _error("Failed to subscribe", self._words(each))
            for each in products
            if each not in self.symbols
        ]
        if refusal and self.manners.refuses_all:
            return refusal
        for channel in request["channels"]:
            names = self.asked.setdefault(channel, [])
            names += [each for each in known if each not in names]
        self.ready = {"matches", "ticker"} <= set(self.asked) and set(self.symbols) <= set(
            self.asked["matches"]
        )
        data = []
        for product in known:
            last = self.market.last(product, 1) or [self.market.trade(product)]
            data.append(self._ticker(last[0], self.market.quote(product)))
            data.append(replace(_match(last[0], "last_match"), before_subscription=True))
        ack = self._acknowledgement()
        if self.manners.data_first:
            return [*data, *refusal, ack]
        return [*refusal, ack, *data] if self.rng.random() < 0.5 else [ack, *refusal, *data]

    def trades(self, symbol: str, count: int) -> list[Entry]:
        """Every match is told; ``ticker`` tells of the last alone."""
        made = [self.market.trade(symbol) for _ in range(count)]
        ticker = self._ticker(made[-1], self.market.quote(symbol))
        return [*(_match(trade) for trade in made), ticker]

    def quoted(self, quote: Quote) -> Entry:
        """Quotes come with the newest trade."""
        last = self.market.last(quote.symbol, 1) or [self.market.trade(quote.symbol)]
        return self._ticker(last[0], quote)

    def heartbeats(self, ahead: int = 0) -> list[Entry]:
        """One for each product."""
        if not self.manners.heartbeats:
            return []
        return [
            Entry(
                {
                    "type": "heartbeat",
                    "sequence": self.market.number(product),
                    "last_trade_id": self.rng.choice(
                        (self.market.newest[product] + ahead,) * 9 + (0,)
                    ),
                    "product_id": product,
                    "time": iso(1_700_000_000_000_000_000),
                }
            )
            for product in self.symbols
        ]

    def unknown(self) -> Entry:
        """Return a message of a channel that nobody asked for."""
        kinds: tuple[Message, ...] = (
            {"type": "status", "products": [], "currencies": []},
            {"type": "rfq_match", "product_id": self.symbols[0], "trade_id": 0, "price": "1"},
            {"type": "received", "product_id": self.symbols[0], "order_id": "x", "price": "1"},
            {"type": "activate", "stop_price": "80", "product_id": self.symbols[0]},
        )
        return Entry(self.rng.choice(kinds))

    def farewell(self) -> Entry:
        """Return how the venue announces maintenance."""
        return _error("Service is under maintenance", "scheduled maintenance")

    def without_optional(self, entry: Entry) -> Entry:
        """Leave out some of a match's or ticker's fields, or state them as null or blank."""
        if not isinstance(entry.body, dict):
            return entry
        body = dict(entry.body)
        trades = entry.trades
        if body.get("type") == "match":
            [trade] = trades
            gone = self.rng.choice(("size", "side", "sequence", "maker_order_id", "trade_id"))
            self._leave_out(body, gone)
            if gone == "size":
                trade = replace(trade, size=None)
            elif gone == "side":
                trade = replace(trade, taker=0)
            elif gone == "trade_id":
                trade = replace(trade, named=False)
            trades = (trade,)
        elif body.get("type") == "ticker":
            for gone in ("open_24h", "last_size", "volume_24h"):
                body.pop(gone, None)
        return replace(entry, body=body, trades=trades)

    def bad_trade(self, entry: Entry) -> Entry:
        """Spoil a match's price or time."""
        if not isinstance(entry.body, dict) or entry.body.get("type") != "match":
            return entry
        body = dict(entry.body)
        name, value, reason = self.rng.choice(
            (
                ("price", "abc", "broken_frame"),
                ("price", None, "broken_frame"),
                ("price", "NaN", "bad_price"),
                ("time", "yesterday", "broken_frame"),
                ("product_id", 7, "broken_frame"),
            )
        )
        body[name] = value
        return Entry(body, dead=(reason,))

    def _heartbeat(self, product: str, ahead: int) -> Entry:
        known = self.rng.random() < 0.9
        return Entry(
            {
                "type": "heartbeat",
                "sequence": self.market.number(product),
                "last_trade_id": self.market.newest[product] + ahead if known else 0,
                "product_id": product,
                "time": iso(START_NS),
            }
        )

    def _leave_out(self, body: Message, name: str) -> None:
        how = self.rng.random()
        if how < 0.5 or name == "side":
            del body[name]
        elif how < 0.75 or name != "size":
            body[name] = None
        else:
            body[name] = ""

    def _words(self, product: str) -> str:
        if not self.manners.names_refused:
            return "a product is not valid"
        return f"{product} {self.rng.choice(('is not a valid product', 'is delisted'))}"

    def _acknowledgement(self) -> Entry:
        channels = []
        for name, products in self.asked.items():
            shuffled = self.rng.sample(products, len(products))
            channels.append({"name": name, "product_ids": shuffled, "account_ids": None})
        return Entry({"type": "subscriptions", "channels": channels})

    def _ticker(self, trade: Trade, quote: Quote) -> Entry:
        body = {
            "type": "ticker",
            "sequence": quote.number,
            "product_id": trade.symbol,
            "price": trade.price,
            "open_24h": "1",
            "volume_24h": "2",
            "best_bid": quote.bid,
            "best_bid_size": quote.bid_size,
            "best_ask": quote.ask,
            "best_ask_size": quote.ask_size,
            "side": _TAKER[trade.taker],
            "time": iso(trade.time_ns),
            "trade_id": trade.trade_id,
            "last_size": trade.size,
        }
        return Entry(body, quote=quote)


def _match(trade: Trade, kind: str = "match") -> Entry:
    body = {
        "type": kind,
        "trade_id": trade.trade_id,
        "maker_order_id": "ac928c66-ca53-498f-9c13-a110027a60e8",
        "taker_order_id": "132fb6ae-456b-4654-b4e0-d681ac05cea1",
        "side": _MAKER[trade.taker],
        "size": trade.size,
        "price": trade.price,
        "product_id": trade.symbol,
        "sequence": trade.trade_id,
        "time": iso(trade.time_ns),
    }
    return Entry(body, (trade,))


def _error(message: str, reason: str) -> Entry:
    return Entry({"type": "error", "message": message, "reason": reason})
