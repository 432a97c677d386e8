"""The proof of the polling feeds: some seeds, and that it notices what is wrong."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from flows.feeds.rest.market import Market
from tests.proof.feeds.polling import FEEDS, run


@pytest.mark.parametrize("feed", FEEDS)
def test_an_unruly_venue_costs_no_trade_and_doubles_none(feed: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda seed: run(feed, seed), range(12)))
    assert {outcome.seed: outcome.defects for outcome in outcomes if outcome.defects} == {}
    assert sum(len(outcome.faults) for outcome in outcomes) > 20


def test_the_proof_notices_a_feed_that_does_not_go_back_for_what_it_missed(monkeypatch) -> None:
    monkeypatch.setattr("flows.feeds.rest.market.MAX_PAGES", 0)
    monkeypatch.setattr("flows.feeds.rest.market.FIRST_LIMIT", 3)
    monkeypatch.setattr("flows.feeds.rest.market.MIN_LIMIT", 3)
    monkeypatch.setattr(Market, "_take", _without_limit(Market._take))
    assert any(run("binance-rest", seed).defects for seed in range(3))


def _without_limit(take):
    def taken(self, *args):
        take(self, *args)
        self._limit = 3

    return taken
