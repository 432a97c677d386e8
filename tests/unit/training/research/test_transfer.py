"""A model is fitted on one market and tested on another, never on its own training ticks."""

from dataclasses import replace

import numpy as np
import pytest
import structlog

from flows.errors import TrainingError
from flows.numeric.time import NS_PER_S
from tests.support.synthetic import dataset
from training.data.dataset import Dataset
from training.research.transfer import whole_fold

HOURS_LATER = 24 * 3_600 * NS_PER_S


def market(name: str, later_ns: int = 0) -> Dataset:
    made = dataset(hours=1)
    return replace(made, symbols=[name], ts_ns=made.ts_ns + later_ns)


@pytest.mark.parametrize(
    "later_ns", [HOURS_LATER, -HOURS_LATER, 0], ids=["later", "older", "beside"]
)
def test_each_side_keeps_its_rows(later_ns: int) -> None:
    train, test = market("binance:BTC-USDT"), market("binance:ETH-USDT", later_ns)
    both, fold = whole_fold(train, test)
    assert len(fold.train) == len(train)
    assert len(fold.test) == len(test)
    for rows, side in ((fold.train, train), (fold.test, test)):
        np.testing.assert_array_equal(both.values[rows], side.values)
        np.testing.assert_array_equal(both.quantity[rows], side.quantity)
        assert {both.symbols[number] for number in both.symbol[rows]} == set(side.symbols)


def test_a_market_on_both_sides_at_one_time_is_refused() -> None:
    train = market("binance:BTC-USDT")
    with pytest.raises(
        TrainingError, match="binance:BTC-USDT is trained and tested on at the same"
    ):
        whole_fold(train, train)
    whole_fold(train, market("binance:BTC-USDT", HOURS_LATER))


@pytest.mark.parametrize(("later_ns", "warned"), [(0, True), (HOURS_LATER, False)])
def test_markets_of_one_time_are_said_to_move_together(later_ns: int, warned: bool) -> None:
    with structlog.testing.capture_logs() as logs:
        whole_fold(market("a:X-USD"), market("a:Y-USD", later_ns))
    assert bool(logs) is warned
