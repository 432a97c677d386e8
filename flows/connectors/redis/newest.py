"""The newest prediction per symbol in Redis, its sampled history, and the live channel.

Newest is what lies later in the log; no clock decides. Within a partition that is the greater
offset; a symbol whose ticks lie in several partitions shows the prediction that came last, while
each of its partitions only moves forward. The history and the live channel get what was accepted as
newest; of a batch that spans minutes, as one that catches up does, the history also gets what the
batch passed, some seconds of event time apart. The history is short where ticks are many: one point
in ten seconds is kept for longer, in a stream of its own.

Delivery: at most the newest. A thread writes what is newest when it gets to it; what was replaced
meanwhile is skipped. While Redis is away the newest of each symbol is kept and written when it is
back, also into a Redis that came back empty. What Redis has lost while it answered, since it was
emptied or removes keys for want of memory, is written again, too. A symbol without new scores ends
after its time to live, or earlier where a partition has more symbols than are kept: those silent
for longest leave.
"""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import redis
import structlog
from redis.exceptions import NoScriptError

from flows.codec.outputs import Latest
from flows.connectors.redis.script import (
    HAD_NOTHING,
    REMOVE_ENDED,
    REMOVE_SYMBOL,
    WRITE_LATEST,
)
from flows.numeric.time import NS_PER_MS, NS_PER_S
from schemas import topics
from schemas.features import MAX_SYMBOLS

HISTORY_INTERVAL_NS = 50 * NS_PER_MS  # at most 20 points a second and symbol
PAST_INTERVAL_NS = 10 * NS_PER_S
PAST_SHARE = 4
"""The past holds so many times fewer points than the history: of 3,000, those of two hours."""

DAY_S = 86_400
ENDED_EVERY_S = 60.0
REFILL_EVERY_S = 5.0
"""A Redis that keeps removing keys for want of memory gets everything again no more often."""

_CHUNK = 500
_PASSED = 20_000
_SLACK = 8

Place = tuple[str, int]
"""A symbol and a partition that its ticks come from."""

_Passed = dict[Place, list[Latest]]
"""Predictions for the history alone, in the order of their offsets."""

OnWritten = Callable[[float], None]
"""Called after a write, with how long the one that waited longest had waited, seconds."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A prediction and when its symbol's time to live began, monotonic seconds.

    ``put_s`` is when it was handed over, same clock; None where it was not scored just before.
    """

    entry: Latest
    since_s: float
    put_s: float | None = None


