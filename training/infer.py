"""Score a recording offline, as the flow would have: ``python -m training.infer``."""

from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import pyarrow as pa
import typer

from flows import logs
from flows.errors import ModelRejectedError, TrainingError
from flows.host.command import on_this_machine
from flows.host.whole_files import whole_file
from flows.numeric.arrays import Float32, Float64
from flows.scoring.onnx_model import OWN_FEATURES, OnnxModel
from flows.scoring.promotion import prove
from flows.scoring.registry import ModelStore
from flows.settings import load_settings
from training.console import command, progress, say
from training.data.build import FeatureTable
from training.data.feature_table import computed_tables, feature_table, write_table
from training.data.ticklog import TickLog

CHUNK = 16_384
LINEAGE = 11

EXAMPLE = (
    "Example: python -m training.infer --from btc.frames.ndjson.gz --model "
    "volatility_spike-logreg@20261128T071316Z-b6a3de9d --out scores.parquet"
)

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def score_all(model: OnnxModel, values: Float32) -> Float64:
    """Score rows in the flow's chunks; float64, shape (n,)."""
    parts = [model.score(values[at : at + CHUNK]) for at in range(0, len(values), CHUNK)]
    return np.concatenate(parts) if parts else np.empty(0)


def score_table(log: TickLog, table: FeatureTable, model: OnnxModel) -> pa.Table:
    """Return lineage, flags, score and decision of every tick that the flow would output.

    Both are null where the model has no score, which makes the tick a dead letter of the flow.
    """
    rows = np.flatnonzero(table.scored)
    scores = score_all(model, table.values[rows])
    found = feature_table(log, table).select(range(LINEAGE))
    unknown = ~np.isfinite(scores)
    found = found.append_column("score", pa.array(scores, mask=unknown))
    threshold = model.manifest.threshold
    decision = (
        pa.nulls(len(rows), pa.bool_())
        if threshold is None
        else pa.array(scores >= threshold, mask=unknown)
    )
    return found.append_column("decision", decision).replace_schema_metadata(
        {"model": model.manifest.ref}
    )


@app.command(epilog=EXAMPLE)
def infer(
    source: Annotated[list[str], typer.Option("--from", help="A source; repeatable.")],
    model: Annotated[str, typer.Option(help="NAME@VERSION of the store.")],
    out: Annotated[
        Path, typer.Option(callback=on_this_machine, help="Parquet file with a score per tick.")
    ],
    store: Annotated[
        Path | None, typer.Option(callback=on_this_machine, help="VOLTICK_MODEL_STORE by default.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Earliest tick, ISO time.")] = None,
    until: Annotated[str | None, typer.Option(help="End of the ticks, ISO time.")] = None,
) -> None:
    """Score every tick with one version and end with one line of JSON."""
    if out.is_dir():
        msg = f"{out} is a folder; name a file"
        raise TrainingError(msg)
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    proven = prove(ModelStore(settings.model_store if store is None else store), model)
    if proven.manifest.feature_set == OWN_FEATURES:
        msg = f"{model} scores bars, not ticks; use python -m training.candles"
        raise ModelRejectedError(msg)
    with progress() as bars:
        tables = computed_tables(source, settings, since, until, "features and scores", bars)
        whole = pa.concat_tables([score_table(log, table, proven) for log, table in tables])
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(out) as partial:
        write_table(whole, partial)
    line = {"out": str(out), "model": model, "rows": len(whole)}
    say(msgspec.json.encode(line).decode())


if __name__ == "__main__":
    command(app)
