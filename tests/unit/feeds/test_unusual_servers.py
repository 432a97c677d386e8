"""Venues that are within their documents, and unlike what a client is used to."""

import json
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest
from websockets.frames import Frame, Opcode

from flows.feeds.binance.client import open_binance
from flows.feeds.coinbase_advanced.client import open_advanced
from flows.feeds.coinbase_exchange.client import open_exchange
from flows.feeds.processor import FrameProcessor
from flows.feeds.protocol import Limits
from flows.numeric.time import NS_PER_S
from schemas.ticks import Tick
from tests.proof.feeds.checker import check
from tests.proof.feeds.oracle import wants
from tests.support.polling import until
from tests.support.venues.dialects.base import Dialect, Entry
from tests.support.venues.dialects.binance import BinanceDialect
from tests.support.venues.dialects.coinbase_advanced import AdvancedDialect
from tests.support.venues.dialects.coinbase_exchange import ExchangeDialect
from tests.support.venues.market import Market
from tests.support.venues.server import Refusal, VenueConnection, VenueServer

_HOLD_NS = NS_PER_S // 20  # nothing overtakes here, and a first trade waits so long
LIMITS = Limits(silence_s=30.0, answer_s=0.1, backoff_s=0.01, backoff_cap_s=0.05)
OPEN = {
    "coinbase-exchange": open_exchange,
    "coinbase-advanced": open_advanced,
    "binance": open_binance,
}
SYMBOLS = {
    "coinbase-exchange": ("BTC-USD", "ETH-USD"),
    "coinbase-advanced": ("BTC-USD", "ETH-USD"),
    "binance": ("BTC-USDT", "ETH-BTC"),
}
ANY_FEED = pytest.mark.parametrize("feed", list(OPEN))

Deliver = Callable[[VenueConnection, Sequence[Entry]], None]


@dataclass
class Venue:
    """A server that delivers the same messages in its own way.

    Attributes
    ----------
    log
        What each connection has sent.
    newest
        Last trade of each symbol, once all is sent.
    """

    feed: str
    deliver: Deliver
    ends: tuple[Callable[[VenueConnection], None], ...] = ()
    log: list[list[Entry]] = field(default_factory=list)
    newest: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rng = random.Random(7)  # noqa: S311  # repeatable
        self._market = Market(self._rng, SYMBOLS[self.feed], 1_000_000, ())

    def script(self, connection: VenueConnection) -> None:
        """Serve a connection: acknowledge, deliver, end as the plan says or wait."""
        wire: list[Entry] = []
        self.log.append(wire)
        dialect = self._dialect(connection.path)
        while not dialect.ready:
            self._send(connection, wire, dialect.answer(connection.receive()))
        for symbol in SYMBOLS[self.feed]:
            self._send(connection, wire, dialect.heartbeats())
            self._send(connection, wire, dialect.trades(symbol, 4))
        if len(self.log) <= len(self.ends):
            self.ends[len(self.log) - 1](connection)
            return
        self.newest = dict(self._market.newest)
        connection.hang()

    def _send(self, connection: VenueConnection, wire: list[Entry], entries: list[Entry]) -> None:
        wire += entries
        self.deliver(connection, entries)

    def _dialect(self, path: str) -> Dialect:
        common = (self._market, SYMBOLS[self.feed], self._rng)
        if self.feed == "coinbase-exchange":
            return ExchangeDialect(*common)
        if self.feed == "coinbase-advanced":
            return AdvancedDialect(*common)
        dialect = BinanceDialect(*common)
        dialect.open(path)
        dialect.ready = False
        return dialect


def read(venue: Venue, *refusals: Refusal) -> VenueServer:
    """Let the client read all that a venue sends: every tick and mark must be right."""
    with VenueServer([venue.script], refusals) as server:
        listen(venue, server.url)
    return server


def listen(venue: Venue, url: str) -> None:
    """See :func:`read`; the client begins at an address."""
    ticks: list[Tick] = []
    dead: list[object] = []
    feed = OPEN[venue.feed](SYMBOLS[venue.feed], url, LIMITS)
    processor = FrameProcessor(feed.parser(), live=True, hold_ns=_HOLD_NS)

    def done() -> bool:
        messages = processor.process(feed.poll(1_000))
        ticks.extend(msgspec.json.decode(value, type=Tick) for _, value in messages.ticks)
        dead.extend(messages.dead)
        told = {tick.symbol: tick.trade_id for tick in ticks}
        return bool(venue.newest) and told == venue.newest

    try:
        until(done, "all that was sent", 20.0)
    finally:
        feed.close()
    assert check(ticks, [], wants(venue.log)) == []
    assert dead == []


def whole(connection: VenueConnection, entries: Sequence[Entry]) -> None:
    """Each message in one frame."""
    connection.burst(entry.wire for entry in entries)


def fragmented(connection: VenueConnection, entries: Sequence[Entry]) -> None:
    """Each message in several frames, the last one empty, with control frames between."""
    for entry in entries:
        data = octets_of(entry)
        frames = [
            Frame(Opcode.TEXT, data[:1], fin=False),
            Frame(Opcode.PING, b"between"),
            Frame(Opcode.CONT, data[1:50], fin=False),
            Frame(Opcode.PONG, b""),
            Frame(Opcode.CONT, data[50:], fin=False),
            Frame(Opcode.CONT, b""),
        ]
        connection.octets(b"".join(frame.serialize(mask=False) for frame in frames))


def trickled(connection: VenueConnection, entries: Sequence[Entry]) -> None:
    """A few octets at a time."""
    data = b"".join(Frame(Opcode.TEXT, octets_of(entry)).serialize(mask=False) for entry in entries)
    for at in range(0, len(data), 11):
        connection.octets(data[at : at + 11])


