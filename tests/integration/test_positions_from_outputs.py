"""Without a commit a group goes on behind its outputs: on real brokers, without a flow.

A writer stands for the flow: its inputs are ticks, and each leads to a prediction, to a dead letter
or, as a duplicate does, to nothing.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
import structlog
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from flows.codec.outputs import OutputBatch, Records
from flows.connectors.kafka.lineage import OUTCOMES_OUTPUTS, PIPELINE_OUTPUTS
from flows.connectors.kafka.planning import plan_all
from flows.connectors.kafka.positions import CommitMetadata, Start, encode_metadata
from flows.connectors.kafka.producer import Target, open_producer
from flows.connectors.kafka.transactions import TransactionalWriter
from flows.errors import BrokerError, LogTrimmedError, UnknownPositionError
from schemas import topics
from schemas.dead_letters import DeadLetter, Reason
from schemas.ticks import Tick
from tests.support.kafka.tools import (
    Outgoing,
    committed,
    create_topics,
    delete_topics,
    fill,
)

pytestmark = [pytest.mark.apache, pytest.mark.timeout(240)]
AT_NS = 1_750_000_000_000_000_000
BROKEN = b"\xffbroken"
PLAIN: dict[str, Any] = {"partition": 0, "venue": "v", "symbol": "BTC-USD"}


def tick(offset: int, year: int = 0) -> bytes:
    at_ns = AT_NS + offset * 10**9 + year * 365 * 86_400 * 10**9
    return msgspec.json.encode(Tick(symbol="BTC-USD", venue="v", ts_event_ns=at_ns, price=1.0))


def prediction(offset: int, partition: int, year: int = 0) -> bytes:
    at_ns = msgspec.json.decode(tick(offset, year))["ts_event_ns"]
    plain = {"symbol": "BTC-USD", "venue": "v", "ts_event_ns": at_ns}
    return msgspec.json.encode({**plain, "partition": partition, "offset": offset})


def dead_letter(offset: int, partition: int) -> bytes:
    letter = DeadLetter(
        reason=Reason.NOT_JSON,
        detail="",
        payload=BROKEN,
        topic=topics.TICKS_RAW,
        partition=partition,
        offset=offset,
    )
    return msgspec.json.encode(letter)


class Scene:
    """A group's log, its outputs, and a broker that can forget the group."""

    def __init__(self, config: Mapping[str, str], group: str, partitions: int = 1) -> None:
        self.config = config
        self.group = group
        self.partitions = partitions
        self.producer: Any = None
        """The client of the last transaction."""
        self.admin = AdminClient(dict(config))
        create_topics(config, partitions)

    def write_ticks(
        self, first: int, end: int, *, broken: Collection[int] = (), year: int = 0, partition=0
    ) -> None:
        """Append the ticks that get these offsets."""
        fill(
            self.config,
            [
                Outgoing(partition, b"k", BROKEN if at in broken else tick(at, year), 1_000 + at)
                for at in range(first, end)
            ],
        )

    def score(
        self,
        first: int,
        end: int,
        *,
        dead: Collection[int] = (),
        silent: Collection[int] = (),
        partition: int = 0,
        commit: bool = True,
        group: str | None = None,
    ) -> TransactionalWriter:
        """Write what these inputs lead to, in one transaction."""
        [start] = [each for each in self.plan(policy="beginning") if each.partition == partition]
        target = Target(
            self.config,
            group or self.group,
            topics.TICKS_RAW,
            partition,
            30_000,
            start,
            topics.PREDICTIONS,
        )
        self.producer = open_producer(target, lambda *_: None)
        writer = TransactionalWriter(target, self.producer)
        writer.take_over()
        outputs = [
            (topics.PREDICTIONS, prediction, set(range(first, end)) - {*dead, *silent}),
            (topics.DEAD_LETTERS, dead_letter, set(dead)),
        ]
        records = [
            Records(
                topic,
                np.array(sorted(offsets), np.int64),
                [None] * len(offsets),
                [made(offset, partition) for offset in sorted(offsets)],
            )
            for topic, made, offsets in outputs
            if offsets
        ]
        writer.write(OutputBatch(partition, end, first, True, True, records, newest_ms=1_000 + end))
        if commit:
            writer.commit()
            self.producer.close()
        return writer

    def forget_group(self) -> None:
        self.admin.delete_consumer_groups([self.group])[self.group].result(20)
        assert committed(self.config, self.group, topics.TICKS_RAW, 1)[0].offset < 0

    def trim(self, topic: str, offset: int, partition: int = 0) -> None:
        asked = self.admin.delete_records([TopicPartition(topic, partition, offset)])
        for future in asked.values():
            assert future.result(20).low_watermark == offset

    def plan(self, **options: Any) -> list[Start]:
        """Return the starts without the topic's id and the notices."""
        options = {"accept_state_loss": False, "outputs": PIPELINE_OUTPUTS, **options}
        starts = plan_all(self.config, self.group, topics.TICKS_RAW, self.partitions, **options)
        return [replace(start, topic_id=None, notice="") for start in starts]


