"""Evidently's own report over two markets and over a version's training, beside our figures."""

import json
import os
import re
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from flows.numeric.time import NS_PER_S
from flows.scoring.registry import ModelStore
from tests.support.models import tiny
from training.drift import app
from training.publishing.versions import histogram_of

EVIDENTLY = Path(os.environ.get("EVIDENTLY_VENV", ".voltick/evidently/environment")).absolute()
USING = ["--using", str(EVIDENTLY)]
COLUMNS = ("vol_ratio_60_3600", "imbalance", "gap_age_s")

pytestmark = [
    pytest.mark.skipif(
        not (EVIDENTLY / "bin" / "evidently").exists(),
        reason="Evidently's environment is not there: python -m training.drift install, or"
        " EVIDENTLY_VENV",
    ),
    pytest.mark.slow,
    pytest.mark.timeout(600),  # its imports alone take seconds of a free core
]


def report(out: Path) -> dict:
    """Return the figures, once the page is known to need no network."""
    page = (out / "drift.html").read_text("utf-8")
    outer = re.findall(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)\s*=", page)
    assert outer == []
    assert "vol_ratio_60_3600" in page
    found: dict = json.loads((out / "drift.json").read_text("utf-8"))
    return found


def test_two_sources_are_compared(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    chosen = [word for name in COLUMNS for word in ("--feature", name)]
    sources = ["--reference", "simulate:15m", "--current", "simulate:12m"]
    app([*sources, "--out", str(tmp_path), *chosen, *USING], standalone_mode=False)
    said = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert said["reference"]["rows"] > said["current"]["rows"] > 200
    assert said["unusual"] == ["gap_age_s (constant in the reference, constant in the current)"]
    found = report(tmp_path)
    assert {each["feature"] for each in found["columns"]} == set(COLUMNS)
    assert all(each["evidently_psi"] is not None for each in found["columns"])
    names = {metric["config"]["type"].split(":")[-1] for metric in found["evidently"]["metrics"]}
    assert {"DriftedColumnsCount", "ValueDrift", "MissingValueCount", "MeanValue"} <= names


def test_a_version_is_compared_with_what_came_after_its_training(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    manifest, graph = tiny(weight=1.0)
    now_ns = time.time_ns()
    trained = msgspec.structs.replace(
        manifest,
        data_from_ns=now_ns - 3600 * NS_PER_S,
        data_to_ns=now_ns - 300 * NS_PER_S,
        reference=[histogram_of("vol_ratio_60_3600", np.linspace(100, 110, 500))],
    )
    ref = ModelStore(tmp_path / "store").publish(trained, graph)
    words = ["train-test", ref, "--from", "simulate:20m", "--store", str(tmp_path / "store")]
    app([*words, "--out", str(tmp_path), *USING], standalone_mode=False)
    said = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert said["drifted"] is True
    columns = {each["feature"]: each for each in report(tmp_path)["columns"]}
    assert set(columns) == {"vol_ratio_60_3600", "score"}
    # Ours is against the version's own histogram, as in the flow, Evidently's against the rows.
    assert columns["vol_ratio_60_3600"]["psi"] > 8  # all of it lies in one of ten bins
    assert columns["vol_ratio_60_3600"]["evidently_psi"] < 8
    assert columns["score"]["evidently_psi"] is not None
