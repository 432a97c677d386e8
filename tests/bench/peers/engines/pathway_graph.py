"""Pathway: a table from Kafka, a stateful reducer per symbol, a batched function, a table to Kafka.

At least once: the free version persists snapshots of its input and state, and writes again what
lies behind the newest; exactly once is part of its enterprise version. Its JSON adds the engine's
own ``diff`` and ``time`` to each output. A symbol's ticks are ordered by offset within a batch of
the engine, whose order is not promised.

Settings: up to 5,000 ticks and 50 ms are one batch of the engine, on one thread; a snapshot each
second. To be tried: ``commit_ms``, ``backlog``, ``batch`` and ``snapshot_ms``.
"""

import os

import pathway as pw

from tests.bench.peers.task import Task
from tests.bench.peers.work import FIELDS, Scorer, Window

COMMIT_MS = "50"
BACKLOG = "5000"
BATCH = "1024"
SNAPSHOT_MS = "1000"


class Tick(pw.Schema):
    """What is read of a tick."""

    symbol: str
    ts_event_ns: int
    price: float
    size: float
    side: int
    bid: float
    ask: float
    bid_size: float
    ask_size: float


@pw.reducers.stateful_many
def window(state: tuple[bytes, tuple] | None, rows: list[tuple[list, int]]) -> tuple[bytes, tuple]:
    """Add a batch to a symbol's window; its new state, and (offset, time, features) of each."""
    kept = Window() if state is None else Window.from_bytes(state[0])
    fresh = sorted(values for values, count in rows if count > 0)
    out = tuple((offset, ts, tuple(kept.push(ts, *rest))) for offset, ts, *rest in fresh)
    return kept.to_bytes(), out


@pw.udf(deterministic=True)
def outputs(state: tuple) -> list[tuple[int, int, tuple]]:
    """Return what a batch led to."""
    return state[1]


def build(task: Task) -> None:
    """Describe the computation."""
    scorer = Scorer(task.model)

    @pw.udf(deterministic=True, max_batch_size=int(task.tuned("batch", BATCH)))
    def score(rows: list[tuple]) -> list[float]:
        return scorer(rows)

    ticks = pw.io.kafka.read(
        {
            "bootstrap.servers": task.bootstrap,
            "group.id": task.group,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": "6000",
        },
        topic=task.source,
        schema=Tick,
        format="json",
        with_metadata=True,
        autocommit_duration_ms=int(task.tuned("commit_ms", COMMIT_MS)),
        max_backlog_size=int(task.tuned("backlog", BACKLOG)),
        name="ticks",
    )
    ticks = ticks.with_columns(offset=pw.this._metadata["offset"].as_int())
    states = ticks.groupby(ticks.symbol).reduce(
        ticks.symbol, state=window(ticks.offset, *(ticks[name] for name in FIELDS))
    )
    changes = states.to_stream()
    found = changes.filter(changes.is_upsert).select(pw.this.symbol, out=outputs(pw.this.state))
    found = found.flatten(pw.this.out)
    told = {
        "ts_event_ns": pw.declare_type(int, found.out[1]),
        "score": score(found.out[2]),
        "offset": pw.declare_type(int, found.out[0]),
    }
    if task.features:
        told["features"] = found.out[2]
    predictions = found.select(found.symbol, **told)
    pw.io.kafka.write(
        predictions,
        {"bootstrap.servers": task.bootstrap, "linger.ms": "5"},
        topic_name=task.target,
        format="json",
    )


def main() -> None:
    """Score until killed."""
    os.environ.setdefault("PATHWAY_THREADS", "1")
    task = Task.from_environment()
    build(task)
    snapshot_ms = int(task.tuned("snapshot_ms", SNAPSHOT_MS))
    backend = pw.persistence.Backend.filesystem(str(task.folder / "persistence"))
    pw.run(
        monitoring_level=pw.MonitoringLevel.NONE,
        persistence_config=pw.persistence.Config(backend, snapshot_interval_ms=snapshot_ms),
    )


if __name__ == "__main__":
    main()
