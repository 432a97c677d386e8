"""Live feed over HTTP: threads that ask for each symbol in turn and fill a bounded queue.

Each symbol is asked for once an interval and never twice at the same time; a round that takes
longer is followed by the next one, and none is made up for. The venue's limit is shared by all
symbols: where it does not suffice, the rounds become rarer. An answer that says "too many" holds
all of them, any other trouble only its symbol.

If the queue is full, nothing is asked for until there is room: the trades stay with the venue.
"""

import heapq
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import structlog

from flows.errors import FeedError
from flows.feeds.addresses import public_address
from flows.feeds.base import Frame, Parser
from flows.feeds.http import HttpClient, NoAnswerError, Reply
from flows.feeds.refusals import said_of
from flows.feeds.rest import budget
from flows.feeds.rest.budget import Budget
from flows.feeds.rest.dialect import Dialect, Request
from flows.feeds.rest.market import Fetched, Market, PollError, RefusedError
from flows.feeds.rest.messages import Answer
from flows.feeds.rest.parse import RestParser
from flows.feeds.retry_after import http_date_ns, retry_after_s

INTERVAL_S = 1.0
QUEUE_FRAMES = 256
"""Some hundred kilobytes each at most, so that a full queue is some dozen megabytes."""

_WORKERS = 4
_CLOSE_S = 1.0
_PUT_S = 0.2
_TOO_MANY = (418, 429)
_USED_SHARE = 0.95
_MINUTE_S = 60.0


class Client(Protocol):
    """What asks the venue; see :class:`flows.feeds.http.HttpClient`."""

    def get(self, path: str) -> Reply:  # noqa: D102
        ...

    def close(self) -> None:  # noqa: D102
        ...


@dataclass(order=True, slots=True)
class _Turn:
    due_s: float
    market: Market = field(compare=False)
    failures: int = field(default=0, compare=False)


