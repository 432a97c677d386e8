"""Which partitions the group has assigned to the workers of this process."""

import threading
from collections.abc import Collection


class Assigned:
    """The partitions of each worker; any thread may call.

    A worker does not follow what another one of its process owns: both would end together. And of a
    partition that goes from one worker to another the process has to remember what it knows.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_worker: dict[int, frozenset[int]] = {}

    def of(self, worker: int) -> frozenset[int]:
        """Return the partitions of one worker."""
        with self._lock:
            return self._by_worker.get(worker, frozenset())

    def all(self) -> frozenset[int]:
        """Return the partitions of all workers."""
        with self._lock:
            return frozenset().union(*self._by_worker.values())

    def add(self, worker: int, partitions: Collection[int]) -> None:
        """Note that partitions came to a worker."""
        with self._lock:
            self._by_worker[worker] = self._by_worker.get(worker, frozenset()) | set(partitions)

    def remove(self, worker: int, partitions: Collection[int]) -> None:
        """Note that partitions left a worker."""
        with self._lock:
            self._by_worker[worker] = self._by_worker.get(worker, frozenset()) - set(partitions)
