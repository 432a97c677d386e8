"""Recompute what was served and compare: ``python -m training.audit --from kafka``.

Reads ``ticks.raw`` as it lies in the broker, runs the flow's own decoding and kernel over it, and
compares ``predictions``, ``ticks.features`` and ``dead.letters`` with the result: what is missing,
extra or different. Features must be equal bit for bit, scores within 1e-6 by the model
version that the message names. Only what the flow has committed is compared.
"""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import structlog
import typer
from rich.progress import Progress

from flows import logs
from flows.codec.batch import RawBatch
from flows.connectors.kafka.reader import committed_offsets, read_topic
from flows.errors import TrainingError
from flows.host.command import on_this_machine
from flows.scoring.onnx_model import OnnxModel
from flows.scoring.promotion import prove
from flows.scoring.registry import ModelStore
from flows.settings import Settings, load_settings
from schemas import topics
from training.consistency.blocks import BlockAudit
from training.consistency.compare import Account, TopicTally
from training.consistency.recompute import Recomputation
from training.console import command, progress, say
from training.data.sources import parse_time

DIFFERENCES = 1
_MS = 1_000_000

EXAMPLE = "Example: python -m training.audit --from kafka --since 2026-01-05T14:30"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(epilog=EXAMPLE)
def audit(
    source: Annotated[
        str, typer.Option("--from", help="kafka, or kafka:ticks.raw; the only source served from.")
    ] = "kafka",
    since: Annotated[
        str | None, typer.Option(help="Earliest tick by its Kafka timestamp, ISO time.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="End likewise.")] = None,
    group: Annotated[str | None, typer.Option(help="VOLTICK_GROUP by default.")] = None,
    store: Annotated[
        Path | None, typer.Option(callback=on_this_machine, help="VOLTICK_MODEL_STORE by default.")
    ] = None,
) -> None:
    """Compare what was served with what the log gives; end with one line of JSON.

    Exit codes: 0 all equal; 1 something is missing, extra or different, or cannot be verified.
    """
    began = time.monotonic()
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    if source not in ("kafka", f"kafka:{topics.TICKS_RAW}"):
        msg = f"--from {source}: what was served lies in Kafka; write kafka or kafka:ticks.raw"
        raise TrainingError(msg)
    with progress() as bars:
        account = run_audit(
            settings if group is None else settings.replace(group=group),
            ModelStore(settings.model_store if store is None else store),
            None if since is None else parse_time(since) // _MS,
            None if until is None else parse_time(until) // _MS,
            bars,
        )
    log = structlog.get_logger()
    for one in account.examples:
        log.warning(
            f"{one.kind} on {one.topic}",
            partition=one.partition,
            offset=one.offset,
            detail=one.detail,
        )
    for topic, count in account.unreadable.items():
        log.warning("tombstones or foreign messages", topic=topic, count=count)
    for ref, why in account.unverified.items():
        log.warning("scores that cannot be recomputed", model=ref, cause=why)
    say(line_of(account, time.monotonic() - began))
    if not account.clean:
        raise typer.Exit(DIFFERENCES)


def run_audit(
    settings: Settings,
    store: ModelStore,
    from_ms: int | None,
    to_ms: int | None,
    bars: Progress,
) -> Account:
    """Read the broker and compare.

    Parameters
    ----------
    from_ms, to_ms
        Bounds on the Kafka timestamps of the ticks to compare, milliseconds. The log is read from
        its beginning either way: what came before decides the features.

    Raises
    ------
    BrokerError
        A topic does not exist or cannot be read.
    TrainingError
        There is nothing to compare.
    """
    config = settings.kafka_config()
    ends = committed_offsets(config, settings.group, topics.TICKS_RAW)
    if not any(ends.values()):
        msg = (
            f"group {settings.group} has committed nothing on {topics.TICKS_RAW}:"
            " nothing to compare"
        )
        raise TrainingError(msg)
    bar = bars.add_task("ticks", total=sum(ends.values()))
    watched = [topics.DEAD_LETTERS, topics.PREDICTIONS]
    if settings.publish_features:
        watched.append(topics.TICKS_FEATURES)
    allowed = settings.allowed
    models: dict[str, OnnxModel] = {}

    def model(ref: str) -> OnnxModel:
        if ref not in models:
            models[ref] = prove(store, ref)
        return models[ref]

    def inside(at_ms: int) -> bool:
        return (from_ms is None or at_ms >= from_ms) and (to_ms is None or at_ms < to_ms)

    account = Account({name: TopicTally() for name in watched})
    for number, end in sorted(ends.items()):
        audited = BlockAudit(
            Recomputation(number, topics.TICKS_RAW, allowed, settings.max_symbols),
            {name: _values(read_topic(config, name, partition=number)) for name in watched},
            model,
            account,
            inside,
        )
        for batch in read_topic(config, topics.TICKS_RAW, partition=number) if end else ():
            part = until_offset(batch, end)
            if part.values:
                audited.add(part)
                bars.advance(bar, len(part.values))
        audited.finish()
    return account


def until_offset(batch: RawBatch, end: int) -> RawBatch:
    """Return the messages of a batch below an offset."""
    kept = sum(1 for offset in batch.offsets if offset < end)
    if kept == len(batch.offsets):
        return batch
    return RawBatch(
        partition=batch.partition,
        values=batch.values[:kept],
        offsets=batch.offsets[:kept],
        timestamps_ms=batch.timestamps_ms[:kept],
        next_offset=min(batch.next_offset, end),
    )


def line_of(account: Account, seconds: float) -> str:
    """Return the audit's last line, JSON."""
    line: dict[str, Any] = {
        "clean": account.clean,
        **{topic: msgspec.to_builtins(_plain(tally)) for topic, tally in account.tallies.items()},
        "models": account.models,
        "unverified": account.unverified,
        "uncertain": account.uncertain,
        "unreadable": dict(account.unreadable),
        "seconds": round(seconds, 3),
    }
    return msgspec.json.encode(line).decode()


def _plain(tally: object) -> dict[str, int]:
    names = ("expected", "served", "missing", "extra", "different")
    return {name: getattr(tally, name) for name in names}


def _values(batches: Iterable[RawBatch]) -> Iterator[bytes]:
    for batch in batches:
        yield from batch.values


if __name__ == "__main__":
    command(app)
