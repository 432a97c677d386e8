"""Show what a running system does: ``python -m flows.status``."""

import contextlib
import sys
import time
from typing import Annotated

import msgspec
import typer
from rich.live import Live

from flows import logs
from flows.connectors.kafka.overview import BrokerView
from flows.host.command import run_command
from flows.host.terminal import wide_console
from flows.overview.look import Looker
from flows.overview.model import Overview, with_rates
from flows.overview.tables import as_tables
from flows.settings import load_settings

NOT_WELL = 1
_WIDTH = 160  # where the output is no terminal
_RATE_OVER_S = 1.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(epilog="Example: python -m flows.status --once --json")
def run(
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One object for each look, for programs.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.5, max=3_600, help="Time between two looks, seconds.")
    ] = 2.0,
) -> None:
    """Show topics, lag, owners, rates, models, live quality, drift and health, until it is ended.

    With --once the exit code is 0 where ``GET /health`` says ok, else 1.
    """
    settings = load_settings()
    logs.configure(settings.log_format, "error")
    with contextlib.ExitStack() as stack:
        broker = None
        if settings.kafka_bootstrap_servers is not None:
            broker = stack.enter_context(BrokerView(settings.kafka_config()))
        looker = Looker(settings, broker)
        if once:
            first = looker.look()
            time.sleep(_RATE_OVER_S)
            found = with_rates(looker.look(), first)
            _show(found, as_json=as_json)
            if found.health.status != "ok":
                raise typer.Exit(NOT_WELL)
        elif as_json or not sys.stdout.isatty():
            _follow_below(looker, every, as_json=as_json)
        else:
            _follow(looker, every)


def _show(overview: Overview, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.encode(overview).decode() + "\n")
        sys.stdout.flush()
        return
    wide_console(_WIDTH).print(as_tables(overview))


def _follow_below(looker: Looker, every_s: float, *, as_json: bool) -> None:
    """Print each look below the last: a file or a pipe has no screen to draw anew."""
    before = None
    while True:
        now = looker.look()
        _show(with_rates(now, before), as_json=as_json)
        before = now
        time.sleep(every_s)


def _follow(looker: Looker, every_s: float) -> None:
    before = looker.look()
    with Live(as_tables(before), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(every_s)
            now = looker.look()
            live.update(as_tables(with_rates(now, before)), refresh=True)
            before = now


if __name__ == "__main__":
    run_command(app)
