"""Yahoo's bars by yfinance, which the extra ``yahoo`` installs.

They are not real time, and Yahoo limits requests hard. Bars of 1 min reach back 30 days, seven days
a request; those of 2 to 30 min 60 days. Of a cryptocurrency Yahoo gives the volume in quote
currency, and often 0 where it knows none: null here. Of anything else it gives shares or contracts.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import pandas as pd

from flows.bars.bar import Bar, Page, problem_of
from flows.bars.span import INTERVALS_S, Span
from flows.bars.venue import RowError, required
from flows.errors import ConfigurationError, FeedError, VenueError, needs_extra
from flows.feeds.retrying import Clock, Limits, PassingError, Sleep, persistently
from flows.numeric.time import NS_PER_S, text_of

NAME: Final = "yahoo"
LIMITS = Limits(attempts=4, first_wait_s=5.0, longest_wait_s=60.0, interval_s=1.0)

_CRYPTO = "CRYPTOCURRENCY"
_PAGE_DAYS = 7
_REFUSALS = (400, 404)
_NO_DATA = "Data doesn't exist for startDate"
_MINUTES_A_DAY = 1_440
_FIELDS = ("Open", "High", "Low", "Close", "Volume")


class YahooBars:
    """Bars by yfinance.

    Parameters
    ----------
    url
        Another server that all of yfinance's requests go to; None for Yahoo.
    sleep, clock
        Pauses in seconds; monotonic seconds.

    Raises
    ------
    ConfigurationError
        yfinance is not installed.
    """

    name = NAME
    intervals: Mapping[str, str] = {name: name for name in ("1m", "2m", "5m", "15m", "30m")}
    page_bars = _PAGE_DAYS * _MINUTES_A_DAY
    settle_s = 120
    reach_days: Mapping[str, int] = {"1m": 30, "2m": 60, "5m": 60, "15m": 60, "30m": 60}

    def __init__(self, url: str | None, limits: Limits, *, sleep: Sleep, clock: Clock) -> None:
        try:
            import yfinance  # an extra, and slow to import
            from yfinance.exceptions import YFPricesMissingError, YFTzMissingError
        except ImportError:
            raise ConfigurationError(needs_extra("--venue yahoo", "yahoo")) from None
        self._yfinance = yfinance
        self._no_bars: type[Exception] = YFPricesMissingError
        self._unknown: type[Exception] = YFTzMissingError
        self._limits = limits
        self._sleep = sleep
        self._clock = clock
        self._next_s = clock()
        self._session = _redirected(url) if url else None
        # Its complaints come back as exceptions; its retries are ours.
        for noisy in ("yfinance", "bs4"):
            logging.getLogger(noisy).disabled = True
        yfinance.config.debug.hide_exceptions = False

    def symbol(self, text: str) -> str:
        """Return the symbol in capitals: ``BTC-USD``, ``AAPL``, ``^GSPC``."""
        found = text.upper()
        if not found or not found.isprintable() or "/" in found:
            message = f"symbol {text!r} is none of Yahoo's; write it as BTC-USD or AAPL"
            raise FeedError(message)
        return found

    def fetch(self, symbol: str, interval: str, span: Span) -> Page:
        """Ask for one page."""
        frame, kind = persistently(
            lambda: self._ask(symbol, interval, span), self._limits, self._sleep
        )
        return read_frame(frame, INTERVALS_S[interval] * NS_PER_S, is_crypto=kind == _CRYPTO)

    def close(self) -> None:
        """Close the session, if it is ours."""
        if self._session is not None:
            self._session.close()

    def _ask(self, symbol: str, interval: str, span: Span) -> tuple[pd.DataFrame | None, str]:
        pause_s = self._next_s - self._clock()
        if pause_s > 0:
            self._sleep(pause_s)
        self._next_s = self._clock() + self._limits.interval_s
        self._forget_answers()
        ticker = self._yfinance.Ticker(symbol, session=self._session)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # yfinance's use of pandas is its own affair
                frame = ticker.history(
                    interval=interval,
                    start=span.from_ns // NS_PER_S,
                    end=span.to_ns // NS_PER_S,
                    prepost=True,
                    actions=False,
                    auto_adjust=False,
                    timeout=self._limits.timeout_s,
                )
            kind = str(ticker.history_metadata.get("instrumentType", ""))
        except self._no_bars as error:
            return self._nothing(symbol, error)
        except self._unknown as error:
            raise _refused(symbol, str(error)) from None
        # yfinance lets through whatever its HTTP library, pandas and its own parser raise.
        except Exception as error:
            if getattr(getattr(error, "response", None), "status_code", None) in _REFUSALS:
                raise _refused(symbol, str(error)) from None
            message = f"yahoo does not answer for {symbol}: {str(error) or type(error).__name__}"
            raise PassingError(message) from None
        return frame, kind

    def _nothing(self, symbol: str, error: Exception) -> tuple[pd.DataFrame | None, str]:
        """Tell a span without bars, such as a weekend, from a refusal."""
        words = getattr(error, "yahoo_reason", None)
        if words is None or words.startswith(_NO_DATA):
            return None, ""
        raise _refused(symbol, str(words))

    def _forget_answers(self) -> None:
        """Make yfinance ask again: it keeps answers, refusals among them."""
        from yfinance.data import YfData

        YfData.cache_get.cache_clear()


def _refused(symbol: str, words: str) -> VenueError:
    return VenueError(f"yahoo refuses {symbol}: {words}")


def read_frame(frame: pd.DataFrame | None, interval_ns: int, *, is_crypto: bool) -> Page:
    """Return the bars of yfinance's table; None is a span without any.

    Raises
    ------
    VenueError
        The table has other columns, or times without a zone.
    """
    bars, refused = [], []
    for at, row in _rows(frame):
        # Yahoo appends the newest price as a row of its own, between two bars.
        if at % interval_ns:
            refused.append(f"{text_of(at)} is no multiple of the interval")
            continue
        try:
            bar = _bar(at, row, is_crypto=is_crypto)
            problem = problem_of(bar, interval_ns)
        except RowError as error:
            problem = f"{error} at {text_of(at)}"
        if problem is None:
            bars.append(bar)
        else:
            refused.append(problem)
    return Page(bars, refused)


def _bar(at: int, row: Mapping[Any, Any], *, is_crypto: bool) -> Bar:
    volume = None if pd.isna(row["Volume"]) else required(row["Volume"], "volume")
    return Bar(
        ts_open_ns=at,
        open=required(row["Open"], "open"),
        high=required(row["High"], "high"),
        low=required(row["Low"], "low"),
        close=required(row["Close"], "close"),
        volume=None if is_crypto else volume,
        quote_volume=(volume or None) if is_crypto else None,
    )


def _rows(frame: pd.DataFrame | None) -> Iterator[tuple[int, Mapping[Any, Any]]]:
    if frame is None or not len(frame):
        return
    try:
        times = pd.DatetimeIndex(frame.index).tz_convert("UTC").as_unit("ns").asi8
        rows = frame[list(_FIELDS)].to_dict("records")
    except (KeyError, TypeError, ValueError) as error:
        message = f"yahoo answers what is no table of bars: {error}"
        raise VenueError(message) from None
    for at, row in zip(times, rows, strict=True):
        yield int(at), row


def _redirected(url: str) -> Any:
    """Return a session whose requests all go to another server, with their paths as they are."""
    from curl_cffi import requests

    address = urlsplit(url)

    class Redirected(requests.Session[requests.Response]):
        def request(self, method: Any, url: str, *args: Any, **kwargs: Any) -> Any:
            parts = urlsplit(url)
            path = address.path.rstrip("/") + parts.path
            target = parts._replace(scheme=address.scheme, netloc=address.netloc, path=path)
            return super().request(method, urlunsplit(target), *args, **kwargs)

    return Redirected()
