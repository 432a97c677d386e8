"""Simulated ticks as messages ready to be produced, and a topic full of them."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice

import msgspec
from confluent_kafka import KafkaError, Producer

from flows.feeds.simulator.market import Market, symbol_names
from schemas import topics

# A full hour, so that windows of 300 s are summed anew every 300 s of the load.
START_NS = 1_700_002_800_000_000_000
RATE_HZ = 1_000.0
CHUNK_S = 20
SEED = 11

_ENDLESS = 1 << 62
_QUEUED = 500_000
_BATCH = 20_000
_DELIVERY_LIMIT_S = 120.0

Message = dict[str, bytes]
"""``{"key", "value"}``, as ``produce_batch`` takes it."""


def simulated_messages(
    tick_count: int, symbol_count: int, rate_hz: float = RATE_HZ
) -> Iterator[list[Message]]:
    """Yield batches of messages, ``tick_count`` in all.

    At some 1,000 ticks/s of event time a window of 300 s holds 300,000 ticks, as in a busy market,
    and some hundred thousand ticks fill it and have it summed anew as often as in a long run.
    """
    market = Market(symbol_names(symbol_count), rate_hz=rate_hz, seed=SEED, start_ns=START_NS)
    encode = msgspec.json.Encoder().encode
    left = tick_count
    while left > 0:
        ticks = market.ticks(market.advance(CHUNK_S))[:left]
        yield [{"key": tick.symbol.encode(), "value": encode(tick)} for tick in ticks]
        left -= len(ticks)


def endless_messages(symbol_count: int) -> Iterator[Message]:
    """Yield messages without end; no tick repeats another's trade id, so each is scored."""
    return chain.from_iterable(simulated_messages(_ENDLESS, symbol_count))


def batches(messages: Iterator[Message], count: int) -> Iterator[list[Message]]:
    """Yield ``count`` messages, some thousands at a time."""
    left = count
    while left > 0:
        batch = list(islice(messages, min(left, _BATCH)))
        left -= len(batch)
        yield batch


def fill(
    config: Mapping[str, str],
    batches: Iterable[list[Message]],
    topic: str = topics.TICKS_RAW,
    partition: int = 0,
) -> None:
    """Write batches to a partition of a topic, as fast as the broker takes them.

    Raises
    ------
    RuntimeError
        A message was not delivered.
    """
    failures: list[str] = []

    def note(error: KafkaError | None, _message: object) -> None:
        if error is not None:
            failures.append(error.str())

    producer = Producer(
        {
            **config,
            "enable.idempotence": True,
            "linger.ms": 5,
            "log_level": 2,
            "queue.buffering.max.messages": 2 * _QUEUED,
            "delivery.report.only.error": True,
            "on_delivery": note,
        }
    )
    for batch in batches:
        while len(producer) > _QUEUED:
            producer.poll(0.05)
        if producer.produce_batch(topic, batch, partition=partition) != len(batch):
            failures.append("the producer's queue is full")
    left = producer.flush(_DELIVERY_LIMIT_S)
    if left or failures:
        cause = failures[0] if failures else f"{left} messages are left"
        message = f"the broker did not take the messages for {topic}: {cause}"
        raise RuntimeError(message)
