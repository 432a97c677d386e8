"""Audit one partition block by block, so that memory holds a block and not the audited range.

The flow writes each output in the order of its input, so input and outputs are read side by side.
Within a batch of the flow dead letters may change places, so each output is read a little ahead.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from flows.codec.batch import RawBatch
from schemas import topics
from schemas.decoding import decode_or_none
from training.consistency.compare import EXTRA, Account, Comparison, Models
from training.consistency.recompute import Recomputation

BLOCK_TICKS = 32_768
AHEAD_OFFSETS = 131_072
"""More than a batch of the flow may hold."""


class _Origin(msgspec.Struct, frozen=True):
    """Where the tick of an output lies."""

    partition: int | None = None
    offset: int | None = None
    topic: str | None = topics.TICKS_RAW


_ORIGIN = msgspec.json.Decoder(_Origin).decode


@dataclass(slots=True)
class _Output:
    """An output's messages, with those that were read ahead."""

    partition: int
    values: Iterator[bytes]
    ahead: "deque[tuple[int, bytes]]" = field(default_factory=deque)

    def below(self, end: int) -> Iterator[tuple[int | None, bytes]]:
        """Yield origin and value of all messages about ticks below an offset.

        The origin is None where a message tells none of this partition.
        """
        early, self.ahead = self.ahead, deque()
        for origin, value in early:
            if origin < end:
                yield origin, value
            else:
                self.ahead.append((origin, value))
        if any(origin >= end + AHEAD_OFFSETS for origin, _value in self.ahead):
            return
        for value in self.values:
            origin_or_none = self._origin(value)
            if origin_or_none is None or origin_or_none < end:
                yield origin_or_none, value
                continue
            self.ahead.append((origin_or_none, value))
            if origin_or_none >= end + AHEAD_OFFSETS:
                return

    def _origin(self, value: bytes) -> int | None:
        found = decode_or_none(_ORIGIN, value)
        if found is None or found.topic != topics.TICKS_RAW or found.partition != self.partition:
            return None
        return found.offset


@dataclass(slots=True)
class BlockAudit:
    """Compares one partition's outputs with its log, and adds what it finds to an account.

    Parameters
    ----------
    run
        Recomputes the partition.
    outputs
        Values by topic, each in the order of the output's partition: dead letters, predictions and,
        where they are published, features.
    inside
        Whether a tick of this Kafka timestamp, milliseconds, is to be compared.
    block_ticks
        So many ticks are compared at once.
    """

    run: Recomputation
    outputs: Mapping[str, Iterable[bytes]]
    models: Models
    account: Account
    inside: Callable[[int], bool] = lambda _at_ms: True
    block_ticks: int = BLOCK_TICKS
    _outputs: dict[str, _Output] = field(init=False)
    _take: dict[str, Callable[[bytes | None], None]] = field(default_factory=dict)
    _first: int | None = None
    _end: int = 0
    _begun: int | None = None
    _ticks: int = 0

    def __post_init__(self) -> None:
        number = self.run.partition
        self._outputs = {name: _Output(number, iter(each)) for name, each in self.outputs.items()}

    def add(self, raw: RawBatch) -> None:
        """Take the next part of the log."""
        found = [
            offset
            for offset, at_ms in zip(raw.offsets, raw.timestamps_ms, strict=True)
            if self.inside(at_ms)
        ]
        if not found:
            self._compare()
            self.run.add(raw, keep=False)
            return
        self.run.add(raw)
        self._first = found[0] if self._first is None else self._first
        self._end = found[-1] + 1
        self._ticks += len(found)
        if self._ticks >= self.block_ticks:
            self._compare()

    def finish(self) -> bool:
        """Compare the rest; return whether anything was compared."""
        self._compare()
        if self._begun is None:
            return False
        for topic, output in self._outputs.items():
            for origin, value in output.below(2**63):
                if origin is None:
                    self._take[topic](value)
                    self._elsewhere(topic, value)
                elif origin < self._end:
                    self._late(topic, origin)
        return True

    def _compare(self) -> None:
        if self._first is None:
            return
        number, first, end = self.run.partition, self._first, self._end
        expected = self.run.take(first, end)
        self._begun = first if self._begun is None else self._begun
        comparison = Comparison(
            {number: expected},
            {number: (first, end)},
            self.models,
            with_features=topics.TICKS_FEATURES in self._outputs,
            account=self.account,
        )
        self._take = {
            topics.DEAD_LETTERS: comparison.dead_letter,
            topics.PREDICTIONS: comparison.prediction,
            topics.TICKS_FEATURES: comparison.feature_row,
        }
        for topic in [name for name in self._take if name in self._outputs]:
            for origin, value in self._outputs[topic].below(end):
                if origin is not None and origin < first:
                    self._late(topic, origin)
                    continue
                self._take[topic](value)
                if origin is None:
                    self._elsewhere(topic, value)
        comparison.finish()
        self._first, self._ticks = None, 0

    def _late(self, topic: str, origin: int) -> None:
        """Count an output of a tick that an earlier block has compared; pass over one before."""
        if self._begun is not None and self._begun <= origin:
            self.account.tallies[topic].served += 1
            detail = "served again, or out of order"
            self.account.defect(topic, EXTRA, self.run.partition, origin, detail)

    def _elsewhere(self, topic: str, value: bytes) -> None:
        """Count an output that lies in another partition than its tick."""
        found = decode_or_none(_ORIGIN, value)
        if (
            found is not None
            and found.topic == topics.TICKS_RAW
            and found.offset is not None
            and found.partition not in (None, self.run.partition)
        ):
            detail = f"lies in partition {self.run.partition}, its tick in {found.partition}"
            self.account.defect(topic, EXTRA, found.partition or 0, found.offset, detail)
