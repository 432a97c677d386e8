"""The retrain command as an operator uses it."""

import json
import subprocess
from pathlib import Path

import pytest

from flows.scoring.registry import ModelStore
from tests.support.captures import capture
from tests.support.processes import run


def retrain(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["-m", "training.retrain", "--store", str(folder / "store"), *arguments]
    return run(command, folder, {"VOLTICK_SIMULATE_RATE_HZ": "4"}, deadline_s=170)


@pytest.mark.slow
def test_two_simulated_hours_give_a_model_that_never_serves_a_live_feed(tmp_path):
    done = retrain(tmp_path, "--from", "simulate:2h", "--models", "anchored", "--publish")
    assert done.returncode == 5, done.stderr
    assert "never champion of a live feed" in done.stderr
    line = json.loads(done.stdout.splitlines()[-1])
    assert line["published"]
    assert not line["champion"]
    assert line["version"].startswith("volatility_spike-anchored@")
    assert set(line["variants"]) == {"last_minute", "zscore", "ewma", "har", "anchored"}
    aliases = ModelStore(tmp_path / "store").aliases("volatility_spike")
    assert aliases.champion is None
    assert line["version"] in aliases.challengers


def test_too_short_a_simulation_is_one_clear_line_and_nothing_published(tmp_path):
    done = retrain(tmp_path, "--from", "simulate:20m", "--publish")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("voltick: too few ticks: 1")
    assert not (tmp_path / "store" / "models").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "nowhere.ndjson"), "cannot read the recording nowhere.ndjson"),
        (("--from", "simulate", "--models", "lstm"), "unknown variant lstm; known are"),
        (("--from", "simulate", "--since", "today"), "'today' is no time"),
        (("--from", "simulate:2w"), "'2w' is no duration"),
    ],
)
def test_wrong_arguments_are_one_clear_line(tmp_path, arguments, message):
    done = retrain(tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_real_recording_is_learned_from_and_reported(tmp_path):
    source = capture("coinbase-advanced_btc_20260404_2h")
    done = retrain(
        tmp_path,
        *("--from", str(source), "--models", "anchored", "--report", str(tmp_path / "report")),
    )
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout.splitlines()[-1])
    assert not line["published"]
    assert 0 < line["prevalence"] < 0.5
    assert (tmp_path / "report" / "anchored" / "report.html").stat().st_size > 50_000
