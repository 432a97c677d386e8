"""Ways to raise the lift, each with and without, on time never used to choose it.

``python -m training.research.ablation --from RECORDING`` evaluates each on the last 40 % of a
recording; the choices were made on what lies before. What was kept is what
``training.estimators.recipes`` ships.
"""

import itertools
from dataclasses import replace
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from flows import logs
from flows.numeric.time import NS_PER_S
from flows.settings import load_settings
from schemas.models import TargetSpec
from training.console import command, progress, say
from training.data.build import build_dataset
from training.data.dataset import Dataset
from training.data.sources import read_sources
from training.data.splits import Fold, active_time, cut_time
from training.estimators.fitted import Blend, Model
from training.estimators.preprocessing import (
    InputColumn,
    Preprocessor,
    absolute,
    log,
    log_ratio,
    raw,
)
from training.estimators.prior import HOUR
from training.estimators.recipes import (
    HAR_INPUTS,
    LOGREG_INPUTS,
    RATIO_INPUTS,
    Fit,
    Fitting,
    Recipe,
    gbt_tuned,
    logistic,
    recipes,
    with_prior,
)
from training.evaluation.cross_validation import cross_validate
from training.evaluation.results import Results, evaluate
from training.reporting.encoding import encode_json

EXAMPLE = "Example: python -m training.research.ablation --from btc.frames.ndjson.gz"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

CONFIRM_FROM = 0.6
PARTS = 4
MOST = 20_000

# The weights of one market alone (``training.research.fit_prior``), to judge the prior on the
# other.
ONLY_BTC = (0.29, 0.55, 0.86, 0.12, 0.17, 0.06, 0.29, 0.08, 0.02, 1.08)
ONLY_ETH = (0.31, 0.33, 0.94, 0.14, 0.20, 0.32, 0.44, 0.11, 0.14, 0.46)


def _weights(values: tuple[float, ...]) -> dict[InputColumn, float]:
    return dict(zip(LOGREG_INPUTS, values, strict=True))


def _hard(each: InputColumn) -> InputColumn:
    return replace(each, name=f"hard {each.name}", top=each.top[:1])


def _without(*words: str) -> tuple[InputColumn, ...]:
    return tuple(each for each in LOGREG_INPUTS if not any(word in each.name for word in words))


def _with_trees(inputs: list[InputColumn], columns: list[str], fitting: Fitting) -> Fit:
    names = {each.name for each in RATIO_INPUTS}
    plain = [each for each in inputs if each.name in names]
    linear = [each for each in inputs if each.name not in names]
    own = LogisticRegression(C=0.01, max_iter=500)
    return Blend(
        [
            Model(Preprocessor(linear, columns), own),
            Model(Preprocessor(plain, columns, scale=False), gbt_tuned(fitting.seed)),
        ],
        [0.5, 0.5],
    )


EXTRAS = (
    log_ratio("log_return_60", HOUR),
    log_ratio("log_return_300", HOUR),
    log("spread_ratio_3600"),
    log("notional_ratio_60_3600"),
    raw("jump_share_300"),
    absolute("imbalance_mean_60"),
    absolute("ofi_share_60"),
    absolute("volume_imbalance_60"),
)


def _recipe(name: str, inputs: tuple[InputColumn, ...], strength: float = 0.01) -> Recipe:
    return Recipe(name, inputs, logistic(strength), max_rows=MOST)


