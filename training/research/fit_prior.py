"""Fit the prior: ``python -m training.research.fit_prior --from REC --bars FILE``.

Its output, averaged over recordings and rounded, is in :mod:`training.estimators.prior`.
"""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from flows import logs
from flows.errors import TrainingError
from flows.host.command import on_this_machine
from flows.numeric.arrays import Float64
from flows.numeric.time import NS_PER_S
from flows.settings import load_settings
from schemas.features import NAMES
from schemas.models import TargetSpec
from training.console import command, progress, say
from training.data.bar_files import read_bars
from training.data.bars import Bars
from training.data.build import build_dataset
from training.data.dataset import Dataset, thin
from training.data.sources import read_sources
from training.estimators.preprocessing import KINDS, InputColumn, Preprocessor
from training.estimators.prior import MINUTES, PRIOR_WEIGHTS
from training.evaluation.cross_validation import fit_spec, labels

# A strong penalty spreads the weight over inputs that are nearly the same.
STRENGTH = 0.001
MOST_ROWS = 40_000
PERCENTILE = 90.0

EXAMPLE = (
    "Example: python -m training.research.fit_prior --from btc.frames.ndjson.gz --bars btc-1m.csv"
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Stamp(StrEnum):
    """Which end of a bar its time names."""

    OPEN = "open"
    CLOSE = "close"


def fit_weights(
    dataset: Dataset, spec: TargetSpec, inputs: Iterable[InputColumn]
) -> dict[InputColumn, float]:
    """Return each input's weight in log odds per unit, by a logistic regression on all rows."""
    known = sorted(inputs, key=lambda each: KINDS.index(each.kind))
    needed = set().union(*(each.columns for each in known))
    columns = [name for name in NAMES if name in needed]
    rows = thin(np.arange(len(dataset)), MOST_ROWS)
    truth = labels(fit_spec(spec, dataset, np.arange(len(dataset))), dataset.quantity[rows])
    preprocessor = Preprocessor(known, columns)
    values = preprocessor.fit_transform(dataset.pick(rows, columns))
    fitted = LogisticRegression(C=STRENGTH, max_iter=500).fit(values, truth)
    weights = (fitted.coef_[0] * preprocessor.inverse_).tolist()
    return dict(zip(known, weights, strict=True))


def hour_table(bars: Bars, stamp: Stamp = Stamp.CLOSE) -> Float64:
    """Return the log odds of a burst by minute of the hour, float64, shape (60,), mean 0.

    A burst is a bar whose volatility over that of the 60 bars before it is above the 90th
    percentile; variance from the range, ``log(high / low)^2 / (4 log 2)`` (Parkinson 1980). The
    table is the mean of itself and of what is left when the hour is folded to halves and quarters:
    a minute has few hours of data, and what happens at :00 happens at :15 and :30, too.

    Raises
    ------
    TrainingError
        Some minute has no usable bar.
    """
    variance = np.log(bars.high / bars.low) ** 2 / (4 * np.log(2))
    total = np.cumsum(variance)
    past = (total[59:-1] - np.concatenate([[0.0], total[:-60]])[: len(total) - 60]) / 60
    whole = bars.ts_ns[60:] - bars.ts_ns[:-60] == 60 * bars.interval_s * NS_PER_S
    usable = whole & (past > 0)
    ratio = np.sqrt(variance[60:][usable] / past[usable])
    burst = ratio > (np.percentile(ratio, PERCENTILE) if len(ratio) else 0.0)
    opened_ns = bars.ts_ns[60:][usable] - (
        bars.interval_s * NS_PER_S if stamp is Stamp.CLOSE else 0
    )
    minute = opened_ns // (60 * NS_PER_S) % MINUTES
    bursts, known = np.bincount(minute, burst, MINUTES), np.bincount(minute, minlength=MINUTES)
    if not ((bursts > 0) & (bursts < known)).all():
        msg = (
            f"too few bars in {bars.name}: {len(ratio)} follow 60 whole ones, and some minute of"
            " the hour has no burst, or nothing but bursts"
        )
        raise TrainingError(msg)
    share = bursts / known
    odds = np.log(share / (1 - share))
    odds -= odds.mean()
    folded = [
        np.tile(odds.reshape(-1, size).mean(axis=0), MINUTES // size) for size in (60, 30, 15)
    ]
    return np.asarray(np.mean(folded, axis=0), np.float64)


def _one_market(path: Path) -> Bars:
    series = read_bars([path])
    if len(series) > 1:
        msg = f"{path} holds {' and '.join(bars.name for bars in series)}; give one market"
        raise TrainingError(msg)
    return series[0]


@app.command(epilog=EXAMPLE)
def main(
    source: Annotated[list[str], typer.Option("--from", help="A recording; repeatable.")],
    bars: Annotated[
        Path | None,
        typer.Option(callback=on_this_machine, help="One-minute bars for the hour's table."),
    ] = None,
    stamped: Annotated[
        Stamp, typer.Option(help="Whether a bar's time is its opening or its close.")
    ] = Stamp.CLOSE,
) -> None:
    """Fit the prior's weights on each recording and the hour's table on bars; one JSON line."""
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    spec = TargetSpec(name="volatility_spike", kind="classification", definition="relative")
    inputs = [each for each, _weight in PRIOR_WEIGHTS]
    weights: dict[str, dict[str, float]] = {}
    for name in source:
        with progress() as bars_shown, threadpool_limits(1):
            bars_shown.add_task(name, total=None)
            dataset = build_dataset(read_sources([name], settings), spec)
            found = fit_weights(dataset, spec, inputs)
        weights[name] = {each.name: round(found[each], 3) for each in inputs}
    means = {
        each.name: round(float(np.mean([found[each.name] for found in weights.values()])), 3)
        for each in inputs
    }
    table = [] if bars is None else np.round(hour_table(_one_market(bars), stamped), 2).tolist()
    line = {"weights": weights, "mean": means, "hour_table": table}
    say(msgspec.json.encode(line).decode())


if __name__ == "__main__":
    command(app)
