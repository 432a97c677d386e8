"""Continuous training outlives refusals, full disks and stores that cannot be tidied."""

import threading
from pathlib import Path

import pytest

from flows.errors import LeakError, ModelStoreError, TrainingError
from schemas.training import TrainingResult
from training.experiments.continuous import run_continuously
from training.reporting.history import MetricsHistory

RESULT = TrainingResult(target="volatility_spike", version="a@1", published=True, champion=True)


class Turns:
    """Gives or raises one thing per run, and stops at the end."""

    def __init__(self, *outcomes: object) -> None:
        self.stop = threading.Event()
        self.left = list(outcomes)

    def run(self) -> tuple[TrainingResult, list[str]]:
        outcome = self.left.pop(0)
        if not self.left:
            self.stop.set()
        if isinstance(outcome, Exception):
            raise outcome
        return RESULT, ["good"]


def go(turns: Turns, history: MetricsHistory, tidy=None) -> list[dict]:
    run_continuously(turns.run, tidy, history, ["x"], every_s=0, stop=turns.stop)
    return history.read()


@pytest.fixture
def history(tmp_path: Path) -> MetricsHistory:
    return MetricsHistory(tmp_path / "history.ndjson")


def test_a_refused_run_is_recorded_and_tried_again(history: MetricsHistory) -> None:
    first, second = go(Turns(TrainingError("too few ticks"), RESULT), history)
    assert first["error"] == "too few ticks"
    assert (second["version"], second["reasons"]) == ("a@1", ["good"])


@pytest.mark.parametrize(
    "error", [ModelStoreError("locked"), PermissionError(13, "denied")], ids=["lock", "system"]
)
def test_what_cannot_be_tidied_ends_nothing(history: MetricsHistory, error: Exception) -> None:
    def tidy() -> None:
        raise error

    entries = go(Turns(RESULT, RESULT), history, tidy)
    assert [entry["version"] for entry in entries] == ["a@1", "a@1"]


def test_a_history_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    turns = Turns(RESULT, TrainingError("no"), RESULT)
    unwritable = MetricsHistory(tmp_path / "file" / "history.ndjson")
    run_continuously(turns.run, None, unwritable, ["x"], every_s=0, stop=turns.stop)
    assert turns.left == []


def test_a_leak_ends_training_and_is_on_record(history: MetricsHistory) -> None:
    turns = Turns(LeakError("leak"), RESULT)
    with pytest.raises(LeakError):
        go(turns, history)
    assert [entry["error"] for entry in history.read()] == ["leak"]
