"""End a flow that stands still while there is input."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException, TopicPartition

from flows.connectors.kafka.client import ClientConfig, client_config
from flows.errors import BrokerError

LOOK_S = 5.0
_ANSWER_S = 5.0


@dataclass(slots=True)
class Progress:
    """How far this process has come, by partition: set by source and sink, read by the watchdog.

    Attributes
    ----------
    position
        Next offset to read; at the end of a log that ends in a transaction's marker, behind it.
    taken
        Offset behind the last message that was read.
    committed
        Committed offset.
    """

    position: dict[int, int] = field(default_factory=dict)
    taken: dict[int, int] = field(default_factory=dict)
    committed: dict[int, int] = field(default_factory=dict)


class Stall:
    """Decides when a flow has stood still for too long; has no side effect but reads its clock.

    Parameters
    ----------
    limit_s
        How long a partition may stand still while the log goes on, and the broker be silent.
    clock
        Monotonic seconds.
    """

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._answered = clock()
        self._moved: dict[int, tuple[tuple[int, int], float]] = {}

    def look(self, progress: Progress, ends: Mapping[int, int] | None) -> str | None:
        """Return what has stood still for too long; None while nothing has.

        Parameters
        ----------
        ends
            End of the log by partition; None where the broker did not answer.
        """
        now = self._clock()
        if ends is None:
            silent_s = now - self._answered
            return f"no broker has answered for {silent_s:.0f} s" if self._late(silent_s) else None
        self._answered = now
        for partition, end in ends.items():
            position = progress.position.get(partition, end)
            taken = progress.taken.get(partition, 0)
            committed = progress.committed.get(partition, taken)
            state, since = self._moved.get(partition, ((-1, -1), now))
            if state != (position, committed) or (end <= position and taken <= committed):
                self._moved[partition] = ((position, committed), now)
            elif self._late(now - since):
                return (
                    f"partition {partition} has stood still for {now - since:.0f} s: read to"
                    f" {position}, committed to {committed}, while the log goes to {end}"
                )
        return None

    def _late(self, seconds: float) -> bool:
        return seconds > self._limit_s


class Shape:
    """Decides when a topic is no longer the one that the flow was started on.

    Parameters
    ----------
    partitions
        How many the topic had at the start.
    """

    def __init__(self, topic: str, partitions: int) -> None:
        self._topic = topic
        self._partitions = partitions
        self._absences = 0

    def look(self, partitions: int | None) -> str | None:
        """Return what has changed about the topic; None while it is as it was.

        Parameters
        ----------
        partitions
            How many there are now, 0 where there is no such topic; None if the broker did not
            answer.
        """
        if partitions == 0:
            # A broker that has just come back may not know its topics yet.
            self._absences += 1
            gone = f"topic {self._topic} was deleted under the flow; what is lost is lost"
            return gone if self._absences > 1 else None
        if partitions is None:
            return None
        self._absences = 0
        if partitions != self._partitions:
            return (
                f"topic {self._topic} has {partitions} partitions now, {self._partitions} when the"
                " flow was started; give every topic as many"
            )
        return None


def watch(
    config: ClientConfig,
    topic: str,
    partitions: int,
    progress: Progress,
    limit_s: float,
    on_stall: Callable[[BaseException], object],
) -> None:
    """Start the thread that watches.

    Parameters
    ----------
    partitions
        Of the topic, which must stay as many.
    on_stall
        Called with a :class:`BrokerError` once the flow has stood still for ``limit_s``, or its
        topic is gone or has other partitions.
    """
    stall = Stall(limit_s)
    shape = Shape(topic, partitions)
    never = threading.Event()

    def run() -> None:
        options = client_config(
            config,
            group_id="voltick-watchdog",  # names no commit
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        options["error_cb"] = lambda _error: None
        # Two: a client that reads from a topic lists it for half a minute after its deletion.
        consumer, observer = Consumer(options), Consumer(options)
        while not never.wait(LOOK_S):
            changed = shape.look(_partition_count(observer, topic))
            if changed is not None:
                on_stall(BrokerError(f"{changed}; start it again"))
                return
            why = stall.look(progress, _ends(consumer, topic, list(progress.position)))
            if why is not None:
                message = f"the flow makes no progress: {why}; start it again"
                on_stall(BrokerError(message))
                return

    threading.Thread(target=run, name="watchdog", daemon=True).start()


def _partition_count(consumer: Consumer, topic: str) -> int | None:
    try:
        found = consumer.list_topics(topic, timeout=_ANSWER_S).topics
    except KafkaException:
        return None
    return len(found[topic].partitions) if topic in found else 0


def _ends(consumer: Consumer, topic: str, partitions: list[int]) -> dict[int, int] | None:
    try:
        return {
            partition: consumer.get_watermark_offsets(
                TopicPartition(topic, partition), timeout=_ANSWER_S
            )[1]
            for partition in partitions
        }
    except KafkaException:
        return None
