"""Standing still is noticed where there is input, and nowhere else."""

from flows.connectors.kafka.watchdog import Progress, Shape, Stall


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


def test_a_silent_broker_is_a_stall():
    answers = looked([(5, 5, 5, None)] * 3)
    assert answers == [None, None, "no broker has answered for 12 s"]


def test_a_broker_that_is_back_is_forgiven():
    assert looked([(5, 5, 5, None), (5, 5, 5, 5), (5, 5, 5, None)] * 5) == [None] * 15


def test_a_topic_as_it_was_is_left_alone():
    shape = Shape("ticks.raw", 4)
    assert [shape.look(count) for count in (4, 4, None, 4)] == [None] * 4


def test_a_topic_gone_twice_in_a_row_is_said_to_be_deleted():
    shape = Shape("ticks.raw", 4)
    assert [shape.look(count) for count in (0, 4, 0)] == [None] * 3
    assert "ticks.raw was deleted" in (shape.look(0) or "")


def test_other_partitions_than_at_the_start_are_said():
    said = Shape("ticks.raw", 4).look(8)
    assert said is not None
    assert "8 partitions now, 4 when the flow was started" in said
