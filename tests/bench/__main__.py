"""``python -m tests.bench``: how fast it is; each command ends with one line of JSON on stdout."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)


class BrokerKind(StrEnum):
    """On which broker."""

    EMBEDDED = "embedded"
    APACHE = "apache"


class ModelKind(StrEnum):
    """With which model as champion."""

    LOGREG = "logreg"
    GBT = "gbt"


def _finish(result: dict[str, Any]) -> None:
    typer.echo(json.dumps(result))


@app.command()
def kernel() -> None:
    """Nanoseconds per tick for 1, 50 and 500 symbols."""
    from tests.bench.kernel import run

    _finish(run())


@app.command()
def inference(
    store: Annotated[Path | None, typer.Option(help="Time this store's models instead.")] = None,
) -> None:
    """Microseconds per row of every variant, single and batched, beside scikit-learn."""
    from tests.bench.inference import run

    _finish(run(store))


@app.command()
def throughput(
    ticks: Annotated[int, typer.Option(min=50_000)] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    symbols: Annotated[int, typer.Option(min=1, max=500)] = 4,
    broker: Annotated[list[BrokerKind] | None, typer.Option(help="Default: both.")] = None,
    model: Annotated[list[ModelKind] | None, typer.Option(help="Default: both.")] = None,
) -> None:
    """Ticks per second of the running flow beside the pass-through of the same broker."""
    from tests.bench.throughput import run

    brokers = [str(kind) for kind in broker or BrokerKind]
    models = [str(kind) for kind in model or ModelKind]
    _finish(run(ticks, rounds, brokers, models, symbols))


if __name__ == "__main__":
    app()