@pytest.fixture
def scene(apache_kafka, group: str) -> Scene:
    return Scene(apache_kafka.client_config(), group)


def test_a_forgotten_group_goes_on_behind_its_outputs(scene: Scene):
    scene.write_ticks(0, 100)
    scene.score(0, 60)
    scene.score(60, 80)
    scene.forget_group()
    with structlog.testing.capture_logs() as lines:
        assert scene.plan() == [Start(0, 0, 80)]
    assert "the outputs that are there reach offset 80: goes on behind them" in lines[0]["event"]


def test_what_was_found_is_committed_once_the_partition_is_taken_over(scene: Scene):
    scene.write_ticks(0, 100)
    scene.score(0, 60)
    scene.forget_group()
    [start] = scene.plan()
    target = Target(scene.config, scene.group, topics.TICKS_RAW, 0, 30_000, start)
    TransactionalWriter(target).take_over()
    found = committed(scene.config, scene.group, topics.TICKS_RAW, 1)[0]
    assert (found.offset, found.metadata) == (60, '{"rebuild_from":0}')
    assert scene.plan() == [Start(0, 0, 60)]


def test_inputs_behind_the_last_prediction_that_led_to_dead_letters_are_not_emitted_again(
    scene: Scene,
):
    scene.write_ticks(0, 100, broken=range(70, 80))
    scene.score(0, 90, dead=range(70, 80), silent=range(80, 90))
    scene.forget_group()
    # Inputs 80 to 89 led to nothing, and lead to nothing again.
    assert scene.plan() == [Start(0, 0, 80)]


def test_a_partition_with_nothing_but_dead_letters(scene: Scene):
    scene.write_ticks(0, 50, broken=range(50))
    scene.score(0, 30, dead=range(30))
    scene.forget_group()
    assert scene.plan() == [Start(0, 0, 30)]


def test_an_idle_partition_beside_a_busy_one(apache_kafka, group: str):
    scene = Scene(apache_kafka.client_config(), group, partitions=2)
    scene.write_ticks(0, 50, partition=1)
    scene.score(0, 30, partition=1)
    scene.forget_group()
    assert scene.plan() == [Start(0, 0, 0), Start(1, 0, 30)]


@pytest.mark.parametrize("ending", ["open", "aborted"])
def test_what_was_never_committed_is_no_output(scene: Scene, ending: str):
    scene.write_ticks(0, 100)
    scene.score(0, 60)
    left = scene.score(60, 80, commit=False)
    scene.producer.flush(10)
    scene.forget_group()
    if ending == "aborted":
        left.abort()
    assert scene.plan() == [Start(0, 0, 60)]
    younger = scene.score(60, 100)
    assert younger.floor == 100
    scene.forget_group()
    assert scene.plan() == [Start(0, 0, 100)]


def test_many_foreign_messages_behind_the_outputs(scene: Scene):
    scene.write_ticks(0, 100, broken=[59])
    scene.score(0, 60, dead=[59])
    foreign = DeadLetter(reason=Reason.BROKEN_FRAME, detail="", payload=b"x", venue="v")
    frames = [Outgoing(0, None, msgspec.json.encode(foreign), 1_000) for _ in range(6_000)]
    fill(scene.config, frames, topics.DEAD_LETTERS)
    strange = [b"", b"\xff", b"[" * 5000, prediction(10**9, 0), prediction(20, 0, year=3)]
    fill(scene.config, [Outgoing(0, None, each, 1_000) for each in strange], topics.PREDICTIONS)
    scene.forget_group()
    assert scene.plan() == [Start(0, 0, 60)]


