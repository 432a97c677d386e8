"""Ticks, and the candles that ``flows.candles`` makes of them: written, watched, compared."""

from pathlib import Path
from typing import Any

import msgspec

from flows.stages.candle_builder import GRACE_NS, IDLE_MS, INTERVALS_S, CandleTick
from schemas import topics
from schemas.ticks import Candle, Tick
from tests.oracle import candles as oracle
from tests.support import pipeline
from tests.support.embedded import EmbeddedBroker
from tests.support.kafka.apache import ApacheKafka
from tests.support.kafka.tools import Outgoing, committed, create_topics, fill, read_topic
from tests.support.polling import until
from tests.support.processes import Process, flow

PARTITIONS = pipeline.PARTITIONS

Broker = ApacheKafka | EmbeddedBroker


class CandleLog:
    """Ticks of three symbols in two partitions, and the candles that they must lead to."""

    def __init__(self, broker: Broker, group: str, folder: Path) -> None:
        self.broker, self.group, self.folder = broker, group, folder
        self.written: list[list[Outgoing]] = [[] for _ in range(PARTITIONS)]
        create_topics(broker.client_config(), PARTITIONS)

    def write_some(self, first: int, end: int) -> None:
        """Write ticks by their numbers."""
        self.write(first, end)

    def write(self, first: int, end: int) -> None:
        """Write ticks by their numbers."""
        ticks = [pipeline.tick(number) for number in range(first, end)]
        for each in ticks:
            self.written[each.partition].append(each)
        fill(self.broker.client_config(), ticks)

    def write_unusable(self) -> None:
        """Write a message to each partition that is no tick."""
        broken = [Outgoing(part, b"X", b"{", 1) for part in range(PARTITIONS)]
        for each in broken:
            self.written[each.partition].append(each)
        fill(self.broker.client_config(), broken)

    def flow(self, name: str = "candles", **more: str) -> Process:
        """Return, not started yet, the flow."""
        settings = pipeline.settings(self.broker, self.group, self.folder, **more)
        return flow("flows.candles", self.folder, settings, name)

    def killable(self, name: str) -> Process:
        """Return, not started yet, the flow, reading small batches of all partitions.

        One that is started after a kill has no member's session to wait for.
        """
        return self.flow(name, VOLTICK_BATCH_SIZE="200", VOLTICK_ASSIGNMENT="all")

    def progress(self) -> int:
        """Return how many input messages are committed."""
        group = f"{self.group}-candles"
        config = self.broker.client_config()
        found = committed(config, group, topics.TICKS_RAW, PARTITIONS)
        return sum(each.offset for each in found.values() if each.offset >= 0)

    def total(self) -> int:
        """Return how many input messages were written."""
        return sum(map(len, self.written))

    def wait_done(self, process: Process) -> None:
        """Wait until all input is committed."""

        def done() -> bool:
            assert process.running, process.tail()
            return self.progress() >= self.total()

        until(done, "all committed", 90.0)

    def expected(self) -> list[tuple[Any, ...]]:
        """Return the oracle's candles, with the partition and offset that closed each."""
        found: list[tuple[Any, ...]] = []
        for partition, messages in enumerate(self.written):
            seen: set[tuple[str, str]] = set()
            ticks = []
            for offset, message in enumerate(messages):
                if message.value == b"{":
                    continue
                tick = msgspec.json.decode(message.value, type=Tick)
                series = (tick.venue, tick.symbol)
                ticks.append(
                    CandleTick(
                        series=series,
                        offset=offset,
                        log_ms=message.timestamp_ms,
                        ts_event_ns=tick.ts_event_ns,
                        newest_ns=tick.ts_event_ns,
                        price=tick.price,
                        size=tick.size,
                        gap=False,
                        restart=series not in seen,
                    )
                )
                seen.add(series)
            candles, late = oracle.candles(ticks, GRACE_NS // 10**9, IDLE_MS, INTERVALS_S)
            assert late == 0
            found += [(partition, *each) for each in candles]
        return found

    def check(self) -> int:
        """Hold all candles against the oracle's, and return the number of them."""
        expected = self.expected()
        assert expected
        messages = read_topic(self.broker.client_config(), topics.CANDLES, at_least=len(expected))
        found = []
        for message in messages:
            one = msgspec.json.decode(message.value, type=Candle)
            assert message.partition == one.partition
            assert message.key == one.symbol.encode()
            found.append(
                (
                    *(one.partition, one.closed_offset, (one.venue, one.symbol), one.interval_s),
                    *(one.ts_open_ns, one.open, one.high, one.low, one.close, one.tick_count),
                    *(one.volume, one.vwap, one.gap),
                )
            )
        assert len(found) == len(set(found)) == len(expected)
        for partition in range(PARTITIONS):
            own = [each for each in found if each[0] == partition]
            assert own == [each for each in expected if each[0] == partition]
        return len(found)
