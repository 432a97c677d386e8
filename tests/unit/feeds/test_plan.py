"""Several feeds, their symbols and their addresses."""

import pytest

from flows.errors import FeedError
from flows.feeds.plan import FeedOptions, plan_feeds, split_symbols
from schemas.feeds import split_feeds


@pytest.mark.parametrize(
    ("spec", "feeds"),
    [
        ("auto", ["auto"]),
        ("coinbase-exchange,binance", ["coinbase-exchange", "binance"]),
        ("Binance , simulate", ["binance", "simulate"]),
        ("replay:a,b.gz", ["replay:a,b.gz"]),
        ("replay:a,b.gz,binance", ["replay:a,b.gz", "binance"]),
        ("simulate,replay:binance,x.gz", ["simulate", "replay:binance,x.gz"]),
        ("kraken", ["kraken"]),
        ("binance,", ["binance,"]),
    ],
)
def test_feeds_are_parted_by_commas_that_part_feeds(spec: str, feeds: list[str]) -> None:
    assert split_feeds(spec) == feeds


def asked(spec: str, *symbols: str, **options: object) -> dict[str, tuple[list[str], object]]:
    """Return symbols and address of each connection."""
    plan = plan_feeds(spec, FeedOptions(symbols=symbols, **options))  # type: ignore[arg-type]
    return {
        name: (list(made.keywords["symbols"]), made.keywords["feed_url"])  # type: ignore[attr-defined]
        for name, made in plan.items()
    }


def test_a_feed_gets_its_own_symbols_or_the_common_ones() -> None:
    symbols = ("BTC-USD", "ETH-USD", "binance:BTC-USDT", "BINANCE:ETH-USDT")
    assert asked("coinbase-exchange,binance", *symbols) == {
        "coinbase-exchange": (["BTC-USD", "ETH-USD"], None),
        "binance": (["BTC-USDT", "ETH-USDT"], None),
    }
    assert split_symbols(("A:B", "simulate:X")) == (["A:B"], {"simulate": ["X"]})


def test_auto_is_the_live_feed_of_coinbase() -> None:
    assert list(asked("auto", "BTC-USD")) == ["coinbase-exchange"]


def test_each_live_feed_has_its_own_address() -> None:
    urls = {"binance": "ws://b", "coinbase-exchange": None}
    assert asked("binance,simulate", "A-B", urls=urls, url="ws://one") == {
        "binance": (["A-B"], "ws://b"),
        "simulate": (["A-B"], None),
    }
    assert asked("coinbase-exchange", "A-B", urls=urls, url="ws://one")["coinbase-exchange"] == (
        ["A-B"],
        "ws://one",
    )


def test_a_polled_feed_has_its_own_address_and_symbols() -> None:
    urls = {"binance-rest": "http://b", "binance": "ws://b"}
    assert asked("binance,binance-rest", "A-B", "binance-rest:C-D", urls=urls) == {
        "binance": (["A-B"], "ws://b"),
        "binance-rest": (["C-D"], "http://b"),
    }


def test_more_symbols_than_a_connection_takes_are_spread() -> None:
    symbols = [f"A{number}-USDT" for number in range(1_100)]
    found = asked("binance", *symbols)
    assert {name: len(each) for name, (each, _) in found.items()} == {
        "binance": 512,
        "binance-2": 512,
        "binance-3": 76,
    }
    assert [symbol for each, _ in found.values() for symbol in each] == symbols


@pytest.mark.parametrize(
    ("spec", "symbols", "options", "said"),
    [
        ("binance", ["coinbase-exchange:A-B"], {}, "symbols for coinbase-exchange are given"),
        ("binance,coinbase-exchange", ["binance:A-B"], {}, "no symbol for coinbase-exchange"),
        (
            "binance,coinbase-advanced", ["A-B"], {"url": "ws://one"},
            "set VOLTICK_BINANCE_URL and the like",
        ),
        ("coinbase-rest", ["A-B"], {"url": "ws://one"}, "set VOLTICK_COINBASE_REST_URL instead"),
    ],
    ids=["of a feed not named", "none", "one address for two", "a WebSocket for a polled feed"],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(
    spec: str, symbols: list[str], options: dict[str, object], said: str
) -> None:
    with pytest.raises(FeedError, match=said):
        asked(spec, *symbols, **options)
