"""``python -m tests.bench``: how fast it is; each command ends with one line of JSON on stdout."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from flows import logs

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help=__doc__,
    epilog="Example: python -m tests.bench kernel",
)


class BrokerKind(StrEnum):
    """On which broker."""

    EMBEDDED = "embedded"
    APACHE = "apache"


class ModelKind(StrEnum):
    """With which model as champion."""

    LOGREG = "logreg"
    GBT = "gbt"


Brokers = Annotated[list[BrokerKind] | None, typer.Option(help="Repeatable. Default: both.")]


def _brokers(chosen: list[BrokerKind] | None) -> list[str]:
    return [str(kind) for kind in chosen or BrokerKind]


def _finish(result: dict[str, Any]) -> None:
    typer.echo(json.dumps(result))


@app.callback()
def prepare() -> None:
    """Keep stdout for the result: what the product logs in this process goes to stderr."""
    logs.configure(level="warning")


@app.command(epilog="Example: python -m tests.bench kernel")
def kernel() -> None:
    """Nanoseconds per tick for 1, 50 and 500 symbols."""
    from tests.bench.kernel import run

    _finish(run())


@app.command(epilog="Example: python -m tests.bench inference --store .voltick/models")
def inference(
    store: Annotated[Path | None, typer.Option(help="Time this store's models instead.")] = None,
) -> None:
    """Microseconds per row of every variant, single and batched, beside scikit-learn."""
    from tests.bench.inference import run

    _finish(run(store))


@app.command(epilog="Example: python -m tests.bench throughput --broker apache --model logreg")
def throughput(
    ticks: Annotated[int, typer.Option(min=50_000)] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    symbols: Annotated[int, typer.Option(min=1, max=500)] = 4,
    broker: Brokers = None,
    model: Annotated[list[ModelKind] | None, typer.Option(help="Default: both.")] = None,
) -> None:
    """Ticks per second of the running flow beside the pass-through of the same broker."""
    from tests.bench.throughput import run

    models = [str(kind) for kind in model or ModelKind]
    _finish(run(ticks, rounds, _brokers(broker), models, symbols))


@app.command(epilog="Example: python -m tests.bench members --partitions 8")
def members(
    ticks: Annotated[int, typer.Option(min=50_000, help="In all partitions together.")] = 2_000_000,
    partitions: Annotated[int, typer.Option(min=2, max=64)] = 2,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    symbols: Annotated[int, typer.Option(min=1, max=500)] = 4,
) -> None:
    """Ticks per second of one process, two members of a group, and two workers."""
    from tests.bench.members import run

    _finish(run(ticks, partitions, rounds, symbols))


@app.command(epilog="Example: python -m tests.bench takeover --session-ms 2000")
def takeover(
    ticks: Annotated[int, typer.Option(min=50, help="In each partition.")] = 500_000,
    partitions: Annotated[int, typer.Option(min=2, max=64, help="An even number.")] = 2,
    rounds: Annotated[int, typer.Option(min=1)] = 1,
    session_ms: Annotated[int, typer.Option(min=1_000, help="VOLTICK_SESSION_TIMEOUT_MS.")] = 6_000,
) -> None:
    """Seconds from a member's SIGKILL to its partitions' next commit, with and without standby."""
    from tests.bench.takeover import run

    _finish(run(ticks, partitions, rounds, session_ms))


@app.command(epilog="Example: python -m tests.bench profile --steps-only")
def profile(
    ticks: Annotated[int, typer.Option(min=50_000)] = 500_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    symbols: Annotated[int, typer.Option(min=1, max=500)] = 4,
    model: Annotated[list[ModelKind] | None, typer.Option(help="Default: both.")] = None,
    broker: Annotated[
        list[BrokerKind] | None, typer.Option(help="For reading and writing. Default: both.")
    ] = None,
    steps_only: Annotated[bool, typer.Option("--steps-only", help="Start no broker.")] = False,
) -> None:
    """Where the flow's time goes: microseconds per tick by step."""
    from tests.bench.profile import run

    models = [str(kind) for kind in model or ModelKind]
    _finish(run(ticks, rounds, symbols, models, [] if steps_only else _brokers(broker)))


@app.command(epilog="Example: python -m tests.bench client --batches 40")
def client(batches: Annotated[int, typer.Option(min=1)] = 200) -> None:
    """Nanoseconds per message of the Kafka client's writing, for the thread that calls it."""
    from tests.bench.client import run

    _finish(run(batches))


@app.command(epilog="Example: python -m tests.bench keeping --ticks 200000")
def keeping(
    ticks: Annotated[int, typer.Option(min=1_000)] = 400_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    symbols: Annotated[int, typer.Option(min=1, max=500)] = 4,
) -> None:
    """Microseconds per tick of candles and archive, beside decoding and features."""
    from tests.bench.keeping import run

    _finish(run(ticks, rounds, symbols))


