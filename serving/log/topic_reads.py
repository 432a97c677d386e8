"""Short reads of the topics' newest messages, one after the other, each remembered for a moment."""

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

from serving.http.problems import LogUnavailableError
from serving.log.reader import LogReader
from serving.models.admission import Admission

MAX_WAITING = 16
WHOLE_S = 5.0
"""How long all requests of one read may take together."""

UNAVAILABLE_S = 1.0
"""For so long a failure is told to those who waited behind it, instead of one after the other."""

T = TypeVar("T")


class TopicReads:
    """One reader that all requests share.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``; None where no broker is configured.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        config: Mapping[str, str | int] | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = None if config is None else LogReader(config)
        self._clock = clock
        self._admission = Admission(MAX_WAITING)
        self._known: dict[Hashable, tuple[float, Any]] = {}
        self._lock = asyncio.Lock()
        self._failed: tuple[float, LogUnavailableError] | None = None

    async def run(self, key: Hashable, fresh_s: float, work: Callable[[LogReader], T]) -> T:
        """Return what ``work`` makes of the reader, at most ``fresh_s`` ago.

        Raises
        ------
        LogUnavailableError
            Kafka does not answer, or is not configured.
        ApiError
            Too many requests wait.
        """
        reader = self._reader
        if reader is None:
            cause = "KAFKA_BOOTSTRAP_SERVERS is not set"
            raise LogUnavailableError(cause)
        with self._admission.admitted():
            async with self._lock:
                known = self._known.get(key)
                if known is not None and self._clock() < known[0]:
                    kept: T = known[1]
                    return kept
                if self._failed is not None and self._clock() < self._failed[0]:
                    raise self._failed[1]
                try:
                    made = await self._admission.run(lambda: _bounded(reader, work))
                except LogUnavailableError as error:
                    self._failed = self._clock() + UNAVAILABLE_S, error
                    raise
                now_s = self._clock()
                self._known = {at: each for at, each in self._known.items() if each[0] > now_s}
                self._known[key] = (now_s + fresh_s, made)
                return made

    def close(self) -> None:
        """Hang up."""
        self._admission.close()
        if self._reader is not None:
            self._reader.close()


def _bounded(reader: LogReader, work: Callable[[LogReader], T]) -> T:
    with reader.within(WHOLE_S):
        return work(reader)
