"""The metrics history only grows, survives a cut line, and is cleared on demand."""

import pytest

from flows.errors import TrainingError
from training.reporting.history import MetricsHistory


def test_runs_are_appended_and_read_back(tmp_path):
    history = MetricsHistory(tmp_path / "deep" / "history.ndjson")
    assert history.read() == []
    history.append({"pr_auc": 0.3})
    history.append({"pr_auc": float("nan")})
    assert history.read() == [{"pr_auc": 0.3}, {"pr_auc": None}]
    assert len(history.path.read_text().splitlines()) == 2


def test_a_line_cut_by_a_kill_is_left_out(tmp_path):
    history = MetricsHistory(tmp_path / "history.ndjson")
    history.append({"run": 1})
    with history.path.open("ab") as file:
        file.write(b'{"run": 2, "pr')
    assert history.read() == [{"run": 1}]
    history.append({"run": 3})
    assert history.read() == [{"run": 1}, {"run": 3}]


def test_what_is_no_run_is_left_out(tmp_path):
    history = MetricsHistory(tmp_path / "history.ndjson")
    history.path.write_bytes(b'7\n{"run": "\xff"}\n' + b"[" * 5_000 + b"\n")
    history.append({"run": 1})
    assert history.read() == [{"run": 1}]


def test_reset_forgets_all(tmp_path):
    history = MetricsHistory(tmp_path / "history.ndjson")
    history.append({"run": 1})
    history.reset()
    history.reset()
    assert history.read() == []


def test_an_unwritable_place_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cannot write the metrics history"):
        MetricsHistory(tmp_path / "file" / "history.ndjson").append({})
