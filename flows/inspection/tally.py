"""Count what comes along on a topic. Pure: batches and the time go in, counts come out."""

from array import array
from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np

from flows.codec.batch import RawBatch
from flows.inspection.contracts import Contract, Fact, Refusal
from flows.numeric.time import NS_PER_MS, NS_PER_S
from schemas.features import LATE_LIMIT_S, MEMORY_S

EXAMPLES = 3
"""So many messages of each reason are shown."""

_REMEMBERED = 1_000_000
_LATE_LIMIT_NS = LATE_LIMIT_S * NS_PER_S
_MEMORY_NS = MEMORY_S * NS_PER_S


@dataclass(slots=True)
class SeriesCount:
    """What was counted of one series: a symbol of a venue, or candles of one interval of it.

    Attributes
    ----------
    late
        Messages older than the series' newest by up to a minute.
    restarts
        Messages older by more, or an hour and more ahead: the flows begin the symbol anew.
    gaps
        Messages before which others are known to be lost.
    repeats
        Messages whose rank is not above the newest.
    newest_ns
        The latest event time, nanoseconds since the UNIX epoch.
    partitions
        Where its messages lie; more than one mixes up their order.
    """

    messages: int = 0
    late: int = 0
    restarts: int = 0
    gaps: int = 0
    repeats: int = 0
    newest_ns: int = 0
    newest_rank: int = -1
    partitions: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Example:
    """A message that is none of the topic's."""

    partition: int
    offset: int
    detail: str


@dataclass(slots=True)
class Tally:
    """Counts of one topic.

    Attributes
    ----------
    errors
        Messages that are none of the topic's, by reason.
    duplicates
        Messages that repeat another's identity, or a trade.
    labels
        Messages without a series, by what they are counted under.
    """

    contract: Contract
    messages: int = 0
    size_bytes: int = 0
    duplicates: int = 0
    series: dict[tuple[str, ...], SeriesCount] = field(default_factory=dict)
    by_partition: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    labels: Counter[str] = field(default_factory=Counter)
    _sizes: "array[int]" = field(default_factory=lambda: array("Q"))
    _lags_ms: "array[float]" = field(default_factory=lambda: array("d"))
    _seen: "OrderedDict[tuple[int, Hashable], None]" = field(default_factory=OrderedDict)

    def add(self, batch: RawBatch, now_ns: int) -> None:
        """Count a batch that has come at ``now_ns`` (nanoseconds since the UNIX epoch)."""
        sizes = [len(value) for value in batch.values]
        self.messages += len(sizes)
        self.size_bytes += sum(sizes)
        self._sizes.extend(sizes)
        self.by_partition[batch.partition] += len(sizes)
        facts, refused = self.contract.read(batch)
        for refusal in refused:
            self._refuse(batch.partition, refusal)
        for fact in facts:
            self._count(batch.partition, fact, now_ns)

    def sizes(self) -> np.ndarray:
        """Return the sizes of all messages in bytes, shape (n,)."""
        return np.frombuffer(self._sizes, np.uint64) if self._sizes else np.empty(0, np.uint64)

    def lags_ms(self) -> np.ndarray:
        """Return, of each message with an event time, how old it was when it came, shape (n,)."""
        return np.frombuffer(self._lags_ms, np.float64) if self._lags_ms else np.empty(0)

    def newest_ns(self) -> int | None:
        """Return the latest event time; None where no message had one."""
        return max((each.newest_ns for each in self.series.values()), default=None)

    def _refuse(self, partition: int, refusal: Refusal) -> None:
        reason = str(refusal.reason)
        self.errors[reason] += 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < EXAMPLES:
            shown.append(Example(partition, refusal.offset, refusal.detail))

    def _count(self, partition: int, fact: Fact, now_ns: int) -> None:
        if fact.identity is not None and self._is_repeat(partition, fact.identity):
            self.duplicates += 1
        if fact.ts_ns is not None:
            self._lags_ms.append((now_ns - fact.ts_ns) / NS_PER_MS)
        if fact.series is None:
            if fact.label:
                self.labels[fact.label] += 1
            return
        series = self.series.get(fact.series)
        if series is None:
            series = self.series[fact.series] = SeriesCount()
        series.messages += 1
        series.partitions.add(partition)
        series.gaps += fact.gap
        if fact.ts_ns is not None and series.newest_ns and not self._goes_on(series, fact.ts_ns):
            series.restarts += 1
            series.newest_ns, series.newest_rank = 0, -1
        if fact.rank is not None:
            if fact.rank <= series.newest_rank:
                series.repeats += 1
                self.duplicates += 1
                return  # it says nothing new, whatever its time
            series.newest_rank = fact.rank
        if fact.ts_ns is not None:
            series.late += fact.ts_ns < series.newest_ns
            series.newest_ns = max(series.newest_ns, fact.ts_ns)

    def _goes_on(self, series: SeriesCount, ts_ns: int) -> bool:
        """Tell whether a time follows a series' newest; else the flow forgets the symbol."""
        return -_LATE_LIMIT_NS <= ts_ns - series.newest_ns <= _MEMORY_NS

    def _is_repeat(self, partition: int, identity: Hashable) -> bool:
        """Tell whether an identity was seen, among the last million of them."""
        key = (partition, identity)
        if key in self._seen:
            return True
        self._seen[key] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return False
