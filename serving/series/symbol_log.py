"""Reads of one symbol's ticks, predictions and outcomes, a bounded step at a time.

The newest messages come first, then what came since, then older ones, until the time that is kept
is covered. A partition holds other symbols too: their messages are passed over by their key.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from flows.numeric.time import NS_PER_S
from schemas import topics
from schemas.decoding import decode_or_none
from serving.log.reader import LogReader, Part, Record
from serving.series.buckets import SPAN_S, Buckets, OutcomePart, PredictionPart, TickPart

TOPICS = (topics.PREDICTIONS, topics.TICKS_RAW, topics.OUTCOMES)
"""In the order in which their messages are added: predictions say what time it is."""

FIRST_CHUNK = 1_500
CHUNK = 12_000
"""Messages of each topic in one step back: few at first, so that something is there at once."""

MOST_BEHIND = 60_000
"""Further behind than this, a reader goes on at the end and says so."""

_tick = msgspec.json.Decoder(TickPart).decode
_prediction = msgspec.json.Decoder(PredictionPart).decode
_outcome = msgspec.json.Decoder(OutcomePart).decode


@dataclass(slots=True)
class _Reach:
    """Offsets [first, next) of a topic that were read; ``low`` is where it begins.

    A step back that runs out of time goes on at ``begun``; what it ``held`` counts once it has
    come from ``begun_at`` to ``first``, so that there is no hole meanwhile.
    """

    low: int
    first: int
    next: int
    done: bool = False
    begun_at: int | None = None
    begun: int = 0
    held: list[Record] = field(default_factory=list)
    chunk: int = FIRST_CHUNK


class SymbolLog:
    """What the topics say about one symbol; not for two threads at once.

    Parameters
    ----------
    symbol
        As in the messages' key.
    partition
        Where its messages lie, on each topic.
    reader
        Of its own; closed by :meth:`close`.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        symbol: str,
        partition: int,
        reader: LogReader,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.symbol = symbol
        self.partition = partition
        self.buckets = Buckets()
        self.skipped = 0
        self._key = symbol.encode()
        self._reader = reader
        self._clock = clock
        self._reach: dict[str, _Reach] = {}

    @property
    def complete(self) -> bool:
        """All that is kept was read."""
        return bool(self._reach) and all(reach.done for reach in self._reach.values())

    def advance(self, limit_s: float) -> None:
        """Read what came, then older messages while there is time.

        Raises
        ------
        LogUnavailableError
            Kafka does not answer.
        """
        deadline_s = self._clock() + limit_s
        if not self._reach:
            self._begin()
            self._back(limit_s)
        # The end may lie further than the broker said a moment ago: the embedded one is behind.
        self._forward(max(deadline_s - self._clock(), 0.1))
        while not self.complete and self._clock() < deadline_s:
            self._back(max(deadline_s - self._clock(), 0.05))

    def close(self) -> None:
        """Hang up."""
        self._reader.close()

    def _begin(self) -> None:
        known = self._reader.partitions()
        places = [
            (topic, self.partition) for topic in TOPICS if self.partition < known.get(topic, 0)
        ]
        # All or none: a topic that was left out would stay so for as long as somebody looks.
        for (topic, _partition), (low, high) in self._reader.all_bounds(places).items():
            self._reach[topic] = _Reach(low, high, high, done=high <= low)

    def _forward(self, limit_s: float) -> None:
        parts = [Part((topic, self.partition), reach.next) for topic, reach in self._reach.items()]
        answers = self._reader.read(parts, limit_s)
        for topic, reach in self._reach.items():
            found = answers[topic, self.partition]
            self._add(topic, found.records)
            reach.next = found.next_offset
            if len(found.records) > CHUNK:
                self._skip(topic, reach)

    def _skip(self, topic: str, reach: _Reach) -> None:
        """Leave out what cannot be caught up with."""
        _low, high = self._reader.bounds((topic, self.partition))
        if high - reach.next > MOST_BEHIND:
            self.skipped += high - CHUNK - reach.next
            reach.next = high - CHUNK

    def _back(self, limit_s: float) -> None:
        """Read a chunk of each topic that lies before what is known.

        A chunk counts once it is there on all topics: what a tick comes to depends on what the
        predictions say about time.
        """
        parts = []
        for topic, reach in self._reach.items():
            if reach.done:
                continue
            if reach.begun_at is None:
                reach.begun_at = reach.begun = max(reach.low, reach.first - reach.chunk)
            parts.append(Part((topic, self.partition), reach.begun, reach.first))
        answers = self._reader.read(parts, limit_s)
        for (topic, _partition), found in answers.items():
            self._reach[topic].held += found.records
            self._reach[topic].begun = found.next_offset
        if all(found.whole for found in answers.values()):
            for topic, reach in self._reach.items():
                if not reach.done:
                    self._add_chunk(topic, reach)

    def _add_chunk(self, topic: str, reach: _Reach) -> None:
        oldest_s = self._add(topic, reach.held)
        reach.held = []
        if reach.begun_at is not None:
            reach.first, reach.begun_at = reach.begun_at, None
        reach.chunk = min(2 * reach.chunk, CHUNK)
        too_old = oldest_s is not None and oldest_s <= self.buckets.newest_s - SPAN_S
        reach.done = too_old or reach.first <= reach.low

    def _add(self, topic: str, records: list[Record]) -> int | None:
        """Add this symbol's messages; return the second of the oldest."""
        oldest_ns: int | None = None
        for record in records:
            if record.key != self._key:
                continue
            ts_ns = self._add_one(topic, record)
            if ts_ns is not None and (oldest_ns is None or ts_ns < oldest_ns):
                oldest_ns = ts_ns
        return None if oldest_ns is None else oldest_ns // NS_PER_S

    def _add_one(self, topic: str, record: Record) -> int | None:
        if topic == topics.TICKS_RAW:
            tick = decode_or_none(_tick, record.value)
            if tick is None:
                return None
            self.buckets.add_tick(record.offset, tick)
            return tick.ts_event_ns
        if topic == topics.PREDICTIONS:
            prediction = decode_or_none(_prediction, record.value)
            if prediction is None:
                return None
            self.buckets.add_prediction(prediction)
            return prediction.ts_event_ns
        outcome = decode_or_none(_outcome, record.value)
        if outcome is None:
            return None
        self.buckets.add_outcome(outcome)
        return outcome.ts_event_ns
