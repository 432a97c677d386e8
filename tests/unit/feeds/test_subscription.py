"""What is asked for, asked again and left out; with a venue's words and without."""

import json

import pytest

from flows.feeds.binance.client import BinanceProtocol
from flows.feeds.coinbase_advanced.client import AdvancedProtocol
from flows.feeds.coinbase_exchange.client import ExchangeProtocol
from flows.feeds.protocol import VenueProtocol
from flows.feeds.subscription import Subscription

SYMBOLS = ["BTC-USD", "NO-SUCH", "ETH-USD"]
VENUES = [ExchangeProtocol(), AdvancedProtocol(), BinanceProtocol(SYMBOLS)]
NAMES = ["exchange", "advanced", "binance"]


def asked(requests: list[str]) -> set[str]:
    """Return the symbols that requests name."""
    found = set()
    for request in map(json.loads, requests):
        for name in request.get("product_ids") or request["params"]:
            found.add(name.partition("@")[0].upper().replace("-", ""))
    return found


def refuse_all(subscription: Subscription, requests: list[str], words: str, now_s: float) -> list:
    """Refuse all requests, the heartbeats too."""
    return [name for _ in requests for name in subscription.refuse(words, now_s)]


@pytest.mark.parametrize("protocol", VENUES, ids=NAMES)
def test_the_others_are_asked_for_again_where_a_request_was_refused_as_a_whole(
    protocol: VenueProtocol,
) -> None:
    subscription = Subscription(protocol, SYMBOLS, 1.0)
    requests = subscription.begin()
    assert asked(requests) == {"BTCUSD", "NOSUCH", "ETHUSD"}
    words = "no-such nosuch@trade is unknown, NO-SUCH"
    assert refuse_all(subscription, requests, words, 0.0) == ["NO-SUCH"]
    assert subscription.due(0.5) == []
    assert asked(subscription.due(1.0)) == {"BTCUSD", "ETHUSD"}
    assert subscription.due(9.0) == []
    assert asked(subscription.begin()) == {"BTCUSD", "ETHUSD"}  # it lasts


@pytest.mark.parametrize("protocol", VENUES, ids=NAMES)
def test_a_refusal_that_names_no_symbol_is_found_by_asking_for_each_alone(
    protocol: VenueProtocol,
) -> None:
    subscription = Subscription(protocol, SYMBOLS, 1.0)
    assert refuse_all(subscription, subscription.begin(), "failure", 0.0) == []
    left_out = []
    for name in SYMBOLS:
        requests = subscription.due(1.0)
        assert asked(requests) == {name.replace("-", "")}
        for _ in requests:
            if name == "NO-SUCH":
                left_out += subscription.refuse("failure", 1.0)
            else:
                subscription.acknowledge(1.0)
    assert left_out == ["NO-SUCH"]
    assert subscription.due(99.0) == []
    assert asked(subscription.begin()) == {"BTCUSD", "NOSUCH", "ETHUSD"}  # it may be over


def test_a_symbol_that_is_not_answered_when_asked_for_alone_is_passed_over() -> None:
    subscription = Subscription(ExchangeProtocol(), SYMBOLS, 1.0)
    refuse_all(subscription, subscription.begin(), "failure", 0.0)
    assert [asked(subscription.due(1.0 + 2 * n)) for n in range(4)] == [
        {"BTCUSD"}, {"NOSUCH"}, {"ETHUSD"}, set(),
    ]  # fmt: skip
    assert subscription.refused == {}


def test_a_complaint_after_the_acknowledgement_changes_nothing() -> None:
    subscription = Subscription(ExchangeProtocol(), SYMBOLS, 1.0)
    subscription.begin()
    subscription.acknowledge(0.0)
    assert subscription.refuse("slow down", 0.0) == []
    assert subscription.due(9.0) == []


def test_an_acknowledgement_after_a_refusal_without_a_name_is_enough() -> None:
    subscription = Subscription(ExchangeProtocol(), SYMBOLS, 1.0)
    subscription.begin()
    subscription.refuse("a product is unknown", 0.0)
    subscription.acknowledge(0.1)
    assert subscription.due(9.0) == []


def test_a_symbol_that_was_served_is_refused_for_one_connection_only() -> None:
    subscription = Subscription(ExchangeProtocol(), ["BTC-USD"], 1.0)
    subscription.begin()
    subscription.note_data()
    subscription.begin()
    assert subscription.refuse("BTC-USD is under maintenance", 0.0) == ["BTC-USD"]
    assert subscription.refuses_all
    assert not subscription.refuses_all_for_good
    assert asked(subscription.begin()) == {"BTCUSD"}
