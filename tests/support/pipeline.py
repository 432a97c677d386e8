"""The pipeline as a process, and what it is fed: ticks of three symbols in two partitions."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from flows.numeric.time import NS_PER_S
from schemas import topics
from tests.support.kafka.tools import Outgoing, committed, read_topic
from tests.support.polling import until
from tests.support.processes import Process, flow

START_NS = 1_750_000_000_000_000_000
PARTITIONS = 2
SYMBOLS = ("BTC-USD", "ETH-USD", "SOL-USD")


def tick(number: int, **changes: object) -> Outgoing:
    """Return a tick of the symbol whose turn it is, a tenth of a second after the one before."""
    symbol = SYMBOLS[number % len(SYMBOLS)]
    at_ns = START_NS + number * NS_PER_S // 10
    plain = {
        "symbol": symbol,
        "venue": "test",
        "ts_event_ns": at_ns,
        "price": 100.0 + number % 7,
        "size": 1.0,
        "trade_id": number,
    }
    value = json.dumps({**plain, **changes}).encode()
    return Outgoing(number % len(SYMBOLS) % PARTITIONS, symbol.encode(), value, at_ns // 10**6)


def settings(broker, group: str, folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a pipeline at this broker."""
    return {
        **broker.environment(),
        "VOLTICK_GROUP": group,
        "VOLTICK_MODEL_STORE": str(folder / "models"),
        "VOLTICK_PARTITIONS": str(PARTITIONS),
        **more,
    }


def pipeline(broker, group: str, folder: Path, name: str = "flow", **more: str) -> Process:
    """Return, not started yet, the pipeline."""
    return flow("flows.pipeline", folder, settings(broker, group, folder, **more), name)


def wait_committed(broker, group: str, total: int) -> None:
    """Wait until the group has committed so many inputs of all partitions together."""

    def done() -> bool:
        found = committed(broker.client_config(), group, topics.TICKS_RAW, PARTITIONS)
        return sum(each.offset for each in found.values() if each.offset >= 0) >= total

    until(done, f"{total} committed input offsets", 90.0)


def decoded(
    config: Mapping[str, str], topic: str, kind: type, at_least: int
) -> dict[tuple[int, int], Any]:
    """Return messages by origin; the same origin twice is a failure, so is a foreign partition."""
    found = {}
    for message in read_topic(config, topic, at_least=at_least):
        content = msgspec.json.decode(message.value, type=kind)
        assert content.partition == message.partition
        assert (content.partition, content.offset) not in found
        found[content.partition, content.offset] = content
    return found
