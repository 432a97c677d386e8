"""The pipeline: read sources, compute rows, run one experiment."""

import time
from dataclasses import dataclass, replace

import structlog
from rich.progress import Progress

from flows.features import feature_kernel
from flows.numeric.time import NS_PER_S
from flows.scoring.registry import ModelStore
from flows.settings import Settings
from schemas.features import NAMES
from schemas.models import TargetSpec
from training.data.build import build_dataset, compute_features
from training.data.sources import read_sources
from training.data.ticklog import TickLog, take, total
from training.estimators.recipes import recipes
from training.evaluation import leaks
from training.experiments.experiment import (
    ExperimentOptions,
    ExperimentResult,
    choose,
    run_experiment,
    steps,
)

MEMORY_S = 3_600
"""How far back a feature looks: the embargo that keeps test features clear of training ticks."""

FUTURE_TICKS = 20_000
FUTURE_TICKS_UNCOMPILED = 2_000


@dataclass(frozen=True, slots=True)
class PipelineRequest:
    """Sources, target and options of one pipeline run.

    Attributes
    ----------
    from_ns, to_ns
        Bounds of the ticks; None for none.
    last_s
        Instead of them: the newest seconds up to now.
    row_every_s
        One row per symbol and this many seconds.
    """

    sources: tuple[str, ...]
    spec: TargetSpec
    options: ExperimentOptions
    from_ns: int | None = None
    to_ns: int | None = None
    last_s: int | None = None
    row_every_s: float = 1.0


def run_pipeline(
    request: PipelineRequest, settings: Settings, store: ModelStore | None, bars: Progress
) -> ExperimentResult:
    """Read ticks, compute features and labels, and run the experiment.

    Raises
    ------
    VoltickError
        The sources, the data, a leak alarm or the store; nothing is published.
    """
    now_ns = time.time_ns()
    if request.options.embargo_s < MEMORY_S:
        structlog.get_logger().warning(
            "the embargo is shorter than the features' memory: the first test rows know the last"
            " training rows",
            embargo_s=request.options.embargo_s,
            memory_s=MEMORY_S,
        )
    chosen = choose(recipes(request.spec.kind), request.options.models)
    if request.last_s is not None:
        request = replace(request, from_ns=now_ns - request.last_s * NS_PER_S)
    reading = bars.add_task("reading ticks", total=None)
    logs = read_sources(request.sources, settings, from_ns=request.from_ns, to_ns=request.to_ns)
    bars.update(reading, total=1, completed=1)
    check_no_future(logs)
    computing = bars.add_task("features and labels", total=total(logs))
    dataset = build_dataset(
        logs,
        request.spec,
        every_s=request.row_every_s,
        step=lambda ticks: bars.advance(computing, ticks),
    )
    training = bars.add_task("training", total=steps(chosen, request.options.folds))

    def step(what: str) -> None:
        bars.update(training, advance=1, description=f"training: {what}")

    return run_experiment(
        dataset, request.spec, request.options, store=store, created_ns=now_ns, step=step
    )


def check_no_future(logs: list[TickLog]) -> None:
    """Check that the kernel's features do not look ahead on these ticks.

    Raises
    ------
    LeakError
        They do.
    """
    compiled = feature_kernel().load() is not None
    ticks = FUTURE_TICKS if compiled else FUTURE_TICKS_UNCOMPILED
    for log in logs[:1]:
        part = take(log.batch, slice(0, ticks))
        leaks.check_future(
            part, lambda batch: compute_features(batch).values.astype(float), list(NAMES)
        )
