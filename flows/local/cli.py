"""``python -m flows.local``: the whole system in one command."""

import sys
import time
from contextlib import closing
from typing import Annotated, Any

import msgspec
import structlog
import typer

from flows import logs
from flows.errors import VoltickError
from flows.local.background import start_background
from flows.local.child import ChildEndedError
from flows.local.launcher import (
    announce,
    end_on_signals,
    explain,
    resolve_feed,
    start_servers,
    with_feed_metrics,
    with_history,
)
from flows.local.programs import start_api, start_ingest, start_pipeline
from flows.local.progress import Progress
from flows.local.status_line import start_status_line
from flows.local.supervisor import Supervisor
from flows.runtime.ports import check_port
from flows.runtime.process import exit_code_of, report
from flows.settings import Settings, load_settings

EXAMPLE = "Example: python -m flows.local --feed simulate --symbols BTC-USD,SOL-USD --port 8080"

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(epilog=EXAMPLE)
def run(
    feed: Annotated[
        str | None,
        typer.Option(help="auto, coinbase-exchange, simulate or replay:PATH.", metavar="FEED"),
    ] = None,
    speed: Annotated[
        str | None,
        typer.Option(help="Replays: 1 keeps the recorded spacing, N divides it, max waits never."),
    ] = None,
    loop: Annotated[
        bool | None,
        typer.Option("--loop", help="Replays: start over with shifted times and ids."),
    ] = None,
    start_at: Annotated[
        float | None,
        typer.Option(
            help="Replays: send so many seconds of it at full speed first.",
            min=0.0,
            max=31_536_000.0,
        ),
    ] = None,
    until_end: Annotated[
        bool,
        typer.Option("--until-end", help="End when the last tick is scored; print a summary."),
    ] = False,
    duration: Annotated[
        float | None,
        typer.Option(help="Stop the feed after this many seconds.", min=0.001, max=31_536_000.0),
    ] = None,
    symbols: Annotated[
        str | None, typer.Option(help="Symbols of a live or simulated feed, comma-separated.")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Simulated ticks per second.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulator.")] = None,
    history: Annotated[
        int | None,
        typer.Option(
            help="Simulator: seconds of history before the live ticks.", min=0, max=86_400
        ),
    ] = None,
    api: Annotated[
        bool | None,
        typer.Option(help="Start the API and live page; without --until-end they are."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port of the API.")] = None,
    train: Annotated[
        bool | None,
        typer.Option(help="Train models in the background; never with --until-end."),
    ] = None,
) -> None:
    """Run feed, dataflow, API and what else is missing, until interrupted or to the end.

    A broker and a Redis are started where KAFKA_BOOTSTRAP_SERVERS and REDIS_URL are not set; their
    data end with the run. Options win over the environment's settings.
    """
    changes = {
        "feed": feed,
        "replay_speed": speed,
        "replay_loop": loop or None,
        "replay_from_s": start_at,
        "symbols": symbols,
        "simulate_rate_hz": rate,
        "simulate_seed": seed,
        "simulate_history_s": history,
        "api_port": port,
        "train_at_start": train,
    }
    asked = {name: value for name, value in changes.items() if value is not None}
    try:
        code = _run(asked, until_end=until_end, duration_s=duration, api=api)
    except ChildEndedError as error:
        code = error.exit_code
    except VoltickError as error:
        report(error)
        code = exit_code_of(error)
    raise typer.Exit(code)


def _run(
    changes: dict[str, Any], *, until_end: bool, duration_s: float | None, api: bool | None
) -> int:
    settings = load_settings().replace(**changes)
    logs.configure(settings.log_format, settings.log_level)
    with_api = not until_end if api is None else api
    if with_api:
        check_port(settings.api_host, settings.api_port, setting="VOLTICK_API")
    if until_end:
        return _run_until_end(settings, duration_s, api=with_api)
    return _endless(settings, duration_s, api=with_api)


def _run_until_end(settings: Settings, duration_s: float | None, *, api: bool) -> int:
    # Here, not above: a run without an end starts its servers without waiting for Kafka's client.
    from flows.local.until_end import open_from, require_end, run_until_end

    require_end(settings, duration_s)
    settings = resolve_feed(settings)(settings)
    # Before anything is started: most of what can be wrong is wrong with the file.
    with (
        closing(open_from(settings)) as feed,
        Supervisor() as supervisor,
        Progress() as progress,
    ):
        end_on_signals(supervisor)
        summary = run_until_end(
            settings, feed, supervisor, duration_s=duration_s, api=api, progress=progress
        )
    sys.stdout.write(msgspec.json.encode(summary).decode() + "\n")
    sys.stdout.flush()
    return 0


def _endless(settings: Settings, duration_s: float | None, *, api: bool) -> int:
    with Supervisor() as supervisor:
        end_on_signals(supervisor)
        began = time.monotonic()
        resolve = resolve_feed(settings)
        served = resolve(start_servers(settings, supervisor))
        if settings.kafka_bootstrap_servers is None:
            served = with_feed_metrics(with_history(served))
        start_pipeline(served, supervisor)
        start_ingest(served, supervisor)
        if api:
            start_api(served, supervisor)
        start_status_line(served, supervisor, announce(settings, served, api=api))
        start_background(served, supervisor, outcomes=api, train=served.train_at_start)
        left_s = None if duration_s is None else duration_s - (time.monotonic() - began)
        ended = supervisor.wait(left_s)
        if ended is not None:
            return explain(ended)
        structlog.get_logger().info("the time is up", duration_s=duration_s)
    return 0
