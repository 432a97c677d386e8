"""Train, prove and publish: ``python -m training.retrain --from SOURCE --target TARGET``."""

import threading
import time
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from flows import logs
from flows.errors import TrainingError
from flows.host.command import on_this_machine
from flows.host.signals import stop_on_first_signal
from flows.scoring.registry import ModelStore
from flows.settings import Settings, load_settings
from schemas.models import TargetSpec
from schemas.training import TrainingResult, encode_result
from training.console import MAX_SEED, command, progress, say, stay_challenger
from training.data.sources import parse_duration, parse_time
from training.evaluation.results import summarise
from training.experiments.continuous import run_continuously
from training.experiments.experiment import ExperimentOptions, ExperimentResult
from training.experiments.pipeline import PipelineRequest, run_pipeline
from training.experiments.trainer_metrics import TrainerMetrics
from training.mlflow_link.tracking import check_address, track
from training.reporting.history import MetricsHistory
from training.reporting.report import write_reports

if TYPE_CHECKING:
    from training.experiments.triggers import Cause, Triggers

DEFAULT_MODELS = {
    "classification": "anchored,logreg,gbt,gbt_tuned,rf",
    "regression": "ridge,gbt,mlp",
}

EXAMPLE = (
    "Example: python -m training.retrain --from simulate:2h --target volatility_spike "
    "--models logreg --publish --for-feed simulated"
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Target(StrEnum):
    """Targets that can be trained."""

    VOLATILITY_SPIKE = "volatility_spike"
    FORWARD_RETURN = "forward_return"


class Definition(StrEnum):
    """Forms of the volatility target."""

    RELATIVE = "relative"
    ABSOLUTE = "absolute"


class FeedKind(StrEnum):
    """Kind of feed that the store's champions score."""

    LIVE = "live"
    SIMULATED = "simulated"


@app.command(epilog=EXAMPLE)
def retrain(
    source: Annotated[
        list[str],
        typer.Option(
            "--from",
            help="Recording, folder of Parquet ticks, archive (a folder, or s3://BUCKET/PREFIX),"
            " kafka:ticks.raw or simulate:2h; repeatable.",
        ),
    ],
    target: Annotated[Target, typer.Option(help="What to predict.")] = Target.VOLATILITY_SPIKE,
    definition: Annotated[
        Definition, typer.Option(help="Form of the volatility target.")
    ] = Definition.RELATIVE,
    models: Annotated[
        str | None,
        typer.Option(
            help="Variants beside the baselines, comma-separated; the first is the candidate."
        ),
    ] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Put the versions into the store; ask the gate.")
    ] = False,
    for_feed: Annotated[
        FeedKind, typer.Option(help="Kind of feed that this store's champions score.")
    ] = FeedKind.LIVE,
    horizon_s: Annotated[int, typer.Option(min=1, max=86_400, help="How far ahead, seconds.")] = 60,
    lookback_s: Annotated[
        int, typer.Option(min=1, max=3600, help="The symbol's own past, seconds.")
    ] = 3600,
    percentile: Annotated[
        float, typer.Option(min=1, max=99.9, help="Of the training part, sets the level.")
    ] = 90.0,
    budget: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="Share of time that may be alerted.")
    ] = 0.05,
    folds: Annotated[int, typer.Option(min=1, max=20, help="Most walk-forward folds.")] = 4,
    embargo_s: Annotated[
        int,
        typer.Option(
            min=0, max=31_536_000, help="Between training and test, beside the horizon, seconds."
        ),
    ] = 3600,
    row_every_s: Annotated[
        float, typer.Option(min=0.001, max=86_400, help="One row per symbol and time, seconds.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Of everything random.")] = 0,
    pictures: Annotated[
        bool, typer.Option(help="Draw plots for every variant's report, not only the candidate's.")
    ] = True,
    plots: Annotated[bool, typer.Option(help="Draw plots at all, which takes seconds.")] = True,
    since: Annotated[str | None, typer.Option(help="Earliest tick, ISO time.")] = None,
    until: Annotated[str | None, typer.Option(help="End of the ticks, ISO time.")] = None,
    last: Annotated[
        str | None, typer.Option(help="Only the newest ticks, such as 6h, up to now.")
    ] = None,
    every: Annotated[
        str | None, typer.Option(help="Train continuously, such as every 10m.")
    ] = None,
    on_drift: Annotated[
        bool,
        typer.Option(
            "--on-drift",
            help="With --every: look so often, and train only on drift, decayed live quality, or"
            " where no trained model is the champion.",
        ),
    ] = False,
    cooldown: Annotated[
        str, typer.Option(help="With --on-drift: time after a run before causes give another.")
    ] = "6h",
    keep: Annotated[
        int,
        typer.Option(
            min=1, max=1_000_000, help="With --every: newest versions of each model that stay."
        ),
    ] = 20,
    history: Annotated[
        Path | None,
        typer.Option(
            callback=on_this_machine, help="Metrics history; in the store's folder by default."
        ),
    ] = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Clear the metrics history first.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(callback=on_this_machine, help="Also write all reports into this folder."),
    ] = None,
    mlflow: Annotated[
        str | None, typer.Option(help="Also log the run to this MLflow server.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option(callback=on_this_machine, help="VOLTICK_MODEL_STORE by default.")
    ] = None,
) -> None:
    """Train the variants of one target and end with one line of JSON.

    Exit codes: 0 done; 2 the data or a setting are at fault; 4 a leak alarm; 5 published, but the
    gate kept the candidate a challenger.
    """
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    if last is not None and (since is not None or until is not None):
        msg = "--last and --since/--until contradict each other; give one of them"
        raise TrainingError(msg)
    if mlflow is not None:
        check_address(mlflow)
    opened = ModelStore(settings.model_store if store is None else store)
    if publish:
        opened.check_writable()  # known before minutes of training
    kind = "regression" if target is Target.FORWARD_RETURN else "classification"
    names = DEFAULT_MODELS[kind] if models is None else models
    request = PipelineRequest(
        sources=tuple(source),
        spec=TargetSpec(
            name=target.value,
            kind="regression" if target is Target.FORWARD_RETURN else "classification",
            definition="return" if target is Target.FORWARD_RETURN else definition.value,
            horizon_s=horizon_s,
            lookback_s=lookback_s,
            percentile=percentile,
        ),
        options=ExperimentOptions(
            models=tuple(name.strip() for name in names.split(",") if name.strip()),
            folds=folds,
            embargo_s=embargo_s,
            budget=budget,
            seed=seed,
            publish=publish,
            serves=for_feed.value,
            pictures=pictures,
            plots=plots,
        ),
        from_ns=None if since is None else parse_time(since),
        to_ns=None if until is None else parse_time(until),
        last_s=None if last is None else parse_duration(last),
        row_every_s=row_every_s,
    )
    path = opened.root / "history" / f"{target.value}.ndjson" if history is None else history
    keeper = MetricsHistory(path)
    if reset:
        keeper.reset()
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)  # fail before training if it cannot be written
    once = partial(_run, request, settings, opened, report, mlflow)
    if on_drift and every is None:
        msg = "--on-drift looks now and then: say how often by --every"
        raise TrainingError(msg)
    if every is not None:
        stop = threading.Event()
        stop_on_first_signal(stop, said="stopping after this run")
        metrics = TrainerMetrics()
        metrics.listen(settings.metrics_host, settings.trainer_metrics_port, settings.allowed_hosts)
        triggers = _triggers(opened, target.value, settings, cooldown) if on_drift else None
        pinned = () if settings.model_version is None else (settings.model_version,)
        run_continuously(
            partial(_run_and_say, once, request),
            partial(opened.prune, keep, pinned) if publish else None,
            keeper,
            request.sources,
            every_s=parse_duration(every),
            stop=stop,
            due=None if triggers is None else partial(_look, triggers, target.value, metrics),
            observe=partial(_observe, triggers, target.value, metrics),
        )
        return
    outcome = once()
    say(encode_result(result_of(request, outcome)))
    if outcome.decision is not None and not outcome.decision.champion:
        stay_challenger(outcome.decision.reasons)


