"""A plain confluent-kafka loop: consume a batch, deques in a dictionary, produce, commit.

Exactly once by offsets: outputs and input offsets share a transaction, as the client's own example
of consume, transform and produce has it. The windows are in memory alone: after a kill they begin
empty, so that every score of the next minute of event time differs.

Settings: up to 2,000 messages at a time, scored together and handed over by ``produce_batch``; a
commit when the input is worked off, every 0.1 s under backlog; ``retry.backoff.ms`` of 2, since the
default of 100 is what a commit waits for the broker's coordinator. To be tried: ``batch``.
"""

import time

from confluent_kafka import Consumer, Producer
from orjson import loads

from tests.bench.peers.task import Task
from tests.bench.peers.work import Scorer, Window, message

BATCH = "2000"
COMMIT_EVERY_S = 0.1
LIMIT_S = 30.0


def main() -> None:
    """Score until killed."""
    task = Task.from_environment()
    consumer = Consumer(
        {
            "bootstrap.servers": task.bootstrap,
            "group.id": task.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
            "session.timeout.ms": 6_000,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": task.bootstrap,
            "transactional.id": task.group,
            "linger.ms": 2,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 500_000,
            "retry.backoff.ms": 2,
            "retry.backoff.max.ms": 8,
        }
    )
    score = Scorer(task.model)
    batch = int(task.tuned("batch", BATCH))
    windows: dict[str, Window] = {}
    producer.init_transactions(LIMIT_S)
    consumer.subscribe([task.source])
    begun_s: float | None = None
    while True:
        came = [m for m in consumer.consume(batch, 0.005) if m.error() is None]
        if came:
            if begun_s is None:
                producer.begin_transaction()
                begun_s = time.monotonic()
            ticks = [loads(m.value()) for m in came]
            rows = [windows.setdefault(t["symbol"], Window()).push_tick(t) for t in ticks]
            told = rows if task.features else [None] * len(rows)
            outputs = [
                {"key": m.key(), "value": message(t, s, m.offset(), f)}
                for m, t, s, f in zip(came, ticks, score(rows), told, strict=True)
            ]
            producer.produce_batch(task.target, outputs, partition=0)
            producer.poll(0)
        full = len(came) == batch and begun_s and time.monotonic() - begun_s < COMMIT_EVERY_S
        if begun_s is not None and not full:
            producer.send_offsets_to_transaction(
                consumer.position(consumer.assignment()),
                consumer.consumer_group_metadata(),
                LIMIT_S,
            )
            producer.commit_transaction(LIMIT_S)
            begun_s = None


if __name__ == "__main__":
    main()
