"""The limit of the machine: consume and produce the same bytes, with no work between.

Run as a process of its own, as the flow is: ``python -m tests.bench.passthrough BOOTSTRAP FROM TO
[COUNT]``. With COUNT it copies so many messages as fast as it can, and its last line on stdout is
one JSON object; without, it copies each message as soon as it can, until it is killed. With
``transactions`` in place of COUNT it does so in transactions, as the flow commits them.
"""

# Nothing of the product is imported: that takes longer than the whole start of this process, which
# is a limit too. What is to be as in the flow is therefore written out, and compared by a test.

import gc
import json
import sys
import time
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)

BATCH = 4096
SILENCE_LIMIT_S = 30.0
WAIT_S = 0.1
FLUSH_LIMIT_S = 60.0
IN_TRANSACTIONS = "transactions"
# The flow waits as long after a commit; messages of a next transaction would be refused before.
SETTLE_S = 0.002

CLIENT: dict[str, Any] = {
    "socket.keepalive.enable": True,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1000,
}
# As the flow reads, but for the message at the log's end, which nothing here needs.
READING: dict[str, Any] = {
    **CLIENT,
    "group.id": "passthrough",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
    "fetch.min.bytes": 1,
    "fetch.wait.max.ms": 50,
    "fetch.error.backoff.ms": 50,
    "fetch.queue.backoff.ms": 5,
    "fetch.message.max.bytes": 2 * 1024 * 1024,
    "queued.min.messages": 20_000,
    "queued.max.messages.kbytes": 8 * 1024,
}
# As the flow writes, but for the transactions.
WRITING: dict[str, Any] = {
    **CLIENT,
    "enable.idempotence": True,
    "metadata.recovery.strategy": "none",
    "retry.backoff.ms": 1,
    "retry.backoff.max.ms": 8,
    "linger.ms": 100,
    "batch.num.messages": 100_000,
    "batch.size": 1024 * 1024,
    "message.max.bytes": 8 * 1024 * 1024,
    "queue.buffering.max.messages": 500_000,
    "queue.buffering.max.kbytes": 256 * 1024,
    "compression.type": "lz4",
    "delivery.report.only.error": True,
}


def copy_counted(bootstrap: str, source: str, target: str, count: int) -> None:
    """Copy ``count`` messages and say how fast the copy ran after its first batch."""
    consumer = _reader(bootstrap, source)
    failures: list[str] = []
    producer = _writer(bootstrap, failures)
    copied = first_batch = 0
    started_s = cpu_started_s = 0.0
    heard_s = time.monotonic()
    while copied < count:
        messages = consumer.consume(BATCH, 0.01)
        if not messages:
            if time.monotonic() - heard_s > SILENCE_LIMIT_S:
                sys.exit(f"no message of {source} for {SILENCE_LIMIT_S:g} s at {copied} of {count}")
            continue
        heard_s = time.monotonic()
        copied += copy(producer, target, messages)
        if not first_batch:
            first_batch = copied
            started_s, cpu_started_s = time.perf_counter(), time.process_time()
    left = producer.flush(FLUSH_LIMIT_S)
    seconds = time.perf_counter() - started_s
    cpu_s = time.process_time() - cpu_started_s
    consumer.close()
    if left or failures or copied != count:
        told = f"{len(failures)} failed {failures[:1]}, {left} were not delivered in time"
        sys.exit(f"{copied} copies of {count} messages: {told}")
    timed = copied - first_batch
    sys.stdout.write(
        json.dumps({"ticks_per_s": timed / seconds, "cpu_us_per_tick": 1e6 * cpu_s / timed}) + "\n"
    )


def copy_at_once(bootstrap: str, source: str, target: str) -> None:
    """Copy what comes when it comes, until killed."""
    consumer = _reader(bootstrap, source)
    producer = _writer(bootstrap, [], **{"linger.ms": 0})
    while True:
        # consume() alone would wait for a full batch or its time-out.
        first = consumer.poll(WAIT_S)
        if first is not None:
            copy(producer, target, [first, *consumer.consume(BATCH, 0)])


def copy_in_transactions(bootstrap: str, source: str, target: str) -> None:
    """Copy what has come in one transaction after another, each with its offset, until killed."""
    consumer = _reader(bootstrap, source)
    producer = _writer(bootstrap, [], **{"transactional.id": f"passthrough-{source}"})
    producer.init_transactions()
    while True:
        first = consumer.poll(WAIT_S)
        if first is None:
            continue
        messages: list[Any] = [first, *consumer.consume(BATCH, 0)]
        producer.begin_transaction()
        copy(producer, target, messages)
        done = TopicPartition(source, 0, messages[-1].offset() + 1)
        producer.send_offsets_to_transaction([done], consumer.consumer_group_metadata())
        producer.commit_transaction()
        time.sleep(SETTLE_S)


def copy(producer: Producer, target: str, messages: list[Any]) -> int:
    """Hand over a copy of each message and return how many the client took, which is all.

    Where its queue is full, this waits for room.

    Raises
    ------
    KafkaException
        One of the messages is an error, or the client refuses a copy for good.
    """
    for message in messages:
        if message.error() is not None:
            raise KafkaException(message.error())
    left = [{"value": message.value(), "key": message.key()} for message in messages]
    copied = 0
    while left:
        taken = producer.produce_batch(target, left, partition=0)
        copied += taken
        left = [] if taken == len(left) else _refused(left)
        producer.poll(WAIT_S if left else 0)
    return copied


def _refused(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages that did not fit into the client's queue."""
    refused = [message for message in messages if "_error" in message]
    for message in refused:
        error = message.pop("_error")
        if error.code() != KafkaError._QUEUE_FULL:
            raise KafkaException(error)
    return refused


def _reader(bootstrap: str, source: str) -> Consumer:
    consumer = Consumer({**READING, "bootstrap.servers": bootstrap})
    consumer.assign([TopicPartition(source, 0, OFFSET_BEGINNING)])
    return consumer


def _writer(bootstrap: str, failures: list[str], **options: Any) -> Producer:
    """Return a producer that notes in ``failures`` what could not be delivered."""

    def note(error: KafkaError | None, _message: object) -> None:
        if error is not None:
            failures.append(error.str())

    return Producer({**WRITING, "bootstrap.servers": bootstrap, "on_delivery": note, **options})


if __name__ == "__main__":
    # The flow keeps the collector from walking over its batches; there is no cycle here at all.
    gc.disable()
    if sys.argv[4:] == [IN_TRANSACTIONS]:
        copy_in_transactions(sys.argv[1], sys.argv[2], sys.argv[3])
    elif sys.argv[4:]:
        copy_counted(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        copy_at_once(sys.argv[1], sys.argv[2], sys.argv[3])
