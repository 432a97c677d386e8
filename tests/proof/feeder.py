"""Seeded load on ``ticks.raw`` from a thread, until told to stop."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Self

from tests.support.kafka.tools import Filler, Outgoing

_SLICE_S = 0.02


@dataclass(frozen=True)
class Rhythm:
    """Load with a burst at the end of each period.

    Attributes
    ----------
    base_hz, burst_hz
        Messages per second outside of bursts and within.
    every_s, burst_s
        Length of a period, and of the burst in it, seconds.
    """

    base_hz: float
    burst_hz: float
    every_s: float
    burst_s: float

    @classmethod
    def averaging(cls, rate_hz: float) -> Self:
        """Return a burst of five times the rest every seventh second."""
        base_hz = rate_hz * 7 / (6 + 5)
        return cls(base_hz, 5 * base_hz, 7.0, 1.0)

    @property
    def mean_hz(self) -> float:
        """Messages per second over whole periods."""
        burst = self.burst_s / self.every_s
        return self.base_hz * (1 - burst) + self.burst_hz * burst

    def bursts(self, elapsed_s: float) -> bool:
        """Tell whether there is a burst so long after the beginning."""
        return elapsed_s % self.every_s >= self.every_s - self.burst_s

    def hz_at(self, elapsed_s: float) -> float:
        """Return the rate so long after the beginning."""
        return self.burst_hz if self.bursts(elapsed_s) else self.base_hz


class FeederKind(StrEnum):
    """What becomes of a batch whose acknowledgement does not come: it is sent again.

    ``plain``: it may lie in the log twice, or behind younger ones. ``idempotent``: in order,
    and once unless the broker was killed meanwhile.
    """

    IDEMPOTENT = "idempotent"
    PLAIN = "plain"


class Feeder:
    """Writes messages in a rhythm.

    Parameters
    ----------
    config
        Of the client.
    messages
        What to write, without end.
    kind
        Of the producer.
    """

    def __init__(
        self,
        config: Mapping[str, str],
        messages: Iterator[Outgoing],
        rhythm: Rhythm,
        kind: FeederKind = FeederKind.IDEMPOTENT,
    ) -> None:
        self.counts: Counter[int] = Counter()
        self._messages = messages
        self._rhythm = rhythm
        self._filler = Filler(config, idempotent=kind is FeederKind.IDEMPOTENT)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def write(self, count: int) -> None:
        """Write so many at once, from the caller's thread; only while it is not running."""
        chunk = list(islice(self._messages, count))
        self._filler.write(chunk)
        self.counts.update(message.partition for message in chunk)

    def stop(self) -> None:
        """End the thread and wait until what it wrote is delivered.

        A client whose broker came back after a failure may keep its messages for a minute and more.
        """
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._filler.flush()

    def flush(self) -> None:
        """Wait until everything is delivered; not while it is running."""
        self._filler.flush()

    def close(self) -> None:
        """Wait until everything is delivered; fail if anything was not."""
        self._filler.close()

    @property
    def running(self) -> bool:
        """Whether it has neither been stopped nor ended by an error."""
        return self._thread.is_alive()

    @property
    def total(self) -> int:
        """How many messages were handed over."""
        return sum(self.counts.values())

    @property
    def delivered(self) -> int:
        """How many messages the client has called delivered."""
        return self._filler.delivered

    def _run(self) -> None:
        begin = time.monotonic()
        owed = 0.0
        last = begin
        while not self._stop.wait(_SLICE_S):
            now = time.monotonic()
            owed += (now - last) * self._rhythm.hz_at(now - begin)
            last = now
            self.write(int(owed))
            owed -= int(owed)
