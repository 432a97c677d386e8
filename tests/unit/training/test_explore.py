"""What is shown before a threshold is chosen is what the targets' labels are cut from."""

import dataclasses
import re

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from flows.settings import load_settings
from schemas.models import TargetSpec
from tests.support.frames import exchange_ticker, write_capture
from tests.support.processes import run
from tests.support.synthetic import dataset
from training import explore
from training.data.build import build_dataset
from training.data.sources import read_sources

ABSOLUTE = TargetSpec(name="volatility_spike", kind="classification", definition="absolute")
QUANTITIES = {"volatility ratio (relative)", "volatility (absolute)", "forward return"}


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    texts = [exchange_ticker(number) for number in range(1_200)]
    return write_capture(tmp_path_factory.mktemp("frames") / "a.frames.ndjson.gz", texts)


def call(*arguments):
    """Run the command and return what its line of JSON says, and what went to stderr."""
    words = [str(one) for one in arguments]
    result = CliRunner().invoke(explore.app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return msgspec.json.decode(result.stdout.splitlines()[-1]), result.stderr


def test_the_level_is_the_first_halfs_and_the_rates_are_counted_above_it():
    rising = dataclasses.replace(dataset(hours=4), quantity=np.arange(2_880.0))
    found = explore.explore_target(rising, 90.0)
    assert found["rows"] == 2_880
    assert found["level"] == pytest.approx(0.9 * 1_439)
    assert found["percentiles"]["50"] == pytest.approx(1_439.5)
    assert found["mean"] == pytest.approx(1_439.5)
    rates = [part["rate"] for part in found["rate_by_part"]]
    assert rates == [0, 0, 0, pytest.approx(144 / 360), 1, 1, 1, 1]
    times = [(part["from"], part["to"]) for part in found["rate_by_part"]]
    assert times == sorted(times)


def test_every_targets_quantity_is_that_of_its_dataset(recording):
    found, said = call("--from", recording, "--percentile", "80")
    assert found.keys() == QUANTITIES
    rows = build_dataset(read_sources([str(recording)], load_settings({})), ABSOLUTE)
    one = found["volatility (absolute)"]
    assert one["rows"] == len(rows) > 500
    assert one["percentiles"]["95"] == pytest.approx(np.quantile(rows.quantity, 0.95))
    half = rows.quantity[: len(rows) // 2]
    assert one["level"] == pytest.approx(np.quantile(half, 0.8))
    assert all(quantity in said for quantity in QUANTITIES)


def test_another_horizon_is_another_quantity(recording):
    minute, _ = call("--from", recording)
    longer, _ = call("--from", recording, "--horizon-s", "240")
    for name in QUANTITIES:
        assert longer[name]["rows"] < minute[name]["rows"]
        assert longer[name]["mean"] != minute[name]["mean"]


def test_the_page_holds_tables_and_plots_and_asks_nobody(recording, tmp_path):
    page = tmp_path / "new" / "explore.html"
    found, _ = call("--from", recording, "--report", page)
    text = page.read_text("utf-8")
    for name, one in found.items():
        assert f"<td>{name}</td><td>{one['rows']}</td>" in text
    assert len(re.findall(r'<img [^>]*src="data:image/png;base64,', text)) == 2 * len(QUANTITIES)
    assert "://" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--from", "nowhere.frames.ndjson"), "cannot read the recording nowhere.frames.ndjson"),
        (("--from", "simulate:1m"), "too few ticks"),
        (("--from", "simulate:1m", "--since", "today"), "'today' is no time"),
    ],
)
def test_what_cannot_be_explored_is_one_clear_line(tmp_path, arguments, message):
    done = run(["-m", "training.explore", *arguments], tmp_path, {})
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert message in line
