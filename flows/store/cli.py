"""List, query and report on an archive: ``python -m flows.store``."""

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
import typer

from flows.connectors.parquet.merging import ROWS, merge_topic
from flows.connectors.parquet.places import open_storage
from flows.connectors.parquet.storage import Storage
from flows.errors import ArchiveError, ConfigurationError
from flows.host.command import on_this_machine
from flows.host.terminal import wide_console
from flows.logs import configure
from flows.settings import load_settings
from flows.store.console import print_summary
from flows.store.database import connect
from flows.store.results import Format, run_query, write_rows
from flows.store.seen import read_seen, write_seen
from flows.store.selection import selection
from flows.store.snapshot import open_archive, take_snapshot
from flows.store.summary import StoreSummary, summarize
from schemas.topics import ARCHIVED

ArchiveOption = Annotated[
    str | None,
    typer.Option("--archive", help="Folder, or s3://BUCKET/PREFIX; VOLTICK_ARCHIVE if unset."),
]

_WIDTH = 200  # where the output is no terminal

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.callback(invoke_without_command=True, epilog="Example: python -m flows.store --archive ticks")
def show(
    context: typer.Context,
    archive: ArchiveOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object, for programs.")] = False,
) -> None:
    """List tables: rows (new since the last call, total), times, gaps, venues, symbols, sizes."""
    if context.invoked_subcommand is not None:
        context.obj = archive
        return
    summary = look(_storage(archive))
    if as_json:
        sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
        return
    print_summary(wide_console(_WIDTH), summary)


@app.command(epilog="Example: python -m flows.store query 'from candles' --archive ticks")
def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(help="One SELECT over the tables.")],
    archive: ArchiveOption = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="By --out's suffix if unset, else a table.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(callback=on_this_machine, help="File to write instead of stdout.")
    ] = None,
    rows: Annotated[
        int, typer.Option(min=0, max=2**31, help="Most rows of a table; 0 for all.")
    ] = 100,
) -> None:
    """Run one SELECT; it can read the archive's tables and nothing else.

    Tables are named like topics, with underscores for dots: ticks_raw, ticks_features, predictions,
    outcomes, candles; and bars. Each has a column ts, the row's time in UTC.
    """
    wanted = form or _format_of(out)
    snapshot = take_snapshot(_storage(archive or context.obj))
    with (
        tempfile.TemporaryDirectory(prefix="voltick-store-") as spill,
        connect(snapshot, spill=Path(spill)) as connection,
    ):
        count = write_rows(run_query(connection, sql), wanted, out, rows or None)
    if out is not None:
        sys.stderr.write(f"{count} rows to {out}\n")


@app.command(epilog="Example: python -m flows.store report --archive ticks --out report.pdf")
def report(
    context: typer.Context,
    archive: ArchiveOption = None,
    out: Annotated[
        Path, typer.Option(callback=on_this_machine, help="The PDF; each page is a PNG beside it.")
    ] = Path("voltick-report.pdf"),
    symbols: Annotated[str | None, typer.Option(help="Only these, comma-separated.")] = None,
    venues: Annotated[str | None, typer.Option(help="Only these, comma-separated.")] = None,
    since: Annotated[str | None, typer.Option(help="From this ISO time on, UTC.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this ISO time, UTC.")] = None,
    images: Annotated[bool, typer.Option(help="Also write each page as PNG.")] = True,
) -> None:
    """Draw candles, volume, spread, gaps and holes of every market, behind a table of them all."""
    chosen = selection(_listed(venues), _listed(symbols), since, until)
    # Drawing takes a second to import, and listing needs none of it.
    from flows.store.report import write_report

    made = write_report(_folder(archive or context.obj), out, chosen, images=images)
    beside = f", {len(made.images)} images beside it" if made.images else ""
    sys.stderr.write(f"{made.markets} markets in {made.pdf}{beside}\n")


@app.command(epilog="Example: python -m flows.store merge --archive ticks --rows 500000")
def merge(
    context: typer.Context,
    archive: ArchiveOption = None,
    rows: Annotated[
        int, typer.Option(min=1, max=2**31, help="A merged file has at least so many.")
    ] = ROWS,
    settled_days: Annotated[
        int,
        typer.Option(
            min=0, max=36_500, help="A day that ended so long ago gets a smaller file, too."
        ),
    ] = 1,
) -> None:
    """Make one file of many small ones; the archive may be read and written meanwhile.

    The small ones count no more at once, and are removed by the next call. Run one call at a time.
    """
    storage = open_storage(_folder(archive or context.obj))
    today = datetime.now(UTC).date()
    before = (today - timedelta(days=settled_days)).isoformat()
    for topic in ARCHIVED:
        done = merge_topic(storage, topic, rows=rows, settled_before=before)
        sys.stdout.write(
            f"{topic}: {done.files} files into {done.into}, {done.rows} rows; {done.removed} that"
            " were merged before are removed\n"
        )


def look(storage: Storage) -> StoreSummary:
    """Return what an archive holds, and keep it for the next call to tell what is new.

    Raises
    ------
    ArchiveError
        The archive cannot be read.
    """
    snapshot = take_snapshot(storage)
    summary = summarize(snapshot, read_seen(storage))
    try:
        write_seen(storage, {table.name: table.rows for table in summary.tables})
    except ArchiveError as error:
        structlog.get_logger().warning(
            "what is new is told against an older call", cause=str(error)
        )
    return summary


def _storage(archive: str | None) -> Storage:
    return open_archive(_folder(archive))


def _folder(archive: str | None) -> str:
    settings = load_settings()
    configure(settings.log_format, settings.log_level)
    return settings.archive if archive is None else archive


def _listed(names: str | None) -> list[str] | None:
    return None if names is None else [name.strip() for name in names.split(",") if name.strip()]


def _format_of(out: Path | None) -> Format:
    if out is None:
        return Format.TABLE
    try:
        return Format(out.suffix.removeprefix("."))
    except ValueError:
        known = ", ".join(form.value for form in Format)
        message = f"{out} does not say how rows are written; add --format ({known})"
        raise ConfigurationError(message) from None
