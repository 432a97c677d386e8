"""The pass-through is a limit only with clients that are set up as the flow's own."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from flows.connectors.kafka import producer
from flows.connectors.kafka.client import reader_config
from flows.connectors.kafka.settling import SETTLE_S
from tests.bench import passthrough
from tests.bench.passthrough import READING, WRITING, copy

# What has no bearing on how fast bytes go through.
OWN = {"error_cb", "logger", "on_delivery"}
TRANSACTIONS = {"transactional.id", "transaction.timeout.ms", "enable.idempotence"}


class Message:
    """One that came, or an error in its place."""

    def __init__(self, value: bytes, error: KafkaError | None = None) -> None:
        self._value = value
        self._error = error

    def value(self) -> bytes:
        return self._value

    def key(self) -> bytes:
        return b"key"

    def error(self) -> KafkaError | None:
        return self._error


class Narrow:
    """A producer whose queue takes ``room`` messages until it is polled."""

    def __init__(self, room: int, refusal: int = KafkaError._QUEUE_FULL) -> None:
        self.values: list[bytes] = []
        self._room = self._left = room
        self._refusal = refusal

    def produce_batch(self, topic: str, messages: list[dict[str, Any]], partition: int) -> int:
        taken = min(self._left, len(messages))
        self.values += [message["value"] for message in messages[:taken]]
        for message in messages[taken:]:
            message["_error"] = KafkaError(self._refusal)
        self._left -= taken
        return taken

    def poll(self, timeout: float) -> int:
        self._left = self._room
        return 0


def without(options: dict[str, Any], left_out: set[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in left_out}


def test_reads_as_the_flow_does() -> None:
    flow = without(reader_config({}, "passthrough"), {*OWN, "enable.partition.eof"})
    assert flow == READING


def test_writes_as_the_flow_does(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[dict[str, Any]] = []
    monkeypatch.setattr(producer, "Producer", opened.append)
    target = producer.Target({}, "group", "topic", 0, 60_000)
    producer.open_producer(target, lambda *_: None)
    assert without(opened[0], OWN | TRANSACTIONS) == without(WRITING, TRANSACTIONS)


def test_settles_as_long_as_the_flow() -> None:
    assert passthrough.SETTLE_S == SETTLE_S


def test_full_queue_loses_no_copy() -> None:
    values = [b"%d" % number for number in range(10)]
    producer = Narrow(room=3)
    assert copy(producer, "to", [Message(value) for value in values]) == 10
    assert producer.values == values


def test_what_is_refused_for_good_is_told() -> None:
    with pytest.raises(KafkaException):
        copy(Narrow(0, KafkaError.MSG_SIZE_TOO_LARGE), "to", [Message(b"1")])


def test_error_is_not_copied() -> None:
    failed = Message(b"text", KafkaError(KafkaError.UNKNOWN))
    with pytest.raises(KafkaException):
        copy(Narrow(1), "to", [failed])
