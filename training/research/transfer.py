"""Train on one market, test on another: ``python -m training.research.transfer``."""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import structlog
import typer
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from flows import logs
from flows.errors import TrainingError
from flows.settings import load_settings
from schemas.models import TargetSpec
from training.console import command, progress, say
from training.data.build import build_dataset
from training.data.dataset import Dataset, join
from training.data.sources import read_sources
from training.data.splits import Fold
from training.estimators.recipes import Recipe, recipes
from training.evaluation.cross_validation import OutOfFold, cross_validate
from training.evaluation.results import Results, evaluate
from training.experiments.experiment import choose
from training.reporting.encoding import encode_json
from training.reporting.report import variant_table

EXAMPLE = "Example: python -m training.research.transfer --train btc.parquet --test eth.parquet"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def whole_fold(train: Dataset, test: Dataset) -> tuple[Dataset, Fold]:
    """Return both datasets as one, with a fold that trains on the first and tests on the second.

    Rows of the second may be older: the question is whether a model transfers, not whether it could
    have existed then.
    """
    _refuse_same(train, test)
    both = join([train, test])
    order = np.argsort(np.concatenate([train.ts_ns, test.ts_ns]), kind="stable")
    is_train = order < len(train)
    fold = Fold(
        "transfer",
        np.flatnonzero(is_train),
        np.flatnonzero(~is_train),
        int(train.ts_ns.max()),
        int(test.ts_ns.min()),
        int(test.ts_ns.max()) + 1,
    )
    return both, fold


def _refuse_same(train: Dataset, test: Dataset) -> None:
    """Refuse a market that stands on both sides at the same time: that would be no transfer.

    Raises
    ------
    TrainingError
        Naming the market.
    """
    for name in set(train.symbols) & set(test.symbols):
        one, two = (each.ts_ns[each.symbol == each.symbols.index(name)] for each in (train, test))
        if len(np.intersect1d(one, two)):
            msg = f"{name} is trained and tested on at the same time; give it to one of the sides"
            raise TrainingError(msg)
    if train.ts_ns.min() <= test.ts_ns.max() and test.ts_ns.min() <= train.ts_ns.max():
        structlog.get_logger().warning(
            "both sides hold the same time, and markets move together: the figures say how a model"
            " carries over to another market, not to another day"
        )


def evaluate_transfer(
    train: Dataset, test: Dataset, spec: TargetSpec, chosen: Sequence[Recipe], seed: int = 0
) -> tuple[Dataset, OutOfFold, Results]:
    """Fit every recipe on all of ``train``, level included, and evaluate it on all of ``test``."""
    both, fold = whole_fold(train, test)
    with threadpool_limits(1):
        scored = cross_validate(both, spec, chosen, [fold], seed=seed)
    return both, scored, evaluate(both, scored, chosen, spec.kind)


@app.command(epilog=EXAMPLE)
def transfer(
    train: Annotated[list[str], typer.Option("--train", help="Sources to train on.")],
    test: Annotated[list[str], typer.Option("--test", help="Sources to test on.")],
    definition: Annotated[str, typer.Option(help="relative or absolute.")] = "relative",
    models: Annotated[str, typer.Option(help="Variants.")] = "anchored,logreg,gbt,gbt_tuned,rf",
) -> None:
    """Train on one market and test on another; a table on stderr, one JSON line on stdout."""
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    spec = TargetSpec(
        name="volatility_spike",
        kind="classification",
        definition="absolute" if definition == "absolute" else "relative",
    )
    chosen = choose(recipes(spec.kind), models.split(","))
    with progress() as bars:
        task = bars.add_task("ticks, features, models", total=3)
        parts = []
        for names in (train, test):
            parts.append(build_dataset(read_sources(names, settings), spec))
            bars.advance(task)
        _, _, results = evaluate_transfer(parts[0], parts[1], spec, chosen)
        bars.advance(task)
    show(results, models.split(",")[0])
    best = results.best(baseline=True)
    line = {
        "train": train,
        "test": test,
        "prevalence": results.prevalence,
        "best_baseline": best,
        "variants": {
            name: {"pr_auc": one.quality, "pr_auc_ci": one.quality_ci}
            for name, one in results.variants.items()
        },
    }
    say(encode_json(line).decode())


def show(results: Results, candidate: str) -> None:
    """Print the table of variants on stderr."""
    content = variant_table(results, candidate)
    table = Table(*content["head"])
    for row in content["rows"]:
        table.add_row(*row["cells"])
    Console(stderr=True, width=None if Console(stderr=True).is_terminal else 200).print(table)


if __name__ == "__main__":
    command(app)
