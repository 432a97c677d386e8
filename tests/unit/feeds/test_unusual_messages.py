"""Messages as another server may write them: nulls for empty lists, other capitals, odd errors."""

from typing import Any

import pytest

from flows.feeds.base import ParsedFrame, Parser
from flows.feeds.binance.client import BinanceProtocol
from flows.feeds.coinbase_advanced.client import AdvancedProtocol
from flows.feeds.coinbase_exchange.client import ExchangeProtocol
from flows.feeds.protocol import VenueProtocol
from tests.unit.feeds.support import frame

NS = 1_565_815_347_265_000_000
TIME = "2019-08-14T20:42:27.265Z"

MATCH = {
    "type": "match",
    "trade_id": 10,
    "sequence": 50,
    "time": TIME,
    "product_id": "BTC-USD",
    "size": "5.5",
    "price": "400.25",
    "side": "sell",
}
TICKER = {
    "type": "ticker",
    "sequence": 51,
    "product_id": "BTC-USD",
    "price": "400.25",
    "best_bid": "400",
    "best_ask": "401",
    "best_bid_size": "1",
    "best_ask_size": "2",
}
ADVANCED_TRADE = {
    "trade_id": "10",
    "product_id": "BTC-USD",
    "price": "400.25",
    "size": "5.5",
    "side": "SELL",
    "time": TIME,
}
BINANCE_TRADE = {
    "e": "trade",
    "E": 1_565_815_347_300,
    "s": "BTCUSDT",
    "t": 10,
    "p": "400.25",
    "q": "5.5",
    "T": 1_565_815_347_265,
    "m": True,
    "M": True,
}


def advanced(channel: str, number: int | None, events: object, **fields: object) -> dict[str, Any]:
    envelope = {"channel": channel, "client_id": "", "timestamp": TIME, "sequence_num": number}
    return {**envelope, "events": events, **fields}


def advanced_trade(**fields: object) -> list[dict[str, Any]]:
    return [{"type": "update", "trades": [{**ADVANCED_TRADE, **fields}]}]


def parse(parser: Parser, *messages: object) -> list[ParsedFrame]:
    return [parser.parse(frame(message)) for message in messages]


def exchange() -> Parser:
    return ExchangeProtocol().parser()


@pytest.mark.parametrize(
    ("side", "taker"),
    [("sell", 1), ("SELL", 1), ("buy", -1), ("BUY", -1), (None, 0), ("UNKNOWN_ORDER_SIDE", 0)],
)
def test_a_makers_side_in_any_capitals_is_turned_into_the_takers(
    side: str | None, taker: int
) -> None:
    [match] = parse(exchange(), {**MATCH, "side": side})
    [trades] = parse(
        AdvancedProtocol().parser(), advanced("market_trades", 0, advanced_trade(side=side))
    )
    assert [tick.side for tick in (*match.ticks, *trades.ticks)] == [taker, taker]


@pytest.mark.parametrize(
    "time",
    ["2019-08-14T20:42:27.265", "2019-08-14 20:42:27.265Z", "2019-08-14T22:42:27.265000000+0200"],
    ids=["no zone", "a blank", "an offset without a colon"],
)
def test_a_time_in_another_form_is_the_same_time(time: str) -> None:
    [match] = parse(exchange(), {**MATCH, "time": time})
    [trades] = parse(
        AdvancedProtocol().parser(), advanced("market_trades", 0, advanced_trade(time=time))
    )
    assert [tick.ts_event_ns for tick in (*match.ticks, *trades.ticks)] == [NS, NS]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(advanced("market_trades", 3, None), id="no trades' events"),
        pytest.param(advanced("market_trades", 3, [{"type": "update", "trades": None}]), id="null"),
        pytest.param(advanced("market_trades", 3, [{"type": "snapshot", "trades": []}]), id="none"),
        pytest.param(advanced("ticker", 3, None), id="no ticker's events"),
        pytest.param(advanced("ticker", 3, [{"type": "update", "tickers": None}]), id="no tickers"),
        pytest.param(advanced("heartbeats", 3, None), id="heartbeats"),
        pytest.param(advanced("subscriptions", 3, None), id="no acknowledgement's events"),
        pytest.param(advanced("subscriptions", 3, [{"subscriptions": None}]), id="of nothing"),
        pytest.param(
            advanced("l2_data", 3, [{"type": "update", "product_id": "BTC-USD", "updates": None}]),
            id="no change of a book",
        ),
        pytest.param(advanced("l2_data", 3, None), id="no book"),
        pytest.param(advanced("balance", 3, None), id="a channel that nobody knows"),
    ],
)
def test_a_list_that_is_null_is_empty_and_nothing_is_lost(message: dict[str, Any]) -> None:
    """The server's own quote lives on, and the next message is not taken for a loss."""
    entry = {**TICKER, "best_bid_quantity": "1", "best_ask_quantity": "2"}
    quote = advanced("ticker", 2, [{"type": "update", "tickers": [entry]}])
    trade = advanced("market_trades", 4, advanced_trade())
    parsed = parse(AdvancedProtocol().parser(), quote, message, trade)
    assert [dead for each in parsed for dead in each.dead] == []
    assert not any(each.lost for each in parsed)
    [tick] = parsed[2].ticks
    assert (tick.trade_id, tick.bid, tick.ask) == (10, 400.0, 401.0)