def result_of(request: PipelineRequest, outcome: ExperimentResult) -> TrainingResult:
    """Return the run's last line."""
    published = outcome.publication is not None
    candidate = request.options.models[0]
    return summarise(
        target=request.spec.name,
        version=outcome.versions[candidate].manifest.ref,
        published=published,
        champion=outcome.publication is not None and outcome.publication.champion,
        results=outcome.results,
        candidate=candidate,
        versions={name: one.manifest.ref for name, one in outcome.versions.items()},
    )


def _run(
    request: PipelineRequest,
    settings: Settings,
    store: ModelStore,
    report: Path | None,
    mlflow: str | None,
) -> ExperimentResult:
    with progress() as bars:
        outcome = run_pipeline(request, settings, store, bars)
    if report is not None:
        write_reports(report, outcome.reports)
    if mlflow is not None:
        track(mlflow, outcome, _parameters(request), request.options.models[0])
    return outcome


def _run_and_say(
    once: Callable[[], ExperimentResult], request: PipelineRequest
) -> tuple[TrainingResult, list[str]]:
    outcome = once()
    result = result_of(request, outcome)
    say(encode_result(result))
    return result, [] if outcome.decision is None else outcome.decision.reasons


def _triggers(store: ModelStore, target: str, settings: Settings, cooldown: str) -> "Triggers":
    """Return what looks for causes to train."""
    if settings.redis_url is None:
        msg = "--on-drift reads drift and live quality from Redis: set REDIS_URL"
        raise TrainingError(msg)
    # Here, not above: a training without --on-drift does not wait for the client's import.
    from training.experiments.triggers import Triggers

    url = settings.redis_url.get_secret_value()
    return Triggers(store, target, url, parse_duration(cooldown))


def _look(triggers: "Triggers", target: str, metrics: TrainerMetrics) -> "list[Cause]":
    """Return the causes to train now, and count them."""
    causes = triggers.look()
    for cause in causes:
        metrics.triggers.labels(target, cause.kind).inc()
    return causes


def _observe(
    triggers: "Triggers | None",
    target: str,
    metrics: TrainerMetrics,
    ended: TrainingResult | Exception,
    seconds: float,
) -> None:
    """Take note of how a run ended: a model, or the error that refused it."""
    metrics.observe(target, ended, seconds, time.time())
    if triggers is not None and not isinstance(ended, Exception):
        triggers.note_model()


def _parameters(request: PipelineRequest) -> dict[str, Any]:
    return {
        "sources": ",".join(request.sources),
        **msgspec.to_builtins(request.spec),
        **msgspec.to_builtins(request.options),
    }


if __name__ == "__main__":
    command(app)
