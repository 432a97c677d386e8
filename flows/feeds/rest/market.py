"""Ask for one symbol's trades and quotes so that no trade is lost between two rounds."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from flows.feeds.catch_up import CATCH_UP_S
from flows.feeds.refusals import said_of
from flows.feeds.rest.dialect import Dialect, Request, StoredTrade, Unreadable
from flows.numeric.time import NS_PER_S

MAX_PAGES = 20
"""Pages that are asked for to reach the newest known trade."""

FIRST_LIMIT = 500
MIN_LIMIT = 100
_NO_TRADES = (401, 403, 404, 405, 501)

ANEW_S = 30.0
"""A market without new trades for so long is asked for its newest ones whatever their ids are."""

TRADES_AGAIN_S = 60.0
"""When a venue that gave no list of trades is asked for one again."""


class PollError(Exception):
    """A round failed; the message says why.

    Attributes
    ----------
    asked_s
        Seconds after which the venue wants to be asked again; None if it does not say.
    for_all
        All symbols have to wait.
    """

    def __init__(self, why: str, *, asked_s: float | None = None, for_all: bool = False) -> None:
        super().__init__(why)
        self.asked_s = asked_s
        self.for_all = for_all


class RefusedError(Exception):
    """The venue does not know the symbol; the message has its words."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer with a good status, and when it came, by both clocks.

    ``status`` is not 200 only where a request may be refused.
    """

    request: Request
    status: int
    body: bytes
    ts_recv_ns: int
    date_ns: int | None


Fetch = Callable[[Request], Fetched]
"""Answers a request, or raises :class:`PollError`."""

Emit = Callable[[Fetched, int | None], None]
"""Takes an answer as a frame, with the lowest id that is new."""


class Market:
    """Polls one symbol; not to be used by two threads at once.

    A round asks for the newest trades, goes back page by page to the newest one that is known, and
    hands the pages over, oldest first, once all of them are there: a round that fails is done again
    and loses nothing. Then it asks for the quotes.

    Parameters
    ----------
    dialect
        Of the venue.
    symbol
        Normalised.
    clock
        Seconds, monotonic.
    """

    def __init__(
        self, dialect: Dialect, symbol: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.symbol = symbol
        self._dialect = dialect
        self._clock = clock
        self._known_id: int | None = None
        self._known_ns = 0
        self._risen_s = clock()
        self._reached_s = clock()
        self._limit = FIRST_LIMIT
        self._trades_again_s = -math.inf

    def poll(self, fetch: Fetch, emit: Emit) -> None:
        """Do one round.

        Raises
        ------
        PollError
            An answer did not come or cannot be used.
        RefusedError
            The venue does not know the symbol.
        """
        if self._clock() < self._trades_again_s:
            self._last(fetch, emit)
            return
        first = self._known_id is None
        if first:
            self._quote(fetch, emit)
        is_quiet = self._clock() - self._risen_s > ANEW_S
        after_id = None if is_quiet else self._known_id
        newest = fetch(self._dialect.newest(self.symbol, after_id, self._limit))
        if newest.status != 200:
            self._without_trades(newest, fetch, emit)
            return
        self._take(newest, fetch, emit)
        if not first:
            self._quote(fetch, emit)

    def _take(self, newest: Fetched, fetch: Fetch, emit: Emit) -> None:
        """Hand over the trades that are new, with those between them and the known ones."""
        asked_s = self._clock()
        trades, unusable = self._read(newest, emit)
        if not trades:
            emit(newest, None if self._known_id is None else self._known_id + 1)
            self._reached_s = asked_s
            return
        low_id, high_id = trades[0].trade_id, trades[-1].trade_id
        # What cannot be used may have any id: one that leaps ahead would hide what follows.
        broken_ids = [each.trade_id or 0 for each in unusable]
        high_id = max(
            high_id, *(each for each in broken_ids if each <= high_id + self._dialect.page), 0
        )
        known_id = self._known_id
        anew = self._counted_anew(trades)
        if anew:
            known_id, high_id = anew[0] - 1, anew[-1]
        elif known_id is None or asked_s - self._reached_s > CATCH_UP_S:
            known_id = max(_before_catch_up(trades), known_id or 0)
        pages = [newest]
        if low_id > known_id + 1:
            pages = [*self._pages_below(low_id, known_id, fetch), newest]
        for page in pages:
            emit(page, known_id + 1)
        new = high_id - known_id
        self._limit = min(max(2 * new, MIN_LIMIT), self._dialect.page)
        if new > 0 or asked_s - self._risen_s > ANEW_S:
            self._risen_s = asked_s
        self._known_id = max(high_id, known_id)
        self._known_ns = max(self._known_ns, *(trade.ts_event_ns for trade in trades))
        self._reached_s = asked_s

    def _counted_anew(self, trades: list[StoredTrade]) -> list[int]:
        """Return the ids, rising, of trades that are later than all known ones, with lower ids.

        There are none, unless the venue has begun to count anew, or an id was wrong.
        """
        known_id = self._known_id
        if known_id is None:
            return []
        ids = [
            trade.trade_id
            for trade in trades
            if trade.trade_id <= known_id and trade.ts_event_ns > self._known_ns
        ]
        if ids:
            structlog.get_logger().warning(
                "the venue counts its trades anew, or an id was wrong",
                feed=self._dialect.venue,
                symbol=self.symbol,
                known_id=known_id,
                trade_id=ids[0],
            )
        return ids

    def _pages_below(self, low_id: int, known_id: int, fetch: Fetch) -> list[Fetched]:
        """Return the answers with the trades above a known id and below another, oldest first."""
        pages: list[Fetched] = []
        while low_id > known_id + 1 and len(pages) < MAX_PAGES:
            page = fetch(self._dialect.below(self.symbol, known_id, low_id))
            if page.status != 200:  # it gives no old trades: a gap
                break
            try:
                trades, _unusable = self._dialect.read_trades(page.body)
            except Unreadable as error:
                message = f"an answer cannot be used: {error}"
                raise PollError(message) from None
            below = [trade for trade in trades if trade.trade_id < low_id]
            if not below:
                break
            pages.insert(0, page)
            low_id = below[0].trade_id
        return pages

    def _read(self, fetched: Fetched, emit: Emit) -> tuple[list[StoredTrade], list[Unreadable]]:
        """Return the trades of an answer; one that cannot be used is handed over as it is."""
        try:
            return self._dialect.read_trades(fetched.body)
        except Unreadable as error:
            emit(fetched, None)
            message = f"an answer cannot be used: {error}"
            raise PollError(message) from None

    def _quote(self, fetch: Fetch, emit: Emit) -> None:
        fetched = fetch(self._dialect.quote(self.symbol))
        if fetched.status == 200:
            emit(fetched, None)

    def _without_trades(self, refused: Fetched, fetch: Fetch, emit: Emit) -> None:
        """Take the newest trade alone, for a while, where there is no list of trades."""
        lately = self._clock() - self._reached_s <= CATCH_UP_S
        if self._known_id is not None and lately:
            raise _failed(refused)  # it gave some just now, so this is an outage
        if refused.status not in _NO_TRADES or self._dialect.last(self.symbol) is None:
            raise self._why(refused)
        self._last(fetch, emit)
        self._trades_again_s = self._clock() + TRADES_AGAIN_S
        structlog.get_logger().warning(
            "the venue gives no list of trades: only the newest one is read, with gaps between",
            feed=self._dialect.venue,
            symbol=self.symbol,
            reason=str(_failed(refused)),
        )

    def _last(self, fetch: Fetch, emit: Emit) -> None:
        request = self._dialect.last(self.symbol)
        if request is None:
            message = f"{self._dialect.venue} has no request for one trade"
            raise PollError(message)
        fetched = fetch(request)
        if fetched.status != 200:
            raise self._why(fetched)
        emit(fetched, None)

    def _why(self, fetched: Fetched) -> PollError | RefusedError:
        words = self._dialect.refusal(fetched.status, fetched.body)
        return _failed(fetched) if words is None else RefusedError(words)


def _before_catch_up(trades: list[StoredTrade]) -> int:
    """Return the highest id that is too old to be caught up with, or one below the oldest."""
    newest_ns = max(trade.ts_event_ns for trade in trades)
    limit_ns = newest_ns - int(CATCH_UP_S * NS_PER_S)
    old = [trade.trade_id for trade in trades if trade.ts_event_ns < limit_ns]
    return max(old, default=trades[0].trade_id - 1)


def _failed(fetched: Fetched) -> PollError:
    return PollError(f"HTTP {said_of(fetched.status, fetched.body)} ({fetched.request.path})")
