"""Live feed of Coinbase Exchange: a reading thread that fills a bounded queue.

The thread subscribes to ``ticker`` and ``heartbeat``, answers pings, gives up a socket that carries
no message for some seconds (heartbeats come every second), and reconnects after a growing, jittered
wait. The first frame after a reconnect is marked ``fresh``; which trades were lost or are
repeated is then seen by their ids. If the queue is full the thread waits, the venue drops the slow
reader, and that too shows as a gap.
"""

import queue
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
import websocket
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_result,
    sleep_using_event,
    stop_when_event_set,
    wait_exponential,
    wait_random_exponential,
)

from flows.errors import FeedError
from flows.feeds.base import Frame, Parser
from flows.feeds.coinbase_exchange.messages import Error
from flows.feeds.coinbase_exchange.parse import VENUE, ExchangeParser
from schemas.decoding import UNREADABLE

URL = "wss://ws-feed.exchange.coinbase.com"
CHANNELS = ("ticker", "heartbeat")


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and the queue's length in frames.

    Attributes
    ----------
    connect_s
        Limit of connecting, of the TLS and of the WebSocket handshake.
    silence_s
        A connection without a message for this long is given up.
    ping_s
        Time between our pings, which keep routers from dropping the connection.
    backoff_s, backoff_cap_s
        First and longest wait before a new attempt; a wait doubles with each attempt that got no
        data, and a random half of it is left out, to spread clients that lost the same server.
    queue_frames
        Length of the queue: minutes of a busy market.
    """

    connect_s: float = 5.0
    silence_s: float = 8.0
    ping_s: float = 20.0
    backoff_s: float = 0.5
    backoff_cap_s: float = 30.0
    queue_frames: int = 100_000


class CoinbaseExchangeFeed:
    """Feed of live frames; connects when made and keeps trying until closed.

    Parameters
    ----------
    symbols
        Products, ``BTC-USD``; one that the venue refuses is left out with a warning.
    url
        WebSocket address.
    limits
        See :class:`Limits`.
    clock_ns
        Receive times, nanoseconds since the UNIX epoch.

    Attributes
    ----------
    connections
        How often a connection was established.
    """

    venue = VENUE
    simulated = False

    def __init__(
        self,
        symbols: Sequence[str],
        url: str = URL,
        *,
        limits: Limits | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = f"live {VENUE} at {url}"
        self.loop_number = 0
        self.finished = False
        self.connections = 0
        self._symbols = tuple(symbols)
        self._url = url
        self._limits = limits or Limits()
        self._clock_ns = clock_ns
        self._refused: dict[str, str] = {}
        self._fresh = False
        self._received = False
        self._heard = False
        self._error: FeedError | None = None
        self._queue: queue.Queue[Frame] = queue.Queue(self._limits.queue_frames)
        self._stop = threading.Event()
        self._socket: Any = None
        self._decode_error = msgspec.json.Decoder(Error).decode
        self._log = structlog.get_logger().bind(feed=VENUE)
        self._thread = threading.Thread(target=self._run, name=VENUE, daemon=True)
        self._thread.start()

    def parser(self) -> Parser:
        """Return a new parser of this venue."""
        return ExchangeParser()

    def poll(self, max_frames: int) -> list[Frame]:
        """Return the frames that have arrived, at most ``max_frames``."""
        frames: list[Frame] = []
        take = self._queue.get_nowait
        try:
            for _ in range(max_frames):
                frames.append(take())
        except queue.Empty:
            pass
        if not frames and self._error is not None:
            raise self._error
        if not frames and not self._thread.is_alive() and not self._stop.is_set():
            message = f"the client of {VENUE} has ended; its log says why"
            raise FeedError(message)
        return frames

    def close(self) -> None:
        """Disconnect and end the thread."""
        self.finished = True
        self._stop.set()
        connection = self._socket
        if connection is not None:
            connection.abort()
        self._thread.join(self._limits.connect_s)

    def _run(self) -> None:
        half, longest_half = self._limits.backoff_s / 2, self._limits.backoff_cap_s / 2
        Retrying(
            retry=retry_if_result(lambda _reason: True),  # an exception is a defect and ends it
            wait=wait_exponential(half, longest_half) + wait_random_exponential(half, longest_half),
            sleep=sleep_using_event(self._stop),
            stop=stop_when_event_set(self._stop),
            after=self._count_anew,
            before_sleep=self._warn,
            retry_error_callback=lambda _state: None,
        )(self._connect)

    def _connect(self) -> str:
        """Connect, read until the connection fails, and return why it did."""
        self._received = False
        try:
            return self._session()
        except (OSError, websocket.WebSocketException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self._disconnect()
            self._fresh = self._heard

    def _count_anew(self, state: RetryCallState) -> None:
        """Let waits start from the first again after a connection that carried data."""
        if self._received:
            state.attempt_number = 1

    def _warn(self, state: RetryCallState) -> None:
        reason = None if state.outcome is None else state.outcome.result()
        wait_s = round(state.upcoming_sleep, 3)
        self._log.warning("connection lost", reason=reason, retry_in_s=wait_s)

    def _session(self) -> str:
        """Read one connection until it fails, and return why it did."""
        limits = self._limits
        connection = self._socket = websocket.create_connection(
            self._url,
            timeout=limits.connect_s,
            enable_multithread=True,
            skip_utf8_validation=True,
        )
        connection.settimeout(min(1.0, limits.silence_s / 4))
        self.connections += 1
        self._subscribe(connection)
        heard = pinged = time.monotonic()
        while not self._stop.is_set():
            data = None
            try:
                opcode, data = connection.recv_data(control_frame=True)
            except websocket.WebSocketTimeoutException:
                opcode = None
            now = time.monotonic()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return "closed by the venue"
            if opcode in (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY):
                heard = now
                self._take(connection, bytes(data or b""))
            elif now - heard > limits.silence_s:
                return f"no message for {limits.silence_s:g} s"
            if now - pinged > limits.ping_s:
                pinged = now
                connection.ping()
        return "stopped"

    def _subscribe(self, connection: Any) -> None:
        wanted = [symbol for symbol in self._symbols if symbol not in self._refused]
        request = {"type": "subscribe", "product_ids": wanted, "channels": list(CHANNELS)}
        connection.send(msgspec.json.encode(request).decode())
        self._log.info("subscribed", url=self._url, symbols=",".join(wanted))

    def _take(self, connection: Any, data: bytes) -> None:
        text = data.decode("utf-8", "backslashreplace")
        frame = Frame(self._clock_ns(), text, fresh=self._fresh)
        self._fresh = False
        self._enqueue(frame)
        self._heard = True
        if '"error"' in text:
            self._refusal(connection, text)
        elif '"subscriptions"' not in text:
            # A connection that is acknowledged and then closed does not shorten the next wait.
            self._received = True

    def _enqueue(self, frame: Frame) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(frame, timeout=0.5)
            except queue.Full:
                self._log.warning("frames wait to be taken", frames=self._limits.queue_frames)
            else:
                return

    def _refusal(self, connection: Any, text: str) -> None:
        """Leave out a product that the venue refuses; end where none is left."""
        try:
            error = self._decode_error(text)
        except UNREADABLE:
            return
        words = set(re.split(r"[^A-Za-z0-9-]+", error.reason))
        refused = [name for name in self._symbols if name in words and name not in self._refused]
        if not refused:
            return
        for symbol in refused:
            self._refused[symbol] = error.reason
            self._log.warning("symbol left out", symbol=symbol, reason=error.reason)
        if len(self._refused) < len(self._symbols):
            self._subscribe(connection)  # in case the request was refused as a whole
            return
        reasons = "; ".join(self._refused.values())
        message = (
            f"{VENUE} refuses every symbol asked for ({reasons}); set VOLTICK_SYMBOLS to products"
            " it trades"
        )
        self._error = FeedError(message)
        self._stop.set()

    def _disconnect(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.shutdown()


def reachable(url: str = URL, timeout_s: float = 3.0) -> bool:
    """Return whether a WebSocket server answers at an address within some seconds."""
    answered = threading.Event()

    def attempt() -> None:
        try:
            connection: Any = websocket.create_connection(url, timeout=timeout_s)
        except (OSError, websocket.WebSocketException):
            return
        answered.set()
        connection.shutdown()

    # In a thread, since resolving a name can take longer than any timeout of the socket.
    thread = threading.Thread(target=attempt, name="probe", daemon=True)
    thread.start()
    thread.join(timeout_s)
    return answered.is_set()
