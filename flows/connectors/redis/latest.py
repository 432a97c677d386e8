"""The newest prediction per symbol in Redis, beside the flow and never in its way.

Delivery: at most the newest. A thread writes what is newest when it gets to it; what was replaced
meanwhile is skipped. While Redis is away the newest of each symbol is kept and written when it is
back, also into a Redis that came back empty.
"""

import threading
from collections.abc import Iterable

import redis
import structlog
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from flows.connectors.outputs import Latest
from flows.connectors.redis.script import WRITE_LATEST
from schemas import topics

HISTORY_SPACING_NS = 50_000_000  # at most 20 points a second and symbol
ROUND_S = 0.02  # between two writes: the page and the API notice no more
ANSWER_LIMIT_S = 2.0
_BACKOFF_S = (0.1, 5.0)
_CHUNK = 500


class LatestWriter:
    """Writes the newest prediction of each symbol, its sampled history, and the live channel.

    Parameters
    ----------
    url
        Redis URL; connected to at first use.
    history_length
        Points kept per symbol, about.
    """

    def __init__(self, url: str, history_length: int) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=ANSWER_LIMIT_S,
            socket_connect_timeout=ANSWER_LIMIT_S,
            # A silent reconnect could hide that Redis came back empty.
            retry=Retry(NoBackoff(), 0),
        )
        self._history_length = history_length
        self._lock = threading.Lock()
        self._wakeup = threading.Event()
        self._stopping = threading.Event()
        self._idle = threading.Event()  # nothing is being written
        self._idle.set()
        self._pending: dict[str, Latest] = {}
        self._known: dict[str, Latest] = {}
        self._sampled_ns: dict[str, int] = {}
        self._script: str | None = None
        self._log = structlog.get_logger()
        self._thread = threading.Thread(target=self._run, name="redis-writer", daemon=True)
        self._thread.start()

    def put(self, entries: Iterable[Latest]) -> None:
        """Take predictions over; returns at once. An older one than is known is dropped."""
        with self._lock:
            for entry in entries:
                known = self._pending.get(entry.symbol)
                if known is None or known.ts_scored_ns < entry.ts_scored_ns:
                    self._pending[entry.symbol] = entry
        self._wakeup.set()

    def close(self, timeout_s: float = ANSWER_LIMIT_S) -> None:
        """Write what is pending, at most for ``timeout_s``, and end the thread."""
        self._stopping.set()
        self._wakeup.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        backoff_s = _BACKOFF_S[0]
        away = False
        while True:
            self._wakeup.wait()
            self._wakeup.clear()
            stopping = self._stopping.is_set()
            try:
                self._write(self._take())
            except (RedisError, OSError) as error:
                self._give_back()
                if not away:
                    self._log.warning("Redis is away, scores wait", cause=_cause(error))
                away = True
                if stopping:
                    return
                self._stopping.wait(backoff_s)
                backoff_s = min(backoff_s * 2, _BACKOFF_S[1])
                self._wakeup.set()
                continue
            self._idle.set()
            if away:
                self._log.info("Redis is back")
            away, backoff_s = False, _BACKOFF_S[0]
            if stopping:
                self._client.close()
                return
            self._stopping.wait(ROUND_S)

    def _take(self) -> list[Latest]:
        with self._lock:
            taken, self._pending = self._pending, {}
            self._idle.clear()
        for symbol, entry in taken.items():
            known = self._known.get(symbol)
            if known is None or known.ts_scored_ns < entry.ts_scored_ns:
                self._known[symbol] = entry
        return list(taken.values())

    def _give_back(self) -> None:
        """Make everything known pending again: Redis may come back empty."""
        self._script = None
        self.put(self._known.values())

    def _write(self, entries: list[Latest]) -> None:
        if not entries:
            return
        if self._script is None:
            self._script = str(self._client.script_load(WRITE_LATEST))
        try:
            self._send(self._script, entries)
        except NoScriptError:
            # Another Redis, or a restarted one: it lacks the rest, too.
            self._script = str(self._client.script_load(WRITE_LATEST))
            self._send(self._script, list(self._known.values()))

    def _send(self, script: str, entries: list[Latest]) -> None:
        for start in range(0, len(entries), _CHUNK):
            chunk = entries[start : start + _CHUNK]
            with self._client.pipeline(transaction=False) as pipeline:
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
        return last_ns is None or entry.ts_scored_ns - last_ns >= HISTORY_SPACING_NS


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