def test_messages_deleted_before_they_were_scored(scene: Scene):
    scene.write_ticks(0, 100)
    scene.score(0, 60)
    scene.forget_group()
    scene.trim(topics.TICKS_RAW, 50)
    assert scene.plan() == [Start(0, 50, 60)]
    scene.trim(topics.TICKS_RAW, 60)
    assert scene.plan() == [Start(0, 60, 60)]
    scene.trim(topics.TICKS_RAW, 70)
    with pytest.raises(LogTrimmedError, match="reach offset 60, and the log begins at 70: 10"):
        scene.plan()
    assert scene.plan(accept_state_loss=True) == [Start(0, 70, 70, anew=True)]


def test_outputs_that_were_deleted_too(scene: Scene):
    scene.write_ticks(0, 100)
    scene.score(0, 60)
    scene.forget_group()
    scene.trim(topics.TICKS_RAW, 70)
    scene.trim(topics.PREDICTIONS, 61)  # the marker of the transaction as well
    with pytest.raises(UnknownPositionError, match="VOLTICK_START=beginning"):
        scene.plan()
    assert scene.plan(policy="beginning") == [Start(0, 70, 70)]
    scene.trim(topics.TICKS_RAW, 100)
    assert scene.plan() == [Start(0, 100, 100)]


def test_a_group_that_never_ran_starts_at_the_beginning_of_a_trimmed_log(scene: Scene):
    scene.write_ticks(0, 100)
    scene.trim(topics.TICKS_RAW, 40)
    assert scene.plan() == [Start(0, 40, 40)]


def test_a_topic_made_anew_that_has_grown_past_the_outputs(scene: Scene):
    scene.write_ticks(0, 100)
    scene.score(0, 60)
    delete_topics(scene.config, [topics.TICKS_RAW])
    create_topics(scene.config, 1, names=[topics.TICKS_RAW])
    scene.write_ticks(0, 200, year=1)
    with pytest.raises(LogTrimmedError, match="came from another log, so the topic was recreated"):
        scene.plan()
    assert scene.plan(accept_state_loss=True) == [Start(0, 0, 0, anew=True)]


def test_a_commit_that_outlived_its_topic(scene: Scene):
    scene.write_ticks(0, 100)
    metadata = encode_metadata(CommitMetadata(0, topic_id="of-another-topic"))
    commit_directly(scene, 60, metadata)
    with pytest.raises(LogTrimmedError, match="with the id of-another-topic"):
        scene.plan()
    assert scene.plan(accept_state_loss=True) == [Start(0, 0, 0, 60, anew=True)]


def test_the_id_of_the_topic_is_committed_and_found_again(scene: Scene):
    scene.write_ticks(0, 100)
    scene.score(0, 60)
    [start] = plan_all(scene.config, scene.group, topics.TICKS_RAW, 1, accept_state_loss=False)
    target = Target(scene.config, scene.group, topics.TICKS_RAW, 0, 30_000, start)
    writer = TransactionalWriter(target)
    writer.take_over()
    writer.write(OutputBatch(0, 70, 5, True, True, []))
    writer.commit()
    metadata = committed(scene.config, scene.group, topics.TICKS_RAW, 1)[0].metadata
    assert start.topic_id is not None
    assert f'"topic_id":"{start.topic_id}"' in metadata
    assert scene.plan() == [Start(0, 5, 70)]


def test_an_idle_partition_whose_log_was_deleted_stops_no_other(apache_kafka, group: str):
    scene = Scene(apache_kafka.client_config(), group, partitions=2)
    scene.write_ticks(0, 100, partition=0)
    scene.write_ticks(0, 100, partition=1)
    scene.score(0, 100, partition=0)
    scene.score(0, 60, partition=1)
    scene.trim(topics.TICKS_RAW, 100, partition=0)
    assert scene.plan() == [Start(0, 100, 100), Start(1, 0, 60)]


