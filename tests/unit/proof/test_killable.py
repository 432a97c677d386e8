"""Every point of the fuse exists in the client, is passed by the product and ends the process."""

import os
import signal
from typing import Any

import confluent_kafka
import numpy as np
import pytest

from flows.codec.outputs import OutputBatch, Records
from flows.connectors.kafka.producer import Target
from flows.connectors.kafka.transactions import TransactionalWriter
from schemas import topics
from tests.proof.killable import BLEW, POINTS, Fuse, arm
from tests.unit.connectors.kafka.fakes import FakeConsumer, FakeMessage, FakeProducer, end_of_log

TARGET = Target({}, "group", topics.TICKS_RAW, 0, transaction_timeout_ms=300)


class Blown(BaseException):
    """Stands for the end of the process."""


class Input(FakeMessage):
    def topic(self) -> str:
        return topics.TICKS_RAW


class Output(FakeMessage):
    def topic(self) -> str:
        return topics.PREDICTIONS


@pytest.fixture(autouse=True)
def _harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(pid: int, number: int) -> None:
        assert (pid, number) == (os.getpid(), signal.SIGKILL)
        raise Blown

    monkeypatch.setattr(os, "kill", end)
    monkeypatch.setattr(confluent_kafka, "Consumer", FakeConsumer)
    monkeypatch.setattr(confluent_kafka, "Producer", FakeProducer)


def go_through(point: str, passes: int, reads: int = 2) -> FakeProducer:
    """Go through two reads, two transactions and two reads; return the producer."""
    arm(Fuse(point, passes))
    consumer = confluent_kafka.Consumer(*([Input(at), end_of_log(at)] for at in range(reads + 2)))
    producer: Any = confluent_kafka.Producer()
    producer.init_transactions(1.0)
    for _ in range(reads):
        consumer.consume(500, 0)
    writer = TransactionalWriter(TARGET, producer)
    for offset in range(2):
        writer.write(_batch(offset))
        writer.commit()
    for _ in range(2):
        consumer.consume(500, 0)
    return producer


def _batch(offset: int) -> OutputBatch:
    records = [Records(topics.PREDICTIONS, np.array([offset], np.int64), [None], [b"{}"])]
    return OutputBatch(0, offset + 1, offset, True, True, records)


@pytest.mark.parametrize("point", POINTS)
def test_fuse_blows_at_its_point_and_says_so(point: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Blown):
        go_through(point, 1)
    assert capfd.readouterr().err == f"{BLEW} {point}, pass 1\n"


@pytest.mark.parametrize("point", [point for point in POINTS if point != "after_init"])
def test_fuse_counts_passes(point: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Blown):
        go_through(point, 2)
    assert capfd.readouterr().err == f"{BLEW} {point}, pass 2\n"


@pytest.mark.parametrize("point", [point for point in POINTS if point != "rebuild"])
def test_point_that_does_not_come_leaves_the_process_alone(point: str) -> None:
    assert len(go_through(point, 3).visible) == 2


def test_rebuild_of_few_reads_ends_the_process_at_the_first_transaction(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(Blown):
        go_through("rebuild", 3)
    assert capfd.readouterr().err == f"{BLEW} rebuild, pass 2\n"


@pytest.mark.parametrize(
    ("point", "told", "out"),
    [("before_offsets", 0, 0), ("before_commit", 1, 0), ("after_commit", 1, 1)],
)
def test_commit_is_out_after_it_and_not_before(point: str, told: int, out: int) -> None:
    arm(Fuse(point, 1))
    producer: Any = confluent_kafka.Producer()
    writer = TransactionalWriter(TARGET, producer)
    with pytest.raises(Blown):
        _write_and_commit(writer)
    assert producer.calls.count("send_offsets_to_transaction") == told
    assert len(producer.visible) == out


def _write_and_commit(writer: TransactionalWriter) -> None:
    writer.write(_batch(0))
    writer.commit()


def test_only_reads_of_input_count() -> None:
    arm(Fuse("rebuild", 1))
    consumer = confluent_kafka.Consumer([end_of_log(0)], [Output(0)], [Input(0)], [Input(1)])
    for count in (500, 500, 1):
        consumer.consume(count, 0)
    with pytest.raises(Blown):
        consumer.consume(500, 0)


def test_the_client_has_what_is_exchanged() -> None:
    made = {name for name in vars(confluent_kafka.cimpl.Producer) if not name.startswith("_")}
    assert {
        "init_transactions",
        "begin_transaction",
        "produce",
        "produce_batch",
        "send_offsets_to_transaction",
        "commit_transaction",
    } <= made
    assert "consume" in vars(confluent_kafka.cimpl.Consumer)