class NewestPredictions:
    """What Redis is to hold: the newest prediction of each symbol, and which are not written yet.

    Any thread may call :meth:`put`; the other methods belong to the thread that writes.

    Parameters
    ----------
    history_length
        Points kept per symbol, about.
    log
        Name of the log that the offsets belong to.
    symbol_ttl_s
        Seconds after its last score at which a symbol leaves Redis.
    clock
        Monotonic seconds.
    on_written
        See :data:`OnWritten`; predictions of an earlier run do not count.
    max_symbols
        Symbols kept per partition, about: an eighth more, so that few leave one by one.
    """

    def __init__(
        self,
        history_length: int,
        log: str,
        symbol_ttl_s: int = DAY_S,
        clock: Callable[[], float] = time.monotonic,
        on_written: OnWritten | None = None,
        max_symbols: int = MAX_SYMBOLS,
    ) -> None:
        self._on_written = on_written
        self._max_symbols = max_symbols
        self._history_length = history_length
        self._past_length = max(history_length // PAST_SHARE, 1)
        self._log = log
        self._ttl_s = symbol_ttl_s
        self._clock = clock
        self._lock = threading.Lock()
        # By place, the newest last: in this order a Redis that came back empty is filled again.
        self._pending: dict[Place, _Known] = {}
        self._known: dict[Place, _Known] = {}
        self._counts: Counter[int] = Counter()  # of known places, by partition
        self._passed: deque[Latest] = deque(maxlen=_PASSED)
        self._sampled_ns: dict[str, int] = {}
        self._thinned_ns: dict[str, int] = {}
        self._script: str | None = None
        self._ended_s = clock()
        self._lost = False
        self._refilled_s = float("-inf")

    def put(
        self, entries: Iterable[Latest], age_s: float = 0.0, passed: Iterable[Latest] = ()
    ) -> None:
        """Take predictions over; one that is not newer than a pending one is dropped.

        Of those for the history alone the oldest are dropped where too many wait.
        """
        now_s = self._clock()
        since_s, put_s = now_s - age_s, None if age_s else now_s
        if age_s >= self._ttl_s:
            return
        with self._lock:
            self._passed.extend(passed)
            for entry in entries:
                _keep(self._pending, _Known(entry, since_s, put_s))

    def write(self, client: redis.Redis) -> None:
        """Write what is pending; now and then, let go of symbols that ended.

        Raises
        ------
        redis.RedisError, OSError
            Redis does not take it.
        """
        passed, pending, repeated = self._take()
        if pending:
            self._write(client, pending, passed, repeated)
            self._note_written(pending)
            self._remove(client, self._crowded_out())
            self._refill(client)
        if self._clock() - self._ended_s >= ENDED_EVERY_S:
            self._ended_s = self._clock()
            self._forget_ended()
            client.eval(REMOVE_ENDED, 1, topics.SYMBOLS_KEY, topics.LATEST_KEY_PREFIX)

    def write_everything_again(self) -> None:
        """Make everything known pending: after a failure Redis may come back empty."""
        self._script = None
        with self._lock:
            newer = self._pending
            self._pending = {at: replace(each, put_s=None) for at, each in self._known.items()}
            for known in newer.values():
                _keep(self._pending, known)

    def _note_written(self, written: list[_Known]) -> None:
        put_s = min((each.put_s for each in written if each.put_s is not None), default=None)
        if self._on_written is not None and put_s is not None:
            self._on_written(self._clock() - put_s)

    def _take(self) -> tuple[_Passed, list[_Known], set[Place]]:
        """Return what waits, at one moment: what was passed lies before the latest of its place.

        And of which places Redis should have a latest already.
        """
        oldest_s = self._clock() - self._ttl_s
        repeated: set[Place] = set()
        with self._lock:
            waiting, self._passed = self._passed, deque(maxlen=_PASSED)
            taken, self._pending = self._pending, {}
        passed: _Passed = {}
        for entry in waiting:
            passed.setdefault((entry.symbol, entry.partition), []).append(entry)
        for place, known in taken.items():
            before = self._known.get(place)
            self._counts[place[1]] += before is None
            if before is not None and before.since_s > oldest_s and known.put_s is not None:
                repeated.add(place)
            _keep(self._known, known)
        return passed, list(taken.values()), repeated

    def _crowded_out(self) -> list[_Known]:
        """Forget and return those silent for longest, where a partition has too many symbols.

        By their places in the log: what an earlier run has left comes after the first new ones.
        """
        most = self._max_symbols + self._max_symbols // _SLACK
        leaving: list[Place] = []
        for partition, count in self._counts.items():
            if count > most:
                own = [place for place in self._known if place[1] == partition]
                own.sort(key=lambda place: self._known[place].entry.offset)
                leaving += own[: count - self._max_symbols]
        self._counts.subtract(partition for _symbol, partition in leaving)
        return [self._known.pop(place) for place in leaving]

    def _remove(self, client: redis.Redis, leaving: list[_Known]) -> None:
        script = client.register_script(REMOVE_SYMBOL)
        for start in range(0, len(leaving), _CHUNK):
            with client.pipeline(transaction=False) as pipeline:
                for entry in (known.entry for known in leaving[start : start + _CHUNK]):
                    self._sampled_ns.pop(entry.symbol, None)
                    self._thinned_ns.pop(entry.symbol, None)
                    keys = [
                        topics.latest_key(entry.symbol),
                        topics.history_key(entry.symbol),
                        topics.SYMBOLS_KEY,
                        topics.past_key(entry.symbol),
                    ]
                    which: list[str | int] = [entry.partition, entry.offset, entry.symbol]
                    script(keys=keys, args=[*which], client=pipeline)
                pipeline.execute()

    def _write(
        self,
        client: redis.Redis,
        pending: list[_Known],
        passed: _Passed,
        repeated: set[Place],
    ) -> None:
        if self._script is None:
            self._script = str(client.script_load(WRITE_LATEST))
        try:
            self._lost |= bool(self._send(client, self._script, pending, passed) & repeated)
        except NoScriptError:
            # Another Redis, or a restarted one: it lacks the rest, too.
            self._script = str(client.script_load(WRITE_LATEST))
            self._send(client, self._script, list(self._known.values()), passed)

    def _refill(self, client: redis.Redis) -> None:
        """Write everything again where Redis has lost what this process wrote."""
        now_s = self._clock()
        if not self._lost or self._script is None or now_s - self._refilled_s < REFILL_EVERY_S:
            return
        if self._refilled_s == float("-inf"):
            structlog.get_logger().warning(
                "Redis has lost scores that were written: it was emptied, or removes keys for want"
                " of memory; they are written again, now and whenever that happens"
            )
        self._refilled_s = now_s
        self._forget_ended()
        self._send(client, self._script, list(self._known.values()), {})
        self._lost = False

    def _send(
        self, client: redis.Redis, script: str, entries: list[_Known], passed: _Passed
    ) -> set[Place]:
        """Write entries; return the places of whose symbols Redis had nothing."""
        new: set[Place] = set()
        channel = topics.stream_channel(client.get_connection_kwargs())
        for start in range(0, len(entries), _CHUNK):
            chunk = entries[start : start + _CHUNK]
            with client.pipeline(transaction=False) as pipeline:
                for known in chunk:
                    before = passed.get((known.entry.symbol, known.entry.partition), ())
                    pipeline.evalsha(script, 6, *self._arguments(known, before, channel))
                answers = pipeline.execute()
            for known, answer in zip(chunk, answers, strict=True):
                self._note(known.entry)
                if answer == HAD_NOTHING:
                    new.add((known.entry.symbol, known.entry.partition))
        return new

    def _arguments(
        self, known: _Known, passed: Sequence[Latest], channel: str
    ) -> list[str | bytes | int]:
        entry = known.entry
        left_s = self._ttl_s - (self._clock() - known.since_s)
        return [
            topics.latest_key(entry.symbol),
            topics.history_key(entry.symbol),
            topics.SYMBOLS_KEY,
            channel,
            topics.LOGS_KEY,
            topics.past_key(entry.symbol),
            entry.partition,
            entry.offset,
            self._log,
            entry.ts_scored_ns,
            entry.message,
            entry.symbol,
            self._history_length,
            int(self._is_sampled(entry)),
            max(int(left_s), 1),
            self._past_length,
            int(self._is_thinned(entry)),
            *[part for each in passed for part in (each.offset, each.message)],
        ]

    def _is_sampled(self, entry: Latest) -> bool:
        """Tell whether the history gets this one."""
        return _is_due(self._sampled_ns.get(entry.symbol), entry, HISTORY_INTERVAL_NS)

    def _is_thinned(self, entry: Latest) -> bool:
        """Tell whether the past gets this one, too, if the history does."""
        return _is_due(self._thinned_ns.get(entry.symbol), entry, PAST_INTERVAL_NS)

    def _note(self, entry: Latest) -> None:
        """Remember which streams got an entry that was written."""
        if self._is_sampled(entry):
            self._sampled_ns[entry.symbol] = entry.ts_scored_ns
            if self._is_thinned(entry):
                self._thinned_ns[entry.symbol] = entry.ts_scored_ns

    def _forget_ended(self) -> None:
        """Forget symbols whose time to live is over: they are not to come back with Redis."""
        oldest_s = self._clock() - self._ttl_s
        self._known = {at: known for at, known in self._known.items() if known.since_s > oldest_s}
        self._counts = Counter(partition for _symbol, partition in self._known)
        alive = {symbol for symbol, _partition in self._known}
        self._sampled_ns = {at: ns for at, ns in self._sampled_ns.items() if at in alive}
        self._thinned_ns = {at: ns for at, ns in self._thinned_ns.items() if at in alive}


def _is_due(last_ns: int | None, entry: Latest, interval_ns: int) -> bool:
    """Tell whether an interval has gone by; a clock that was set back begins anew."""
    return last_ns is None or not 0 <= entry.ts_scored_ns - last_ns < interval_ns


def _keep(places: dict[Place, _Known], known: _Known) -> None:
    """Let a prediction take its place, as the last one, unless a newer one has it."""
    place = (known.entry.symbol, known.entry.partition)
    other = places.get(place)
    if other is None or other.entry.offset < known.entry.offset:
        places.pop(place, None)
        places[place] = known
