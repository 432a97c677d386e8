"""The profile's arithmetic."""

from itertools import count

import pytest

from tests.bench.profile import StepClock, raw_batches, total_us
from tests.bench.written import Written


def test_steps_are_charged_by_tick_and_warming_batches_are_not() -> None:
    times = count(0, 1_000)  # every look at the clock is 1 µs later
    clock = StepClock(skip=1, clock_ns=lambda: next(times))
    for _ in range(3):
        assert clock.timed("decode", lambda: "decoded") == "decoded"
        clock.timed("score", lambda: None)
        clock.batch_done(4)
    assert clock.us_per_tick() == {"decode": 2 / 8, "score": 2 / 8}


def test_batches_cover_every_offset_once() -> None:
    batches = raw_batches(10_000, symbols=2)
    assert [offset for batch in batches for offset in batch.offsets] == list(range(10_000))
    assert [len(batch.values) for batch in batches] == [4096, 4096, 1808]
    assert batches[-1].next_offset == 10_000


@pytest.mark.parametrize(
    ("written", "total"),
    [
        (Written.PREDICTIONS, 10.75),
        (Written.FEATURES, 17.5),
        (Written.FEATURES_BASE64, 12.0),
    ],
    ids=lambda value: value.named("flow") if isinstance(value, Written) else "",
)
def test_total_takes_the_variant_that_was_asked_for(written: Written, total: float) -> None:
    steps = {
        "decode": 1.0,
        "features": 2.0,
        "score": 3.0,
        "encode": 4.0,
        "encode_features": 10.0,
        "encode_features_base64": 5.0,
    }
    broker = {
        "consume": {"thread_us": 0.5},
        "produce": {"thread_us": 0.25},
        "produce_features": {"thread_us": 1.0},
        "produce_features_base64": {"thread_us": 0.5},
    }
    assert total_us(steps, broker, written) == total