class RestFeed:
    """Feed of polled answers; asks from the beginning on, until closed.

    Parameters
    ----------
    dialect
        Of the venue.
    symbols
        Normalised; one that the venue refuses is left out with a warning.
    url
        The venue's address.
    interval_s
        Time between two rounds of a symbol.
    client
        Another client than the usual one.
    wait_s
        From the number of failures in a row, and the seconds that the venue asks for, to the wait;
        the usual one if None.
    clock_ns
        Receive times, nanoseconds since the UNIX epoch.

    Attributes
    ----------
    connections
        How often the venue began to answer, after the start or after an outage of all symbols.
    dropped
        Always 0: a full queue stops the asking.
    """

    simulated = False
    live = True
    marked = True
    dropped = 0

    def __init__(
        self,
        dialect: Dialect,
        symbols: Sequence[str],
        url: str,
        *,
        interval_s: float = INTERVAL_S,
        client: Client | None = None,
        wait_s: Callable[[int, float | None], float] | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.venue = dialect.venue
        self.name = f"live {self.venue}, polled at {public_address(url)}"
        self.loop_number = 0
        self.finished = False
        self.connections = 0
        self._dialect = dialect
        self._url = url
        self._interval_s = interval_s
        self._client = client or HttpClient(url)
        self._wait_s = wait_s or budget.wait_s
        self._clock_ns = clock_ns
        self._budget = Budget(dialect.weight_per_s, dialect.burst)
        self._queue: queue.Queue[Frame] = queue.Queue(QUEUE_FRAMES)
        self._encode = msgspec.json.Encoder().encode
        self._stop = threading.Event()
        self._state = threading.Condition()
        self._answering = False
        self._refused: dict[str, str] = {}
        self._count = len(symbols)
        self._error: FeedError | None = None
        self._log = structlog.get_logger().bind(feed=f"{self.venue} by HTTP")
        now_s = time.monotonic()
        self._turns = [
            _Turn(now_s + index * interval_s / self._count, Market(dialect, symbol))
            for index, symbol in enumerate(symbols)
        ]
        self._threads = [
            threading.Thread(target=self._work, name=f"{self.venue}-{number}", daemon=True)
            for number in range(min(_WORKERS, self._count))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def refused(self) -> dict[str, str]:
        """Symbols that the venue refuses, with its words."""
        with self._state:
            return dict(self._refused)

    @property
    def queued(self) -> int:
        """Frames that wait to be taken."""
        return self._queue.qsize()

    def parser(self) -> Parser:
        """Return a new parser of this venue's answers."""
        return RestParser(self._dialect)

    def poll(self, max_frames: int) -> list[Frame]:
        """Return the frames that have arrived, at most ``max_frames``."""
        frames: list[Frame] = []
        try:
            for _ in range(max_frames):
                frames.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        if not frames and self._error is not None:
            raise self._error
        return frames

    def close(self) -> None:
        """End the asking; a request under way is not waited for longer than a second."""
        self.finished = True
        self._stop.set()
        with self._state:
            self._state.notify_all()
        end_s = time.monotonic() + _CLOSE_S
        for thread in self._threads:
            thread.join(max(end_s - time.monotonic(), 0.0))
        self._client.close()

    def _work(self) -> None:
        try:
            while (turn := self._next()) is not None:
                self._round(turn)
        except Exception as error:  # a defect must end the feed, not one thread
            if not self._stop.is_set():
                self._log.exception("the polling has failed")
                self._fail(f"the client of {self.venue} has failed ({error!r}); its log says more")

    def _next(self) -> _Turn | None:
        """Wait for the next turn that is due and take it; None at the end."""
        with self._state:
            while not self._stop.is_set():
                left_s = self._turns[0].due_s - time.monotonic() if self._turns else None
                if left_s is not None and left_s <= 0.0:
                    return heapq.heappop(self._turns)
                self._state.wait(left_s)
        return None

    def _put_back(self, turn: _Turn, due_s: float) -> None:
        turn.due_s = due_s
        with self._state:
            heapq.heappush(self._turns, turn)
            self._state.notify()

    def _round(self, turn: _Turn) -> None:
        """Poll one symbol and say when its next turn is."""
        market, due_s = turn.market, turn.due_s
        try:
            market.poll(self._fetch, lambda fetched, from_id: self._emit(market, fetched, from_id))
        except RefusedError as error:
            self._leave_out(market.symbol, str(error))
            return
        except PollError as error:
            if self._stop.is_set():
                return
            turn.failures += 1
            pause_s = self._wait_s(turn.failures, error.asked_s)
            if error.for_all:
                self._budget.hold(pause_s)
            self._answering = False
            self._log.warning(
                "no usable answer: trying again",
                url=public_address(self._url),
                symbol=market.symbol,
                reason=str(error),
                retry_in_s=round(pause_s, 3),
            )
            self._put_back(turn, time.monotonic() + pause_s)
            return
        if turn.failures:
            self._log.info("answers again", url=public_address(self._url), symbol=market.symbol)
            turn.failures = 0
        self._put_back(turn, max(due_s + self._interval_s, time.monotonic()))

    def _fetch(self, request: Request) -> Fetched:
        """Return the answer to a request once the venue's limit allows it."""
        if self._stop.wait(self._budget.reserve(request.weight)):
            message = "stopped"
            raise PollError(message)
        while held_s := self._budget.held_s:  # another symbol has heard "too many" meanwhile
            if self._stop.wait(held_s):
                message = "stopped"
                raise PollError(message)
        try:
            reply = self._client.get(request.path)
        except NoAnswerError as error:
            raise PollError(str(error)) from None
        received_ns = self._clock_ns()
        date_ns = http_date_ns(reply.headers.get("date"))
        self._mind_weight(reply)
        if reply.status in _TOO_MANY or reply.status >= 500:
            asked_s = retry_after_s(reply.headers.get("retry-after"), date_ns or received_ns)
            message = f"HTTP {said_of(reply.status, reply.body)} ({request.path})"
            raise PollError(message, asked_s=asked_s, for_all=reply.status in _TOO_MANY)
        if not self._answering:
            self._answering = True
            self.connections += 1
        return Fetched(request, reply.status, reply.body, received_ns, date_ns)

    def _mind_weight(self, reply: Reply) -> None:
        """Wait for the next minute where the venue says that its limit is nearly used up."""
        header = self._dialect.used_header
        used = reply.headers.get(header, "") if header is not None else ""
        if used.isdecimal() and int(used) > _USED_SHARE * self._dialect.used_limit:
            date_ns = http_date_ns(reply.headers.get("date")) or self._clock_ns()
            left_s = _MINUTE_S - date_ns / 1e9 % _MINUTE_S
            self._log.warning("the request limit is nearly used up", used=used, wait_s=left_s)
            self._budget.hold(left_s)

    def _emit(self, market: Market, fetched: Fetched, from_id: int | None) -> None:
        """Queue an answer as a frame; wait for room."""
        answer = Answer(
            get=fetched.request.path,
            kind=fetched.request.kind,
            symbol=market.symbol,
            from_id=from_id,
            date_ns=fetched.date_ns,
        )
        frame = Frame(fetched.ts_recv_ns, self._encode(_with_body(answer, fetched.body)).decode())
        while not self._stop.is_set():
            try:
                self._queue.put(frame, timeout=_PUT_S)
            except queue.Full:
                continue
            return

    def _leave_out(self, symbol: str, words: str) -> None:
        """Leave out a symbol that the venue refuses; end where none is left."""
        self._log.warning("symbol left out", symbol=symbol, reason=words)
        with self._state:
            self._refused[symbol] = words
            left = len(self._refused) < self._count
        if not left:
            reasons = "; ".join(dict.fromkeys(self._refused.values()))
            self._fail(
                f"{self.venue} refuses every symbol asked for ({reasons}); set VOLTICK_SYMBOLS to"
                " products it trades"
            )

    def _fail(self, message: str) -> None:
        self._error = FeedError(message)
        self._stop.set()
        with self._state:
            self._state.notify_all()


def _with_body(answer: Answer, body: bytes) -> Answer:
    """Return the answer with its body: raw where it is JSON, as text where it is not."""
    try:
        text = body.decode("utf-8")
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.structs.replace(answer, text=body.decode("utf-8", "backslashreplace"))
    return msgspec.structs.replace(answer, body=msgspec.Raw(text.encode()))
