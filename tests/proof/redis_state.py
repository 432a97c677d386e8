"""Hold what Redis shows against the predictions on the topic."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import redis

from schemas import topics
from tests.oracle.expectation import Origin
from tests.proof.checker import Defect
from tests.support.kafka.tools import Message
from tests.support.polling import pause

# Writers keep out of scoring's way: they may be a little behind it, at a start a few seconds.
PATIENCE_S = 15.0
_TOPIC = "redis"


class _Head(msgspec.Struct):
    symbol: str
    partition: int
    offset: int

    @property
    def origin(self) -> Origin:
        return self.partition, self.offset


_HEAD = msgspec.json.Decoder(_Head)


@dataclass
class _Symbol:
    """A symbol's predictions on the topic, of all venues, and the last of them."""

    newest: _Head
    last: bytes
    values: set[bytes] = field(default_factory=set)
    partitions: set[int] = field(default_factory=set)
    may_have_left: bool = False


def check_redis(
    url: str,
    predictions: Sequence[Message],
    patience_s: float = PATIENCE_S,
    max_symbols: int | None = None,
) -> list[Defect]:
    """Return what Redis shows otherwise than the topic, once its writers had time to come to rest.

    Nothing may be written to the topic meanwhile.

    Parameters
    ----------
    max_symbols
        Symbols of one partition that are kept for certain, those scored last; None for all.
    """
    symbols = _by_symbol(predictions)
    if max_symbols is not None:
        _let_leave(symbols, predictions, max_symbols)
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
        known = symbols.setdefault(head.symbol, _Symbol(head, message.value))
        known.values.add(message.value)
        known.partitions.add(head.partition)
        known.newest, known.last = head, message.value
    return symbols


def _let_leave(
    symbols: dict[str, _Symbol], predictions: Sequence[Message], max_symbols: int
) -> None:
    """Mark the symbols of one partition that were crowded out by those scored after them."""
    last: dict[int, dict[str, None]] = {}
    for message in predictions:
        head = _HEAD.decode(message.value)
        places = last.setdefault(head.partition, {})
        places.pop(head.symbol, None)
        places[head.symbol] = None
    for places in last.values():
        for symbol in list(places)[:-max_symbols]:
            symbols[symbol].may_have_left = len(symbols[symbol].partitions) == 1


def _latest(client: redis.Redis, symbol: str, known: _Symbol) -> list[Defect]:
    shown = client.hget(topics.latest_key(symbol), "message")
    if shown == known.last or (shown is None and known.may_have_left):
        return []
    detail = f"latest of {symbol} is {shown!r:.300}, not offset {known.newest.offset}"
    return [Defect("different", _TOPIC, known.newest.origin, detail)]


def _history(client: redis.Redis, symbol: str, known: _Symbol) -> list[Defect]:
    """Return points that are not on the topic, or not newer than their partition's point before."""
    defects = []
    before: dict[int, int] = {}
    for _, fields in client.xrange(topics.history_key(symbol)):
        point = fields[b"message"]
        head = _HEAD.decode(point)
        if point not in known.values:
            detail = f"in the history of {symbol}, but not on the topic"
            defects.append(Defect("different", _TOPIC, head.origin, detail))
        if head.offset <= before.get(head.partition, -1):
            detail = f"in the history of {symbol} again, or after a newer one"
            defects.append(Defect("different", _TOPIC, head.origin, detail))
        before[head.partition] = head.offset
    return defects
