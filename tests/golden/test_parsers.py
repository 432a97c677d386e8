"""Whole recordings in the venues' shapes against ticks worked out by hand."""

import dataclasses
import json
from pathlib import Path

import msgspec
import pytest

from flows.feeds.processor import FrameProcessor
from flows.feeds.replay import ReplayFeed
from schemas.dead_letters import DeadLetter

DATA = Path(__file__).parents[1] / "data"
NAMES = [
    "binance",
    "coinbase-advanced-ticker",
    "coinbase-advanced-trades",
    "coinbase-exchange",
    "coinbase-exchange-matches",
]


def replay(path: Path) -> tuple[dict[str, int], list[dict[str, object]], list[DeadLetter]]:
    feed = ReplayFeed(path)
    ingest = FrameProcessor.of(feed)
    ticks: list[dict[str, object]] = []
    dead: list[DeadLetter] = []
    is_whole = False
    while not is_whole:
        frames = feed.poll(5)
        is_whole = feed.finished and not frames
        messages = ingest.finish() if is_whole else ingest.process(frames)
        for key, value in messages.ticks:
            tick = json.loads(value)
            assert key.decode() == tick["symbol"]
            ticks.append(tick)
        dead += [msgspec.json.decode(value, type=DeadLetter) for _, value in messages.dead]
    return dataclasses.asdict(ingest.counts), ticks, dead


@pytest.mark.parametrize("name", NAMES)
def test_recording_gives_the_ticks_worked_out_by_hand(name: str) -> None:
    expected = json.loads((DATA / f"{name}.expected.json").read_text(encoding="utf-8"))
    counts, ticks, dead = replay(DATA / f"{name}.frames.ndjson")
    assert ticks == expected["ticks"]
    assert counts == expected["counts"]
    assert [letter.reason for letter in dead] == [letter["reason"] for letter in expected["dead"]]
    for letter, wanted in zip(dead, expected["dead"], strict=True):
        assert letter.detail.startswith(wanted["starts"])


@pytest.mark.parametrize("name", NAMES)
def test_dead_letters_keep_the_raw_bytes(name: str) -> None:
    path = DATA / f"{name}.frames.ndjson"
    texts = [json.loads(line).get("frame", "") for line in path.read_text().splitlines()]
    _, _, dead = replay(path)
    assert dead
    for letter in dead:
        assert any(letter.payload.decode() in text for text in texts)
