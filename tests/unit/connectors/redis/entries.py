"""What the tests of the latest predictions write and read."""

import redis

from flows.codec.outputs import Latest
from flows.connectors.redis.newest import NewestPredictions
from schemas import topics

MS = 1_000_000
HOUR_NS = 3_600_000 * MS
TTL_S = 3600
START_NS = 1_700_000_000_000_000_000


class Clock:
    """Monotonic seconds, as a test sets them."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Process:
    """Writes entries one after another; each is there, or was refused, before the next."""

    def __init__(self, client: redis.Redis, log: str = "log", clock: Clock | None = None) -> None:
        self.client = client
        self.newest = NewestPredictions(5, log, TTL_S, clock or Clock())

    def write(self, *entries: Latest, age_s: float = 0.0) -> None:
        for each in entries:
            self.newest.put([each], age_s)
            self.newest.write(self.client)


def entry(
    offset: int, symbol: str = "BTC-USD", *, at_ns: int | None = None, partition: int = 0
) -> Latest:
    """Return a prediction that was scored as many nanoseconds after the start as its offset."""
    scored_ns = START_NS + (offset if at_ns is None else at_ns)
    return Latest(symbol, offset, scored_ns, f"m{offset}".encode(), partition)


def message(client: redis.Redis, symbol: str = "BTC-USD") -> bytes | None:
    return client.hget(topics.latest_key(symbol), "message")


def history(client: redis.Redis, symbol: str = "BTC-USD") -> list[bytes]:
    return [fields[b"message"] for _, fields in client.xrange(topics.history_key(symbol))]
