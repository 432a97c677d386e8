import pytest

from flows.scoring.registry import ModelStore


class Clock:
    """Time that moves when the test says so."""

    def __init__(self) -> None:
        self.now = 1_790_000_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock_ns():
    return Clock()


@pytest.fixture
def store(tmp_path, clock_ns):
    return ModelStore(tmp_path / "store", clock_ns=clock_ns)
