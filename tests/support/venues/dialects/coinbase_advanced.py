"""Coinbase Advanced Trade: a subscription for each channel, one number for all messages."""

from dataclasses import dataclass, field, replace
from typing import Any

from tests.support.venues.dialects.base import Dialect, Entry, Message
from tests.support.venues.market import NS_PER_S, Quote, Trade, iso

_MAKER = {1: "SELL", -1: "BUY"}
_BATCH = 4
_OLD_NS = 50 * NS_PER_S
"""Trades of a snapshot from longer before its newest are of no use to anybody."""


@dataclass
class AdvancedDialect(Dialect):
    """One connection; ``asked`` are its products by channel."""

    asked: dict[str, list[str]] = field(default_factory=dict)
    numbered: int = 0

    def answer(self, request: Message) -> list[Entry]:
        """Acknowledge a channel, and send its snapshots."""
        if request.get("type") != "subscribe":
            return [Entry({"type": "error", "message": "unknown request type"})]
        channel, products = request["channel"], list(request.get("product_ids", ()))
        known = [each for each in products if each in self.symbols]
        if channel != "heartbeats":
            refusal = [
                Entry({"type": "error", "message": self._words(each)})
                for each in products
                if each not in self.symbols
            ]
            if refusal and self.manners.refuses_all:
                return refusal
        else:
            refusal, known = [], ["heartbeats"]
        self.asked[channel] = list(dict.fromkeys([*self.asked.get(channel, ()), *known]))
        needed = {"market_trades", "ticker", "heartbeats"}
        self.ready = needed <= set(self.asked) and set(self.symbols) <= set(
            self.asked["market_trades"]
        ) & set(self.asked["ticker"])
        snapshots = self._snapshots(channel, known) if self.manners.data_first else []
        ack = self._message("subscriptions", {"subscriptions": dict(self.asked)})
        if not self.manners.data_first:
            snapshots = self._snapshots(channel, known)
            return [*refusal, ack, *snapshots]
        return [*refusal, *snapshots, ack]

    def trades(self, symbol: str, count: int) -> list[Entry]:
        """Some trades a message, newest first; then a quote."""
        entries = []
        while count > 0:
            size = self.rng.randint(1, min(_BATCH, count))
            count -= size
            entries.append(self._trades("update", [self.market.trade(symbol) for _ in range(size)]))
        return [*entries, self.quoted(self.market.quote(symbol))]

    def quoted(self, quote: Quote) -> Entry:
        """Return a ticker."""
        return self._ticker("update", quote)

    def heartbeats(self, ahead: int = 0) -> list[Entry]:
        """One for the connection; it names no trade."""
        if not self.manners.heartbeats:
            return []
        event = {
            "current_time": "2023-06-23 20:31:56.121961769 +0000 UTC m=+91717.525857105",
            "heartbeat_counter": str(3_049 + self.numbered),
        }
        return [self._message("heartbeats", event)]

    def unknown(self) -> Entry:
        """Return a message of a channel that nobody asked for."""
        channel = self.rng.choice(("status", "ticker_batch", "futures_balance_summary", "user"))
        return self._message(channel, {"type": "snapshot", "products": [{"id": self.symbols[0]}]})

    def farewell(self) -> Entry:
        """Return how the venue announces maintenance."""
        return Entry({"type": "error", "message": "the service is under maintenance"})

    def without_optional(self, entry: Entry) -> Entry:
        """Leave out some of the first trade's or ticker's fields."""
        if not isinstance(entry.body, dict) or not (entry.trades or entry.quote):
            return entry
        if entry.quote is not None:
            event = entry.body["events"][0]
            slim = {
                name: value
                for name, value in event["tickers"][0].items()
                if name not in ("volume_24_h", "type", "low_24_h")
            }
            return replace(entry, body=self._with(entry, {**event, "tickers": [slim]}))
        trades = list(entry.trades)
        shown = [dict(each) for each in entry.body["events"][0]["trades"]]
        gone = self.rng.choice(("size", "side"))
        how = self.rng.random()
        if how < 0.5 or gone == "side":
            del shown[-1][gone]
        else:
            shown[-1][gone] = None if how < 0.75 else ""
        if gone == "size":
            trades[0] = replace(trades[0], size=None)
        else:
            trades[0] = replace(trades[0], taker=0)
        event = {**entry.body["events"][0], "trades": shown}
        return replace(entry, body=self._with(entry, event), trades=tuple(trades))

    def bad_trade(self, entry: Entry) -> Entry:
        """Spoil the oldest trade of a message; the others live."""
        if not isinstance(entry.body, dict) or not entry.trades:
            return entry
        shown = [dict(each) for each in entry.body["events"][0]["trades"]]
        name, value, reason = self.rng.choice(
            (
                ("price", "abc", "broken_frame"),
                ("price", None, "broken_frame"),
                ("price", "NaN", "bad_price"),
                ("time", "yesterday", "broken_frame"),
                ("product_id", 7, "broken_frame"),
            )
        )
        shown[-1][name] = value
        event = {**entry.body["events"][0], "trades": shown}
        body = self._with(entry, event)
        return replace(entry, body=body, trades=entry.trades[1:], dead=(reason,))

    def _words(self, product: str) -> str:
        if not self.manners.names_refused:
            return "failure to subscribe"
        return f"{product} is not a valid product"

    def _snapshots(self, channel: str, products: list[str]) -> list[Entry]:
        if channel == "ticker":
            return [self._ticker("snapshot", self.market.quote(each)) for each in products]
        if channel != "market_trades":
            return []
        for product in products:
            if not self.market.last(product, 1):
                self.market.trade(product)
        return [
            self._trades("snapshot", self.market.last(each, self.rng.randint(1, 12)))
            for each in products
        ]

    def _trades(self, kind: str, trades: list[Trade]) -> Entry:
        shown = [_shown(trade) for trade in reversed(trades)]
        entry = self._message("market_trades", {"type": kind, "trades": shown})
        oldest_ns = max(trade.time_ns for trade in trades) - _OLD_NS
        taken = (each for each in trades if kind == "update" or each.time_ns >= oldest_ns)
        return replace(entry, trades=tuple(taken))

    def _ticker(self, kind: str, quote: Quote) -> Entry:
        ticker = {
            "type": "ticker",
            "product_id": quote.symbol,
            "price": "1.5",
            "volume_24_h": "2",
            "low_24_h": "1",
            "best_bid": quote.bid,
            "best_bid_quantity": quote.bid_size,
            "best_ask": quote.ask,
            "best_ask_quantity": quote.ask_size,
        }
        entry = self._message("ticker", {"type": kind, "tickers": [ticker]})
        assert entry.number is not None
        return replace(entry, quote=replace(quote, number=entry.number))

    def _message(self, channel: str, event: Any) -> Entry:
        number = self.numbered
        self.numbered += 1
        body = {
            "channel": channel,
            "client_id": "",
            "timestamp": iso(1_700_000_000_123_456_789 + number, 9),
            "sequence_num": number,
            "events": [event],
        }
        if self.rng.random() < 0.5:
            del body["client_id"]
        return Entry(body, number=number)

    @staticmethod
    def _with(entry: Entry, event: Any) -> Message:
        assert isinstance(entry.body, dict)
        return {**entry.body, "events": [event]}


def _shown(trade: Trade) -> Message:
    return {
        "trade_id": str(trade.trade_id),
        "product_id": trade.symbol,
        "price": trade.price,
        "size": trade.size,
        "time": iso(trade.time_ns),
        "side": _MAKER[trade.taker],
    }
