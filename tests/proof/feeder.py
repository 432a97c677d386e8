"""Seeded load on ``ticks.raw`` from a thread, until told to stop."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice

from tests.support.kafka_tools import Filler, Outgoing

_SLICE_S = 0.02
_BURST_EVERY = 7
_BURST = 5


class Feeder:
    """Writes messages at ``rate_hz`` on average, every seventh second in a burst.

    Parameters
    ----------
    config
        Of the client.
    messages
        What to write, without end.
    rate_hz
        Messages per second.
    """

    def __init__(
        self, config: Mapping[str, str], messages: Iterator[Outgoing], rate_hz: float
    ) -> None:
        self.counts: Counter[int] = Counter()
        self._messages = messages
        # So that the average over a burst's period is the rate.
        self._base_hz = rate_hz * _BURST_EVERY / (_BURST_EVERY - 1 + _BURST)
        self._filler = Filler(config)
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
        """End the thread; what it wrote may still be on its way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def close(self) -> None:
        """Wait until everything is delivered."""
        self._filler.close()

    @property
    def total(self) -> int:
        """How many messages were handed over."""
        return sum(self.counts.values())

    def _run(self) -> None:
        begin = time.monotonic()
        owed = 0.0
        last = begin
        while not self._stop.wait(_SLICE_S):
            now = time.monotonic()
            bursting = int(now - begin) % _BURST_EVERY == _BURST_EVERY - 1
            owed += (now - last) * self._base_hz * (_BURST if bursting else 1)
            last = now
            self.write(int(owed))
            owed -= int(owed)
