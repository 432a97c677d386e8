import json

import pandas as pd
import pytest

from flows.bars.bar import Bar, Page, problem_of, sort_out
from flows.bars.binance import BinanceBars, read_klines
from flows.bars.coinbase import CoinbaseBars, read_candles
from flows.bars.span import Span
from flows.bars.yahoo import read_frame
from flows.errors import FeedError, VenueError
from flows.feeds.retrying import Limits, RestClient
from flows.numeric.time import NS_PER_MINUTE, NS_PER_S
from tests.support.rest_server import Reply, RestServer

OPEN_S = 1_770_000_000
OPEN_NS = OPEN_S * NS_PER_S
MINUTE = NS_PER_MINUTE
KLINE = [
    *(OPEN_S * 1000, "2.0", "3.0", "1.0", "2.5", "10.0", OPEN_S * 1000 + 59_999, "20.0", 7),
    *("4.0", "8.0", "0"),
]
CANDLE = [OPEN_S, 1.0, 3.0, 2.0, 2.5, 10.0]


def bar(minute: int = 0, **changes: float | None) -> Bar:
    values = {"open": 2.0, "high": 3.0, "low": 1.0, "close": 2.5, **changes}
    return Bar(ts_open_ns=OPEN_NS + minute * MINUTE, **values)  # type: ignore[arg-type]


def body(*rows: object) -> bytes:
    return json.dumps(rows).encode()


def with_field(row: list[object], at: int, value: object) -> list[object]:
    return [*row[:at], value, *row[at + 1 :]]


def test_a_kline_is_read_as_binance_means_it() -> None:
    page = read_klines(body(KLINE), MINUTE)
    assert page.refused == []
    assert page.bars == [
        bar(
            volume=10.0,
            quote_volume=20.0,
            trade_count=7,
            taker_buy_volume=4.0,
            taker_buy_quote_volume=8.0,
        )
    ]


def test_klines_in_microseconds_are_the_same_bars() -> None:
    fine = [KLINE[0] * 1000, *KLINE[1:6], OPEN_S * 1_000_000 + 59_999_999, *KLINE[7:]]
    assert read_klines(body(fine), MINUTE).bars == read_klines(body(KLINE), MINUTE).bars


def test_a_candle_is_read_as_coinbase_means_it() -> None:
    page = read_candles(body(CANDLE), MINUTE)
    assert (page.bars, page.refused) == ([bar(volume=10.0)], [])


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (KLINE[:5], "it has 5 fields"),
        ([], "it has 0 fields"),
        (with_field(KLINE, 0, "soon"), "its time 'soon' is no number"),
        (with_field(KLINE, 0, 12), "its time 12 is before 2009"),
        (with_field(KLINE, 0, None), "its time None is no number"),
        (with_field(KLINE, 1, "much"), "its open 'much' is no number"),
        (with_field(KLINE, 2, None), "its high None is no number"),
        (with_field(KLINE, 3, "NaN"), "its low 'NaN' is no number"),
        (with_field(KLINE, 4, True), "its close True is no number"),
        (with_field(KLINE, 4, "-1"), "a price is not positive"),
        (with_field(KLINE, 4, "9"), "open or close is not between low and high"),
        (with_field(KLINE, 5, "-1"), "a volume or a count is negative"),
        (with_field(KLINE, 5, "?"), "its volume '?' is no number"),
        (with_field(KLINE, 8, 1.5), "its number of trades 1.5 is no whole number"),
        (with_field(KLINE, 6, OPEN_S * 1000 + 299_999), "it lasts 300 s, not 60 s"),
    ],
    ids=[
        *("short", "empty", "time-text", "time-small", "time-null", "price-text", "price-null"),
        *("price-nan", "price-bool", "price-negative", "outside-range", "volume-negative"),
        *("volume-text", "half-a-trade", "other-interval"),
    ],
)
def test_a_row_that_is_no_kline_is_refused_by_itself(row: list[object], problem: str) -> None:
    page = read_klines(body(row, KLINE), MINUTE)
    assert len(page.bars) == 1
    [refused] = page.refused
    assert problem in refused