def as_binary(connection: VenueConnection, entries: Sequence[Entry]) -> None:
    """In frames of octets instead of text."""
    for entry in entries:
        connection.octets(Frame(Opcode.BINARY, octets_of(entry)).serialize(mask=False))


def written_otherwise(change: Callable[[Any], Any], **style: Any) -> Deliver:
    """Return what sends the same content as other JSON."""

    def deliver(connection: VenueConnection, entries: Sequence[Entry]) -> None:
        connection.burst(json.dumps(change(entry.body), **style) for entry in entries)

    return deliver


def turned(value: Any) -> Any:
    """Return an object with its fields in the opposite order, and some that nobody knows."""
    if isinstance(value, dict):
        fields = [(name, turned(each)) for name, each in reversed(value.items())]
        return {"new_field": {"a": [1, None, {}]}, **dict(fields), "another": None}
    return [turned(each) for each in value] if isinstance(value, list) else value


def as_numbers(value: Any) -> Any:
    """Return the content with numbers where there were texts of numbers."""
    if isinstance(value, dict):
        return {name: as_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_numbers(each) for each in value]
    if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
        return float(value) if "." in value else int(value)
    return value


def as_texts(value: Any) -> Any:
    """Return the content with texts where there were numbers."""
    if isinstance(value, dict):
        return {name: as_texts(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_texts(each) for each in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def octets_of(entry: Entry) -> bytes:
    """Return a message as it goes over the wire."""
    return entry.wire.encode() if isinstance(entry.wire, str) else entry.wire


@ANY_FEED
@pytest.mark.parametrize(
    "deliver",
    [
        pytest.param(whole, id="whole"),
        pytest.param(fragmented, id="fragmented"),
        pytest.param(trickled, id="trickled"),
        pytest.param(as_binary, id="binary"),
        pytest.param(written_otherwise(turned, indent=1), id="other order and fields"),
        pytest.param(written_otherwise(as_numbers), id="numbers"),
        pytest.param(written_otherwise(as_texts), id="texts"),
        pytest.param(written_otherwise(lambda body: body, ensure_ascii=True), id="spaced"),
    ],
)
def test_messages_are_read_however_they_are_framed_and_written(feed: str, deliver: Deliver) -> None:
    read(Venue(feed, deliver))


@ANY_FEED
@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 1013, 4000])
def test_a_close_with_any_code_is_followed_by_a_new_connection(feed: str, code: int) -> None:
    reason = "é" * 60
    server = read(Venue(feed, whole, (lambda connection: connection.close(code, reason),)))
    assert server.connections == 2


@ANY_FEED
@pytest.mark.parametrize(
    "frame",
    [b"\x88\x00", b"\x88\x02\x03\xed", b"\x88\x04\x03\xe8\xff\xfe", b"\x88\x01\x03", b"\xff\xff"],
    ids=[
        "no code",
        "code that is none",
        "reason that is no text",
        "half a code",
        "no frame at all",
    ],
)
def test_a_strange_end_is_followed_by_a_new_connection(feed: str, frame: bytes) -> None:
    def end(connection: VenueConnection) -> None:
        connection.octets(frame)
        connection.drop()

    assert read(Venue(feed, whole, (end,))).connections == 2


@ANY_FEED
def test_a_ping_is_answered_with_its_own_content(feed: str) -> None:
    answered = []

    def end(connection: VenueConnection) -> None:
        answered.extend(connection.ping() for _ in range(3))
        connection.close(1001)

    read(Venue(feed, whole, (end,)))
    assert answered == [True, True, True]


@ANY_FEED
@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(429, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}),
        Refusal(418, {"Retry-After": "0"}, '{"code":-1003,"msg":"Way too many requests"}'),
        Refusal(503, {"Retry-After": "soon"}),
        Refusal(401),
        Refusal(302),
        Refusal(200, body="<html>maintenance</html>"),
    ],
    ids=lambda refusal: str(refusal.status),
)
def test_a_handshake_that_is_refused_is_tried_again(feed: str, refusal: Refusal) -> None:
    assert read(Venue(feed, whole), refusal, refusal).attempts == 3


@ANY_FEED
def test_the_pause_that_a_refused_handshake_asks_for_by_a_date_is_kept(feed: str) -> None:
    until_s = time.time() + 2.5
    date = format_datetime(datetime.fromtimestamp(until_s, UTC), usegmt=True)
    read(Venue(feed, whole), Refusal(429, {"Retry-After": date}))
    assert time.time() >= int(until_s)


@ANY_FEED
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_a_redirect_is_followed(feed: str, status: int, scheme: str) -> None:
    venue = Venue(feed, whole)
    with VenueServer([venue.script]) as other:
        address = other.url.replace("ws:", f"{scheme}:")
        moved = Refusal(status, {"Location": f"{address}/stream?streams="})
        with VenueServer([venue.script], [moved] * 9) as server:
            listen(venue, server.url)
    assert other.connections == 1


@ANY_FEED
def test_a_redirect_within_the_venue_is_followed(feed: str) -> None:
    server = read(Venue(feed, whole), Refusal(307, {"Location": "/stream?streams="}))
    assert (server.attempts, server.connections) == (2, 1)


@ANY_FEED
def test_no_extension_is_offered_that_a_venue_could_use(feed: str) -> None:
    asked: list[str | None] = []

    class Asked(Venue):
        def script(self, connection: VenueConnection) -> None:
            asked.append(connection.headers.get("Sec-WebSocket-Extensions"))
            super().script(connection)

    read(Asked(feed, whole))
    assert asked == [None]
