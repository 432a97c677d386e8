"""Whatever a venue sends, parsers neither raise nor pass on what is no tick."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.feeds.base import Frame
from flows.feeds.capture import CaptureReader
from flows.feeds.processor import FrameProcessor
from flows.feeds.venues import parser_for
from schemas.dead_letters import DeadLetter
from schemas.feeds import VENUES
from schemas.ticks import Tick

DATA = Path(__file__).parents[2] / "data"


def samples() -> list[tuple[str, str]]:
    found = []
    for path in sorted(DATA.glob("*.frames.ndjson")):
        with CaptureReader(path) as reader:
            venue = reader.header.venue
            found += [(venue, frame.text) for block in reader.blocks() for frame in block]
    tick = Tick(symbol="A-USD", venue="simulator", ts_event_ns=1, price=1.0)
    return [*found, ("simulator", msgspec.json.encode(tick).decode())]


def is_object(text: str) -> bool:
    """Tell whether this is JSON with anything in it to replace."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


SAMPLES = samples()
OBJECTS = [(venue, text) for venue, text in SAMPLES if is_object(text)]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["nan", "-inf", "1e999", "-5", "0", str(2**64), "null", "A" * 70]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def holds(venue: str, texts: list[str]) -> None:
    ingest = FrameProcessor(parser_for(venue))
    messages = ingest.process([Frame(1, text) for text in texts])
    for key, value in messages.ticks:
        assert msgspec.json.decode(value, type=Tick).symbol == key.decode()
    for _, value in messages.dead:
        letter = msgspec.json.decode(value, type=DeadLetter)
        assert letter.venue == venue
        assert letter.detail
    counts = ingest.counts
    assert counts.frames == len(texts)
    assert counts.frames == counts.tick_frames + counts.control + counts.dead_frames
    assert counts.ticks == len(messages.ticks)
    assert counts.dead_letters == len(messages.dead) >= counts.dead_frames


@given(st.sampled_from(VENUES), st.lists(st.text(max_size=20), max_size=5))
def test_any_text(venue: str, texts: list[str]) -> None:
    holds(venue, texts)


@given(st.sampled_from(SAMPLES), st.integers(0, 500), st.integers(0, 5), st.text(max_size=3))
def test_cut_and_spliced_frames(
    sample: tuple[str, str], start: int, length: int, inserted: str
) -> None:
    venue, text = sample
    at = start % (len(text) + 1)
    holds(venue, [text[:at] + inserted + text[at + length :]])


def test_every_venue_has_a_frame_whose_values_can_be_replaced() -> None:
    assert {venue for venue, _ in OBJECTS} == {venue for venue, _ in SAMPLES}


def replaced(value: Any, path: list[int], new: Any) -> Any:
    """Return the value with the part that a path leads to replaced."""
    children = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    if not children:
        return new
    key, child = children[path[0] % len(children)]
    if len(path) > 1 and isinstance(child, dict | list):
        new = replaced(child, path[1:], new)
    if isinstance(value, dict):
        return {**value, key: new}
    return [new if index == key else each for index, each in enumerate(value)]


@given(
    st.sampled_from(OBJECTS),
    st.lists(st.integers(0, 20), min_size=1, max_size=6),
    VALUES,
)
def test_frames_with_one_value_replaced(
    sample: tuple[str, str], path: list[int], new: object
) -> None:
    venue, text = sample
    changed = json.dumps(replaced(json.loads(text), path, new))
    holds(venue, [text, changed, text])


@pytest.mark.parametrize("venue", VENUES)
def test_deeply_nested_frames(venue: str) -> None:
    holds(venue, ["[" * 100_000, '{"a":' * 100_000])
