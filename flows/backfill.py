"""Store what venues keep of the past: ``python -m flows.backfill --venue binance --last 2d``."""

import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from flows import logs
from flows.bars.backfill import Result, backfill, final_span
from flows.bars.span import INTERVALS_S, Span, span_of
from flows.bars.store import BarStore, Market
from flows.bars.summary import as_json, as_tables
from flows.bars.venue import BarVenue
from flows.bars.venues import VenueName, open_venue
from flows.connectors.parquet.layout import REPORTS
from flows.connectors.parquet.places import is_remote
from flows.errors import ConfigurationError
from flows.host.command import on_this_machine, run_command
from flows.host.lossy_output import SAID_BY
from flows.host.terminal import plain_console, wide_console
from flows.settings import load_settings
from flows.store.selection import Selection

FAILED = 1
_INTERRUPTED = 130
_WIDTH = 200  # where the output is no terminal

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    epilog="Example: python -m flows.backfill --venue coinbase --symbols BTC-USD,ETH-USD --last 2d"
)
def run(
    venue: Annotated[VenueName, typer.Option(help="Who is asked.")],
    symbols: Annotated[
        str | None,
        typer.Option(help="Comma-separated, such as BTC-USDT; VOLTICK_SYMBOLS if unset."),
    ] = None,
    interval: Annotated[str, typer.Option(help="1m, 5m, 15m, 1h, ...: what the venue has.")] = "1m",
    last: Annotated[
        str | None, typer.Option(help="So long before the end: 90m, 12h, 2d, 1w.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="First time, UTC: 2026-02-01 or with T12:30.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="End, not part of it; now if unset.")
    ] = None,
    archive: Annotated[
        str | None, typer.Option(help="Folder, or s3://BUCKET/PREFIX; VOLTICK_ARCHIVE if unset.")
    ] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask for stored bars again, and take over changes.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            callback=on_this_machine,
            help="Where these markets are drawn then: a PDF, and a PNG of each page. If unset, and"
            " the archive is a folder that got new bars: reports/ in it; with --json nowhere.",
        ),
    ] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Draw none.")] = False,
    as_object: Annotated[bool, typer.Option("--json", help="Tell one JSON object.")] = False,
) -> None:
    """Ask a venue for bars that the archive lacks, and store each once.

    Every page is stored when it comes, so whatever ends a run, the next goes on behind it. The
    running bar is left out. Exit code 1 where a symbol could not be had to the end.
    """
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    place = settings.archive if archive is None else archive
    store = BarStore(place)
    names = symbols.split(",") if symbols is not None else list(settings.symbols)
    with closing(open_venue(venue, settings)) as opened:
        markets = _markets(opened, names, interval)
        now_ns = time.time_ns()
        asked = span_of(start, end, last, now_ns, INTERVALS_S[interval])
        span = final_span(opened, markets[0], asked, now_ns)
        try:
            results = _backfill_all(opened, markets, span, store, refresh=refresh)
        except KeyboardInterrupt:
            sys.stderr.write(f"{SAID_BY}interrupted; what came so far is stored\n")
            raise typer.Exit(_INTERRUPTED) from None
    if as_object:
        sys.stdout.write(msgspec.json.encode(as_json(results)).decode() + "\n")
    else:
        wide_console(_WIDTH).print(as_tables(results))
    usual = None if as_object else _usual_report(place, results)
    out = None if no_report else report or usual
    if out is not None:
        _draw(place, out, results)
        if not as_object:
            sys.stdout.write(f"report: {out}\n")
    if any(result.error for result in results):
        raise typer.Exit(FAILED)


def _usual_report(place: str | Path, results: list[Result]) -> Path | None:
    """Return where a report goes that nobody asked for; None where there is nothing new to draw."""
    if is_remote(place) or not any(result.new or result.revised for result in results):
        return None
    market = results[0].market
    return Path(place) / REPORTS / f"backfill-{market.venue}-{market.interval}.pdf"


def _draw(place: str | Path, out: Path, results: list[Result]) -> None:
    """Draw the markets that have bars.

    Raises
    ------
    ConfigurationError
        The report cannot be written.
    """
    stored = tuple(result.market.symbol for result in results if result.total)
    if stored:
        # Drawing takes a second to import, and asking a venue needs none of it.
        from flows.store.report import write_report

        write_report(place, out, Selection((results[0].market.venue,), stored))


def _markets(venue: BarVenue, names: list[str], interval: str) -> list[Market]:
    """Return the markets that the options name, each once.

    Raises
    ------
    ConfigurationError, FeedError
        The venue does not have the interval, or a symbol is unusable.
    """
    if interval not in venue.intervals:
        known = ", ".join(venue.intervals)
        message = f"{venue.name} has no bars of {interval!r}; --interval is one of {known}"
        raise ConfigurationError(message)
    wanted = [name.strip() for name in names if name.strip()]
    if not wanted:
        message = "--symbols names none; write them with commas between, such as BTC-USD,ETH-USD"
        raise ConfigurationError(message)
    symbols = dict.fromkeys(venue.symbol(name) for name in wanted)
    return [Market(venue.name, symbol, interval) for symbol in symbols]


def _backfill_all(
    venue: BarVenue, markets: list[Market], span: Span, store: BarStore, *, refresh: bool
) -> list[Result]:
    console = plain_console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("pages"),
        TimeRemainingColumn(),
    )
    results = []
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        for market in markets:
            task = bars.add_task(market.symbol, total=None)

            def step(done: int, pages: int, task: TaskID = task) -> None:
                bars.update(task, completed=done, total=pages)

            results.append(
                backfill(venue, market, span, store, time.time_ns, refresh=refresh, step=step)
            )
    return results


if __name__ == "__main__":
    run_command(app)
