"""Live feed over a WebSocket: a reading thread that fills a bounded queue.

The thread connects, subscribes, answers pings, gives a silent connection up, and reconnects without
end after a growing, jittered wait. The first frame after a reconnect is marked ``fresh``.

If the queue is full the thread waits a moment, so that a short hold-up of the reader costs nothing;
then it drops what arrives, counts it, and marks the next frame that fits (``after_loss``), so that
memory is bounded and no loss is silent.

What differs between venues is in a :class:`flows.feeds.protocol.VenueProtocol`, which does no I/O.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

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
from flows.feeds.addresses import public_address
from flows.feeds.base import Frame, Parser
from flows.feeds.handshake import connect
from flows.feeds.protocol import Limits, VenueProtocol
from flows.feeds.refusals import said_of
from flows.feeds.retry_after import LONGEST_PAUSE_S, retry_after_s
from flows.feeds.subscription import Subscription

_MINUTE_S = 60.0
_LISTENS = 4
"""A silence is noticed in so many attempts to hear something, so that a process that was stopped
does not take its own pause for one."""

_GOODBYE_S = 1.0
"""How long the venue has for its own goodbye after ours."""

_DATA = (websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY)


class WebSocketFeed:
    """Feed of live frames; connects when made and keeps trying until closed.

    Parameters
    ----------
    protocol
        Of the venue.
    symbols
        What to subscribe to; one that the venue refuses is left out with a warning.
    url
        WebSocket address.
    limits
        See :class:`flows.feeds.protocol.Limits`.
    clock_ns
        Receive times, nanoseconds since the UNIX epoch.

    Attributes
    ----------
    connections
        How often a connection was established.
    dropped
        Frames that a full queue did not take.
    """

    simulated = False
    live = True
    marked = True

    def __init__(
        self,
        protocol: VenueProtocol,
        symbols: Sequence[str],
        url: str,
        *,
        limits: Limits | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.venue = protocol.venue
        self.name = f"live {self.venue} at {public_address(url)}"
        self.loop_number = 0
        self.finished = False
        self.connections = 0
        self.dropped = 0
        self._protocol = protocol
        self._url = url
        self._limits = limits or Limits()
        self._clock_ns = clock_ns
        self._subscription = Subscription(protocol, symbols, self._limits.answer_s)
        self._fresh = False
        self._after_loss = False
        self._received = False
        self._heard = False
        self._sent_s = 0.0
        self._outbox: deque[str] = deque()
        self._attempts_s: deque[float] = deque(maxlen=self._limits.connections_per_min)
        self._not_before_s = 0.0
        self._names_symbols = True
        self._error: FeedError | None = None
        self._queue: queue.Queue[Frame] = queue.Queue(self._limits.queue_frames)
        self._stop = threading.Event()
        self._socket: Any = None
        self._log = structlog.get_logger().bind(feed=self.venue)
        self._thread = threading.Thread(target=self._run, name=self.venue, daemon=True)
        self._thread.start()

    @property
    def refused(self) -> dict[str, str]:
        """Symbols that the venue refuses now, with its words."""
        return dict(self._subscription.refused)

    @property
    def queued(self) -> int:
        """Frames that wait to be taken."""
        return self._queue.qsize()

    def parser(self) -> Parser:
        """Return a new parser of this venue."""
        return self._protocol.parser()

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
            message = f"the client of {self.venue} has ended; its log says why"
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
        self._wait_for_turn()
        try:
            return self._session()
        except websocket.WebSocketBadStatusException as error:
            return self._turned_away(error)
        except (OSError, websocket.WebSocketException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self._disconnect()
            self._fresh = self._heard

    def _wait_for_turn(self) -> None:
        """Wait until another attempt is within the limits, and note it."""
        now_s = time.monotonic()
        wait_s = self._not_before_s - now_s
        if len(self._attempts_s) == self._attempts_s.maxlen:
            wait_s = max(wait_s, self._attempts_s[0] + _MINUTE_S - now_s)
        if wait_s > 0.0:
            self._log.warning("waiting before the next attempt", wait_s=round(wait_s, 1))
            self._stop.wait(wait_s)
        self._attempts_s.append(time.monotonic())

    def _turned_away(self, error: Any) -> str:
        """Heed what a refused handshake says, and return it for the log."""
        status = error.status_code
        wait_s = retry_after_s((error.resp_headers or {}).get("retry-after"), time.time_ns())
        asks = ""
        if wait_s is not None:
            self._not_before_s = time.monotonic() + min(wait_s, LONGEST_PAUSE_S)
            asks = f"; it asks for a pause of {wait_s:.0f} s"
        # The symbols in the address may be what it refuses; a message can name them, too.
        self._names_symbols = status not in (400, 404, 414) or not self._names_symbols
        return f"the handshake is refused with {said_of(status, error.resp_body)}{asks}"

    def _count_anew(self, state: RetryCallState) -> None:
        """Let waits start from the first again after a connection that carried data."""
        if self._received:
            state.attempt_number = 1

    def _warn(self, state: RetryCallState) -> None:
        reason = None if state.outcome is None else state.outcome.result()
        event = "connection lost" if self._heard else "no connection yet: trying again"
        wait_s = round(state.upcoming_sleep, 3)
        self._log.warning(event, url=public_address(self._url), reason=reason, retry_in_s=wait_s)

    def _session(self) -> str:
        """Read one connection until it fails, and return why it did."""
        limits, protocol = self._limits, self._protocol
        requests = self._subscription.begin()
        named = self._subscription.wanted if self._names_symbols else ()
        connection = self._socket = connect(protocol.address(self._url, named), limits.connect_s)
        listen_s = min(1.0, limits.silence_s / _LISTENS)
        self.connections += 1
        self._outbox.clear()
        self._ask(requests)
        heard_s = pinged_s = probed_s = time.monotonic()
        unheard = 0
        while not self._stop.is_set():
            data = None
            self._send_next(connection)
            connection.settimeout(max(self._pause_s(), 0.001) if self._outbox else listen_s)
            try:
                opcode, data = connection.recv_data(control_frame=True)
            except websocket.WebSocketTimeoutException:
                opcode = None
            now_s = time.monotonic()
            unheard += 1
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return f"closed by the venue{_close_reason(bytes(data or b''))}"
            if opcode in _DATA:
                heard_s, unheard = now_s, 0
                leave = self._take(bytes(data or b""))
                if leave is not None:
                    self._say_goodbye(connection)
                    return leave
            elif now_s - heard_s > limits.silence_s and unheard >= _LISTENS:
                return f"no message for {limits.silence_s:g} s"
            if requests := self._subscription.due(now_s):
                self._ask(requests)
            half_s = limits.silence_s / 2
            if protocol.probe and now_s - heard_s > half_s and now_s - probed_s > half_s:
                probed_s = now_s
                self._outbox.append(protocol.probe)
            elif now_s - pinged_s > limits.ping_s and self._pause_s() <= 0.0:
                pinged_s = now_s
                self._try(connection.ping)
        return "stopped"

    def _say_goodbye(self, connection: Any) -> None:
        """Say goodbye, and take what the venue has sent until it says so, too."""
        self._try(connection.send_close)
        end_s = time.monotonic() + _GOODBYE_S
        while not self._stop.is_set() and (left_s := end_s - time.monotonic()) > 0.0:
            connection.settimeout(left_s)
            try:
                opcode, data = connection.recv_data(control_frame=True)
            except (OSError, websocket.WebSocketException):
                return
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return
            if opcode in _DATA:
                self._receive(bytes(data or b""))

    def _ask(self, requests: Sequence[str]) -> None:
        self._outbox += requests
        symbols = ",".join(self._subscription.wanted)
        self._log.info("subscribed", url=public_address(self._url), symbols=symbols)

    def _send_next(self, connection: Any) -> None:
        """Send the oldest message that waits, if the venue's limit allows one now."""
        if self._outbox and self._pause_s() <= 0.0:
            self._try(connection.send, self._outbox.popleft())

    def _try(self, send: Callable[..., object], *message: str) -> None:
        """Send something; what has arrived is read also where the venue takes nothing any more."""
        # If it fails, reading tells why the connection ends, or that it is silent.
        with suppress(OSError, websocket.WebSocketException):
            send(*message)
        self._sent_s = time.monotonic()

    def _pause_s(self) -> float:
        """Return how long the venue's limit forbids another message, seconds."""
        return self._sent_s + 1.0 / self._protocol.messages_per_s - time.monotonic()

    def _take(self, data: bytes) -> str | None:
        """Queue a message and do what it asks; return why to leave, if it asks for that."""
        notice = self._protocol.notice(self._receive(data))
        if notice is None:
            # A connection that is acknowledged and then closed does not shorten the next wait.
            self._received = True
            self._subscription.note_data()
            return None
        if notice.acknowledged:
            self._subscription.acknowledge(time.monotonic())
        if notice.refused is not None:
            return self._leave_out(notice.refused)
        return notice.leave

    def _receive(self, data: bytes) -> str:
        """Queue a message, and return its text."""
        text = data.decode("utf-8", "backslashreplace")
        self._heard = True
        self._enqueue(Frame(self._clock_ns(), text, fresh=self._fresh))
        return text

    def _enqueue(self, frame: Frame) -> None:
        frame.after_loss = self._after_loss
        try:
            if self._after_loss:
                self._queue.put_nowait(frame)
            else:
                self._queue.put(frame, timeout=self._limits.queue_wait_s)
        except queue.Full:
            self._drop()
            return
        if self._after_loss:
            self._log.warning("frames are taken again", dropped=self.dropped)
        self._fresh = self._after_loss = False

    def _drop(self) -> None:
        self.dropped += 1
        if not self._after_loss:
            self._after_loss = True
            self._log.warning(
                "frames are dropped, and a gap marked: they are not taken from the queue fast"
                " enough",
                queue_frames=self._limits.queue_frames,
            )

    def _leave_out(self, words: str) -> str | None:
        """Leave out the symbols that the venue refuses; end, or leave, where none is left."""
        subscription = self._subscription
        for symbol in subscription.refuse(words, time.monotonic()):
            self._log.warning("symbol left out", symbol=symbol, reason=words)
        if not subscription.refuses_all:
            return None
        reasons = "; ".join(dict.fromkeys(subscription.refused.values()))
        if not subscription.refuses_all_for_good:
            return f"{self.venue} refuses every symbol for now ({reasons})"
        message = (
            f"{self.venue} refuses every symbol asked for ({reasons}); set VOLTICK_SYMBOLS to"
            " products it trades"
        )
        self._error = FeedError(message)
        self._stop.set()
        return None

    def _disconnect(self) -> None:
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.shutdown()


def reachable(url: str, timeout_s: float = 3.0) -> bool:
    """Return whether a WebSocket server answers at an address within some seconds."""
    answered = threading.Event()

    def attempt() -> None:
        try:
            connection = connect(url, timeout_s)
        except (OSError, websocket.WebSocketException):
            return
        answered.set()
        connection.shutdown()

    # In a thread, since resolving a name can take longer than any timeout of the socket.
    thread = threading.Thread(target=attempt, name="probe", daemon=True)
    thread.start()
    thread.join(timeout_s)
    return answered.is_set()


def _close_reason(payload: bytes) -> str:
    """Return the code and the words of a close frame, for the log."""
    if len(payload) < 2:  # no code
        return ""
    words = payload[2:].decode("utf-8", "replace")
    return f" ({int.from_bytes(payload[:2], 'big')}{': ' if words else ''}{words})"