def test_trades_need_neither_the_envelopes_time_nor_its_number() -> None:
    parser = AdvancedProtocol().parser()
    first = advanced("market_trades", 5, advanced_trade(), timestamp=None)
    unnumbered = advanced("market_trades", None, advanced_trade(trade_id="11"))
    third = advanced("market_trades", 6, advanced_trade(trade_id="12"))
    parsed = parse(parser, first, unnumbered, third)
    told = [(tick.trade_id, tick.sequence) for each in parsed for tick in each.ticks]
    assert told == [(10, 5), (11, None), (12, 6)]
    assert not any(each.lost for each in parsed)


def test_a_ticker_with_nulls_for_time_and_trade_is_of_quotes_alone() -> None:
    parser = exchange()
    quote = {**TICKER, "time": None, "trade_id": None, "side": None, "last_size": None}
    parsed = parse(parser, quote, MATCH)
    assert [len(each.dead) for each in parsed] == [0, 0]
    assert [(tick.bid, tick.ask) for tick in parsed[1].ticks] == [(400.0, 401.0)]


def test_a_heartbeat_without_a_time_still_names_the_newest_trade() -> None:
    beat = {"type": "heartbeat", "product_id": "BTC-USD", "last_trade_id": 20, "time": None}
    [parsed] = parse(exchange(), beat)
    assert (parsed.last_trade, parsed.sent_ns, list(parsed.dead)) == (("BTC-USD", 20), None, [])


@pytest.mark.parametrize("products", [{}, {"product_ids": None}], ids=["missing", "null"])
def test_a_channel_without_products_leaves_the_others_of_an_acknowledgement(
    products: dict[str, object],
) -> None:
    channels = [{"name": "status", **products}, {"name": "matches", "product_ids": ["BTC-USD"]}]
    trade = {**TICKER, "time": TIME, "trade_id": 9, "last_size": "1"}
    parsed = parse(exchange(), {"type": "subscriptions", "channels": channels}, trade)
    assert [tick for each in parsed for tick in each.ticks] == []  # `matches` gives them


def test_a_pair_in_small_letters_is_the_same_pair() -> None:
    parser = BinanceProtocol(("BTC-USDT",)).parser()
    named = {**BINANCE_TRADE, "s": "btcusdt", "t": 11}
    parsed = parse(parser, BINANCE_TRADE, {"stream": "btcusdt@trade", "data": named})
    assert [(tick.symbol, tick.trade_id) for each in parsed for tick in each.ticks] == [
        ("BTC-USDT", 10),
        ("BTC-USDT", 11),
    ]


@pytest.mark.parametrize("protocol", [ExchangeProtocol(), AdvancedProtocol()], ids=["e", "a"])
@pytest.mark.parametrize(
    ("error", "refused"),
    [
        pytest.param({"message": "X-USD is not valid", "reason": None}, True, id="null reason"),
        pytest.param({"message": None, "reason": "X-USD is delisted"}, True, id="null message"),
        pytest.param({"reason": "x-usd is delisted"}, True, id="small letters, reason alone"),
        pytest.param({"message": {"product": "X-USD"}}, True, id="an object"),
        pytest.param({"message": "no", "reason": ["BTC-USD", "X-USD"]}, True, id="a list"),
        pytest.param({"message": "X-USD", "reason": "Failed to subscribe"}, True, id="exchanged"),
        pytest.param({"message": "rate limit exceeded", "code": 429}, False, id="of no symbol"),
        pytest.param({}, False, id="empty"),
    ],
)
def test_an_error_of_any_shape_names_what_it_refuses(
    protocol: VenueProtocol, error: dict[str, Any], refused: bool
) -> None:
    message = {"type": "error", **error}
    notice = protocol.notice(frame(message).text)
    assert notice is not None
    assert notice.refused is not None
    assert ("X-USD" in protocol.refused(notice.refused, ("BTC-USD", "X-USD"))) is refused
    [parsed] = parse(protocol.parser(), message)
    assert parsed.warning == f"{protocol.venue}: {notice.refused}"
    assert list(parsed.dead) == []
