import pytest

from flows.scoring.registry import ModelStore
from flows.scoring.scorer import Scorer
from tests.support.scorer import FORWARD, SPIKE, Background, Seconds


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


@pytest.fixture
def clock():
    return Seconds()


@pytest.fixture
def background():
    return Background()


@pytest.fixture
def scorer_of(store, clock, background):
    def make(targets=(SPIKE, FORWARD), **options):
        return Scorer(store, targets, clock=clock, run_in_background=background, **options)

    return make
