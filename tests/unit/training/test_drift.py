"""The command of drift where Evidently is not there, and its environment."""

from pathlib import Path

import pytest

from flows.errors import TrainingError
from training.data_quality import evidently
from training.drift import app
from training.feature_store import environment


def pins(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert all(line.count("==") == 1 for line in lines)
    return {
        name.lower().replace("_", "-"): version
        for name, version in (line.split("==") for line in lines)
    }


def test_the_environment_is_pinned_and_one_can_serve_feast_too() -> None:
    own, other = pins(evidently.PINS), pins(environment.PINS)
    assert "evidently" in own
    both = own.keys() & other.keys()
    assert {name: own[name] for name in both} == {name: other[name] for name in both}


def test_what_is_missing_is_named_with_the_command_that_brings_it(tmp_path: Path) -> None:
    using = ["--using", str(tmp_path)]
    sources = ["--reference", "simulate:20m", "--current", "simulate:20m", "--out", "out"]
    with pytest.raises(TrainingError, match=r"training\.drift install"):
        app([*sources, *using], standalone_mode=False)
    words = ["train-test", "a@1", "--from", "simulate:20m", "--out", "out"]
    with pytest.raises(TrainingError, match=r"training\.drift install"):
        app([*words, *using], standalone_mode=False)
    with pytest.raises(TrainingError, match="--reference, --current and --out are needed"):
        app(["--reference", "simulate:20m"], standalone_mode=False)
