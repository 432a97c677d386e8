"""What tests do to topics: create, fill, read whole, ask what is committed."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from schemas import topics
from tests.support.polling import pause, until

T = TypeVar("T")

Config = Mapping[str, str]
_PATIENCE_S = 60.0
PASSING = {
    KafkaError._TIMED_OUT,
    KafkaError._TIMED_OUT_QUEUE,
    KafkaError._TRANSPORT,
    KafkaError._WAIT_COORD,
    KafkaError._DESTROY,
    KafkaError._DESTROY_BROKER,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError.NOT_COORDINATOR,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a topic, as it lies there."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to be written."""

    partition: int
    key: bytes | None
    value: bytes
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Committed:
    """A group's committed position on one partition; offset -1001 where there is none."""

    offset: int
    metadata: str


def create_topics(
    config: Config,
    partitions: int,
    replication: int = 1,
    names: Iterable[str] = topics.ALL,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Create topics and wait until every partition has a leader."""
    admin = AdminClient(dict(config))
    wanted = list(names)
    new = [
        NewTopic(name, partitions, replication_factor=replication, config=dict(settings or {}))
        for name in wanted
    ]

    def created() -> bool:
        # Right after a deletion the name may still be taken for a moment.
        for future in admin.create_topics(new, operation_timeout=10).values():
            try:
                future.result(15)
            except KafkaException as refused:
                if refused.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                    continue
                return False
        return True

    until(created, f"topics {wanted} to be created", _PATIENCE_S)

    def led() -> bool:
        known = _topics(admin)
        return all(
            name in known
            and len(known[name].partitions) == partitions
            and all(part.leader >= 0 for part in known[name].partitions.values())
            for name in wanted
        )

    until(led, f"leaders of {wanted}", _PATIENCE_S)
    parts = [TopicPartition(name, part) for name in wanted for part in range(partitions)]

    def served() -> bool:
        # A leader may be named before it knows of it itself.
        asked = admin.list_offsets({part: OffsetSpec.earliest() for part in parts})
        try:
            return all(future.result(10).offset >= 0 for future in asked.values())
        except KafkaException:
            return False

    until(served, f"leaders of {wanted} to serve", _PATIENCE_S)


def delete_topics(config: Config, names: Iterable[str] | None = None) -> None:
    """Delete these topics, or all that are not internal, and wait until they are gone."""
    admin = AdminClient(dict(config))
    wanted = (
        list(names)
        if names is not None
        else [name for name in _topics(admin) if not name.startswith("__")]
    )
    if not wanted:
        return
    for future in admin.delete_topics(wanted, operation_timeout=10).values():
        try:
            future.result(15)
        except KafkaException as refused:
            if refused.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
    until(
        lambda: not set(wanted) & set(_topics(admin)),
        f"{wanted} to be gone",
        _PATIENCE_S,
    )


class Filler:
    """A producer that writes messages to given partitions and checks each delivery.

    Parameters
    ----------
    idempotent
        Whether what it sends again is written once, and in order.
    """

    def __init__(
        self, config: Config, topic: str = topics.TICKS_RAW, *, idempotent: bool = True
    ) -> None:
        self.topic = topic
        self.delivered = 0
        self._failures: list[str] = []
        self._producer = Producer(
            {
                **config,
                "enable.idempotence": idempotent,
                "linger.ms": 2,
                "queue.buffering.max.messages": 1_000_000,
                "message.timeout.ms": 300_000,
                "message.max.bytes": 4_000_000,
                "log_level": 2,
            }
        )

    def write(self, messages: Iterable[Outgoing]) -> None:
        """Hand messages over in order; blocks while the queue is full."""
        source = iter(messages)
        while chunk := list(islice(source, 2000)):
            for message in chunk:
                self._write_one(message)
            self._producer.poll(0)

    def poll(self) -> None:
        """Take in what is delivered by now."""
        self._producer.poll(0)

    def _write_one(self, message: Outgoing) -> None:
        while True:
            try:
                self._producer.produce(
                    self.topic,
                    message.value,
                    message.key,
                    message.partition,
                    timestamp=message.timestamp_ms,
                    on_delivery=self._on_delivery,
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                return

    def _on_delivery(self, error: KafkaError | None, _: object) -> None:
        if error is None:
            self.delivered += 1
        else:
            self._failures.append(str(error))

    def flush(self, deadline_s: float = 300.0) -> None:
        """Wait until everything is delivered, or given up by the client."""
        self._producer.flush(deadline_s)

    def close(self, deadline_s: float = 120.0) -> None:
        """Wait until everything is delivered; fail if anything was not."""
        left = self._producer.flush(deadline_s)
        self._producer.close()
        if left or self._failures:
            message = f"{left} messages undelivered, failed: {self._failures[:3]}"
            raise RuntimeError(message)


def fill(config: Config, messages: Iterable[Outgoing], topic: str = topics.TICKS_RAW) -> int:
    """Write messages, wait for their delivery and return their number."""
    filler = Filler(config, topic)
    filler.write(messages)
    filler.close()
    return filler.delivered


def read_topic(
    config: Config,
    topic: str,
    *,
    committed_only: bool = True,
    at_least: int = 0,
    deadline_s: float = 60.0,
    quiet_s: float = 0.5,
) -> list[Message]:
    """Read every partition of a topic from its beginning to its end.

    Ends once every partition has reported its end (which, reading committed, is where the oldest
    open transaction begins), ``at_least`` so many messages came and nothing more did for
    ``quiet_s``; the embedded broker misreports its end, hence the quiet time. Returns fewer where
    they did not come within ``deadline_s``: what is missing is the caller's to say.
    """
    consumer = Consumer(
        {
            **config,
            "group.id": "tests-reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed" if committed_only else "read_uncommitted",
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 20,
            "fetch.message.max.bytes": 4_000_000,
            "allow.auto.create.topics": False,
        }
    )
    try:
        count = partition_count(consumer, topic)
        consumer.assign([TopicPartition(topic, part, OFFSET_BEGINNING) for part in range(count)])
        return _read_all(consumer, count, topic, at_least, deadline_s, quiet_s)
    finally:
        consumer.close()


def partition_count(client: Consumer | AdminClient, topic: str) -> int:
    """Return how many partitions a topic has; 0 where there is no such topic."""
    known = _patiently(lambda: client.list_topics(topic, timeout=10)).topics
    return len(known[topic].partitions) if topic in known else 0


def _read_all(
    consumer: Consumer,
    partitions: int,
    topic: str,
    at_least: int,
    deadline_s: float,
    quiet_s: float,
) -> list[Message]:
    found: list[Message] = []
    ended: set[int] = set()
    deadline = time.monotonic() + deadline_s
    last_news = time.monotonic()
    while time.monotonic() < deadline:
        for message in consumer.consume(10_000, 0.05):
            error = message.error()
            if error is None:
                last_news = time.monotonic()
                ended.discard(message.partition())
                found.append(
                    Message(
                        message.partition(),
                        message.offset(),
                        message.timestamp()[1],
                        message.key(),
                        message.value() or b"",
                    )
                )
            elif error.code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            elif error.code() not in PASSING:
                raise KafkaException(error)
        quiet = time.monotonic() - last_news > quiet_s
        if len(ended) == partitions and len(found) >= at_least and quiet:
            break
    if len(ended) < partitions:
        message = (
            f"read {len(found)} messages of {topic}, but the end of {len(ended)} of {partitions}"
            f" partitions only, within {deadline_s:g} s"
        )
        raise TimeoutError(message)
    return found


def committed(config: Config, group: str, topic: str, partitions: int) -> dict[int, Committed]:
    """Return a group's committed offset and metadata for each partition."""
    asked = [TopicPartition(topic, part) for part in range(partitions)]
    # What a killed transaction left open is waited for by readers of committed alone.
    options = {"group.id": group, "enable.auto.commit": False}
    consumer = Consumer({**config, **options, "isolation.level": "read_uncommitted"})
    try:
        answer = _patiently(lambda: consumer.committed(asked, timeout=10))
    finally:
        consumer.close()
    return {each.partition: Committed(each.offset, each.metadata or "") for each in answer}


def end_offsets(config: Config, topic: str, partitions: int) -> dict[int, tuple[int, int]]:
    """Return the low and high watermark of each partition (Apache Kafka only)."""
    consumer = Consumer({**config, "group.id": "tests-watermarks"})
    try:
        parts = [TopicPartition(topic, part) for part in range(partitions)]
        return {
            at.partition: _patiently(partial(consumer.get_watermark_offsets, at, timeout=10))
            for at in parts
        }
    finally:
        consumer.close()


def _topics(admin: AdminClient) -> Mapping[str, Any]:
    return _patiently(lambda: admin.list_topics(timeout=10)).topics


def _patiently(ask: Callable[[], T]) -> T:
    """Ask again where the broker has no answer yet: a busy machine is not what is tested."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return ask()
        except KafkaException as error:
            said = error.args[0]
            passing = said.retriable() or said.code() in PASSING
            if not passing or time.monotonic() > deadline:
                raise
            pause(0.1)
