"""The item of every dataflow: a batch of one partition, as raw messages and as columns."""

from dataclasses import dataclass

from flows.numeric.arrays import Bool, Float64, Int8, Int32, Int64
from schemas.ticks import Tick

NO_TRADE_ID = -1

DUPLICATE, LATE, RESTART, GAP, WARM = 1, 2, 4, 8, 16
"""What the features found about a tick; bits of ``FeatureRows.flags``."""


def partition_key(partition: int) -> str:
    """Return the engine's name of a partition; the engine orders partitions by name."""
    return f"{partition:05d}"


@dataclass(frozen=True, slots=True)
class RawBatch:
    """A run of messages of one partition, in offset order, undecoded.

    Attributes
    ----------
    partition
        Which partition of the source topic.
    values
        Payloads, empty bytes for a message without one (a tombstone). No payloads at all in an
        idle batch, which only tells the sink that the source has caught up.
    offsets
        Offset of each message, rising, not always by 1 (control records, compaction).
    timestamps_ms
        The message's Kafka timestamp, milliseconds since the UNIX epoch, -1 if it has none.
    next_offset
        Where to continue after this batch.
    emit
        False while state is rebuilt from messages whose outputs are already committed.
    caught_up
        True where the source had nothing more at hand when it cut this batch.
    epoch
        Which ownership of the partition it belongs to, a number that a process gives once; 0 where
        the partition is owned from start to end.
    last
        True for the end of that ownership, an idle batch: nothing of it is needed any more.
    standby
        True where another process owns the partition, and its state alone is followed; never with
        ``emit``.
    """

    partition: int
    values: list[bytes]
    offsets: list[int]
    timestamps_ms: list[int]
    next_offset: int
    emit: bool = True
    caught_up: bool = True
    epoch: int = 0
    last: bool = False
    standby: bool = False


def end_of_ownership(partition: int, epoch: int, next_offset: int) -> RawBatch:
    """Return the batch with which the steps forget what an ownership has left in them."""
    return RawBatch(
        partition=partition,
        values=[],
        offsets=[],
        timestamps_ms=[],
        next_offset=next_offset,
        emit=False,
        epoch=epoch,
        last=True,
    )


@dataclass(frozen=True, slots=True)
class TickBatch:
    """Valid ticks of one partition in offset order as columns, each of shape (n,).

    Floats are NaN and ``trade_id`` is ``NO_TRADE_ID`` where the tick says null. ``ticks`` are the
    decoded messages the columns were taken from; it may be empty where only columns are needed.
    ``gap`` is also true for a tick that takes over the mark of a refused one.
    """

    partition: int
    offset: Int64
    symbol_id: Int32
    ts_event_ns: Int64
    price: Float64
    size: Float64
    side: Int8
    bid: Float64
    ask: Float64
    bid_size: Float64
    ask_size: Float64
    trade_id: Int64
    gap: Bool
    ticks: list[Tick]

    def __len__(self) -> int:
        return len(self.offset)
