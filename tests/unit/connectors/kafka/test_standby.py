"""Partitions of other members: how far they are followed, and when their state is taken over."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.codec.batch import RawBatch
from flows.connectors.kafka import standby
from flows.connectors.kafka.assigned import Assigned
from flows.connectors.kafka.ownership import Ownerships
from flows.connectors.kafka.positions import Start
from flows.connectors.kafka.standby import Followed, Standby, cut
from flows.connectors.kafka.watchdog import Progress
from flows.errors import BrokerError, LogTrimmedError, VoltickError
from tests.unit.connectors.kafka.fakes import output
from tests.unit.connectors.kafka.test_ownership import Thread


def batch(partition: int, offsets: list[int], epoch: int = 0) -> RawBatch:
    return RawBatch(
        partition=partition,
        values=[str(offset).encode() for offset in offsets],
        offsets=offsets,
        timestamps_ms=[1_000 + offset for offset in offsets],
        next_offset=offsets[-1] + 1,
        epoch=epoch,
    )


class Log:
    """What every partition's log holds; a reader returns three messages at a time."""

    def __init__(self, length: int = 100) -> None:
        self.offsets = list(range(length))
        self.read: list[tuple[Start, int]] = []
        self.closed = 0
        self.error: VoltickError | None = None

    def open(self, start: Start, epoch: int) -> Any:
        self.read.append((start, epoch))
        return Reader(self, start, epoch)


class Reader:
    def __init__(self, log: Log, start: Start, epoch: int) -> None:
        self._log, self._start, self._epoch = log, start, epoch
        self._at = start.read_from

    def next_batch(self) -> list[RawBatch]:
        if self._log.error is not None:
            raise self._log.error
        found = [offset for offset in self._log.offsets if offset >= self._at][:3]
        if not found:
            return []
        self._at = found[-1] + 1
        made = batch(self._start.partition, found, self._epoch)
        return [replace(made, emit=found[0] >= self._start.emit_from)]

    def close(self) -> None:
        self._log.closed += 1


class Offsets:
    """The group's commits, as the broker would tell them."""

    def __init__(self, committed: dict[int, int]) -> None:
        self.known = dict(committed)
        self.asked: list[list[int]] = []
        self.error: BrokerError | None = None

    def starts(self, partitions: Collection[int]) -> list[Start]:
        self.asked.append(sorted(partitions))
        return [
            Start(each, max(self.known[each] - 10, 0), self.known[each], topic_id="t")
            for each in sorted(partitions)
            if each in self.known
        ]

    def committed(self, partitions: Collection[int]) -> dict[int, int]:
        if self.error is not None:
            raise self.error
        return {each: self.known[each] for each in partitions if each in self.known}


class Following:
    """A standby whose thread is the test itself."""

    def __init__(self, committed: dict[int, int], length: int = 100) -> None:
        self.log = Log(length)
        self.offsets = Offsets(committed)
        self.is_ready = True
        self.now_s = 100.0
        self.standby = Standby(
            self.offsets,
            self.log.open,
            lambda: self.is_ready,
            on_error=_raise,
            clock=lambda: self.now_s,
        )
        # What the thread would do is done where a test says so.
        self.standby._thread = _NoThread()  # type: ignore[assignment]

    def read(self, others: set[int], turns: int = 40, *, may_begin: bool = True) -> list[RawBatch]:
        self.standby.read(others, may_begin=may_begin)
        self.standby.ask()
        found = [self.standby.read(others, may_begin=may_begin) for _ in range(turns)]
        return [each for turn in found for each in turn]


class _NoThread:
    ident = 1


def _raise(error: BaseException) -> None:
    raise error


@given(
    offsets=st.lists(st.integers(0, 50), min_size=1, unique=True).map(sorted),
    at=st.integers(-5, 60),
)
def test_a_cut_batch_is_whole_and_nothing_lies_on_the_wrong_side(offsets: list[int], at: int):
    whole = batch(1, offsets, epoch=7)
    before, rest = cut(whole, at)
    assert [*before.offsets, *rest.offsets] == offsets
    assert [*before.values, *rest.values] == whole.values
    assert [*before.timestamps_ms, *rest.timestamps_ms] == whole.timestamps_ms
    assert all(offset < at for offset in before.offsets)
    assert all(offset >= at for offset in rest.offsets)
    assert (before.epoch, rest.epoch, rest.next_offset) == (7, 7, whole.next_offset)
    if before.offsets:
        assert before.next_offset == before.offsets[-1] + 1


def test_a_partition_is_followed_from_where_its_state_begins_to_its_owners_commit():
    following = Following({3: 20})
    found = following.read({3})
    assert [offset for each in found for offset in each.offsets] == list(range(10, 20))
    assert all(each.standby and not each.emit for each in found)
    assert len({each.epoch for each in found}) == 1
    assert following.standby.followed() == [Followed(3, 20, 0)]


