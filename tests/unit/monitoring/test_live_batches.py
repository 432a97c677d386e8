"""Which batches count for the latency of the flow."""

from flows.codec.outputs import OutputBatch
from flows.monitoring.live_batches import LiveBatches

LIVE_FROM_NS = 1_000


def batch(event_ns: int | None, *, caught_up: bool = True, partition: int = 0) -> OutputBatch:
    return OutputBatch(
        partition=partition,
        next_offset=1,
        rebuild_from=0,
        caught_up=caught_up,
        emit=True,
        oldest_ms=5,
        first_event_ns=event_ns,
    )


def test_without_a_history_every_batch_with_messages_counts() -> None:
    live = LiveBatches(None)
    assert live.holds(batch(1))
    assert live.holds(batch(None))  # nothing but dead letters
    idle = OutputBatch(partition=0, next_offset=1, rebuild_from=0, caught_up=True, emit=True)
    assert not live.holds(idle)


def test_neither_history_counts_nor_what_waited_behind_it() -> None:
    live = LiveBatches(LIVE_FROM_NS)
    assert not live.holds(batch(1))
    assert not live.holds(batch(LIVE_FROM_NS - 1))
    assert not live.holds(batch(LIVE_FROM_NS, caught_up=False))  # more waits
    assert not live.holds(batch(LIVE_FROM_NS + 1))  # waited, and is the last that did
    assert live.holds(batch(LIVE_FROM_NS + 2))
    assert live.holds(batch(LIVE_FROM_NS + 3, caught_up=False))  # a backlog of its own counts
    assert live.holds(batch(LIVE_FROM_NS - 5))  # late, and live all the same


def test_each_partition_catches_up_by_itself() -> None:
    live = LiveBatches(LIVE_FROM_NS)
    assert not live.holds(batch(LIVE_FROM_NS))
    assert not live.holds(batch(LIVE_FROM_NS, partition=1))
    assert live.holds(batch(LIVE_FROM_NS))
