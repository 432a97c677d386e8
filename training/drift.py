"""Data quality and drift of two sets of ticks, by Evidently: ``python -m training.drift``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer

from flows import logs
from flows.errors import ModelRejectedError, TrainingError
from flows.host.command import on_this_machine
from flows.host.whole_files import whole_files
from flows.monitoring.drift import SCORE
from flows.scoring.onnx_model import OWN_FEATURES, OnnxModel
from flows.scoring.promotion import prove
from flows.scoring.registry import ModelStore
from flows.settings import Settings, load_settings
from schemas.models import FeatureReference
from training.console import command, progress, say
from training.data.feature_table import computed_tables
from training.data_quality import evidently
from training.data_quality.figures import comparable, compare, judge
from training.data_quality.rows import Rows, at_most, train_and_test, warm_rows
from training.reporting.encoding import encode_json
from training.reporting.report import when

ENVIRONMENT = Path(".voltick/evidently/environment")
PAGE, FIGURES = "drift.html", "drift.json"

Out = Annotated[
    Path, typer.Option(callback=on_this_machine, help=f"Folder for {PAGE} and {FIGURES}.")
]
Since = Annotated[str | None, typer.Option(help="Earliest tick, ISO time.")]
Until = Annotated[str | None, typer.Option(help="End of the ticks, ISO time.")]
Most = Annotated[
    int,
    typer.Option("--rows", min=200, max=10_000_000, help="At most so many rows of each side."),
]
Using = Annotated[
    Path, typer.Option(callback=on_this_machine, help="Virtual environment that holds Evidently.")
]

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help=__doc__,
    epilog="Example: python -m training.drift --reference monday --current tuesday --out report",
)


@app.callback(invoke_without_command=True)
def drift(
    context: typer.Context,
    reference: Annotated[
        list[str] | None, typer.Option(help="A source to compare with; repeatable.")
    ] = None,
    current: Annotated[
        list[str] | None, typer.Option(help="A source to compare; repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(callback=on_this_machine, help=f"Folder for {PAGE} and {FIGURES}."),
    ] = None,
    feature: Annotated[
        list[str] | None, typer.Option(help="Compare this one; repeatable. All by default.")
    ] = None,
    most: Most = 20_000,
    using: Using = ENVIRONMENT,
) -> None:
    """Compare the features of two sources."""
    if context.invoked_subcommand is not None:
        return
    if not reference or not current or out is None:
        message = "--reference, --current and --out are needed; or a command: install, train-test"
        raise TrainingError(message)
    settings = _settings()
    python = evidently.find(using)
    sides = [
        _read(source, settings, None, None, title)
        for source, title in ((reference, "the reference"), (current, "the current ticks"))
    ]
    one, two = (side.named(feature or side.columns) for side in sides)
    _report(python, at_most(one, most), at_most(two, most), {}, out)


@app.command(epilog="Example: python -m training.drift install")
def install(into: Using = ENVIRONMENT) -> None:
    """Make a virtual environment with Evidently, which wants older packages than the rest."""
    evidently.install(into)


@app.command(
    "train-test",
    epilog=(
        "Example: python -m training.drift train-test"
        " volatility_spike-logreg@20261128T071316Z-b6a3de9d --from btc.parquet --out report"
    ),
)
def train_test(
    model: Annotated[str, typer.Argument(help="NAME@VERSION of the store.")],
    source: Annotated[list[str], typer.Option("--from", help="A source; repeatable.")],
    out: Out,
    store: Annotated[
        Path | None, typer.Option(callback=on_this_machine, help="VOLTICK_MODEL_STORE by default.")
    ] = None,
    since: Since = None,
    until: Until = None,
    most: Most = 20_000,
    using: Using = ENVIRONMENT,
) -> None:
    """Compare what came after a version's training with it: its inputs, and its scores."""
    settings = _settings()
    python = evidently.find(using)
    proven = prove(ModelStore(settings.model_store if store is None else store), model)
    manifest = proven.manifest
    if manifest.feature_set == OWN_FEATURES:
        message = f"{model} scores bars, not ticks"
        raise ModelRejectedError(message)
    rows = _read(source, settings, since, until, ", ".join(source))
    one, two = (at_most(part, most) for part in train_and_test(rows, manifest))
    trained = {each.feature: each for each in manifest.reference}
    if manifest.score_reference is not None:
        trained[SCORE] = manifest.score_reference
    inputs = manifest.features
    _report(python, _scored(one, proven, inputs), _scored(two, proven, inputs), trained, out)


def _settings() -> Settings:
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    return settings


def _read(
    source: Sequence[str], settings: Settings, since: str | None, until: str | None, name: str
) -> Rows:
    with progress() as bars:
        return warm_rows(
            name, computed_tables(source, settings, since, until, f"features of {name}", bars)
        )


def _scored(rows: Rows, model: OnnxModel, inputs: Sequence[str]) -> Rows:
    scores = model.score(rows.values).astype(np.float32)
    chosen = rows.named(inputs)
    return Rows(
        rows.name,
        np.column_stack([chosen.values, scores]),
        rows.ts_ns,
        (*chosen.columns, SCORE),
    )


def _report(
    python: str,
    reference: Rows,
    current: Rows,
    trained: Mapping[str, FeatureReference],
    out: Path,
) -> None:
    figures = compare(reference, current, trained)
    columns = comparable(figures)
    if not columns:
        message = "no feature has a value on both sides; there is nothing to compare"
        raise TrainingError(message)
    made = evidently.report(python, reference.named(columns), current.named(columns))
    theirs = made.psi
    found = judge(
        [msgspec.structs.replace(each, evidently_psi=theirs.get(each.feature)) for each in figures]
    )
    sides = {
        side: {
            "name": rows.name,
            "rows": len(rows),
            "from": when(int(rows.ts_ns[0])),
            "to": when(int(rows.ts_ns[-1])),
        }
        for side, rows in (("reference", reference), ("current", current))
    }
    told = {**sides, "moved": found.moved, "drifted": found.drifted}
    out.mkdir(parents=True, exist_ok=True)
    whole = {**told, "columns": msgspec.to_builtins(found.columns), "evidently": made.figures}
    with whole_files() as unfinished:
        unfinished(out / PAGE).write_bytes(made.html)
        unfinished(out / FIGURES).write_bytes(encode_json(whole))
    unusual = [f"{each.feature} ({', '.join(each.notes)})" for each in found.columns if each.notes]
    say(encode_json({"out": str(out), **told, "unusual": unusual}).decode())


if __name__ == "__main__":
    command(app)
