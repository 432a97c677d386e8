"""Standing still is noticed where there is input, and nowhere else."""

import pytest
from confluent_kafka import KafkaError, TopicPartition

from flows.connectors.kafka.admin import DescribedTopic
from flows.connectors.kafka.watchdog import Progress, Shape, Stall, _ends, longest_look_s
from tests.unit.connectors.kafka.fakes import failure


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def looked(steps, limit_s: float = 10.0) -> list[str | None]:
    """Look every 4 s; each step changes the progress and names the log's end."""
    clock, progress = Clock(), Progress({0: 0}, {}, {0: 0})
    stall = Stall(limit_s, clock)
    answers = []
    for position, taken, committed, end in steps:
        clock.now += 4
        progress.position[0], progress.taken[0], progress.committed[0] = position, taken, committed
        answers.append(stall.look(progress, None if end is None else {0: end}))
    return answers


def test_a_flow_that_moves_is_left_alone():
    assert looked([(n, n, n, 10**6) for n in range(20)]) == [None] * 20


def test_an_idle_flow_is_left_alone():
    assert looked([(5, 5, 5, 5)] * 20) == [None] * 20


def test_an_idle_flow_behind_a_marker_is_left_alone():
    assert looked([(6, 5, 5, 6)] * 20) == [None] * 20


def test_reading_nothing_while_the_log_goes_on_is_a_stall():
    answers = looked([(5, 5, 5, 9)] * 4)
    assert answers[:3] == [None] * 3
    assert answers[3] == (
        "partition 0 has stood still for 12 s: read to 5, committed to 5, while the log goes to 9"
    )


def test_reading_without_committing_is_a_stall():
    assert "committed to 2" in str(looked([(9, 9, 2, 9)] * 5)[-1])


def test_a_rebuild_commits_nothing_and_is_none():
    assert looked([(n, n, 100, 100) for n in range(20)]) == [None] * 20


def test_work_after_a_long_idle_time_starts_the_clock_anew():
    assert looked([(5, 5, 5, 5)] * 20 + [(5, 5, 5, 9)] * 2) == [None] * 22


@pytest.mark.parametrize("answers", [True, False], ids=["the broker answers", "it does not yet"])
def test_a_process_that_slept_is_given_its_time_anew(answers: bool):
    clock, progress, limit_s = Clock(), Progress({0: 5}, {0: 5}, {0: 5}), 60.0
    stall = Stall(limit_s, clock)
    assert stall.look(progress, {0: 5}) is None
    clock.now += 3600
    ends = {0: 9} if answers else None  # what came meanwhile
    assert stall.look(progress, ends) is None
    clock.now += limit_s - longest_look_s(1)
    assert stall.look(progress, ends) is None
    told = []
    while not told and clock.now < 3600 + 2 * limit_s:
        clock.now += 4
        told = [why for why in [stall.look(progress, ends)] if why]
    assert told


def test_a_silent_broker_is_a_stall():
    answers = looked([(5, 5, 5, None)] * 3)
    assert answers == [None, None, "no broker has answered for 12 s"]


def test_a_broker_that_is_back_is_forgiven():
    assert looked([(5, 5, 5, None), (5, 5, 5, 5), (5, 5, 5, None)] * 5) == [None] * 15


def topic(partitions: int, topic_id: str | None = "a") -> DescribedTopic:
    return DescribedTopic(partitions, topic_id)


def test_a_topic_as_it_was_is_left_alone():
    shape = Shape("ticks.raw", topic(4))
    assert [shape.look(now) for now in (topic(4), topic(4), None, topic(4))] == [None] * 4


def test_a_topic_gone_twice_in_a_row_is_said_to_be_deleted():
    shape = Shape("ticks.raw", topic(4))
    assert [shape.look(now) for now in (topic(0, None), topic(4), topic(0, None))] == [None] * 3
    assert "ticks.raw was deleted" in (shape.look(topic(0, None)) or "")


def test_other_partitions_than_at_the_start_are_said():
    said = Shape("ticks.raw", topic(4)).look(topic(8))
    assert said is not None
    assert "8 partitions now, 4 when the flow was started" in said


def test_a_topic_deleted_and_created_again_between_two_looks_is_noticed():
    said = Shape("ticks.raw", topic(4)).look(topic(4, "b"))
    assert said is not None
    assert "ticks.raw was deleted and created again" in said


@pytest.mark.parametrize(("known", "now"), [(None, "b"), ("a", None)])
def test_a_topic_without_an_id_is_known_by_its_partitions_alone(known, now):
    assert Shape("ticks.raw", topic(4, known)).look(topic(4, now)) is None


class Broker:
    """Answers for the partitions that have a leader."""

    def __init__(self, ends: dict[int, int]) -> None:
        self.ends = ends

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        if place.partition not in self.ends:
            raise failure(KafkaError.LEADER_NOT_AVAILABLE)
        return 0, self.ends[place.partition]


def test_a_partition_without_a_leader_is_no_silent_broker():
    assert _ends(Broker({0: 5, 2: 7}), "ticks.raw", [0, 1, 2]) == {0: 5, 2: 7}
    assert _ends(Broker({}), "ticks.raw", [0, 1, 2]) is None
    assert _ends(Broker({}), "ticks.raw", []) == {}


def test_a_partition_without_a_leader_hides_no_other_that_stands_still():
    clock, progress = Clock(), Progress({0: 5, 1: 5}, {0: 5, 1: 5}, {0: 5, 1: 5})
    stall = Stall(10.0, clock)
    for _ in range(3):
        clock.now += 4
        assert stall.look(progress, {1: 9}) is None
    clock.now += 4
    assert "partition 1 has stood still" in (stall.look(progress, {1: 9}) or "")
