"""Forecast the next close of bars: ``python -m training.candles --from FILE|FOLDER|ARCHIVE``.

Gradient boosting over lagged bar features against persistence (the next close is this one) and an
autoregression (the last bar's return carried on), by the same splits, proof, gate, store and report
as the models of ticks.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import typer

from flows import logs
from flows.errors import TrainingError
from flows.host.command import on_this_machine
from flows.numeric.arrays import Float64
from flows.numeric.time import NS_PER_S
from flows.scoring.registry import ModelStore
from flows.settings import load_settings
from schemas.models import TargetSpec
from training.console import MAX_SEED, command, progress, say, stay_challenger
from training.data.bar_archive import NAMES_S
from training.data.bar_files import read_bars
from training.data.bars import LAGS, WINDOWS, Bars, bar_features, next_returns
from training.data.dataset import Dataset, join
from training.estimators.preprocessing import raw
from training.estimators.recipes import FORECASTERS, Recipe
from training.experiments.experiment import (
    ExperimentOptions,
    ExperimentResult,
    run_experiment,
    steps,
)
from training.reporting.encoding import encode_json
from training.reporting.report import write_reports

TARGET = "next_close"

EXAMPLE = "Example: python -m training.candles --from btc-1m.csv --publish"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def bar_dataset(bars: Bars) -> Dataset:
    """Return one row per bar whose next bar is known."""
    values, names = bar_features(bars)
    quantity = next_returns(bars)
    rows = np.flatnonzero(np.isfinite(quantity) & np.isfinite(values[:, 0]))
    return Dataset(
        values=values[rows].astype(np.float32),
        # A row is known at the end of its bar.
        ts_ns=bars.ts_ns[rows] + bars.interval_s * NS_PER_S,
        symbol=np.zeros(len(rows), np.int32),
        quantity=quantity[rows],
        symbols=[bars.name],
        provenance="recorded",
        sources=[bars.name],
        ticks=len(bars),
        columns=names,
    )


def bar_recipes(names: tuple[str, ...]) -> dict[str, Recipe]:
    """Return the forecasters over bar features instead of tick features."""
    inputs = tuple(raw(name) for name in names)
    first = (raw("return_lag_0"),)
    return {
        recipe.name: Recipe(
            recipe.name, first if recipe.baseline else inputs, recipe.make, recipe.baseline
        )
        for recipe in FORECASTERS
    }


def price_errors(
    series: Sequence[Bars], dataset: Dataset, outcome: ExperimentResult
) -> dict[str, dict[str, dict[str, float]]]:
    """Return RMSE and MAE of the next close in its own currency, by market and variant."""
    rows = outcome.scored.rows
    made: dict[str, dict[str, dict[str, float]]] = {}
    for bars in series:
        mine = dataset.symbol[rows] == dataset.symbols.index(bars.name)
        opened = dataset.ts_ns[rows][mine] - bars.interval_s * NS_PER_S
        close = bars.close[np.searchsorted(bars.ts_ns, opened)]
        truth = close * np.exp(dataset.quantity[rows][mine])
        made[bars.name] = {}
        for name in outcome.results.variants if mine.any() else ():
            error: Float64 = close * np.exp(outcome.scored.score(name)[mine]) - truth
            made[bars.name][name] = {
                "rmse": float(np.sqrt(np.mean(error**2))),
                "mae": float(np.mean(np.abs(error))),
            }
    return made


@app.command(epilog=EXAMPLE)
def candles(
    source: Annotated[
        list[str],
        typer.Option(
            "--from",
            help="CSV, JSON or Parquet of bars, a folder of them, or an archive (a folder, or"
            " s3://BUCKET/PREFIX); repeatable.",
        ),
    ],
    interval: Annotated[
        str | None, typer.Option(help="1s, 1m, 5m, ...: one of several that the files tell.")
    ] = None,
    models: Annotated[str, typer.Option(help="Variants; the first is the candidate.")] = (
        "gbt,ridge"
    ),
    publish: Annotated[bool, typer.Option("--publish", help="Put the versions into the store.")] = (
        False
    ),
    folds: Annotated[int, typer.Option(min=1, max=20, help="Most walk-forward folds.")] = 4,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of everything random.")] = 0,
    report: Annotated[
        Path | None, typer.Option(callback=on_this_machine, help="Also write all reports here.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(callback=on_this_machine, help="VOLTICK_MODEL_STORE by default.")
    ] = None,
) -> None:
    """Train on bars and end with one line of JSON; errors are of the next close's price."""
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    opened = ModelStore(settings.model_store if store is None else store)
    if publish:
        opened.check_writable()  # known before minutes of training
    series = read_bars(source, _interval_s(interval))
    dataset = join([bar_dataset(bars) for bars in series])
    if len(dataset) < 10 * max(*WINDOWS, *LAGS):
        msg = f"too few bars: {len(dataset)} usable of {dataset.ticks}; some thousands are needed"
        raise TrainingError(msg)
    interval_s = series[0].interval_s
    known = bar_recipes(dataset.columns)
    wanted = tuple(name.strip() for name in models.split(",") if name.strip())
    spec = TargetSpec(name=TARGET, kind="regression", definition="return", horizon_s=interval_s)
    options = ExperimentOptions(
        models=wanted,
        folds=folds,
        embargo_s=max(*WINDOWS, *LAGS) * interval_s,
        seed=seed,
        publish=publish,
    )
    with progress() as shown:
        task = shown.add_task("training", total=steps(list(known.values()), folds))
        outcome = run_experiment(
            dataset,
            spec,
            options,
            store=opened,
            created_ns=time.time_ns(),
            step=lambda what: shown.update(task, advance=1, description=f"training: {what}"),
            known=known,
        )
    if report is not None:
        write_reports(report, outcome.reports)
    say(encode_json(_line(series, dataset, outcome, wanted[0])).decode())
    if outcome.decision is not None and not outcome.decision.champion:
        stay_challenger(outcome.decision.reasons)


