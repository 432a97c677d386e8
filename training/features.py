"""Features as Parquet: ``python -m training.features --from SOURCE --out FOLDER [--labels]``."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from flows import logs
from flows.errors import TrainingError
from flows.host.command import on_this_machine
from flows.host.whole_files import whole_files
from flows.settings import load_settings
from schemas.features import FEATURE_SET
from training.console import command, progress, say
from training.data.feature_table import computed_tables, feature_table, write_table

EXAMPLE = "Example: python -m training.features --from btc.frames.ndjson.gz --out features --labels"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(epilog=EXAMPLE)
def features(
    source: Annotated[list[str], typer.Option("--from", help="A source; repeatable.")],
    out: Annotated[Path, typer.Option(callback=on_this_machine, help="Folder; one file per log.")],
    labels: Annotated[
        bool, typer.Option("--labels", help="Also what became of each tick, null where unknown.")
    ] = False,
    since: Annotated[str | None, typer.Option(help="Earliest tick, ISO time.")] = None,
    until: Annotated[str | None, typer.Option(help="End of the ticks, ISO time.")] = None,
) -> None:
    """Write features of every tick as Parquet and end with one line of JSON."""
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    if out.is_file():
        msg = f"{out} is a file; name a new folder"
        raise TrainingError(msg)
    if out.exists() and any(out.iterdir()):
        msg = f"{out} is not empty; name a new folder"
        raise TrainingError(msg)
    files = rows = 0
    out.mkdir(parents=True, exist_ok=True)
    with progress() as bars, whole_files() as unfinished:
        for log, computed in computed_tables(source, settings, since, until, "features", bars):
            table = feature_table(log, computed, labels=labels)
            write_table(table, unfinished(out / f"features-{files:04d}.parquet"))
            files += 1
            rows += len(table)
    line = {"out": str(out), "files": files, "rows": rows, "feature_set": FEATURE_SET}
    say(msgspec.json.encode(line).decode())


if __name__ == "__main__":
    command(app)
