"""What a producer's retries did to the input log, told by the content of its messages.

A producer without idempotence may write a batch twice, and a batch after those that followed it.
The flow drops both as duplicates, by their trade ids: rightly, where the trade came before
(a repeat), and by its contract, where it had been overtaken by younger ones of its symbol.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

import msgspec

from schemas.ticks import Tick
from tests.oracle.expectation import Origin
from tests.support.kafka.tools import Message, Outgoing

Content = tuple[int, bytes]
"""A message's partition and value."""

_DECODER = msgspec.json.Decoder(Tick)


def noted(messages: Iterable[Outgoing], handed_over: Counter[Content]) -> Iterator[Outgoing]:
    """Yield the messages, each counted in ``handed_over``."""
    for message in messages:
        handed_over[message.partition, message.value] += 1
        yield message


def repeats(raw: Iterable[Message], handed_over: Counter[Content]) -> int:
    """Return how many messages lie in the log more often than they were handed to the producer."""
    return (_contents(raw) - handed_over).total()


def lost(raw: Iterable[Message], handed_over: Counter[Content]) -> list[Content]:
    """Return the messages that lie in the log less often than they were handed to the producer."""
    return list((handed_over - _contents(raw)).elements())


def overtaken(raw: Iterable[Message], duplicates: Collection[Origin]) -> int:
    """Return how many ticks are duplicates although their trade is nowhere before them in the log.

    Parameters
    ----------
    duplicates
        Of ``ticks.raw``, as expected from the log itself.
    """
    seen: set[tuple[int, str, str, int | None]] = set()
    count = 0
    for message in sorted(raw, key=lambda each: (each.partition, each.offset)):
        try:
            tick = _DECODER.decode(message.value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        trade = (message.partition, tick.venue, tick.symbol, tick.trade_id)
        if (message.partition, message.offset) in duplicates and trade not in seen:
            count += 1
        seen.add(trade)
    return count


def _contents(raw: Iterable[Message]) -> Counter[Content]:
    return Counter((message.partition, message.value) for message in raw)