def test_a_candle_that_begins_within_a_minute_is_refused() -> None:
    page = read_candles(body(with_field(CANDLE, 0, OPEN_S + 7)), MINUTE)
    assert page.bars == []
    assert "is no multiple of 60 s" in page.refused[0]


@pytest.mark.parametrize(
    "answer",
    [b"", b"{}", b"[1]", b"<html>", b'{"message":"x"}', b"[[1,2]", b"\xff"],
    ids=["empty", "object", "flat", "page", "error", "cut", "bytes"],
)
def test_an_answer_that_is_no_list_of_bars_is_an_error(answer: bytes) -> None:
    with pytest.raises(VenueError, match="binance answers what is no list of bars"):
        read_klines(answer, MINUTE)
    with pytest.raises(VenueError, match="coinbase answers what is no list of bars"):
        read_candles(answer, MINUTE)


@pytest.mark.parametrize("part", [b"null", b"1", b"{}", b'"x"', b"[1e999]", b"[1770000000,1e999]"])
def test_a_part_that_is_no_row_is_refused_by_itself(part: bytes) -> None:
    for read, row in ((read_klines, KLINE), (read_candles, CANDLE)):
        page = read(b"[" + part + b"," + json.dumps(row).encode() + b"]", MINUTE)
        assert [each.ts_open_ns for each in page.bars] == [OPEN_NS]
        [refused] = page.refused
        assert refused.startswith("it is no row: ")
        assert refused.endswith(f" in {part.decode()}")


@pytest.mark.parametrize("count", [2**63, 2**70, 1e300, str(2**63), "9" * 400, "9" * 5000])
def test_a_number_of_trades_that_the_archive_cannot_hold_is_refused(count: object) -> None:
    page = read_klines(body(with_field(KLINE, 8, count), KLINE), MINUTE)
    assert (len(page.bars), len(page.refused)) == (1, 1)


@pytest.mark.parametrize("count", [2**63 - 1, str(2**63 - 1)])
def test_a_number_of_trades_keeps_all_digits(count: object) -> None:
    [read] = read_klines(body(with_field(KLINE, 8, count)), MINUTE).bars
    assert read.trade_count == 2**63 - 1


def frame(*rows: tuple[int, float | None]) -> pd.DataFrame:
    times = [pd.Timestamp(OPEN_NS + minute * MINUTE, tz="UTC") for minute, _volume in rows]
    index = pd.DatetimeIndex(times).tz_convert("America/New_York").as_unit("s")
    prices = {"Open": 2.0, "High": 3.0, "Low": 1.0, "Close": 2.5}
    return pd.DataFrame({**prices, "Volume": [volume for _minute, volume in rows]}, index=index)


def test_yahoos_volume_of_a_currency_is_in_quote_currency_and_null_where_it_is_0() -> None:
    page = read_frame(frame((0, 5.0), (1, 0.0), (2, None)), MINUTE, is_crypto=True)
    assert page.bars == [bar(0, quote_volume=5.0), bar(1), bar(2)]


def test_yahoos_volume_of_a_share_is_in_shares() -> None:
    page = read_frame(frame((0, 5.0), (1, 0.0), (2, None)), MINUTE, is_crypto=False)
    assert page.bars == [bar(0, volume=5.0), bar(1, volume=0.0), bar(2)]


def test_the_newest_price_that_yahoo_appends_is_no_bar() -> None:
    table = frame((0, 5.0), (1, 1.0))
    table.index = table.index[:1].append(table.index[1:] + pd.Timedelta(seconds=17))
    page = read_frame(table, MINUTE, is_crypto=False)
    assert page.bars == [bar(0, volume=5.0)]
    assert len(page.refused) == 1


@pytest.mark.parametrize("table", [None, frame((0, 1.0))[:0]], ids=["none", "no-rows"])
def test_no_table_of_yahoo_is_no_bar(table: pd.DataFrame | None) -> None:
    assert read_frame(table, MINUTE, is_crypto=True) == Page([], [])


