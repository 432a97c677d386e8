"""Put mended dead letters back on ``ticks.raw``, once each: ``python -m flows.redrive``.

``export`` writes dead letters as lines of JSON; an operator mends the payloads; ``put`` writes
them back. The id of each dead letter that went back is written to a topic of its own, in the same
transaction as its tick: a repeated or killed ``put`` neither repeats nor loses one.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
import typer
from confluent_kafka import KafkaException, Producer

from flows.codec.batch import RawBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.codec.validity import newest_after
from flows.connectors.kafka.admin import ensure_topics
from flows.connectors.kafka.client import (
    ClientConfig,
    client_config,
    kafka_error,
    produce_all,
    unreachable,
)
from flows.connectors.kafka.permissions import require_allowed
from flows.connectors.kafka.reader import read_topic
from flows.errors import BrokerError, ConfigurationError
from flows.host.command import on_this_machine, run_command
from flows.host.whole_files import whole_file
from flows.logs import configure
from flows.numeric.time import NS_PER_S
from flows.settings import Settings, load_settings
from schemas import topics
from schemas.dead_letters import DeadLetter, Reason
from schemas.decoding import UNREADABLE
from schemas.features import LATE_LIMIT_S
from schemas.ticks import Tick

ANSWER_LIMIT_S = 30.0


class ExportedDeadLetter(msgspec.Struct, frozen=True):
    """One line of the exported file; ``put`` uses ``id`` and ``payload``.

    Attributes
    ----------
    id
        ``partition-offset`` on ``dead.letters``.
    payload
        The refused message as text; bytes that are not UTF-8 are shown as U+FFFD.
    """

    id: str
    payload: str
    reason: str = ""
    detail: str = ""


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help=__doc__,
    epilog="Example: python -m flows.redrive export --out dead.ndjson",
)


@app.command(epilog="Example: python -m flows.redrive export --out dead.ndjson --reason bad_price")
def export(
    out: Annotated[
        Path, typer.Option(callback=on_this_machine, help="File to write, one JSON object a line.")
    ],
    reason: Annotated[list[Reason] | None, typer.Option(help="Only these reasons.")] = None,
) -> None:
    """Write the dead letters that came from ticks.raw and have not been put back to a file."""
    settings = _settings()
    config = settings.kafka_config()
    done = _redriven(config, settings)
    count = 0
    try:
        with whole_file(out) as partial, partial.open("wb") as file:
            for exported, dead in _dead_letters(config):
                wanted = reason is None or dead.reason in reason
                if wanted and dead.topic == topics.TICKS_RAW and exported.id not in done:
                    file.write(msgspec.json.encode(exported) + b"\n")
                    count += 1
    except OSError as error:
        message = f"cannot write {out}: {error.strerror}"
        raise ConfigurationError(message) from None
    typer.echo(msgspec.json.encode({"exported": count, "file": str(out)}).decode())


@app.command(epilog="Example: python -m flows.redrive put mended.ndjson")
def put(
    file: Annotated[Path, typer.Argument(callback=on_this_machine, help="The mended file.")],
    *,
    accept_restart: Annotated[
        bool,
        typer.Option(
            help="Also put back ticks over 60 s older than their symbol's newest, which makes the"
            " flow forget the symbol's memory."
        ),
    ] = False,
) -> None:
    """Put mended dead letters back on ticks.raw, the whole file in one transaction, once each."""
    settings = _settings()
    config = settings.kafka_config()
    allowed = settings.allowed
    ticks = [(exported, mended_tick(exported, allowed)) for exported in read_dead_letters(file)]
    ensure_topics(config, [topics.REDRIVEN], 1, settings.replication_factor)
    require_allowed(config, writes=(topics.TICKS_RAW, topics.REDRIVEN))
    producer = _take_over(config, settings)  # first, so that what is read next is not outdated
    if not accept_restart:
        refuse_restarts(ticks, _newest(config, {tick.symbol for _exported, tick in ticks}))
    done = _redriven(config, settings)
    fresh = [(exported, tick) for exported, tick in ticks if exported.id not in done]
    if fresh:
        _produce(producer, config, fresh)
    result = {"put": len(fresh), "already_put": len(ticks) - len(fresh)}
    typer.echo(msgspec.json.encode(result).decode())


def read_dead_letters(file: Path) -> list[ExportedDeadLetter]:
    """Return the file's dead letters, each id once.

    Raises
    ------
    ConfigurationError
        The file cannot be read, or a line is no exported dead letter or repeats an id; the
        message names the line.
    """
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}"
        raise ConfigurationError(message) from None
    found: dict[str, ExportedDeadLetter] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            exported = msgspec.json.decode(line, type=ExportedDeadLetter)
        except UNREADABLE as error:
            message = f"{file}, line {number}: not an exported dead letter: {error}"
            raise ConfigurationError(message) from None
        if exported.id in found:
            message = f"{file}, line {number}: {exported.id} is there twice"
            raise ConfigurationError(message)
        found[exported.id] = exported
    return list(found.values())


def mended_tick(
    exported: ExportedDeadLetter,
    allowed: frozenset[str],
    now_ms: Callable[[], float] = lambda: time.time() * 1000,
) -> Tick:
    """Return the tick that the flow will see.

    Parameters
    ----------
    allowed
        ``VOLTICK_ALLOWED_SYMBOLS``; empty for all.
    now_ms
        The message's future timestamp in Kafka, milliseconds since the UNIX epoch.

    Raises
    ------
    ConfigurationError
        The payload would die again.
    """
    payload = exported.payload.encode("utf-8", "surrogatepass")
    raw = RawBatch(0, [payload], [0], [int(now_ms())], 1)
    batch, dead = decode(raw, SymbolTable(), topics.TICKS_RAW, allowed)
    if dead:
        message = f"dead letter {exported.id} is not mended: {dead[0].reason}: {dead[0].detail}"
        raise ConfigurationError(message)
    [tick] = batch.ticks
    return tick


def refuse_restarts(
    ticks: Iterable[tuple[ExportedDeadLetter, Tick]], newest_ns: Mapping[tuple[str, str], int]
) -> None:
    """Refuse ticks whose age would make the flow forget their symbol's memory.

    Parameters
    ----------
    newest_ns
        Newest event time by (venue, symbol), nanoseconds since the UNIX epoch.

    Raises
    ------
    ConfigurationError
    """
    for exported, tick in ticks:
        newest = newest_ns.get((tick.venue, tick.symbol))
        if newest is None or tick.ts_event_ns >= newest - LATE_LIMIT_S * NS_PER_S:
            continue
        age_s = (newest - tick.ts_event_ns) / NS_PER_S
        message = (
            f"dead letter {exported.id}: its tick is {age_s:.0f} s older than the newest of"
            f" {tick.symbol}; put back, it would make the flow forget that symbol's memory: leave"
            " it out, or say --accept-restart"
        )
        raise ConfigurationError(message)


def newest_times(ticks: Iterable[Tick]) -> dict[tuple[str, str], int]:
    """Return what the flow takes for the newest event time by (venue, symbol), nanoseconds.

    Parameters
    ----------
    ticks
        In the order of the log.
    """
    newest: dict[tuple[str, str], int] = {}
    for tick in ticks:
        key, ts_ns = (tick.venue, tick.symbol), tick.ts_event_ns
        newest[key] = newest_after(newest.get(key, ts_ns), ts_ns)
    return newest


def _dead_letters(config: ClientConfig) -> Iterator[tuple[ExportedDeadLetter, DeadLetter]]:
    decoder = msgspec.json.Decoder(DeadLetter)
    for batch in read_topic(config, topics.DEAD_LETTERS):
        for offset, value in zip(batch.offsets, batch.values, strict=True):
            try:
                dead = decoder.decode(value)
            except UNREADABLE as error:
                at = f"{batch.partition}-{offset}"
                structlog.get_logger().warning("no dead letter", id=at, cause=str(error))
                continue
            text = dead.payload.decode("utf-8", "replace")
            exported = ExportedDeadLetter(
                f"{batch.partition}-{offset}", text, str(dead.reason), dead.detail
            )
            yield exported, dead


def _newest(config: ClientConfig, symbols: AbstractSet[str]) -> dict[tuple[str, str], int]:
    """Return the newest event time of some symbols by (venue, symbol), in nanoseconds."""
    table, wanted = SymbolTable(), frozenset(symbols)
    return newest_times(
        tick
        for raw in read_topic(config, topics.TICKS_RAW)
        for tick in decode(raw, table, topics.TICKS_RAW, wanted)[0].ticks
    )


def _redriven(config: ClientConfig, settings: Settings) -> set[str]:
    ensure_topics(config, [topics.REDRIVEN], 1, settings.replication_factor)
    return {
        value.decode("utf-8", "replace")  # no id of ours, if it is not UTF-8
        for batch in read_topic(config, topics.REDRIVEN)
        for value in batch.values
    }


def _take_over(config: ClientConfig, settings: Settings) -> Producer:
    """Return a producer that has fenced any other ``put``; what that had open stays unseen."""
    producer = Producer(
        client_config(
            config,
            transactional_id=f"{settings.group}-redrive",
            retry_backoff_ms=2,
            partitioner="murmur2",  # as ingest does: a symbol's ticks share a partition
        )
    )
    try:
        producer.init_transactions(ANSWER_LIMIT_S)
    except KafkaException as error:
        raise unreachable(config, kafka_error(error).str()) from None
    return producer


def _produce(
    producer: Producer, config: ClientConfig, fresh: list[tuple[ExportedDeadLetter, Tick]]
) -> None:
    end = time.monotonic() + ANSWER_LIMIT_S

    def check() -> None:
        if time.monotonic() > end:
            message = f"the broker did not take the dead letters in {ANSWER_LIMIT_S:g} s"
            raise BrokerError(message)

    try:
        producer.begin_transaction()
        ticks = [(tick.symbol.encode(), exported.payload.encode()) for exported, tick in fresh]
        ids = [(exported.id.encode(), exported.id.encode()) for exported, _tick in fresh]
        for topic, messages in ((topics.TICKS_RAW, ticks), (topics.REDRIVEN, ids)):
            produce_all(producer, topic, messages, check)
    except KafkaException as error:
        cause = kafka_error(error).str()
        message = f"nothing was put back at {config.get('bootstrap.servers')}: {cause}"
        raise BrokerError(message) from None
    try:
        producer.commit_transaction(ANSWER_LIMIT_S)
    except KafkaException as error:
        cause = kafka_error(error).str()
        message = (
            f"whether anything was put back at {config.get('bootstrap.servers')} is not known:"
            f" {cause}; do it again, nothing is put back twice"
        )
        raise BrokerError(message) from None


def _settings() -> Settings:
    settings = load_settings()
    configure(settings.log_format, settings.log_level)
    if settings.kafka_bootstrap_servers is None:
        message = "KAFKA_BOOTSTRAP_SERVERS is not set; an embedded broker's topics end with it"
        raise ConfigurationError(message)
    return settings


if __name__ == "__main__":
    run_command(app)