def ablations() -> dict[str, tuple[Recipe, Recipe]]:
    """Return each ablation as (with it, without it)."""
    plain = recipes("classification")["logreg"]
    har = _recipe("har inputs alone", HAR_INPUTS, 1.0)
    return {
        "soft logs": (plain, _recipe("hard logs", tuple(_hard(one) for one in LOGREG_INPUTS))),
        "activity": (plain, _recipe("no activity", _without("activity", "intensity"))),
        "ranges": (plain, _recipe("no ranges", _without("range"))),
        "seconds": (plain, _recipe("no 5 s and 30 s", _without("realized_vol"))),
        "hour table": (plain, _recipe("no table", _without("table"))),
        "relative only": (plain, _recipe("level", (*LOGREG_INPUTS, log(HOUR)))),
        "strong penalty": (plain, _recipe("C = 1", LOGREG_INPUTS, 1.0)),
        "book and returns": (_recipe("extras", (*LOGREG_INPUTS, *EXTRAS)), plain),
        "blend with trees": (
            Recipe("trees", LOGREG_INPUTS + RATIO_INPUTS, _with_trees, max_rows=MOST),
            plain,
        ),
        "prior of BTC": (
            Recipe("prior btc", LOGREG_INPUTS, with_prior(_weights(ONLY_BTC)), max_rows=MOST),
            plain,
        ),
        "prior of ETH": (
            Recipe("prior eth", LOGREG_INPUTS, with_prior(_weights(ONLY_ETH)), max_rows=MOST),
            plain,
        ),
        "all of it": (plain, har),
    }


def confirmation(dataset: Dataset, spec: TargetSpec, embargo_s: int = 3600) -> list[Fold]:
    """Cut the last 40 % into test parts, each trained on all before it, purged and embargoed."""
    times, active = active_time(dataset.ts_ns)
    shares = np.linspace(CONFIRM_FROM, 1.0, PARTS + 1)
    cuts = [cut_time(times, active, float(share * active[-1])) for share in shares]
    cuts[-1] += 1
    apart = (spec.horizon_s + embargo_s) * NS_PER_S
    made = []
    for number, (start, stop) in enumerate(itertools.pairwise(cuts)):
        limit = start - apart - 1
        train = np.flatnonzero(dataset.ts_ns <= limit)
        test = np.flatnonzero((dataset.ts_ns >= start) & (dataset.ts_ns < stop))
        made.append(Fold(f"part{number + 1}", train, test, limit, start, stop))
    return made


def run_ablations(dataset: Dataset, spec: TargetSpec) -> Results:
    """Evaluate all recipes of all ablations and the baselines on the confirmation parts."""
    baselines = [one for one in recipes("classification").values() if one.baseline]
    chosen = {one.name: one for one in baselines}
    for pair in ablations().values():
        chosen |= {one.name: one for one in pair}
    everyone = list(chosen.values())
    with threadpool_limits(1):
        scored = cross_validate(dataset, spec, everyone, confirmation(dataset, spec))
    return evaluate(dataset, scored, everyone, spec.kind)


@app.command(epilog=EXAMPLE)
def main(
    source: Annotated[list[str], typer.Option("--from", help="A source; repeatable.")],
) -> None:
    """Run every ablation on each source; tables on stderr, one JSON line per source on stdout."""
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    spec = TargetSpec(name="volatility_spike", kind="classification", definition="relative")
    for name in source:
        with progress() as bars:
            bars.add_task(name, total=None)
            results = run_ablations(build_dataset(read_sources([name], settings), spec), spec)
        say(_show(name, results))


def _show(name: str, results: Results) -> str:
    best = results.best(baseline=True)
    assert best is not None  # noqa: S101  # there are baselines
    table = Table("ablation", "PR-AUC with", "without", "lift of it", f"lift over {best}")
    line: dict[str, object] = {"source": name, "best_baseline": best}
    line["best_baseline_pr_auc"] = results.variants[best].quality
    for label, (one, other) in ablations().items():
        gain = results.compare(one.name, other.name)
        over = results.compare(one.name, best)
        table.add_row(
            label,
            f"{results.variants[one.name].quality:.3f}",
            f"{results.variants[other.name].quality:.3f}",
            f"{gain.lift:.3f} [{gain.lift_ci[0]:.3f}, {gain.lift_ci[1]:.3f}]",
            f"{over.lift:.3f} [{over.lift_ci[0]:.3f}, {over.lift_ci[1]:.3f}]",
        )
        line[label] = {"lift": gain.lift, "lift_ci": gain.lift_ci, "over_best": over.lift}
    Console(stderr=True, width=140).print(table)
    return encode_json(line).decode()


if __name__ == "__main__":
    command(app)
