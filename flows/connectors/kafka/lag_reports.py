"""Lags told by readers of which several, one after another, may read the same partition."""

import threading
from collections import Counter

from flows.connectors.kafka.source import LagObserver


class LagReports:
    """Tells lags on, those of the youngest reader of each partition alone.

    A reader's client takes its time to leave the broker, so that an older reader may end after the
    next one, of this or another worker, has told of its first lag.

    Parameters
    ----------
    observe
        Told of lags and ends, by one thread at a time.
    """

    def __init__(self, observe: LagObserver) -> None:
        self._observe = observe
        self._lock = threading.Lock()
        self._opened: Counter[int] = Counter()

    def of_reader(self, partition: int) -> LagObserver:
        """Return what the next reader of a partition reports to; older ones are not heard then."""
        with self._lock:
            self._opened[partition] += 1
            number = self._opened[partition]

        def report(partition: int, lag: int | None) -> None:
            with self._lock:
                if self._opened[partition] == number:
                    self._observe(partition, lag)

        return report
