"""Ask a venue's REST server: at the venue's pace, and again where the fault passes by itself.

Blocking: until the answer is there, or the attempts are used up. A refusal that no later attempt
would change (an unknown symbol, a wrong parameter) is told at once, in the venue's words.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

from flows.errors import VenueError
from flows.feeds.addresses import public_address
from flows.feeds.http import HttpClient, NoAnswerError, Reply, TooLongError
from flows.feeds.refusals import words_of
from flows.feeds.retry_after import http_date_ns, retry_after_s
from flows.numeric.time import NS_PER_S

if TYPE_CHECKING:
    import httpx

TOO_MANY_REQUESTS = 429
BANNED = 418
"""Binance: the address has gone on asking after a 429."""

_PASSING = frozenset({408, 425, TOO_MANY_REQUESTS, BANNED, 500, 502, 503, 504, 520, 522, 524})
_OK = 200

Clock = Callable[[], float]
Sleep = Callable[[float], None]
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Limits:
    """How a server is asked.

    Attributes
    ----------
    attempts
        Most requests for one answer.
    timeout_s
        Longest wait for the connection, for the next bytes, and for the whole answer.
    first_wait_s, longest_wait_s
        The wait before another attempt is drawn from [0, first_wait_s * 2**n], at most the longest.
    longest_retry_after_s
        A server that asks for a longer pause than this ends the request.
    interval_s
        Least distance between the beginnings of two requests.
    """

    attempts: int = 6
    timeout_s: float = 15.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 30.0
    longest_retry_after_s: float = 300.0
    interval_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server has said.

    Attributes
    ----------
    headers
        Names in small letters.
    """

    body: bytes
    headers: Mapping[str, str]

    def date_s(self) -> float | None:
        """Return the server's clock, seconds since the UNIX epoch; None where it does not tell."""
        date_ns = http_date_ns(self.headers.get("date"))
        return None if date_ns is None else date_ns / NS_PER_S


class PassingError(VenueError):
    """A fault that a later attempt may not meet.

    Attributes
    ----------
    retry_after_s
        The pause that the server asks for.
    """

    retry_after_s: float = 0.0


def persistently(ask: Callable[[], Found], limits: Limits, sleep: Sleep) -> Found:
    """Call until something else than a :class:`PassingError` comes of it; wait between two calls.

    A wait is drawn, and comes after what the server has asked for.

    Raises
    ------
    VenueError
        Every attempt has failed; it says so in the words of the last.
    """

    def wait_s(state: RetryCallState) -> float:
        drawn_s = wait_random_exponential(
            multiplier=limits.first_wait_s, max=limits.longest_wait_s
        )(state)
        error = state.outcome.exception() if state.outcome is not None else None
        return drawn_s + (error.retry_after_s if isinstance(error, PassingError) else 0.0)

    retrying = Retrying(
        retry=retry_if_exception_type(PassingError),
        stop=stop_after_attempt(limits.attempts),
        wait=wait_s,
        sleep=sleep,
        reraise=True,
    )
    try:
        return retrying(ask)
    except PassingError as error:
        message = f"{error}; given up after {limits.attempts} attempts"
        raise VenueError(message, error.status) from None


class RestClient:
    """GET requests to one server. Used by one thread alone.

    Parameters
    ----------
    venue
        For messages.
    url
        Address of the server, with or without a path.
    transport
        Takes the place of the network.
    sleep, clock, now_s
        Pauses in seconds; monotonic seconds; seconds since the UNIX epoch.
    """

    def __init__(
        self,
        venue: str,
        url: str,
        limits: Limits | None = None,
        *,
        transport: "httpx.BaseTransport | None" = None,
        sleep: Sleep = time.sleep,
        clock: Clock = time.monotonic,
        now_s: Clock = time.time,
    ) -> None:
        self.venue = venue
        self.url = url.rstrip("/")
        self.requests = 0
        """Requests that were sent."""
        self._limits = limits or Limits()
        self._sleep = sleep
        self._clock = clock
        self._now_s = now_s
        self._next_s = clock()
        timeout_s = self._limits.timeout_s
        self._client = HttpClient(self.url, timeout_s, timeout_s, transport=transport, clock=clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; may be called twice."""
        self._client.close()

    def pause(self, seconds: float) -> None:
        """Send no request before so many seconds have passed."""
        self._next_s = max(self._next_s, self._clock() + seconds)

    def get(self, path: str, params: Mapping[str, str | int]) -> Answer:
        """Return the server's answer to a request.

        Parameters
        ----------
        path
            Below the server's address, with a leading slash.

        Raises
        ------
        VenueError
            The server refuses the request, or no attempt got an answer; it names the venue and its
            words.
        """
        return persistently(lambda: self._ask(path, params), self._limits, self._sleep)

    def _ask(self, path: str, params: Mapping[str, str | int]) -> Answer:
        wait_s = self._next_s - self._clock()
        if wait_s > 0:
            self._sleep(wait_s)
        began_s = self._clock()
        self._next_s = began_s + self._limits.interval_s
        self.requests += 1
        try:
            reply = self._client.get(path, params)
        except TooLongError as error:
            message = f"{self.venue} gives {error}"
            raise VenueError(message) from None
        except NoAnswerError as error:
            message = f"{self.venue} does not answer at {public_address(self.url)}: {error}"
            raise PassingError(message) from None
        if reply.status == _OK:
            return Answer(reply.body, reply.headers)
        raise self._refusal(reply)

    def _refusal(self, reply: Reply) -> VenueError:
        status = reply.status
        message = f"{self.venue} answers {status}: {words_of(reply.body) or reply.reason}"
        if status not in _PASSING:
            return VenueError(message, status)
        now_ns = round(self._now_s() * NS_PER_S)
        pause_s = retry_after_s(reply.headers.get("retry-after"), now_ns) or 0.0
        if pause_s > self._limits.longest_retry_after_s:
            return VenueError(f"{message}; it asks for a pause of {pause_s:.0f} s", status)
        error = PassingError(message, status)
        error.retry_after_s = pause_s
        return error
