"""The thread that writes the newest predictions to Redis."""

import uuid
from collections.abc import Iterable

from flows.codec.outputs import Latest
from flows.connectors.redis.newest import DAY_S, NewestPredictions, OnWritten
from flows.connectors.redis.writer import ANSWER_LIMIT_S, WriterThread
from schemas.features import MAX_SYMBOLS

ROUND_S = 0.02  # between two writes: the page and the API notice no more


class LatestWriter:
    """Writes the newest prediction of each symbol, by a thread of its own.

    Parameters
    ----------
    url
        Redis URL; connected to at first use.
    history_length
        Points kept per symbol, about.
    log_id
        Names the log that the offsets belong to, so that one made anew is told from the one before;
        None where that is not known: then a process that starts later counts as a newer log.
    symbol_ttl_s
        Seconds after its last score at which a symbol leaves Redis.
    on_written, max_symbols
        See :class:`NewestPredictions`.
    """

    def __init__(
        self,
        url: str,
        history_length: int,
        log_id: str | None = None,
        symbol_ttl_s: int = DAY_S,
        on_written: OnWritten | None = None,
        max_symbols: int = MAX_SYMBOLS,
    ) -> None:
        log = f"process-{uuid.uuid4()}" if log_id is None else log_id
        self._newest = NewestPredictions(
            history_length, log, symbol_ttl_s, on_written=on_written, max_symbols=max_symbols
        )
        self._thread = WriterThread(
            url, "scores", self._newest.write, self._newest.write_everything_again, ROUND_S
        )

    def put(
        self, entries: Iterable[Latest], age_s: float = 0.0, passed: Iterable[Latest] = ()
    ) -> None:
        """Take predictions over; return at once. One that is not newer than is known is dropped.

        Parameters
        ----------
        age_s
            How long ago they were scored, as far as their symbol's time to live is concerned.
        passed
            For the history alone: what came before the entries of the same symbols, in the order
            of their offsets.
        """
        self._newest.put(entries, age_s, passed)
        self._thread.wake()

    @property
    def is_away(self) -> bool:
        """Whether Redis did not take the last write."""
        return self._thread.is_away

    def close(self, timeout_s: float = ANSWER_LIMIT_S) -> None:
        """Write what is pending, at most for ``timeout_s``, and end the thread."""
        self._thread.close(timeout_s)