def _interval_s(name: str | None) -> int | None:
    if name is not None and name not in NAMES_S:
        msg = f"--interval {name!r} is unknown; it is one of {', '.join(NAMES_S)}"
        raise TrainingError(msg)
    return None if name is None else NAMES_S[name]


def _line(
    series: Sequence[Bars], dataset: Dataset, outcome: ExperimentResult, candidate: str
) -> dict[str, Any]:
    """Return the last line; prices of several markets have no common unit, so they stand apart."""
    baseline = outcome.results.best(baseline=True)
    against = outcome.results.compare(candidate, baseline) if baseline is not None else None
    metrics = msgspec.json.decode(outcome.reports[candidate]["metrics.json"])
    importances = sorted(metrics["importances"].items(), key=lambda pair: -pair[1])
    errors = price_errors(series, dataset, outcome)
    figures = {
        name: {"direction": one.metrics["direction"]}
        for name, one in outcome.results.variants.items()
    }
    if len(series) == 1:
        figures = {name: {**errors[series[0].name][name], **one} for name, one in figures.items()}
    return {
        "target": TARGET,
        "version": outcome.versions[candidate].manifest.ref,
        "published": outcome.publication is not None,
        "champion": outcome.publication is not None and outcome.publication.champion,
        "bars": sum(len(bars) for bars in series),
        "interval_s": series[0].interval_s,
        "best_baseline": baseline,
        "lift": against.lift if against else None,
        "lift_ci": against.lift_ci if against else None,
        "importances": dict(importances[:10]),
        "variants": figures,
        "markets": {
            bars.name: {
                "count": len(bars),
                "from_ns": int(bars.ts_ns[0]),
                "to_ns": int(bars.ts_ns[-1]),
                "variants": errors[bars.name],
            }
            for bars in series
        },
    }


if __name__ == "__main__":
    command(app)