@pytest.mark.parametrize(
    ("field", "value"),
    [("Open", None), ("High", "x"), ("Low", float("nan")), ("Close", []), ("Volume", "much")],
)
def test_a_row_of_yahoo_that_is_no_bar_is_refused_by_itself(field: str, value: object) -> None:
    table = frame((0, 5.0), (1, 1.0)).astype(object)
    table.at[table.index[0], field] = value
    page = read_frame(table, MINUTE, is_crypto=False)
    assert page.bars == [bar(1, volume=1.0)]
    [refused] = page.refused
    assert f"its {field.lower()} {value!r} is no number at 2026-" in refused


@pytest.mark.parametrize("change", ["no-volume", "no-zone", "no-times", "two-levels"])
def test_a_table_of_yahoo_that_cannot_be_read_is_an_error(change: str) -> None:
    table = frame((0, 5.0))
    changed = {
        "no-volume": lambda: table.drop(columns="Volume"),
        "no-zone": lambda: table.tz_localize(None),
        "no-times": lambda: table.reset_index(drop=True),
        "two-levels": lambda: pd.concat({"BTC-USD": table}, axis=1),
    }[change]()
    with pytest.raises(VenueError, match="yahoo answers what is no table of bars"):
        read_frame(changed, MINUTE, is_crypto=False)


def test_what_is_outside_running_or_repeated_is_sorted_out() -> None:
    asked = Span(OPEN_NS, OPEN_NS + 5 * MINUTE)
    page = Page([bar(4), bar(2), bar(-1), bar(5), bar(1, volume=1.0), bar(1, volume=0.5), bar(0)])
    found = sort_out(page, asked, OPEN_NS + 4 * MINUTE, MINUTE)
    assert found.bars == [bar(0), bar(1, volume=1.0), bar(2)]
    assert (found.outside, found.running) == (2, 1)


def test_times_outside_of_the_century_are_no_bars() -> None:
    assert problem_of(Bar(ts_open_ns=0, open=1, high=1, low=1, close=1), MINUTE) is not None


def test_symbols_are_written_as_they_are_stored() -> None:
    with RestServer(lambda _request: Reply()) as server, RestClient("x", server.url) as client:
        assert BinanceBars(client).symbol("btcusdt") == "BTC-USDT"
        assert BinanceBars(client).symbol("BTC/USDT") == "BTC-USDT"
        assert CoinbaseBars(client).symbol("btc/usd") == "BTC-USD"
        with pytest.raises(FeedError, match="has no separator"):
            CoinbaseBars(client).symbol("BTCUSD")
        with pytest.raises(FeedError, match="are not certain"):
            BinanceBars(client).symbol("ARBUSD")


def test_a_page_of_coinbase_never_asks_for_more_than_300() -> None:
    with RestServer(lambda _request: Reply(b"[]")) as server:
        venue = CoinbaseBars(RestClient("coinbase", server.url))
        venue.fetch("BTC-USD", "1m", Span(OPEN_NS, OPEN_NS + 300 * MINUTE))
        venue.close()
    [request] = server.requests
    assert request.params == {
        "granularity": "60",
        "start": "2026-02-02T02:40:00Z",
        "end": "2026-02-02T07:39:00Z",
    }


def test_binance_is_left_alone_for_the_rest_of_the_minute_where_its_weight_is_used_up() -> None:
    slept: list[float] = []
    heavy = {"X-MBX-USED-WEIGHT-1M": "5000"}
    with RestServer(lambda _request: Reply(b"[]", headers=heavy)) as server:
        client = RestClient(
            "binance", server.url, Limits(), sleep=slept.append, clock=lambda: 100.0
        )
        venue = BinanceBars(client, now_s=lambda: 6_000_015.0)
        for _ in range(2):
            venue.fetch("BTC-USDT", "1m", Span(OPEN_NS, OPEN_NS + MINUTE))
        venue.close()
    assert slept == [45.0]
