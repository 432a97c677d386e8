"""Reads of parts of partitions, each for a bounded time."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from serving.http.problems import LogUnavailableError

ANSWER_LIMIT_S = 2.0
_SIDE_BY_SIDE = 16  # requests under way; a distant broker is as slow for all as for one
_GROUP = "voltick-api"  # required by the client; it is never joined
_BATCH = 2000
_WAIT_S = 0.05
_END = KafkaError._PARTITION_EOF  # noqa: SLF001 (librdkafka's name of its own event)
_UNKNOWN = (
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
)

Place = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Record:
    """One message: its offset, its Kafka timestamp in milliseconds, key and value."""

    offset: int
    at_ms: int
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Part:
    """Offsets [start, stop) of a partition; without ``stop`` as far as it goes."""

    place: Place
    start: int
    stop: int | None = None


@dataclass(slots=True)
class Found:
    """What was read of a part.

    Attributes
    ----------
    next_offset
        Where to go on.
    whole
        The part's end was reached.
    first, end
        The log's first offset and the one behind its last, where they were asked for.
    """

    next_offset: int
    records: list[Record] = field(default_factory=list)
    whole: bool = False
    first: int = 0
    end: int = 0


class LogReader:
    """A consumer that is told what to read; not for two threads at once.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``.
    clock
        Monotonic seconds.
    """

    def __init__(
        self, config: Mapping[str, str | int], clock: Callable[[], float] = time.monotonic
    ) -> None:
        silent = logging.getLogger("voltick.librdkafka")
        silent.disabled = True
        self._options: dict[str, Any] = {
            "logger": silent,
            "error_cb": _ignore,
            "group.id": _GROUP,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.min.bytes": 1,
            "fetch.wait.max.ms": 50,
            "fetch.error.backoff.ms": 50,
            "fetch.queue.backoff.ms": 5,
            "fetch.message.max.bytes": 1 << 20,
            "queued.max.messages.kbytes": 8 << 10,
            "socket.timeout.ms": int(ANSWER_LIMIT_S * 1000),
            **config,
        }
        self._clock = clock
        self._end_s = math.inf
        self._consumer: Consumer | None = None
        self._uncommitted: Consumer | None = None
        self._positions: dict[Place, int] = {}

    @contextmanager
    def within(self, limit_s: float) -> Iterator[None]:
        """Let what is asked meanwhile be answered within so many seconds together, or fail.

        A broker may answer each request in time and be too far away for all of them.
        """
        self._end_s = self._clock() + limit_s
        try:
            yield
        finally:
            self._end_s = math.inf

    def partitions(self) -> dict[str, int]:
        """Return how many partitions each topic has.

        Raises
        ------
        LogUnavailableError
            The broker does not answer.
        """
        found = self._asked(lambda consumer: consumer.list_topics(timeout=self._left_s()))
        return {name: len(topic.partitions) for name, topic in found.topics.items()}

    def bounds(self, place: Place) -> tuple[int, int]:
        """Return the first offset and the one behind the last.

        Where the log seems to be empty, transactions that are open count: the embedded broker tells
        readers of committed data that a log ends where it begins as long as one is.

        Raises
        ------
        LogUnavailableError
            The broker does not answer.
        """
        return self.all_bounds([place])[place]

    def all_bounds(self, places: Sequence[Place]) -> dict[Place, tuple[int, int]]:
        """Return what :meth:`bounds` does for many partitions, asked side by side.

        Raises
        ------
        LogUnavailableError
            The broker does not answer.
        """
        found = self._bounds_by(self._open, places)
        empty = [place for place, (low, high) in found.items() if low >= high]
        return found | self._bounds_by(self._open_uncommitted, empty)

    def _bounds_by(
        self, opened: Callable[[], Consumer], places: Sequence[Place]
    ) -> dict[Place, tuple[int, int]]:
        if not places:
            return {}

        def ask(place: Place) -> tuple[int, int]:
            where, left_s = TopicPartition(*place), self._left_s()
            low, high = opened().get_watermark_offsets(where, timeout=left_s)
            return int(low), int(high)

        def ask_all(_consumer: Consumer) -> dict[Place, tuple[int, int]]:
            opened()  # not by several threads at once
            with ThreadPoolExecutor(min(len(places), _SIDE_BY_SIDE)) as pool:
                return dict(zip(places, pool.map(ask, places), strict=True))

        answers: dict[Place, tuple[int, int]] = self._asked(ask_all)
        return answers

    def offset_at(self, place: Place, at_ms: int) -> int:
        """Return the first offset whose Kafka timestamp is this or later; else one past the last.

        Raises
        ------
        LogUnavailableError
            The broker does not answer.
        """
        asked = [TopicPartition(*place, at_ms)]
        [found] = self._asked(lambda c: c.offsets_for_times(asked, timeout=self._left_s()))
        return int(found.offset) if found.offset >= 0 else self.bounds(place)[1]

    def tail(self, place: Place, messages: int, limit_s: float) -> list[Record]:
        """Return about the last ``messages`` of a partition, oldest first."""
        return self.tails([place], messages, limit_s)[place].records

    def tails(self, places: Sequence[Place], messages: int, limit_s: float) -> dict[Place, Found]:
        """Read about the last ``messages`` of each of some partitions, side by side.

        One is ``whole`` where its end was reached.
        """
        if not places:
            return {}
        bounds = self.all_bounds(places)
        # As far as it goes: the end may lie further than the broker said a moment ago.
        starts = {place: max(low, high - messages) for place, (low, high) in bounds.items()}
        found = self.read([Part(place, start) for place, start in starts.items()], limit_s)
        for place, each in found.items():
            each.first, each.end = bounds[place]
            # A busy embedded broker may begin at the first message instead.
            begun = all(record.offset >= starts[place] for record in each.records[:1])
            each.whole = each.whole and begun
        return found

    def read(self, parts: Sequence[Part], limit_s: float) -> dict[Place, Found]:
        """Read parts side by side, one of each partition, until all end or the time is up.

        A part without an end also counts as read where nothing more is at hand.

        Raises
        ------
        LogUnavailableError
            The broker refuses, or cannot be reached.
        """
        found = {part.place: Found(part.start) for part in parts}
        stops = {part.place: part.stop for part in parts}
        for part in parts:
            found[part.place].whole = part.stop is not None and part.start >= part.stop
        left = {place for place, each in found.items() if not each.whole}
        # A part that goes on where the last read of its partition ended has nothing to seek.
        follows = all(self._positions.get(part.place) == part.start for part in parts)
        # The client waits until it has so many, or for its time: no more than a short part needs.
        ends = [part.stop for part in parts if part.stop is not None]
        most = sum(ends) - sum(part.start for part in parts) if len(ends) == len(parts) else _BATCH
        most = max(1, min(most, _BATCH))
        deadline_s = min(self._clock() + limit_s, self._end_s)
        try:
            self._assign([part for part in parts if part.place in left], follows=follows)
            while left and self._clock() < deadline_s:
                messages = self._consumed(most)
                if not messages and follows:
                    break
                for message in messages:
                    self._take(message, found, stops, left)
        except KafkaException as error:
            self.close()
            raise _unavailable(error) from None
        return found

    def close(self) -> None:
        """Hang up; the next read connects anew."""
        consumers = self._consumer, self._uncommitted
        self._consumer = self._uncommitted = None
        self._positions.clear()
        for consumer in consumers:
            if consumer is not None:
                consumer.close()

    def _assign(self, parts: Sequence[Part], *, follows: bool) -> None:
        if follows and len(parts) == len(self._positions):
            return
        self._positions = {part.place: part.start for part in parts}
        self._open().assign([TopicPartition(*part.place, part.start) for part in parts])

    def _consumed(self, most: int) -> list[Any]:
        messages: list[Any] = self._open().consume(most, _WAIT_S)
        return messages

    def _take(
        self,
        message: Any,
        found: dict[Place, Found],
        stops: Mapping[Place, int | None],
        left: set[Place],
    ) -> None:
        place = (str(message.topic()), int(message.partition()))
        error = message.error()
        if error is not None:
            stop = stops.get(place)
            if error.code() == _END:
                # The embedded broker may answer with nothing while it is busy, which looks the
                # same but for the offset.
                if stop is None or int(message.offset()) >= stop:
                    self._end(place, found, left)
                return
            if error.code() in _UNKNOWN:
                self._end(place, found, left)
                return
            raise KafkaException(error)
        offset = int(message.offset())
        self._positions[place] = offset + 1
        part, stop = found.get(place), stops.get(place)
        if part is None:
            return
        if stop is None or offset < stop:
            at_ms = int(message.timestamp()[1])
            record = Record(offset, at_ms, message.key() or b"", message.value() or b"")
            part.records.append(record)
            part.next_offset = offset + 1
        if stop is not None and offset >= stop - 1:
            self._end(place, found, left)

    def _end(self, place: Place, found: dict[Place, Found], left: set[Place]) -> None:
        if place in found:
            found[place].whole = True
            left.discard(place)

    def _open(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(self._options)
        return self._consumer

    def _open_uncommitted(self) -> Consumer:
        if self._uncommitted is None:
            self._uncommitted = Consumer({**self._options, "isolation.level": "read_uncommitted"})
        return self._uncommitted

    def _left_s(self) -> float:
        left_s = min(self._end_s - self._clock(), ANSWER_LIMIT_S)
        if left_s <= 0.0:
            cause = "it answers, but too slowly for all that was to be read"
            raise LogUnavailableError(cause)
        return left_s

    def _asked(self, ask: Callable[[Consumer], Any]) -> Any:
        try:
            return ask(self._open())
        except KafkaException as error:
            self.close()
            raise _unavailable(error) from None


def _unavailable(error: KafkaException) -> LogUnavailableError:
    reason = error.args[0]
    return LogUnavailableError(reason.str() if hasattr(reason, "str") else str(reason))


def _ignore(_error: object) -> None:
    """Drop what librdkafka reports; the call that fails raises."""
