"""Every way in which a peer keeps the window gives the kernel's features."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from schemas.features import NAMES
from tests.bench.peers.reference import TOLERANCE, messages, rows_of, worst_difference
from tests.bench.peers.stored import push_stored
from tests.bench.peers.work import FEATURES, Window, values_of

COUNT = 900
# Slower than the peers' ticks, so that windows lose ticks as well as gain them.
SYMBOLS = 3
EVERY = 5

Push = Callable[[dict[str, Any]], list[float]]


@pytest.fixture(scope="module", name="log")
def made_log() -> list[bytes]:
    drawn = [each["value"] for batch in messages(COUNT * EVERY, SYMBOLS) for each in batch]
    return drawn[::EVERY]


def in_memory() -> Push:
    windows: dict[str, Window] = {}
    return lambda tick: windows.setdefault(tick["symbol"], Window()).push_tick(tick)


def as_bytes() -> Push:
    """Keep the state as bytes from each tick to the next."""
    states: dict[str, bytes] = {}

    def push(tick: dict[str, Any]) -> list[float]:
        state = states.get(tick["symbol"])
        window = Window() if state is None else Window.from_bytes(state)
        row = window.push_tick(tick)
        states[tick["symbol"]] = window.to_bytes()
        return row

    return push


def as_json_values() -> Push:
    """Keep each value as JSON under its key, as a state store does."""
    stores: dict[str, dict[str, str]] = {}

    def push(tick: dict[str, Any]) -> list[float]:
        store = stores.setdefault(tick["symbol"], {})

        def get(name: str) -> Any:
            return json.loads(store[name]) if name in store else None

        def put(name: str, value: Any) -> None:
            store[name] = json.dumps(value)

        return push_stored(get, put, lambda name: store.pop(name), *values_of(tick))

    return push


@pytest.mark.parametrize("keep", [in_memory, as_bytes, as_json_values])
def test_features_equal_the_kernels(log: list[bytes], keep: Callable[[], Push]) -> None:
    push = keep()
    found = np.array([push(json.loads(value)) for value in log])
    ours = rows_of(log)
    assert found.shape == (COUNT, len(FEATURES))
    assert worst_difference(found, ours) < TOLERANCE
    # Windows have let go of ticks: three symbols share 150 s of event time.
    assert ours[:, FEATURES.index("tick_count_60")].max() < COUNT / 2


def test_the_subset_is_in_the_contracts_order() -> None:
    assert list(FEATURES) == [name for name in NAMES if name in FEATURES]


def test_a_feature_that_only_one_side_defines_is_no_small_difference() -> None:
    ours = np.array([[1.0, np.nan], [1.0, 2.0]])
    one_defined = np.array([[1.0, 0.0], [1.0, 2.0]])
    near = ours + 1e-9
    assert worst_difference(one_defined, ours) == np.inf
    assert worst_difference(near, ours) == pytest.approx(1e-9, rel=1e-6)
