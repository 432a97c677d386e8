"""Two ingests side by side for one market: what one of them loses, the other has."""

import threading
import time
from contextlib import ExitStack

import msgspec
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from flows.codec.batch import RawBatch
from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.features.state import FeatureState
from schemas import topics
from schemas.ticks import Tick
from tests.support.kafka.tools import Message, create_topics
from tests.support.polling import until
from tests.support.processes import Process, flow
from tests.support.venues.exchange import ExchangeConnection, ExchangeServer
from tests.support.venues.server import VenueConnection

SYMBOL = "SIDE-USD"
RATE_HZ = 100
PATIENCE_S = 90.0


class Venue:
    """Trades go on by the clock, whoever listens; each connection gets those of its time.

    Attributes
    ----------
    served
        Connections that have been acknowledged.
    """

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._cut: dict[int, threading.Event] = {}
        self._lock = threading.Lock()
        self.served = 0

    @property
    def newest(self) -> int:
        """Id of the newest trade."""
        return 1 + int((time.monotonic() - self._began_s) * RATE_HZ)

    def cut(self, number: int) -> None:
        """Break a connection, counted from 1."""
        self._cut[number].set()

    def script(self, connection: VenueConnection) -> None:
        """Serve one connection."""
        assert isinstance(connection, ExchangeConnection)
        connection.ack("matches", "ticker", "heartbeat")
        sent = self.newest
        cut = threading.Event()
        with self._lock:
            self.served += 1
            self._cut[self.served] = cut
        beat_s = time.monotonic()
        while connection.listen(0.01) and not cut.is_set():
            newest = self.newest
            for trade_id in range(sent + 1, newest + 1):
                connection.match(trade_id, SYMBOL)
            sent = newest
            if time.monotonic() - beat_s > 0.5:
                beat_s = time.monotonic()
                connection.heartbeat(sent, SYMBOL)
        connection.drop()


class Log:
    """``ticks.raw`` as it grows; read by one consumer from the beginning on."""

    def __init__(self, broker) -> None:
        self.messages: list[Message] = []
        self._consumer = Consumer({**broker.client_config(), "group.id": "tests-reader"})
        self._consumer.assign([TopicPartition(topics.TICKS_RAW, 0, OFFSET_BEGINNING)])

    def ids(self) -> list[int]:
        """Read on, and return the ids of all trades so far, in order."""
        for each in self._consumer.consume(10_000, 0.3):
            assert each.error() is None, each.error()
            self.messages.append(Message(0, each.offset(), 0, each.key(), each.value() or b""))
        return [msgspec.json.decode(each.value, type=Tick).trade_id or 0 for each in self.messages]

    def read_to_end(self) -> list[Message]:
        """Return all messages, once nobody writes any more."""
        _low, high = self._consumer.get_watermark_offsets(TopicPartition(topics.TICKS_RAW, 0), 10)
        until(lambda: len(self.ids()) >= high, "the whole log", PATIENCE_S)
        self._consumer.close()
        return self.messages

    def wait_for_both(self, venue: Venue) -> None:
        """Wait until both ingests have written trades that are made from now on."""
        begin = venue.newest

        def both() -> bool:
            newer = [trade_id for trade_id in self.ids() if trade_id > begin]
            return len(newer) > len(set(newer))

        until(both, "both to write trades", PATIENCE_S)

    def wait_beyond(self, trade_id: int) -> None:
        """Wait until a later trade is there."""
        until(lambda: max(self.ids(), default=0) > trade_id, "trades", PATIENCE_S)


@pytest.mark.apache
@pytest.mark.timeout(300)
def test_neither_a_reconnect_nor_a_kill_nor_a_start_of_one_of_two_loses_a_trade(
    apache_kafka, tmp_path
) -> None:
    create_topics(apache_kafka.client_config(), 1)
    venue, log = Venue(), Log(apache_kafka)
    with ExchangeServer([venue.script]) as server:
        settings = {
            **apache_kafka.environment(),
            "VOLTICK_FEED": "coinbase-exchange",
            "VOLTICK_COINBASE_EXCHANGE_URL": server.url,
            "VOLTICK_SYMBOLS": SYMBOL,
            "VOLTICK_PARTITIONS": "1",
        }

        def ingest(name: str) -> Process:
            return flow("flows.ingest", tmp_path, settings, name)

        with ingest("first") as first, ExitStack() as stack:
            log.wait_beyond(0)
            second = stack.enter_context(ingest("second"))
            log.wait_for_both(venue)
            for number in (1, 2):  # each loses its connection in turn
                venue.cut(number)
                until(lambda n=number: venue.served == 2 + n, "a new connection", PATIENCE_S)
                log.wait_for_both(venue)
            first.kill()
            log.wait_beyond(venue.newest)
            with ingest("third") as third:
                log.wait_for_both(venue)
                second.kill()
                log.wait_beyond(venue.newest)
                third.terminate()
                assert third.wait_exit(30) == 0, third.tail()
    messages = log.read_to_end()
    distinct = sorted({msgspec.json.decode(each.value, type=Tick).trade_id for each in messages})
    assert distinct == list(range(distinct[0], distinct[-1] + 1))
    state = seen_by_the_flow(messages)
    assert len(messages) - state.duplicates == len(distinct)  # each trade once
    assert state.duplicates > 0
    assert (state.gaps, state.restarts) == (1, 0)  # where the first one began


def seen_by_the_flow(messages: list[Message]) -> FeatureState:
    """Return the features' state after the log of one partition."""
    values = [each.value for each in messages]
    offsets = [each.offset for each in messages]
    raw = RawBatch(0, values, offsets, [-1] * len(values), offsets[-1] + 1)
    batch, dead = decode(raw, SymbolTable(), topics.TICKS_RAW, frozenset())
    assert list(dead) == []
    state = FeatureState()
    state.update(batch)
    return state
