"""Trades that overtake each other, on a channel that promises all of them."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.feeds.base import Frame
from flows.feeds.binance.parse import BinanceParser
from flows.feeds.processor import FrameProcessor
from flows.feeds.reorder import HOLD_TRADES
from flows.numeric.time import NS_PER_MS, NS_PER_S
from tests.unit.feeds.support import decoded

Step = int | tuple[int, str] | None


class Play:
    """Feed trade ids, a millisecond apart, and keep id and mark of every tick."""

    def __init__(self, *, live: bool = False) -> None:
        self.now_ns = NS_PER_S
        self.found: list[tuple[int | None, bool]] = []
        self.processor = FrameProcessor(
            BinanceParser({"BTCUSDT": "BTC-USDT", "ETHUSDT": "ETH-USDT"}),
            live=live,
            clock_ns=lambda: self.now_ns,
        )

    def trade(self, trade_id: int | None, symbol: str = "BTCUSDT", **marks: bool) -> None:
        self.now_ns += NS_PER_MS
        data = {
            "e": "trade",
            "s": symbol,
            "t": trade_id,
            "p": "1",
            "q": "1",
            "T": 1_700_000_000_000,
        }
        frame = Frame(self.now_ns, json.dumps(data), **marks)
        self.take(self.processor.process([frame]))

    def take(self, messages) -> None:
        self.found += [(tick.trade_id, tick.gap) for tick in decoded(messages)]

    def ids(self) -> list[int | None]:
        return [trade_id for trade_id, _ in self.found]

    def gaps(self) -> list[int | None]:
        return [trade_id for trade_id, gap in self.found if gap]


def test_an_overtaken_trade_takes_its_place_and_is_no_gap() -> None:
    play = Play()
    for trade_id in (1, 2, 4, 5, 3, 6):
        play.trade(trade_id)
    assert play.ids() == [1, 2, 3, 4, 5, 6]
    assert play.gaps() == []


def test_a_lost_trade_is_a_gap_once_the_next_have_waited() -> None:
    play = Play()
    for trade_id in (1, 3, 4):
        play.trade(trade_id)
    assert play.ids() == [1]
    play.now_ns += 300 * NS_PER_MS
    play.trade(1, "ETHUSDT")  # any frame tells that time has passed
    assert play.found == [(1, False), (3, True), (4, False), (1, False)]


def test_each_of_two_holes_is_marked() -> None:
    play = Play()
    for trade_id in (1, 3, 5, 6):
        play.trade(trade_id)
    play.take(play.processor.finish())
    assert play.ids() == [1, 3, 5, 6]
    assert play.gaps() == [3, 5]


def test_a_burst_waits_for_some_trades_and_not_for_a_time() -> None:
    play = Play()
    play.trade(1)
    for trade_id in range(3, 3 + HOLD_TRADES):
        play.trade(trade_id)
    assert play.ids() == [1]
    play.trade(3 + HOLD_TRADES)
    assert play.ids() == [1, *range(3, 4 + HOLD_TRADES)]
    assert play.gaps() == [3]


@pytest.mark.parametrize("mark", ["fresh", "after_loss"])
def test_nothing_waits_across_a_cut(mark: str) -> None:
    play = Play()
    for trade_id in (1, 3):
        play.trade(trade_id)
    play.trade(9, "ETHUSDT", **{mark: True})
    assert play.found[:2] == [(1, False), (3, True)]


def test_repeats_of_a_waiting_trade_are_dropped() -> None:
    play = Play()
    for trade_id in (1, 3, 3, 2, 2, 3):
        play.trade(trade_id)
    assert play.ids() == [1, 2, 3]
    assert play.processor.counts.repeats == 3


def test_a_trade_without_an_id_waits_behind_those_that_came_before_it() -> None:
    play = Play()
    for trade_id in (1, 3, None, 5):
        play.trade(trade_id)
    play.take(play.processor.finish())
    assert play.found == [(1, False), (3, True), (None, False), (5, False)]


def test_a_clock_that_is_set_back_ends_the_waiting() -> None:
    play = Play()
    for trade_id in (1, 3):
        play.trade(trade_id)
    play.now_ns -= NS_PER_S // 2
    play.trade(1, "ETHUSDT")
    assert play.found[:2] == [(1, False), (3, True)]


def test_a_live_feed_that_falls_silent_lets_nothing_wait_and_a_recording_has_its_own_time() -> None:
    for live in (True, False):
        play = Play(live=live)
        for trade_id in (1, 3):
            play.trade(trade_id)
        play.take(play.processor.process([]))
        assert play.ids() == ([] if live else [1])
        play.now_ns += NS_PER_S
        play.take(play.processor.process([]))
        assert play.ids() == ([1, 3] if live else [1])


def test_the_first_trades_of_a_live_feed_wait_for_those_that_another_ingest_still_writes() -> None:
    play = Play(live=True)
    for trade_id in (8, 7, 9):
        play.trade(trade_id)
    assert play.found == []
    play.now_ns += NS_PER_S
    play.take(play.processor.process([]))
    play.trade(10)
    assert play.found == [(7, True), (8, False), (9, False), (10, False)]


@given(st.randoms(use_true_random=False))
def test_any_small_disorder_comes_out_in_order_whole_and_with_the_marks_of_what_is_lost(
    rng: random.Random,
) -> None:
    sent = [1, 2, *(each for each in range(3, 80) if rng.random() < 0.9)]
    places = [(index + rng.choice((0, 0, 0, 5.5)), index) for index in range(2, len(sent))]
    play = Play()
    for trade_id in (1, 2, *(sent[index] for _, index in sorted(places))):
        play.trade(trade_id)
    play.take(play.processor.finish())
    assert play.ids() == sent
    assert play.gaps() == [each for each in sent if each > 1 and each - 1 not in sent]