@app.command(epilog="Example: python -m tests.bench latency --rate 1000 --seconds 10")
def latency(
    rate: Annotated[
        list[float] | None, typer.Option(min=1, help="Ticks/s. Default: 100, 1000 and 5000.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Measured at each rate.")] = 20.0,
    symbols: Annotated[int, typer.Option(min=1, max=500)] = 4,
    broker: Annotated[BrokerKind, typer.Option()] = BrokerKind.APACHE,
    model: ModelKind = ModelKind.LOGREG,
    features: Annotated[bool, typer.Option(help="Publish ticks.features too.")] = True,
) -> None:
    """Milliseconds from a tick's sending to its prediction in hand, beside the pass-through's.

    The embedded broker takes the longer the more batches it holds: there, a low rate alone will do.
    """
    from tests.bench.latency import Plan, run

    rates = list(dict.fromkeys(rate or [100.0, 1_000.0, 5_000.0]))
    plan = Plan(rates, seconds, symbols, str(model), features)
    _finish(run(plan, [str(broker)]))


@app.command(epilog="Example: python -m tests.bench swap --swaps 3 --broker embedded")
def swap(
    rate: Annotated[float, typer.Option(min=1, help="Ticks/s.")] = 5_000.0,
    swaps: Annotated[int, typer.Option(min=1)] = 10,
    broker: Brokers = None,
) -> None:
    """Seconds from an alias move to the first prediction by the new version; 1 if not clean."""
    from tests.bench.swap import run

    result = run(rate, swaps, _brokers(broker))
    _finish(result)
    if not result["ok"]:
        raise typer.Exit(1)


@app.command(epilog="Example: python -m tests.bench recovery --ticks 200000")
def recovery(
    ticks: Annotated[int, typer.Option(min=50_000, help="That the state depends on.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    broker: Brokers = None,
) -> None:
    """Seconds from start to first prediction, by part, and ticks per second rebuilt."""
    from tests.bench.recovery import run

    _finish(run(ticks, rounds, _brokers(broker)))


@app.command(epilog="Example: python -m tests.bench features --rounds 1")
def features(
    ticks: Annotated[int, typer.Option(min=10_000)] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Seconds from ticks to training's feature matrix, by source and part."""
    from tests.bench.features import run

    _finish(run(ticks, rounds))


@app.command(epilog="Example: python -m tests.bench first-minute --venv --rounds 3")
def first_minute(
    seconds: Annotated[float, typer.Option(min=1, help="How long each start is watched.")] = 60.0,
    rounds: Annotated[int, typer.Option(min=1)] = 1,
    venv: Annotated[
        bool, typer.Option("--venv", help="Install into a fresh virtual environment first.")
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Also say what the imports take.")
    ] = False,
) -> None:
    """Seconds from a first start, without any cache, until each thing can be seen."""
    from tests.bench.first_minute import run

    _finish(run(seconds, rounds, venv=venv, profile=profile))


@app.command(epilog="Example: python -m tests.bench api --seconds 5")
def api(
    seconds: Annotated[float, typer.Option(min=1, help="Of each measurement.")] = 5.0,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    beside: Annotated[
        Path | None, typer.Option(help="Another tree, whose API takes turns with this one's.")
    ] = None,
) -> None:
    """Reads of latest scores per second of the API's processor time, connections kept alive."""
    from tests.bench.api import run

    _finish(run(seconds, rounds, beside))


@app.command(epilog="Example: python -m tests.bench peers --quick --peer voltick --peer plain")
def peers(
    peer: Annotated[list[str] | None, typer.Option(help="Repeatable. Default: all.")] = None,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    seconds: Annotated[float, typer.Option(min=2, help="Of each measurement, at most.")] = 15.0,
    measure: Annotated[
        list[str] | None,
        typer.Option(help="check, throughput, latency or recovery; repeatable. Default: all."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One short round.")] = False,
    ledger: Annotated[
        Path | None, typer.Option(help="Keeps the turns taken, and is gone on from.")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Begin no turn later: go on by the same ledger.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of the peers' environments, made when needed.")
    ] = None,
    tuning: Annotated[
        str, typer.Option(help="Settings to try with one peer: name=value, by commas.")
    ] = "",
    write: Annotated[
        bool, typer.Option("--write", help="Put table and plot into tests/README.md.")
    ] = False,
) -> None:
    """Other stream processors on the same work: rate, latency, memory, and what kills do to it."""
    from tests.bench.peers.command import compare

    _finish(
        compare(
            peers=peer,
            rounds=rounds,
            seconds=seconds,
            measures=measure,
            quick=quick,
            ledger=ledger,
            minutes=minutes,
            cache=cache,
            tuning=tuning,
            write=write,
        )
    )


if __name__ == "__main__":
    app()
