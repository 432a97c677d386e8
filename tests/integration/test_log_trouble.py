"""Logs that do not hold what the pipeline needs are refused loudly, naming cause and cure."""

import signal
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from flows.errors import LogTrimmedError
from schemas import topics
from schemas.predictions import Prediction
from tests.oracle.expectation import expect
from tests.proof.cluster import settings_of
from tests.proof.faults import error_line
from tests.proof.inputs import messages
from tests.proof.killable import VARIABLE
from tests.proof.progress import Progress
from tests.support.embedded import Valkey
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.tools import committed, create_topics, delete_topics, fill, read_topic
from tests.support.polling import until
from tests.support.processes import Process, flow

pytestmark = [pytest.mark.apache, pytest.mark.timeout(300)]
_ACCEPT = {"VOLTICK_ACCEPT_STATE_LOSS": "true"}


class Bench:
    """One partition's pipeline, started and stopped around changes to its log."""

    def __init__(self, kafka: ApacheKafka, valkey: Valkey, group: str, folder: Path) -> None:
        self.config = kafka.client_config()
        self.group = group
        self.folder = folder
        self.settings = settings_of(kafka, valkey, folder / "models", group, 1)
        self.input = messages(51, 1)
        self.written = 0
        self.number = 0
        create_topics(self.config, 1)

    def write(self, count: int) -> None:
        """Append to ``ticks.raw``."""
        self.written += fill(self.config, islice(self.input, count))

    def start(self, more: Mapping[str, str] | None = None) -> Process:
        """Start a pipeline."""
        self.number += 1
        settings = {**self.settings, **(more or {})}
        return flow("flows.pipeline", self.folder, settings, f"flow-{self.number}").start()

    def run_to_end(self, more: Mapping[str, str] | None = None) -> None:
        """Run a pipeline until everything is committed, and end it by SIGTERM."""
        progress = Progress(self.config, self.group, 1)
        with self.start(more) as process:
            try:
                until(lambda: progress.offsets()[0] == self.written, "the end", 60.0)
            except TimeoutError as late:
                raise AssertionError(process.tail()) from late
            finally:
                progress.close()
            process.terminate()
            assert process.wait_exit(20) == 0, process.tail()

    def refusal(self, more: Mapping[str, str] | None = None) -> str:
        """Start a pipeline that must end by itself; return its one line."""
        with self.start(more) as process:
            assert process.wait_exit(60) == LogTrimmedError.exit_code, process.tail()
            return error_line(process)

    def trim(self, offset: int) -> None:
        """Delete everything below an offset."""
        admin = AdminClient(self.config)
        asked = admin.delete_records([TopicPartition(topics.TICKS_RAW, 0, offset)])
        for future in asked.values():
            assert future.result(20).low_watermark == offset

    def forget_group(self) -> None:
        """Have the broker forget the group's commits, as it does by itself after a week."""
        admin = AdminClient(self.config)

        def is_deleted() -> bool:
            try:
                admin.delete_consumer_groups([self.group])[self.group].result(20)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.NON_EMPTY_GROUP:
                    return False  # a killed member is in it until its session ends
                raise
            return True

        until(is_deleted, "the group to be empty and deleted", 30.0)
        assert committed(self.config, self.group, topics.TICKS_RAW, 1)[0].offset < 0

    def assert_each_output_once(self) -> None:
        """Hold predictions, feature rows and dead letters against what the inputs must lead to."""
        expected = expect(read_topic(self.config, topics.TICKS_RAW))
        wanted = {
            topics.PREDICTIONS: expected.rows,
            topics.TICKS_FEATURES: expected.rows,
            topics.DEAD_LETTERS: expected.dead_letters,
        }
        for topic, origins in wanted.items():
            found = [msgspec.json.decode(each.value) for each in read_topic(self.config, topic)]
            assert [(each["partition"], each["offset"]) for each in found] == sorted(origins), topic
        assert expected.dead_letters
        assert expected.duplicates

    def scored_offsets(self) -> list[int]:
        """Return the input offsets of all predictions, in their order."""
        found = read_topic(self.config, topics.PREDICTIONS)
        return [msgspec.json.decode(each.value, type=Prediction).offset for each in found]


@pytest.fixture
def bench(apache_kafka: ApacheKafka, valkey: Valkey, group: str, tmp_path: Path) -> Bench:
    return Bench(apache_kafka, valkey, group, tmp_path)


