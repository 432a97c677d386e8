"""State that begins and ends with the ownership of its partition."""

from flows.codec.batch import RawBatch
from flows.stages.ownership import PerOwnership


def batch(partition: int, epoch: int, *, last: bool = False) -> RawBatch:
    return RawBatch(partition, [], [], [], 0, epoch=epoch, last=last)


def test_each_ownership_has_a_state_of_its_own():
    states = PerOwnership(lambda partition: [partition])
    first = states.of(batch(1, 1))
    assert states.of(batch(1, 1)) is first
    others = [states.of(batch(1, 2)), states.of(batch(2, 1))]
    assert others == [[1], [2]]
    assert all(other is not first for other in others)


def test_a_state_is_forgotten_with_the_last_batch_and_no_other_is():
    states = PerOwnership(lambda _partition: [0])
    first, second = states.of(batch(1, 1)), states.of(batch(1, 2))
    assert states.of(batch(1, 1, last=True)) is first
    assert len(states) == 1
    assert states.of(batch(1, 2)) is second


def test_a_last_batch_without_any_before_leaves_nothing():
    states = PerOwnership(lambda _partition: [0])
    states.put(batch(1, 1, last=True), states.of(batch(1, 1, last=True)))
    assert len(states) == 0


def test_a_state_can_be_replaced():
    states = PerOwnership(lambda _partition: [0])
    states.of(batch(1, 1))
    states.put(batch(1, 1), [7])
    assert states.of(batch(1, 1)) == [7]
