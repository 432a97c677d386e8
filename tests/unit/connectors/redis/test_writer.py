"""The writing thread's pace; what it writes and a Redis that is away are tested with real ones."""

import threading
import time

import redis
from structlog.testing import capture_logs

from flows.connectors.redis.writer import RESTS, WriterThread
from tests.support.polling import until

NOWHERE = "redis://127.0.0.1:1"


class Work:
    """Writes that take some processor time each, by a clock of their own."""

    def __init__(self, each_s: float) -> None:
        self.each_s = each_s
        self.total_s = 0.0
        self.at_s: list[float] = []

    def write(self, _client: redis.Redis) -> None:
        self.at_s.append(time.monotonic())
        self.total_s += self.each_s

    def worked_s(self) -> float:
        return self.total_s


def written_twice(work: Work, round_s: float = 0.0) -> float:
    """Wake the thread until it has written twice; return the seconds between."""
    thread = WriterThread(NOWHERE, "test", work.write, round_s=round_s, worked_s=work.worked_s)
    try:
        thread.wake()
        until(lambda: len(work.at_s) >= 1, "a write")
        thread.wake()
        until(lambda: len(work.at_s) >= 2, "another")
    finally:
        thread.close()
    return work.at_s[1] - work.at_s[0]


def test_it_rests_much_longer_than_it_worked():
    work = Work(each_s=0.02)
    assert written_twice(work) >= RESTS * work.each_s


def test_little_work_waits_for_the_round_alone():
    assert written_twice(Work(each_s=0.0), round_s=0.1) >= 0.1


def test_the_end_waits_for_no_rest():
    work = Work(each_s=3_600.0)
    thread = WriterThread(NOWHERE, "test", work.write, worked_s=work.worked_s)
    thread.wake()
    until(lambda: len(work.at_s) == 1, "a write")
    closing = threading.Thread(target=thread.close, args=(60.0,))
    closing.start()
    closing.join(60.0)
    assert not thread.running
    assert len(work.at_s) == 2  # what may have come meanwhile


def test_an_error_that_none_expected_is_said_and_seen() -> None:
    def write(_client: redis.Redis) -> None:
        message = "a defect"
        raise ValueError(message)

    with capture_logs() as logs:
        thread = WriterThread(NOWHERE, "scores", write)
        assert not thread.is_away
        thread.wake()
        until(lambda: not thread.running, "the end of the thread")
    assert thread.is_away
    assert [line["event"] for line in logs] == ["nothing more is written to Redis"]
    thread.close()
