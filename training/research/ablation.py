"""Ideas to raise the lift, each tried with and without, on time never used to choose it.

``python -m training.research.ablation --from RECORDING`` judges every idea on the last 40 % of a
recording; the choices were made on what lies before. What was kept is what
``training.estimators.recipes`` ships.
"""

import itertools
from dataclasses import replace
from typing import Annotated

import msgspec
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
from training.estimators.preprocessing import Term, Terms, absolute, log, log_ratio, raw
from training.estimators.prior import HOUR
from training.estimators.recipes import (
    HAR_TERMS,
    LOGREG_TERMS,
    RATIO_TERMS,
    Fit,
    Fitting,
    Recipe,
    anchored,
    gbt_tuned,
    logistic,
    recipes,
)
from training.evaluation.cross_validation import cross_validate
from training.evaluation.results import Results, jsonable, judge

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

CONFIRM_FROM = 0.6
PARTS = 4
MOST = 20_000

# The weights of one market alone (``training.research.fit_prior``), to judge the prior on the
# other.
ONLY_BTC = (0.29, 0.55, 0.86, 0.12, 0.17, 0.06, 0.29, 0.08, 0.02, 1.08)
ONLY_ETH = (0.31, 0.33, 0.94, 0.14, 0.20, 0.32, 0.44, 0.11, 0.14, 0.46)


def _weights(values: tuple[float, ...]) -> dict[Term, float]:
    return dict(zip(LOGREG_TERMS, values, strict=True))


def _hard(term: Term) -> Term:
    return replace(term, name=f"hard {term.name}", top=term.top[:1])


def _without(*words: str) -> tuple[Term, ...]:
    return tuple(term for term in LOGREG_TERMS if not any(word in term.name for word in words))


def _with_trees(terms: list[Term], columns: list[str], fitting: Fitting) -> Fit:
    names = {term.name for term in RATIO_TERMS}
    plain = [term for term in terms if term.name in names]
    linear = [term for term in terms if term.name not in names]
    own = LogisticRegression(C=0.01, max_iter=500)
    return Blend(
        [
            Model(Terms(linear, columns), own),
            Model(Terms(plain, columns, scale=False), gbt_tuned(fitting.seed)),
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


def _recipe(name: str, terms: tuple[Term, ...], strength: float = 0.01) -> Recipe:
    return Recipe(name, terms, logistic(strength), max_rows=MOST)


def ideas() -> dict[str, tuple[Recipe, Recipe]]:
    """Return each idea as (with it, without it)."""
    plain = recipes("classification")["logreg"]
    har = _recipe("har terms alone", HAR_TERMS, 1.0)
    return {
        "soft logs": (plain, _recipe("hard logs", tuple(_hard(one) for one in LOGREG_TERMS))),
        "activity": (plain, _recipe("no activity", _without("activity", "intensity"))),
        "ranges": (plain, _recipe("no ranges", _without("range"))),
        "seconds": (plain, _recipe("no 5 s and 30 s", _without("realized_vol"))),
        "hour table": (plain, _recipe("no table", _without("table"))),
        "relative only": (plain, _recipe("level", (*LOGREG_TERMS, log(HOUR)))),
        "strong penalty": (plain, _recipe("C = 1", LOGREG_TERMS, 1.0)),
        "book and returns": (_recipe("extras", (*LOGREG_TERMS, *EXTRAS)), plain),
        "blend with trees": (
            Recipe("trees", LOGREG_TERMS + RATIO_TERMS, _with_trees, max_rows=MOST),
            plain,
        ),
        "anchor of BTC": (
            Recipe("anchor btc", LOGREG_TERMS, anchored(_weights(ONLY_BTC)), max_rows=MOST),
            plain,
        ),
        "anchor of ETH": (
            Recipe("anchor eth", LOGREG_TERMS, anchored(_weights(ONLY_ETH)), max_rows=MOST),
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


def try_ideas(dataset: Dataset, spec: TargetSpec) -> Results:
    """Judge all recipes of all ideas and the baselines on the confirmation parts."""
    baselines = [one for one in recipes("classification").values() if one.baseline]
    chosen = {one.name: one for one in baselines}
    for pair in ideas().values():
        chosen |= {one.name: one for one in pair}
    everyone = list(chosen.values())
    with threadpool_limits(1):
        scored = cross_validate(dataset, spec, everyone, confirmation(dataset, spec))
    return judge(dataset, scored, everyone, spec.kind)


@app.command()
def main(
    source: Annotated[list[str], typer.Option("--from", help="A source; repeatable.")],
) -> None:
    """Try every idea on each source; tables on stderr, one JSON line per source on stdout."""
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    spec = TargetSpec(name="volatility_spike", kind="classification", definition="relative")
    for name in source:
        with progress() as bars:
            bars.add_task(name, total=None)
            results = try_ideas(build_dataset(read_sources([name], settings), spec), spec)
        say(_show(name, results))


def _show(name: str, results: Results) -> str:
    best = results.best(baseline=True)
    assert best is not None  # noqa: S101  # there are baselines
    table = Table("idea", "PR-AUC with", "without", "lift of the idea", f"lift over {best}")
    line: dict[str, object] = {"source": name, "best_baseline": best}
    line["best_baseline_pr_auc"] = results.variants[best].quality
    for idea, (one, other) in ideas().items():
        gain = results.compare(one.name, other.name)
        over = results.compare(one.name, best)
        table.add_row(
            idea,
            f"{results.variants[one.name].quality:.3f}",
            f"{results.variants[other.name].quality:.3f}",
            f"{gain.lift:.3f} [{gain.lift_ci[0]:.3f}, {gain.lift_ci[1]:.3f}]",
            f"{over.lift:.3f} [{over.lift_ci[0]:.3f}, {over.lift_ci[1]:.3f}]",
        )
        line[idea] = {"lift": gain.lift, "lift_ci": gain.lift_ci, "over_best": over.lift}
    Console(stderr=True, width=140).print(table)
    return msgspec.json.encode(jsonable(line)).decode()


if __name__ == "__main__":
    command(app)
