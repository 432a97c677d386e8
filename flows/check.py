"""Read a topic for a while and tell what is wrong: ``python -m flows.check TOPIC --seconds 30``."""

import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from flows import logs
from flows.codec.batch import RawBatch
from flows.connectors.kafka.client import ClientConfig
from flows.connectors.kafka.keeping import losses
from flows.connectors.kafka.reader import follow_topic, group_lags, read_topic
from flows.errors import ConfigurationError
from flows.host.command import run_command
from flows.host.lossy_output import SAID_BY
from flows.host.terminal import wide_console
from flows.inspection.contracts import contract_of
from flows.inspection.findings import report_of
from flows.inspection.summary import as_tables
from flows.inspection.tally import Tally
from flows.settings import load_settings
from schemas import topics

WRONG = 1
_WIDTH = 160  # where the output is no terminal
_LEAST_S = 0.001
# The groups of the flows, behind VOLTICK_GROUP: pipeline, outcomes, candles, archive.
_GROUPS = ("", "-outcomes", "-candles", "-archive")


class Start(StrEnum):
    """Where a check begins to read."""

    BEGINNING = "beginning"
    END = "end"


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(epilog="Example: python -m flows.check ticks.raw --seconds 30")
def run(
    topic: Annotated[str, typer.Argument(help=f"One of {', '.join(topics.ALL)}.")],
    seconds: Annotated[
        float, typer.Option(min=0.1, max=86_400, help="Read for so long at most.")
    ] = 30.0,
    until_end: Annotated[
        bool,
        typer.Option("--until-end", help="Read from the beginning, end where the topic ends now."),
    ] = False,
    start: Annotated[
        Start | None, typer.Option("--from", help="end unless --until-end is said.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Gaps, late messages and repeats are wrong, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One object, for programs.")] = False,
) -> None:
    """Read committed messages, commit nothing, and report rate, symbols, order, sizes and lag.

    Exit code 0 where nothing is wrong; 1 where messages are none of the topic's, are there twice
    although they must not be, one symbol's lie in several partitions, or none came.
    """
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    contract = contract_of(topic)
    if contract is None:
        known = ", ".join((*topics.ALL, topics.REDRIVEN))
        message = f"topic {topic!r} is none of Voltick's; topics are {known}"
        raise ConfigurationError(message)
    if until_end and start is Start.END:
        message = "--until-end reads what is there; --from end begins behind it: say one of them"
        raise ConfigurationError(message)
    config = settings.kafka_config()
    tally = Tally(contract)
    began = time.monotonic()
    for batch in _batches(config, topic, seconds, until_end=until_end, start=start):
        tally.add(batch, time.time_ns())
    took_s = max(time.monotonic() - began, _LEAST_S)
    now_ns = time.time_ns()
    groups = [settings.group + suffix for suffix in _GROUPS]
    lags = group_lags(config, groups, topic)
    report = report_of(
        topic,
        tally,
        took_s,
        now_ns,
        lags,
        live=not until_end,
        strict=strict,
        losses=losses(config, topic),
    )
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        wide_console(_WIDTH).print(as_tables(report))
    if not report.ok:
        raise typer.Exit(WRONG)


def _batches(
    config: ClientConfig, topic: str, seconds: float, *, until_end: bool, start: Start | None
) -> Iterator[RawBatch]:
    end = time.monotonic() + seconds
    if not until_end:
        yield from follow_topic(config, topic, seconds, beginning=start is Start.BEGINNING)
        return
    for batch in read_topic(config, topic):
        yield batch
        if time.monotonic() > end:
            sys.stderr.write(f"{SAID_BY}{seconds:g} s are over before the end is reached\n")
            return


if __name__ == "__main__":
    run_command(app)
