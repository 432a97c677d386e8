"""The running candles flow: every candle once, equal to the oracle's, also under kills."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from flows.stages.candle_builder import GRACE_NS, IDLE_MS, INTERVALS_S, CandleTick
from schemas import topics
from schemas.ticks import Candle, Tick
from tests.oracle import candles as oracle
from tests.support import pipeline
from tests.support.kafka.tools import Outgoing, committed, create_topics, fill, read_topic
from tests.support.polling import until
from tests.support.processes import Process, flow

PARTITIONS = pipeline.PARTITIONS


class Log:
    """Ticks of three symbols in two partitions, and the candles that they must lead to."""

    def __init__(self, broker, group: str, folder: Path) -> None:
        self.broker, self.group, self.folder = broker, group, folder
        self.written: list[list[Outgoing]] = [[] for _ in range(PARTITIONS)]
        create_topics(broker.client_config(), PARTITIONS)

    def write(self, first: int, end: int) -> None:
        ticks = [pipeline.tick(number) for number in range(first, end)]
        for each in ticks:
            self.written[each.partition].append(each)
        fill(self.broker.client_config(), ticks)

    def write_unusable(self) -> None:
        broken = [Outgoing(part, b"X", b"{", 1) for part in range(PARTITIONS)]
        for each in broken:
            self.written[each.partition].append(each)
        fill(self.broker.client_config(), broken)

    def flow(self, name: str = "candles", **more: str) -> Process:
        settings = pipeline.settings(self.broker, self.group, self.folder, **more)
        return flow("flows.candles", self.folder, settings, name)

    def committed(self) -> int:
        group = f"{self.group}-candles"
        config = self.broker.client_config()
        found = committed(config, group, topics.TICKS_RAW, PARTITIONS)
        return sum(each.offset for each in found.values() if each.offset >= 0)

    def wait_committed(self) -> None:
        total = sum(map(len, self.written))
        until(lambda: self.committed() >= total, f"{total} committed", 90.0)

    def expected(self) -> list[tuple]:
        found = []
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

    def assert_every_candle_once(self) -> None:
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


@pytest.mark.timeout(240)
def test_every_candle_comes_once_and_the_flow_goes_on_where_it_ended(broker, group, tmp_path):
    log = Log(broker, group, tmp_path)
    log.write(0, 2000)
    with log.flow("first") as first:
        log.wait_committed()
        first.terminate()
        assert first.wait_exit(30) == 0, first.tail()
    log.write_unusable()
    log.write(2000, 4000)
    with log.flow("second") as second:
        log.wait_committed()
        second.interrupt()
        assert second.wait_exit(30) == 0, second.tail()
    log.assert_every_candle_once()


@pytest.mark.apache
@pytest.mark.timeout(300)
def test_no_candle_is_missing_or_twice_after_kills(apache_kafka, group, tmp_path):
    log = Log(apache_kafka, group, tmp_path)
    random = np.random.default_rng(7)
    log.write(0, 3000)
    for number in range(4):
        with log.flow(f"run-{number}", VOLTICK_BATCH_SIZE="200") as process:
            before = log.committed()
            log.write(3000 * (number + 1), 3000 * (number + 2))
            wanted = before + int(random.integers(1, 3000))
            until(lambda enough=wanted: log.committed() >= enough, "some progress", 60.0)
            process.kill()
    with log.flow("last"):
        log.wait_committed()
    log.assert_every_candle_once()
