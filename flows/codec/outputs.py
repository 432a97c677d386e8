"""The outputs of a batch: everything that the sink writes for it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from flows.numeric.arrays import Int64


@dataclass(frozen=True, slots=True)
class Records:
    """Messages for one topic.

    Attributes
    ----------
    offsets
        int64, shape (n,): the input offset that each message came from, rising. The sink drops by
        them what an earlier owner of the partition has already committed.
    keys, values
        Of each message, n of each; a message's key may be absent.
    """

    topic: str
    offsets: Int64
    keys: list[bytes | None]
    values: list[bytes]

    def __len__(self) -> int:
        return len(self.values)

    def since(self, offset: int) -> "Records":
        """Return what came from this input offset or a later one."""
        at = int(np.searchsorted(self.offsets, offset))
        if at == 0:
            return self
        return Records(self.topic, self.offsets[at:], self.keys[at:], self.values[at:])


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest prediction of a symbol in a batch, for Redis once the batch is committed.

    Attributes
    ----------
    partition, offset
        The input that it came from: which of two is newer is decided by it.
    ts_scored_ns
        When it was scored, nanoseconds since the UNIX epoch; decides nothing but how densely the
        history is sampled.
    ts_event_ns
        Event time of its tick, same unit; None where it is not known.
    """

    symbol: str
    offset: int
    ts_scored_ns: int
    message: bytes
    partition: int = 0
    ts_event_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Outputs:
    """Messages of a batch; ``latest`` and ``passed`` as of :class:`OutputBatch`."""

    records: list[Records] = field(default_factory=list)
    latest: list[Latest] = field(default_factory=list)
    passed: list[Latest] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OutputBatch:
    """All outputs of a run of input offsets of one partition.

    Attributes
    ----------
    next_offset
        The input offset to be committed with the outputs.
    rebuild_from
        The oldest input offset that the state after this batch still depends on.
    caught_up
        The source had nothing more at hand: commit at once.
    emit
        False while state is rebuilt; such a batch writes and commits nothing.
    passed
        Predictions before the latest, seconds of event time apart, of a batch that spans many; for
        the history in Redis.
    oldest_ms, newest_ms
        Kafka timestamps of the first and of the last input message, milliseconds; None in an idle
        batch.
    first_event_ns
        Event time of the first tick, nanoseconds since the UNIX epoch; None without one.
    first_received_ns
        When the first tick was received, same unit; None where that is not known.
    scored_ns
        When the batch was scored, same unit; None where nothing was.
    epoch
        As of the input.
    pending
        Makes the outputs that are not made yet, for :meth:`completed`; None where all are.
    """

    partition: int
    next_offset: int
    rebuild_from: int
    caught_up: bool
    emit: bool
    records: list[Records] = field(default_factory=list)
    latest: list[Latest] = field(default_factory=list)
    passed: list[Latest] = field(default_factory=list)
    oldest_ms: int | None = None
    newest_ms: int | None = None
    first_event_ns: int | None = None
    first_received_ns: int | None = None
    scored_ns: int | None = None
    epoch: int = 0
    pending: Callable[[], Outputs] | None = None

    def completed(self) -> "OutputBatch":
        """Return the batch with what was pending, which this makes."""
        if self.pending is None:
            return self
        made = self.pending()
        return replace(
            self,
            records=[*made.records, *self.records],
            latest=[*self.latest, *made.latest],
            passed=[*self.passed, *made.passed],
            pending=None,
        )

    def since(self, offset: int) -> "OutputBatch":
        """Return the batch without what came from an earlier input offset than this."""
        return replace(
            self,
            records=[records.since(offset) for records in self.records],
            latest=[each for each in self.latest if each.offset >= offset],
            passed=[each for each in self.passed if each.offset >= offset],
        )