def test_messages_deleted_before_they_were_scored(bench: Bench) -> None:
    bench.write(1_000)
    bench.run_to_end()
    bench.write(1_000)
    bench.trim(1_500)

    line = bench.refusal()
    assert "committed offset 1000 is below the log's first offset 1500" in line
    assert "VOLTICK_ACCEPT_STATE_LOSS" in line
    assert "retention" in line

    bench.run_to_end(_ACCEPT)
    scored = bench.scored_offsets()
    assert scored == sorted(set(scored))
    assert not [offset for offset in scored if 1_000 <= offset < 1_500]
    assert max(scored) > 1_990


def test_state_that_was_deleted(bench: Bench) -> None:
    bench.write(1_000)
    bench.run_to_end()
    bench.trim(900)
    assert (
        '"rebuild_from":' in committed(bench.config, bench.group, topics.TICKS_RAW, 1)[0].metadata
    )

    line = bench.refusal()
    assert "the log begins at 900" in line
    assert "VOLTICK_ACCEPT_STATE_LOSS" in line

    bench.write(100)
    bench.run_to_end(_ACCEPT)
    scored = bench.scored_offsets()
    assert scored == sorted(set(scored))
    assert max(scored) > 1_090


def test_group_that_the_broker_forgot(bench: Bench) -> None:
    bench.write(1_000)
    bench.run_to_end()
    bench.forget_group()
    bench.write(1_000)
    bench.run_to_end()
    bench.forget_group()
    bench.run_to_end()
    bench.assert_each_output_once()


def test_group_that_the_broker_forgot_after_a_kill_amid_a_transaction(bench: Bench) -> None:
    bench.write(20_000)
    progress = Progress(bench.config, bench.group, 1)
    # Killed between the offsets and the commit of its fourth transaction of many small ones.
    small = {"VOLTICK_BATCH_SIZE": "200", "VOLTICK_COMMIT_INTERVAL_MS": "1"}
    settings = {**bench.settings, **small, VARIABLE: "before_commit:4"}
    with flow("tests.proof.killable", bench.folder, settings, "killed") as process:
        assert process.wait_exit(90) == -signal.SIGKILL, process.tail()
    assert 0 < progress.offsets()[0] < bench.written
    progress.close()
    bench.forget_group()
    bench.run_to_end()
    bench.assert_each_output_once()


def test_second_group_on_the_same_topics(bench: Bench) -> None:
    bench.write(1_000)
    bench.run_to_end()
    first, bench.group = bench.group, f"{bench.group}-second"
    bench.settings["VOLTICK_GROUP"] = bench.group
    line = bench.refusal()
    assert f"VOLTICK_GROUP={first}" in line
    assert "VOLTICK_START=outputs" in line
    bench.write(500)
    bench.run_to_end({"VOLTICK_START": "outputs"})
    bench.assert_each_output_once()


def test_committed_offset_beyond_the_end(bench: Bench) -> None:
    bench.write(100)
    consumer = Consumer({**bench.config, "group.id": bench.group})
    consumer.commit(offsets=[TopicPartition(topics.TICKS_RAW, 0, 5_000)], asynchronous=False)
    consumer.close()

    line = bench.refusal()
    assert "the committed offset 5000 is beyond the end of the log 100" in line
    assert "recreated" in line

    bench.run_to_end(_ACCEPT)
    assert max(bench.scored_offsets()) > 90


def test_partition_counts_that_differ(bench: Bench) -> None:
    delete_topics(bench.config, [topics.PREDICTIONS])
    create_topics(bench.config, 2, names=[topics.PREDICTIONS])

    line = bench.refusal()
    assert "predictions has 2" in line
    assert "ticks.raw has 1" in line


def test_topic_deleted_under_the_flow(bench: Bench) -> None:
    bench.write(1_000)
    with bench.start() as process:
        progress = Progress(bench.config, bench.group, 1)
        progress.wait_for({0: 1_000}, 60.0)
        progress.close()
        delete_topics(bench.config, [topics.TICKS_RAW])
        assert process.wait_exit(60) == LogTrimmedError.exit_code, process.tail()
        assert "ticks.raw was deleted" in error_line(process)


def test_partitions_added_under_the_flow(bench: Bench) -> None:
    bench.write(1_000)
    with bench.start() as process:
        progress = Progress(bench.config, bench.group, 1)
        progress.wait_for({0: 1_000}, 60.0)
        progress.close()
        admin = AdminClient(bench.config)
        for future in admin.create_partitions([NewPartitions(topics.TICKS_RAW, 2)]).values():
            future.result(20)
        assert process.wait_exit(60) == LogTrimmedError.exit_code, process.tail()
        assert "ticks.raw has 2 partitions now, 1 when the flow was started" in error_line(process)