def test_what_was_read_beyond_the_commit_waits_for_it():
    following = Following({3: 20})
    following.read({3})
    following.offsets.known[3] = 21
    assert [each.offsets for each in following.read({3})] == [[20]]
    following.offsets.known[3] = 25
    assert [each.offsets for each in following.read({3})] == [[21], [22, 23, 24]]
    assert following.standby.followed() == [Followed(3, 25, 0)]


def test_the_lag_is_what_is_committed_and_not_followed_yet():
    following = Following({3: 20})
    following.read({3}, turns=1)
    assert following.standby.followed() == [Followed(3, 13, 7)]


def test_partitions_take_turns():
    following = Following({0: 20, 1: 20})
    assert {each.partition for each in following.read({0, 1}, turns=3)} == {0, 1}


@pytest.mark.parametrize("why", ["is not ready", "may not begin"])
def test_nothing_is_begun_before_its_time(why: str):
    following = Following({3: 20})
    following.is_ready = why != "is not ready"
    assert following.read({3}, may_begin=why != "may not begin") == []
    assert following.standby.followed() == []


def test_a_partition_without_a_commit_is_asked_for_again_in_a_while():
    following = Following({})
    following.read({3})
    following.read({3})
    assert following.offsets.asked == [[3]]
    following.offsets.known[3] = 5
    following.now_s += standby.PLAN_EVERY_S
    assert following.read({3})
    assert following.offsets.asked == [[3], [3]]


def test_a_log_that_cannot_be_read_ends_nothing_and_is_begun_anew_later():
    following = Following({3: 20})
    following.log.error = LogTrimmedError("gone")
    [told] = following.read({3})
    assert (told.partition, told.last) == (3, True)
    assert following.standby.followed() == []
    following.log.error = None
    following.now_s += standby.PLAN_EVERY_S
    assert following.read({3}) == []
    following.now_s += standby.RETRY_S
    assert [each.next_offset for each in following.read({3})][-1] == 20


def test_a_broker_that_is_away_is_asked_again():
    following = Following({3: 20})
    following.read({3})
    following.offsets.error = BrokerError("away")
    following.offsets.known[3] = 30
    assert following.read({3}) == []
    following.offsets.error = None
    assert following.read({3})[-1].next_offset == 30


SERVES = {
    "the tiny rest is to be read": (Start(3, 12, 25, topic_id="t"), True),
    "nothing is left to be read": (Start(3, 12, 20, topic_id="t"), True),
    "the state is ahead of the commit": (Start(3, 9, 19, topic_id="t"), False),
    "a rebuild would begin later": (Start(3, 21, 40, topic_id="t"), False),
    "the topic is another": (Start(3, 12, 25, topic_id="u"), False),
    "the log is another": (Start(3, 20, 20, topic_id="t", anew=True), False),
}


@pytest.mark.parametrize("case", SERVES)
def test_a_state_serves_where_it_is_what_a_rebuild_would_make(case: str):
    following = Following({3: 20})
    epoch = following.read({3})[0].epoch
    start, serves = SERVES[case]
    follower, told = following.standby.take(start)
    if serves:
        assert follower is not None
        assert (follower.epoch, follower.next_offset, told) == (epoch, 20, [])
    else:
        assert follower is None
        assert [(each.epoch, each.last) for each in told] == [(epoch, True)]
    assert following.standby.take(start) == (None, [])


def test_a_state_that_is_not_whole_yet_serves_no_earlier_commit():
    following = Following({3: 20})
    following.read({3}, turns=1)
    # It began at the offset that the commit at 20 needs: an earlier commit may need more.
    follower, _told = following.standby.take(Start(3, 5, 15, topic_id="t"))
    assert follower is None


class Member:
    """A worker that owns some partitions and follows the others."""

    def __init__(
        self,
        committed: dict[int, int],
        partitions: int = 2,
        worker: int = 0,
        assigned: Assigned | None = None,
    ) -> None:
        self.following = Following(committed)
        self.log = Log()
        self.threads: list[Thread] = []
        self.progress = Progress()
        self.owns: Ownerships[Any] = Ownerships(
            self._take,
            self.log.open,
            self.progress,
            _raise,
            clock=lambda: self.following.now_s,
            partitions=partitions,
            standby=self.following.standby,
            worker=worker,
            assigned=assigned,
        )

    def _take(self, partition: int, on_open: Any, failed: Any) -> Any:
        self.threads.append(Thread(partition, on_open, failed))
        return self.threads[-1]

    def follow(self, turns: int = 20) -> list[RawBatch]:
        self.owns.read()
        self.following.standby.ask()
        return [each for _ in range(turns) for each in self.owns.read()]

    def settle(self) -> None:
        self.owns.assigned([])
        self.following.now_s += 2.0


