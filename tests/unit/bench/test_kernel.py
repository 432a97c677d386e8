"""What the kernel's rounds go through."""

import pytest

from flows.codec.batch import TickBatch
from tests.bench import kernel


class Recorder:
    """A state that notes the batches that it was given."""

    nbytes = 3_000_000

    def __init__(self) -> None:
        self.batches: list[TickBatch] = []

    def update(self, batch: TickBatch) -> None:
        self.batches.append(batch)


@pytest.mark.parametrize("size", [1, 64, 1024])
def test_rounds_follow_the_filling_without_gap_in_batches_as_asked(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = Recorder()
    monkeypatch.setattr(kernel, "FeatureState", lambda: state)
    cost = kernel.cost_of(2, 100.0, size, rounds=2, round_s=200)
    sizes = [len(batch) for batch in state.batches]
    assert [int(k) for batch in state.batches for k in batch.offset] == list(range(60_000))
    filling = [kernel.CHUNK_TICKS, 20_000 - kernel.CHUNK_TICKS]
    assert sizes[:2] == filling
    assert max(sizes[2:]) == size
    assert cost.state_mb == 3.0
    assert 0 < cost.least_ns <= cost.median_ns
