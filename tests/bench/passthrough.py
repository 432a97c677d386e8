"""The limit of the machine: consume and produce the same bytes, with no work between.

Run as a process of its own, as the flow is: ``python -m tests.bench.passthrough BOOTSTRAP FROM TO
[COUNT]``. With COUNT it copies so many messages as fast as it can, and its last line on stdout is
one JSON object; without, it copies each message as soon as it can, until it is killed.
"""

import json
import sys
import time
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from flows.connectors.kafka_source import reader_config

BATCH = 4096
SILENCE_LIMIT_S = 30.0
WAIT_S = 0.1


def copy_counted(bootstrap: str, source: str, target: str, count: int) -> None:
    """Copy ``count`` messages and say how fast the copy ran after its first batch."""
    consumer, producer = _clients(bootstrap, source, linger_ms=5)
    copied = 0
    first_batch = 0
    started_s = cpu_started_s = 0.0
    heard_s = time.monotonic()
    while copied < count:
        messages = consumer.consume(BATCH, 0.01)
        if not messages:
            if time.monotonic() - heard_s > SILENCE_LIMIT_S:
                sys.exit(f"no message of {source} for {SILENCE_LIMIT_S:g} s at {copied} of {count}")
            continue
        heard_s = time.monotonic()
        _copy(producer, target, messages)
        copied += len(messages)
        if not first_batch:
            first_batch = copied
            started_s, cpu_started_s = time.perf_counter(), time.process_time()
    left = producer.flush(60)
    seconds = time.perf_counter() - started_s
    cpu_s = time.process_time() - cpu_started_s
    consumer.close()
    if left:
        sys.exit(f"{left} messages were not delivered")
    timed = copied - first_batch
    sys.stdout.write(
        json.dumps({"ticks_per_s": timed / seconds, "cpu_us_per_tick": 1e6 * cpu_s / timed}) + "\n"
    )


def copy_at_once(bootstrap: str, source: str, target: str) -> None:
    """Copy what comes when it comes, until killed."""
    consumer, producer = _clients(bootstrap, source, linger_ms=0)
    while True:
        # consume() alone would wait for a full batch or its time-out.
        first = consumer.poll(WAIT_S)
        if first is not None:
            _copy(producer, target, [first, *consumer.consume(BATCH, 0)])


def _clients(bootstrap: str, source: str, linger_ms: int) -> tuple[Consumer, Producer]:
    # Both clients are tuned as the flow's own are: a limit that idles is none.
    reading = reader_config({"bootstrap.servers": bootstrap}, "passthrough")
    consumer = Consumer({**reading, "enable.partition.eof": False})
    consumer.assign([TopicPartition(source, 0, OFFSET_BEGINNING)])
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "linger.ms": linger_ms,
            "batch.num.messages": 100_000,
            "batch.size": 1024 * 1024,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1_048_576,
        }
    )
    return consumer, producer


def _copy(producer: Producer, target: str, messages: list[Any]) -> None:
    # No delivery callbacks: they cost more than the copy, and this is to be the limit.
    copies = [{"value": m.value(), "key": m.key(), "partition": 0} for m in messages]
    while True:
        taken = producer.produce_batch(target, copies)
        producer.poll(0 if taken == len(copies) else WAIT_S)
        if taken == len(copies):
            return
        # Where the queue is full, the client marks what it did not take.
        copies = [copy for copy in copies if "_error" in copy]
        for copy in copies:
            del copy["_error"]


if __name__ == "__main__":
    if sys.argv[4:]:
        copy_counted(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        copy_at_once(sys.argv[1], sys.argv[2], sys.argv[3])
