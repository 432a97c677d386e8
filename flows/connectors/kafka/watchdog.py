"""End a flow that stands still while there is input."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from flows.connectors.kafka.admin import DescribedTopic, describe_topic
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

    def forget(self, partition: int) -> None:
        """Know no more of a partition, which another process reads from now on."""
        for known in (self.position, self.taken, self.committed):
            known.pop(partition, None)


class Stall:
    """Decides when a flow has stood still for too long; has no side effect but reads its clock.

    Time in which the process itself slept does not count: a look is that late for no other reason.

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
        self._answered = self._looked = clock()
        self._moved: dict[int, tuple[tuple[int, int], float]] = {}

    def look(self, progress: Progress, ends: Mapping[int, int] | None) -> str | None:
        """Return what has stood still for too long; None while nothing has.

        Parameters
        ----------
        ends
            End of the log by partition; None where the broker did not answer.
        """
        now = self._clock()
        self._forgive(now - self._looked - longest_look_s(len(progress.position)))
        self._looked = now
        if ends is None:
            silent_s = now - self._answered
            return f"no broker has answered for {silent_s:.0f} s" if self._late(silent_s) else None
        self._answered = now
        for gone in self._moved.keys() - ends.keys():
            del self._moved[gone]  # it may come back, and stood not still while it was away
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

    def _forgive(self, slept_s: float) -> None:
        """Let everything begin so much later."""
        if slept_s > 0:
            self._answered += slept_s
            self._moved = {
                partition: (state, since + slept_s)
                for partition, (state, since) in self._moved.items()
            }

    def _late(self, seconds: float) -> bool:
        return seconds > self._limit_s


def longest_look_s(partitions: int) -> float:
    """Return how long it may take from one look to the next, where no broker answers."""
    return LOOK_S + _ANSWER_S * (1 + partitions)


class Shape:
    """Decides when a topic is no longer the one that the flow was started on.

    Parameters
    ----------
    topic
        Its name.
    known
        The topic as it was at the start.
    """

    def __init__(self, topic: str, known: DescribedTopic) -> None:
        self._topic = topic
        self._known = known
        self._absences = 0

    def look(self, now: DescribedTopic | None) -> str | None:
        """Return what has changed about the topic; None while it is as it was.

        Parameters
        ----------
        now
            The topic as it is; None if the broker did not answer.
        """
        if now is None:
            return None
        if now.partitions == 0:
            # A broker that has just come back may not know its topics yet.
            self._absences += 1
            gone = f"topic {self._topic} was deleted under the flow; what is lost is lost"
            return gone if self._absences > 1 else None
        self._absences = 0
        if (
            None not in (now.topic_id, self._known.topic_id)
            and now.topic_id != self._known.topic_id
        ):
            return (
                f"topic {self._topic} was deleted and created again under the flow; what is lost is"
                " lost"
            )
        if now.partitions != self._known.partitions:
            return (
                f"topic {self._topic} has {now.partitions} partitions now,"
                f" {self._known.partitions} when the flow was started; give every topic as many"
            )
        return None


def watch(
    config: ClientConfig,
    topic: str,
    known: DescribedTopic,
    progress: Progress,
    limit_s: float,
    on_stall: Callable[[BaseException], object],
) -> None:
    """Start the thread that watches.

    Parameters
    ----------
    known
        The topic at the start, which must stay what it is.
    on_stall
        Called with a :class:`BrokerError` once the flow has stood still for ``limit_s``, or its
        topic is gone or has other partitions.
    """
    stall = Stall(limit_s)
    shape = Shape(topic, known)
    never = threading.Event()

    def run() -> None:
        options = client_config(
            config,
            group_id="voltick-watchdog",  # names no commit
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        options["error_cb"] = lambda _error: None
        # The flow's own clients log what is wrong with the connection.
        quiet = client_config(config)
        quiet["error_cb"] = lambda _error: None
        consumer, admin = Consumer(options), AdminClient(quiet)
        while not never.wait(LOOK_S):
            changed = shape.look(describe_topic(admin, topic, _ANSWER_S))
            if changed is not None:
                on_stall(BrokerError(f"{changed}; start it again"))
                return
            why = stall.look(progress, _ends(consumer, topic, list(progress.position)))
            if why is not None:
                message = f"the flow makes no progress: {why}; start it again"
                on_stall(BrokerError(message))
                return

    threading.Thread(target=run, name="watchdog", daemon=True).start()


def _ends(consumer: Consumer, topic: str, partitions: list[int]) -> dict[int, int] | None:
    """Return the end of each partition that answers; None where none does.

    A partition without a leader does not answer. Nothing can be read from it, so it stands still
    rightly, and must not be taken for a broker that is silent.
    """
    found: dict[int, int] = {}
    for partition in partitions:
        place = TopicPartition(topic, partition)
        with suppress(KafkaException):
            found[partition] = consumer.get_watermark_offsets(place, timeout=_ANSWER_S)[1]
    return found if found or not partitions else None