@pytest.mark.parametrize(("hours", "is_forgotten"), [(25, False), (27, True)])
def test_the_age_of_an_idle_partitions_deleted_state_is_told_by_the_log(
    apache_kafka, group: str, hours: int, is_forgotten: bool
):
    """The test's messages are of 1970: no wall clock may call their state forgotten."""
    scene = Scene(apache_kafka.client_config(), group, partitions=2)
    scene.write_ticks(0, 100, partition=0)
    scene.score(0, 100, partition=0)
    scene.trim(topics.TICKS_RAW, 90, partition=0)
    with pytest.raises(LogTrimmedError, match="90 messages of state were deleted"):
        scene.plan()
    elsewhere_ms = 1_000 + 100 + hours * 3_600_000
    fill(scene.config, [Outgoing(1, b"k", tick(100), elsewhere_ms)])
    if is_forgotten:
        assert scene.plan() == [Start(0, 90, 100), Start(1, 0, 0)]
    else:
        with pytest.raises(LogTrimmedError, match="90 messages of state were deleted"):
            scene.plan()


@pytest.mark.parametrize(("hours", "is_forgotten"), [(25, False), (27, True)])
def test_deleted_state_counts_for_a_day(scene: Scene, hours: int, is_forgotten: bool):
    scene.write_ticks(0, 100)
    scene.score(0, 100)
    scene.trim(topics.TICKS_RAW, 100)
    next_ms = 1_000 + 100 + hours * 3_600_000
    fill(scene.config, [Outgoing(0, b"k", tick(100), next_ms)])
    if is_forgotten:
        assert scene.plan() == [Start(0, 100, 100)]
    else:
        with pytest.raises(LogTrimmedError, match="100 messages of state were deleted"):
            scene.plan()


def test_a_second_group_on_the_same_topics_is_refused_with_the_choice(scene: Scene):
    scene.write_ticks(0, 100)
    scene.score(0, 60)
    first, scene.group = scene.group, f"{scene.group}-second"
    with pytest.raises(UnknownPositionError) as refused:
        scene.plan()
    for part in (f"VOLTICK_GROUP={first}", "VOLTICK_START=outputs", "VOLTICK_START=beginning"):
        assert part in str(refused.value)
    assert "\n" not in str(refused.value)
    assert scene.plan(policy="outputs") == [Start(0, 0, 60)]
    assert scene.plan(policy="beginning") == [Start(0, 0, 0)]


def test_a_group_that_reads_the_same_topic_and_writes_another_is_no_second_one(scene: Scene):
    scene.write_ticks(0, 100)
    scene.score(0, 60)
    scene.forget_group()
    own, scene.group = scene.group, f"{scene.group}-candles"
    commit_directly(scene, 90, encode_metadata(CommitMetadata(0, writes=topics.CANDLES)))
    scene.group = f"{own}-foreign"
    commit_directly(scene, 90, "what ever\xff")
    scene.group = own
    assert scene.plan() == [Start(0, 0, 60)]


def test_outcomes_go_on_behind_the_prediction_that_made_the_last_one_known(scene: Scene):
    predictions = [Outgoing(0, None, prediction(at, 0), 1_000) for at in range(100)]
    fill(scene.config, predictions, topics.PREDICTIONS)
    outcomes = [
        {"partition": 0, "offset": at - 5, "known_offset": at, "ts_known_ns": AT_NS + at * 10**9}
        for at in range(5, 40)
    ]
    messages = [Outgoing(0, None, msgspec.json.encode(each), 1_000) for each in outcomes]
    fill(scene.config, messages, topics.OUTCOMES)
    starts = plan_all(
        scene.config,
        scene.group,
        topics.PREDICTIONS,
        1,
        accept_state_loss=False,
        outputs=OUTCOMES_OUTPUTS,
    )
    assert (starts[0].read_from, starts[0].emit_from) == (0, 40)


def test_a_topic_that_is_not_there_is_no_unreachable_broker(scene: Scene):
    delete_topics(scene.config, [topics.TICKS_RAW])
    with pytest.raises(BrokerError):
        plan_all(
            scene.config, scene.group, topics.TICKS_RAW, 1, accept_state_loss=False, timeout_s=1.0
        )


def commit_directly(scene: Scene, offset: int, metadata: str) -> None:
    consumer = Consumer({**scene.config, "group.id": scene.group})
    place = TopicPartition(topics.TICKS_RAW, 0, offset, metadata)
    consumer.commit(offsets=[place], asynchronous=False)
    consumer.close()