def test_a_partition_that_was_followed_is_taken_over_without_a_rebuild():
    member = Member({0: 20, 1: 30})
    member.settle()
    member.follow()
    assert member.owns.followed() == [Followed(0, 20, 0), Followed(1, 30, 0)]
    epoch = member.following.log.read[1][1]
    member.owns.assigned([1])
    member.threads[0].open(Start(1, 12, 32, topic_id="t"))
    found = [each for each in member.owns.read() if each.partition == 1]
    assert [(each.epoch, each.offsets[0], each.emit) for each in found] == [(epoch, 30, False)]
    assert member.progress.position == {1: 30}
    assert member.owns.followed() == [Followed(0, 20, 0)]
    member.owns.write(epoch, output(30, 33, epoch=epoch))
    assert len(member.threads[0].written) == 1


def test_a_partition_whose_state_does_not_serve_is_rebuilt():
    member = Member({1: 30})
    member.settle()
    member.follow()
    member.owns.assigned([1])
    member.threads[0].open(Start(1, 5, 25, topic_id="t"))
    told, first = member.owns.read()
    assert told.last
    assert (first.offsets[0], first.emit) == (5, False)
    assert first.epoch != told.epoch


def test_a_partition_that_leaves_is_followed_from_the_state_that_is_there():
    member = Member({1: 30})
    member.owns.assigned([1])
    member.threads[0].open(Start(1, 30, 30, topic_id="t"))
    [first] = member.owns.read()
    member.owns.revoked([1])
    assert member.owns.read() == [], "nothing is forgotten"
    assert member.owns.followed() == [Followed(1, 33, 0)]
    member.owns.write(first.epoch, output(30, 33, epoch=first.epoch))
    assert member.threads[0].written == []
    assert member.follow() == [], "the state is ahead of the commit"
    member.following.offsets.known[1] = 36
    assert [each.offsets for each in member.follow()] == [[33, 34, 35]]
    member.owns.assigned([1])
    member.threads[1].open(Start(1, 30, 36, topic_id="t"))
    [again] = member.owns.read()
    assert (again.epoch, again.offsets[0], again.emit) == (first.epoch, 36, True)


def test_what_is_owned_goes_first():
    member = Member({0: 20, 1: 30})
    member.owns.assigned([0])
    member.following.now_s += 2.0
    member.threads[0].open(Start(0, 0, 90, topic_id="t"))
    while member.owns.owned()[0].rebuilding:
        member.following.standby.ask()
        assert [each.partition for each in member.owns.read()] == [0]
    assert {each.partition for each in member.follow()} == {0, 1}


def test_a_partition_that_may_be_on_its_way_here_is_not_begun_with():
    member = Member({0: 20, 1: 30})
    member.follow()
    assert member.owns.followed() == [], "the group has not shared out yet"
    member.owns.assigned([0])
    member.threads[0].open(Start(0, 20, 20, topic_id="t"))
    member.follow()
    assert member.owns.followed() == []
    member.following.now_s += 2.0
    member.follow()
    assert [each.partition for each in member.owns.followed()] == [1]


def test_what_another_worker_of_the_process_owns_is_not_followed():
    assigned = Assigned()
    first = Member({0: 20, 1: 30, 2: 20}, 3, 0, assigned)
    second = Member({0: 20, 1: 30, 2: 20}, 3, 1, assigned)
    first.settle()
    first.follow()
    assert [each.partition for each in first.owns.followed()] == [0, 1, 2]
    epoch = {start.partition: epoch for start, epoch in first.following.log.read}
    second.owns.assigned([1])
    assert [(each.epoch, each.last) for each in first.owns.read()] == [(epoch[1], True)]
    first.follow()
    assert [each.partition for each in first.owns.followed()] == [0, 2]
    second.owns.revoked([1])
    first.following.now_s += standby.PLAN_EVERY_S
    first.follow()
    assert [each.partition for each in first.owns.followed()] == [0, 1, 2]


def test_a_state_is_kept_until_the_group_has_shared_out():
    assigned = Assigned()
    first = Member({0: 20, 1: 30}, 2, 0, assigned)
    first.settle()
    first.follow()
    first.owns.assigned([])
    assigned.add(1, [1])
    assert first.owns.read() == []
    assigned.remove(1, [1])
    first.settle()
    first.follow()
    assert first.owns.followed() == [Followed(0, 20, 0), Followed(1, 30, 0)]


def test_the_end_closes_what_is_followed():
    member = Member({0: 20, 1: 30})
    member.settle()
    member.follow()
    member.owns.close()
    assert member.following.standby._stop.is_set()
