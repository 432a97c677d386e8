"""Hold what Redis shows against the predictions on the topic."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import redis

from schemas import topics
from tests.proof.checker import Defect
from tests.support.kafka_tools import Message
from tests.support.polling import pause
from tests.twin.expectation import Origin

# Writers keep out of scoring's way: they may be a little behind it, at a start a few seconds.
PATIENCE_S = 15.0
_TOPIC = "redis"


class _Head(msgspec.Struct):
    symbol: str
    venue: str
    ts_scored_ns: int
    partition: int
    offset: int

    @property
    def origin(self) -> Origin:
        return self.partition, self.offset


_HEAD = msgspec.json.Decoder(_Head)


@dataclass
class _Symbol:
    """A symbol's predictions on the topic, and the last of each venue."""

    values: set[bytes] = field(default_factory=set)
    last: dict[str, tuple[_Head, bytes]] = field(default_factory=dict)

    @property
    def newest(self) -> _Head:
        return max((head for head, _ in self.last.values()), key=lambda head: head.ts_scored_ns)

    @property
    def wanted(self) -> set[bytes]:
        """What may be shown: the last one; venues scored in one batch have the same time."""
        newest = self.newest.ts_scored_ns
        return {value for head, value in self.last.values() if head.ts_scored_ns == newest}


def check_redis(
    url: str, predictions: Sequence[Message], patience_s: float = PATIENCE_S
) -> list[Defect]:
    """Return what Redis shows otherwise than the topic, once its writers had time to come to rest.

    Nothing may be written to the topic meanwhile.
    """
    symbols = _by_symbol(predictions)
    end = time.monotonic() + patience_s
    with redis.Redis.from_url(url) as client:
        while True:
            defects = [
                defect
                for symbol, known in symbols.items()
                for defect in (*_latest(client, symbol, known), *_history(client, symbol, known))
            ]
            if not defects or time.monotonic() > end:
                return defects
            pause(0.1)


def _by_symbol(predictions: Sequence[Message]) -> dict[str, _Symbol]:
    symbols: dict[str, _Symbol] = {}
    for message in predictions:
        head = _HEAD.decode(message.value)
        known = symbols.setdefault(head.symbol, _Symbol())
        known.values.add(message.value)
        known.last[head.venue] = head, message.value
    return symbols


def _latest(client: redis.Redis, symbol: str, known: _Symbol) -> list[Defect]:
    shown = client.hget(topics.latest_key(symbol), "message")
    if shown in known.wanted:
        return []
    newest = known.newest
    detail = f"latest of {symbol} is {shown!r:.300}, not offset {newest.offset}"
    return [Defect("different", _TOPIC, newest.origin, detail)]


def _history(client: redis.Redis, symbol: str, known: _Symbol) -> list[Defect]:
    """Return points that are not on the topic, or not newer than the point before."""
    defects = []
    before_ns = 0
    for _, fields in client.xrange(topics.history_key(symbol)):
        point = fields[b"message"]
        head = _HEAD.decode(point)
        if point not in known.values:
            detail = f"in the history of {symbol}, but not on the topic"
            defects.append(Defect("different", _TOPIC, head.origin, detail))
        if head.ts_scored_ns <= before_ns:
            detail = f"in the history of {symbol} again, or after a newer one"
            defects.append(Defect("different", _TOPIC, head.origin, detail))
        before_ns = head.ts_scored_ns
    return defects
