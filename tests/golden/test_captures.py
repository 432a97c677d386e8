"""Real recordings, where present: counts and what must hold of every tick."""

import dataclasses
import json
from collections import defaultdict
from itertools import pairwise

import msgspec
import pytest

from flows.feeds.base import Frame
from flows.feeds.capture import CaptureReader
from flows.feeds.processor import FrameProcessor
from flows.feeds.replay import ReplayFeed
from schemas.ticks import Tick
from tests.support.captures import capture

# name: (frames, tick frames, ticks, gaps); no recording here has a broken frame or a repeat
COUNTS = {
    "binance_4pairs_20211011": (265, 0, 0, 0),
    "binance_btcusdt_20240808_11min": (93_078, 19_904, 19_904, 0),
    "coinbase-advanced_btc-eth_20260809_25s": (1_030, 59, 279, 0),
    "coinbase-advanced_btc_20251201_10min": (3_996, 3_996, 3_996, 0),
    "coinbase-advanced_btc_20260404_15min": (3_108, 3_108, 3_108, 0),
    "coinbase-advanced_btc_20260404_2h": (17_251, 17_251, 17_251, 0),
    "coinbase-exchange_10pairs_20210417_31s": (9_946, 99, 99, 0),
    "coinbase-exchange_btc_20251112_165s": (2_827, 2_824, 2_824, 2),
    "coinbase-exchange_eth_20210701_48h": (41_616, 41_616, 41_616, 0),
}


def replay(name: str) -> tuple[FrameProcessor, list[Tick]]:
    feed = ReplayFeed(capture(name))
    ingest = FrameProcessor.of(feed)
    decode = msgspec.json.Decoder(Tick).decode
    ticks: list[Tick] = []
    while not feed.finished:
        ticks += [decode(value) for _, value in ingest.process(feed.poll(8_192)).ticks]
    ticks += [decode(value) for _, value in ingest.finish().ticks]
    return ingest, ticks


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str) -> None:
    ingest, ticks = replay(name)
    frames, tick_frames, count, gaps = COUNTS[name]
    assert dataclasses.asdict(ingest.counts) == {
        "frames": frames,
        "tick_frames": tick_frames,
        "control": frames - tick_frames,
        "dead_frames": 0,
        "ticks": count,
        "dead_letters": 0,
        "gaps": gaps,
        "repeats": 0,
    }
    assert len(ticks) == count


@pytest.mark.parametrize("name", [name for name, (_, _, ticks, _) in COUNTS.items() if ticks])
def test_every_tick_is_plausible(name: str) -> None:
    _, ticks = replay(name)
    assert len(ticks) == COUNTS[name][2]
    by_symbol: dict[str, list[Tick]] = defaultdict(list)
    for tick in ticks:
        by_symbol[tick.symbol].append(tick)
        assert tick.price > 0
        if tick.bid is not None and tick.ask is not None:
            assert 0 < tick.bid <= tick.ask
    for own in by_symbol.values():
        ids = [tick.trade_id for tick in own]
        jumps = [
            new != old + 1 for old, new in pairwise(ids) if old is not None and new is not None
        ]
        assert jumps == [tick.gap for tick in own[1:] if tick.trade_id is not None]


def test_every_match_of_a_session_is_a_tick_once() -> None:
    """Beside them two tickers that came before the acknowledgement of ``matches``."""
    name = "coinbase-exchange_10pairs_20210417_31s"
    with CaptureReader(capture(name)) as reader:
        frames = [json.loads(frame.text) for block in reader.blocks() for frame in block]
    sent = [
        (frame["product_id"], frame["trade_id"], {"sell": 1, "buy": -1}[frame["side"]])
        for frame in frames
        if frame["type"] == "match"
    ]
    _, ticks = replay(name)
    made = [(tick.symbol, tick.trade_id, tick.side) for tick in ticks]
    assert len(sent) == 97
    assert [each for each in made if each in set(sent)] == sent
    assert len(made) - len(sent) == 2


def test_trades_lie_within_the_venues_own_quotes() -> None:
    name = "coinbase-exchange_btc_20251112_165s"
    _, ticks = replay(name)
    assert len(ticks) == COUNTS[name][2]
    for tick in ticks:
        assert tick.bid is not None
        assert tick.ask is not None
        assert tick.bid <= tick.price <= tick.ask


@pytest.mark.parametrize(
    "name",
    [
        "binance_btcusdt_20240808_11min",
        "coinbase-advanced_btc-eth_20260809_25s",
        "coinbase-exchange_10pairs_20210417_31s",
        "coinbase-exchange_btc_20251112_165s",
        "coinbase-exchange_eth_20210701_48h",
    ],
)
def test_takers_buy_at_the_ask_and_sell_at_the_bid(name: str) -> None:
    """Where a trade's price is one of its quotes (which may already be those after the trade)."""
    _, ticks = replay(name)
    right = [tick for tick in ticks if tick.price == (tick.ask if tick.side > 0 else tick.bid)]
    wrong = [tick for tick in ticks if tick.price == (tick.bid if tick.side > 0 else tick.ask)]
    assert len(right) > 50
    assert len(right) / (len(right) + len(wrong)) > 0.8


def test_ticker_frames_of_a_session_with_trades_are_never_ticks() -> None:
    name = "coinbase-advanced_btc-eth_20260809_25s"
    _, ticks = replay(name)
    assert len(ticks) == COUNTS[name][2]
    assert all(tick.trade_id is not None and tick.size is not None for tick in ticks)


def test_the_order_book_follows_the_venues_own_quotes() -> None:
    """Books kept from changes against the quotes that ``ticker`` sends beside them."""
    feed = ReplayFeed(capture("coinbase-advanced_btc-eth_20260809_25s"))
    parser = feed.parser()
    near = total = 0
    frames: list[Frame] = []
    while not feed.finished:
        frames += feed.poll(5_000)
    for frame in frames:
        message = json.loads(frame.text)
        if message["channel"] == "ticker":
            for entry in message["events"][0]["tickers"]:
                book = parser._books.get(entry["product_id"])
                if book is None:
                    continue
                bid, ask, _, _ = book.quote()
                total += 1
                near += abs(bid - float(entry["best_bid"])) < 1e-4 * bid
                assert bid < ask
        parser.parse(frame)
    assert total > 100
    assert near / total > 0.95


@pytest.mark.slow
def test_the_training_set_is_read_whole() -> None:
    ingest, ticks = replay("coinbase-advanced_btc-perp_20260105_49h")
    counts = ingest.counts
    assert (counts.frames, counts.ticks, counts.gaps) == (528_904, 528_904, 0)
    assert all(tick.bid is not None and tick.trade_id is None for tick in ticks[::1000])
