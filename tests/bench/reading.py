"""A reader that knows when each message was in hand."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from tests.support.processes import Process

_MOST = 10_000
# The end of a prediction: which input it stands for, and when it was scored.
_TAIL = re.compile(rb'"ts_scored_ns":(\d+),"partition":\d+,"offset":(\d+)\}$')
_TAIL_BYTES = 120


@dataclass(frozen=True, slots=True)
class Arrived:
    """Messages that came together.

    Attributes
    ----------
    at_ns
        When they were in hand, ``time.monotonic_ns()``.
    offsets
        Their own offsets.
    """

    at_ns: int
    offsets: list[int]
    values: list[bytes]


class Reader:
    """Reads partition 0 of a topic from its beginning, committed messages alone.

    Parameters
    ----------
    config
        Of the client.
    """

    def __init__(self, config: Mapping[str, str], topic: str) -> None:
        self._consumer = Consumer(
            {
                **config,
                "group.id": "bench-reader",  # names no commit
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
                "fetch.min.bytes": 1,
                "log_level": 2,
            }
        )
        self._consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])

    def take(self, wait_s: float = 0.1) -> Arrived:
        """Return what is there as soon as anything is; nothing after ``wait_s``."""
        first = self._consumer.poll(wait_s)
        if first is None:
            return Arrived(time.monotonic_ns(), [], [])
        messages = [first, *self._consumer.consume(_MOST, 0)]
        at_ns = time.monotonic_ns()
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
        return Arrived(at_ns, [m.offset() for m in messages], [m.value() or b"" for m in messages])

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


def input_of(prediction: bytes) -> tuple[int, int]:
    """Return the offset in ``ticks.raw`` that a prediction stands for, and its ``ts_scored_ns``.

    Decoding a whole message would take the reader's time from those that are measured.
    """
    found = _TAIL.search(prediction[-_TAIL_BYTES:])
    if found is None:
        message = f"not a prediction: {prediction!r:.200}"
        raise ValueError(message)
    return int(found[2]), int(found[1])


def follow(
    reader: Reader,
    process: Process,
    note: Callable[[Arrived], None],
    done: Callable[[int], bool],
    limit_s: float,
    what: str,
) -> int:
    """Read until enough was seen, as long as the process lives that writes it.

    Parameters
    ----------
    note
        Takes what came.
    done
        Is asked with the present time after each look; what is returned is that time
        (``time.monotonic_ns()``).
    what
        Is waited for, in words.

    Raises
    ------
    RuntimeError
        The process has ended, or it was not done within ``limit_s``.
    """
    begin_ns = time.monotonic_ns()
    while True:
        arrived = reader.take()
        if arrived.values:
            note(arrived)
        if done(arrived.at_ns):
            return arrived.at_ns
        late = arrived.at_ns - begin_ns > limit_s * 1e9
        if late or not process.running:
            state = f"{limit_s:g} s have passed" if late else f"it ended: {process.exit_code}"
            message = f"waited for {what} in vain, {state}:\n{process.tail()}"
            raise RuntimeError(message)
