"""Stand-ins for Kafka's clients that do what a test tells them to."""

from collections.abc import Callable
from typing import Any

import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from flows.codec.outputs import OutputBatch, Records


class FakeMessage(Message):
    """What a consumer returns: a message proper, or an event in its place."""

    def __init__(
        self,
        offset: int,
        value: bytes | None = b"{}",
        error: KafkaError | None = None,
        timestamp_ms: int = 1000,
    ) -> None:
        super().__init__(offset=offset, value=value, error=error, timestamp=(1, timestamp_ms))


def end_of_log(offset: int) -> FakeMessage:
    return FakeMessage(offset, error=KafkaError(KafkaError._PARTITION_EOF))


class FakeConsumer:
    """Returns prepared answers to ``consume``, then nothing."""

    def __init__(self, *answers: list[FakeMessage], high: int = 10**9) -> None:
        self.answers = list(answers)
        self.high = high
        self.closed = False
        self.asked: list[int] = []

    def consume(self, count: int, timeout: float) -> list[FakeMessage]:
        assert timeout == 0, "a source must not block"
        self.asked.append(count)
        if not self.answers:
            return []
        answer = self.answers.pop(0)
        assert len(answer) <= count
        return answer

    def get_watermark_offsets(self, _partition: Any, cached: bool) -> tuple[int, int]:
        assert cached, "asking the broker would block"
        return (0, self.high)

    def close(self) -> None:
        self.closed = True


def failure(code: int, *, retriable: bool = False, abort: bool = False, fatal: bool = False):
    """Return a Kafka exception as librdkafka raises it."""
    return KafkaException(KafkaError(code, "said so", fatal, retriable, abort))


class FakeProducer:
    """Keeps what is committed; fails where a test says so.

    ``failures`` maps a method to a list: each call takes one entry, None passes.
    """

    def __init__(self, **failures: list[BaseException | None]) -> None:
        self.failures = failures
        self.calls: list[str] = []
        self.open: list[tuple[str, int, bytes | None, bytes]] = []
        self.visible: list[tuple[str, int, bytes | None, bytes]] = []
        self.offsets: list[Any] = []
        self.committed_offsets: list[Any] = []
        self.members: list[object] = []
        self.room = 10**9
        self.on_poll: Callable[[], None] = lambda: None

    def _called(self, name: str) -> None:
        self.calls.append(name)
        planned = self.failures.get(name)
        if planned:
            error = planned.pop(0)
            if error is not None:
                raise error

    def list_topics(self, topic: str, timeout: float) -> object:
        assert topic
        assert timeout > 0
        return None

    def init_transactions(self, timeout: float) -> None:
        assert timeout > 0
        self._called("init_transactions")

    def begin_transaction(self) -> None:
        self._called("begin_transaction")

    def produce_batch(self, topic: str, messages: list[dict[str, Any]], partition: int) -> int:
        self._called("produce_batch")
        taken = 0
        for message in messages:
            if taken < self.room:
                self.open.append((topic, partition, message["key"], message["value"]))
                taken += 1
            else:
                message["_error"] = KafkaError(KafkaError._QUEUE_FULL)
        self.room -= taken
        return taken

    def poll(self, timeout: float) -> int:
        self.on_poll()
        return 0

    def send_offsets_to_transaction(self, offsets: list[Any], metadata: object, timeout: float):
        assert timeout > 0
        self.members.append(metadata)
        self._called("send_offsets_to_transaction")
        self.offsets = offsets

    def commit_transaction(self, timeout: float) -> None:
        assert timeout > 0
        self._called("commit_transaction")
        self.visible += self.open
        self.committed_offsets += self.offsets
        self.open, self.offsets = [], []

    def abort_transaction(self, timeout: float) -> None:
        self._called("abort_transaction")
        self.open, self.offsets = [], []


class Commits:
    """Stands for the consumer that reads the group's commit of partition 3."""

    def __init__(self, offset: int, metadata: str = "") -> None:
        self.answer = TopicPartition("ticks.raw", 3, offset, metadata)

    def __call__(self, _options: object) -> "Commits":
        return self

    def committed(self, _asked: object, timeout: float) -> list[TopicPartition]:
        assert timeout > 0
        return [self.answer]

    def consumer_group_metadata(self) -> object:
        return object()

    def close(self) -> None:
        pass


def output(first: int, next_offset: int, **changes) -> OutputBatch:
    """Return a batch of partition 3 with a prediction for each input."""
    offsets = np.arange(first, next_offset, dtype=np.int64)
    values = [b"%d" % offset for offset in offsets.tolist()]
    records = [Records("predictions", offsets, [b"k"] * len(values), values)]
    plain = {
        "partition": 3,
        "next_offset": next_offset,
        "rebuild_from": first,
        "caught_up": True,
        "emit": True,
        "records": records,
    }
    return OutputBatch(**{**plain, **changes})


def values(producer: FakeProducer) -> list[int]:
    """Return which inputs have a visible prediction, in order."""
    assert all(entry[:3] == ("predictions", 3, b"k") for entry in producer.visible)
    return [int(entry[3]) for entry in producer.visible]
