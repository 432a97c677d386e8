"""The newest prediction per symbol in Redis, its sampled history, and the live channel.

Delivery: at most the newest. A thread writes what is newest when it gets to it; what was replaced
meanwhile is skipped. While Redis is away the newest of each symbol is kept and written when it is
back, also into a Redis that came back empty.
"""

import threading
from collections.abc import Iterable

import redis
from redis.exceptions import NoScriptError

from flows.codec.outputs import Latest
from flows.connectors.redis.script import WRITE_LATEST
from flows.connectors.redis.writer import ANSWER_LIMIT_S, WriterThread
from flows.numeric.time import NS_PER_MS
from schemas import topics

HISTORY_INTERVAL_NS = 50 * NS_PER_MS  # at most 20 points a second and symbol
ROUND_S = 0.02  # between two writes: the page and the API notice no more
_CHUNK = 500


class LatestWriter:
    """Writes the newest prediction of each symbol, by a thread of its own.

    Parameters
    ----------
    url
        Redis URL; connected to at first use.
    history_length
        Points kept per symbol, about.
    """

    def __init__(self, url: str, history_length: int) -> None:
        self._newest = NewestPredictions(history_length)
        self._thread = WriterThread(
            url, "scores", self._newest.write, self._newest.write_everything_again, ROUND_S
        )

    def put(self, entries: Iterable[Latest]) -> None:
        """Take predictions over; return at once. An older one than is known is dropped."""
        self._newest.put(entries)
        self._thread.wake()

    def close(self, timeout_s: float = ANSWER_LIMIT_S) -> None:
        """Write what is pending, at most for ``timeout_s``, and end the thread."""
        self._thread.close(timeout_s)


class NewestPredictions:
    """What Redis is to hold: the newest prediction of each symbol, and which are not written yet.

    Any thread may call :meth:`put`; the other methods belong to the thread that writes.

    Parameters
    ----------
    history_length
        Points kept per symbol, about.
    """

    def __init__(self, history_length: int) -> None:
        self._history_length = history_length
        self._lock = threading.Lock()
        self._pending: dict[str, Latest] = {}
        self._known: dict[str, Latest] = {}
        self._sampled_ns: dict[str, int] = {}
        self._script: str | None = None

    def put(self, entries: Iterable[Latest]) -> None:
        """Take predictions over; an older one than is pending is dropped."""
        with self._lock:
            for entry in entries:
                known = self._pending.get(entry.symbol)
                if known is None or known.ts_scored_ns < entry.ts_scored_ns:
                    self._pending[entry.symbol] = entry

    def write(self, client: redis.Redis) -> None:
        """Write what is pending.

        Raises
        ------
        redis.RedisError, OSError
            Redis does not take it.
        """
        entries = self._take()
        if not entries:
            return
        if self._script is None:
            self._script = str(client.script_load(WRITE_LATEST))
        try:
            self._send(client, self._script, entries)
        except NoScriptError:
            # Another Redis, or a restarted one: it lacks the rest, too.
            self._script = str(client.script_load(WRITE_LATEST))
            self._send(client, self._script, list(self._known.values()))

    def write_everything_again(self) -> None:
        """Make everything known pending: after a failure Redis may come back empty."""
        self._script = None
        self.put(self._known.values())

    def _take(self) -> list[Latest]:
        with self._lock:
            taken, self._pending = self._pending, {}
        for symbol, entry in taken.items():
            known = self._known.get(symbol)
            if known is None or known.ts_scored_ns < entry.ts_scored_ns:
                self._known[symbol] = entry
        return list(taken.values())

    def _send(self, client: redis.Redis, script: str, entries: list[Latest]) -> None:
        for start in range(0, len(entries), _CHUNK):
            chunk = entries[start : start + _CHUNK]
            with client.pipeline(transaction=False) as pipeline:
                for entry in chunk:
                    pipeline.evalsha(script, 4, *self._arguments(entry))
                pipeline.execute()
            for entry in chunk:
                if self._is_sampled(entry):
                    self._sampled_ns[entry.symbol] = entry.ts_scored_ns

    def _arguments(self, entry: Latest) -> list[str | bytes | int]:
        return [
            topics.latest_key(entry.symbol),
            topics.history_key(entry.symbol),
            topics.SYMBOLS_KEY,
            topics.STREAM_CHANNEL,
            entry.ts_scored_ns,
            entry.message,
            entry.symbol,
            self._history_length,
            int(self._is_sampled(entry)),
        ]

    def _is_sampled(self, entry: Latest) -> bool:
        last_ns = self._sampled_ns.get(entry.symbol)
        return last_ns is None or entry.ts_scored_ns - last_ns >= HISTORY_INTERVAL_NS
