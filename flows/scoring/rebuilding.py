"""When the set of models has to be built again."""

import threading
from collections.abc import Callable, Hashable

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 15.0


class RebuildSchedule:
    """Ask for a build when the store has changed, and again while a model could not be loaded.

    A file may be on its way (a copy that goes on, a network disk that is away for a second), so a
    failure holds for a time that doubles from ``FIRST_RETRY_S`` to ``LONGEST_RETRY_S``; any change
    of the store ends it. Safe to use from several threads.

    Parameters
    ----------
    clock
        Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._token: Hashable = object()
        self._retry_at: float | None = None
        self._wait_s = FIRST_RETRY_S

    def due(self, token: Hashable) -> bool:
        """Return whether the store with this change token has to be looked at."""
        with self._lock:
            if token != self._token:
                return True
            return self._retry_at is not None and self._clock() >= self._retry_at

    def built(self, token: Hashable, *, complete: bool) -> None:
        """Take note of a build.

        Parameters
        ----------
        token
            The store's change token, read before the build.
        complete
            Every model that the store asks for was loaded.
        """
        with self._lock:
            repeated = token == self._token
            self._token = token
            if complete:
                self._retry_at = None
                return
            self._wait_s = min(2 * self._wait_s, LONGEST_RETRY_S) if repeated else FIRST_RETRY_S
            self._retry_at = self._clock() + self._wait_s
