"""Bytewax with its stock operators and Kafka connector.

At least once: its Kafka sink has no transactions, and after a kill the flow goes on from its last
snapshot, so that what was written behind it is written again. State and offsets are restored from
the same snapshot, an SQLite file in the folder of state.

Settings: rows are scored as the engine hands them over together (``flat_map_batch``), not one by
one in a ``map``; a snapshot each ten seconds, as its documentation has it. To be tried: ``batch``
(messages read at once) and ``snapshot_s``.
"""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from orjson import loads

from tests.bench.peers.task import Task
from tests.bench.peers.work import Scorer, Tick, Window, message

BATCH = "1000"
SNAPSHOT_S = "10"

Row = tuple[Tick, int, list[float]]


def keyed(source: KafkaSourceMessage[bytes, bytes]) -> tuple[str, tuple[Tick, int]]:
    """Return a tick and its offset under its symbol."""
    tick = loads(source.value)
    return tick["symbol"], (tick, source.offset)


def push(window: Window | None, item: tuple[Tick, int]) -> tuple[Window, Row]:
    """Add a tick to its symbol's window."""
    window = window or Window()
    tick, offset = item
    return window, (tick, offset, window.push_tick(tick))


def flow_of(task: Task) -> Dataflow:
    """Return the dataflow."""
    score = Scorer(task.model)

    def scored(batch: list[tuple[str, Row]]) -> Iterable[KafkaSinkMessage[Any, Any]]:
        scores = score([row[2] for _, row in batch])
        for (symbol, (tick, offset, row)), found in zip(batch, scores, strict=True):
            value = message(tick, found, offset, row if task.features else None)
            yield KafkaSinkMessage(symbol.encode(), value)

    flow = Dataflow("peer")
    source = kop.input(
        "ticks",
        flow,
        brokers=[task.bootstrap],
        topics=[task.source],
        batch_size=int(task.tuned("batch", BATCH)),
    )
    ticks = op.map("decode", source.oks, keyed)
    rows = op.stateful_map("features", ticks, push)
    out = op.flat_map_batch("score", rows, scored)
    kop.output("predictions", out, brokers=[task.bootstrap], topic=task.target)
    return flow


def recovery(folder: Path) -> RecoveryConfig:
    """Return where snapshots are kept; made at the first start."""
    place = folder / "recovery"
    if not place.exists():
        place.mkdir(parents=True)
        init_db_dir(place, 1)
    return RecoveryConfig(place)


if __name__ == "__main__":
    given = Task.from_environment()
    cli_main(
        flow_of(given),
        epoch_interval=timedelta(seconds=float(given.tuned("snapshot_s", SNAPSHOT_S))),
        recovery_config=recovery(given.folder),
    )
