"""The symbols whose charts are being looked at; each is read from Kafka as long as somebody asks.

Where Kafka cannot be read, the sampled predictions that Redis holds are used instead.
"""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from schemas.models import TargetKind
from schemas.predictions import Prediction
from serving.http.problems import LogUnavailableError
from serving.http.series_views import SeriesResponse
from serving.log.reader import LogReader
from serving.models.admission import Admission
from serving.scores.latest import LatestScores
from serving.scores.store import ScoreStore
from serving.series.buckets import Buckets, PredictionPart
from serving.series.columns import columns, swaps
from serving.series.marks import marks
from serving.series.symbol_log import SymbolLog

MAX_WATCHED = 6
IDLE_S = 90.0
STEP_S = 0.7
"""Time that one request may read for."""

AT_MOST_EVERY_S = 0.4
MAX_WAITING = 16
REDIS_POINTS = 3_000
_RETRY_S = 10.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a chart shows.

    Attributes
    ----------
    seconds
        Time before the newest event.
    step_s
        Seconds in one entry.
    after
        Revision of the last answer; 0 for everything.
    """

    target: str
    seconds: int
    step_s: int
    after: int = 0
    kind: TargetKind | None = None
    threshold: float | None = None


@dataclass(slots=True)
class _Watched:
    log: SymbolLog
    lock: threading.Lock = field(default_factory=threading.Lock)
    asked_s: float = 0.0
    read_s: float = float("-inf")


class SeriesStore:
    """Keeps the series of symbols that were asked for of late.

    Parameters
    ----------
    config
        ``Settings.kafka_config()``; None where no broker is configured.
    latest
        For the partition of a symbol.
    scores
        For its history where Kafka cannot be read.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        config: Mapping[str, str | int] | None,
        latest: LatestScores,
        scores: ScoreStore,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._latest = latest
        self._scores = scores
        self._clock = clock
        self._watched: OrderedDict[tuple[str, int], _Watched] = OrderedDict()
        self._reading = Admission(MAX_WAITING)
        self._unavailable_until_s = float("-inf")

    async def read(self, symbol: str, asked: Asked) -> SeriesResponse | None:
        """Return a symbol over time; None for one without a score."""
        latest = await self._latest.latest(symbol)
        if latest is None:
            return None
        if self._config is not None and self._clock() >= self._unavailable_until_s:
            try:
                with self._reading.admitted():
                    return await self._reading.run(lambda: self._from_log(latest, asked))
            except LogUnavailableError:
                pass
        points = await self._scores.history(symbol, REDIS_POINTS)
        return await asyncio.to_thread(_from_history, symbol, points or [latest], asked)

    def close(self) -> None:
        """Hang up all readers."""
        self._reading.close()
        while self._watched:
            _place, watched = self._watched.popitem()
            with watched.lock:
                watched.log.close()

    def _from_log(self, latest: Prediction, asked: Asked) -> SeriesResponse:
        if self._clock() < self._unavailable_until_s:
            cause = "it did not a moment ago"  # this one waited meanwhile
            raise LogUnavailableError(cause)
        try:
            return self._read(latest, asked)
        except LogUnavailableError:
            self._unavailable_until_s = self._clock() + _RETRY_S
            raise

    def _read(self, latest: Prediction, asked: Asked) -> SeriesResponse:
        watched = self._of(latest)
        with watched.lock:
            if self._clock() - watched.read_s >= AT_MOST_EVERY_S or not watched.log.complete:
                watched.log.advance(STEP_S)
                watched.read_s = self._clock()
            log = watched.log
            return _answer(log.symbol, log.buckets, asked, log=log)

    def _of(self, latest: Prediction) -> _Watched:
        """Return what is known of a symbol, and forget what nobody asks for any more."""
        now_s = self._clock()
        place = (latest.symbol, latest.partition)
        watched = self._watched.get(place)
        if watched is None:
            if self._config is None:
                cause = "KAFKA_BOOTSTRAP_SERVERS is not set"
                raise LogUnavailableError(cause)
            watched = _Watched(SymbolLog(*place, LogReader(self._config)))
            self._watched[place] = watched
        watched.asked_s = now_s
        self._watched.move_to_end(place)
        for other in list(self._watched):
            is_idle = now_s - self._watched[other].asked_s > IDLE_S
            if other != place and (is_idle or len(self._watched) > MAX_WATCHED):
                self._watched.pop(other).log.close()
        return watched


def _from_history(symbol: str, points: list[Prediction], asked: Asked) -> SeriesResponse:
    buckets = Buckets()
    for point in points:
        buckets.add_prediction(
            PredictionPart(
                point.ts_event_ns, point.mid, point.price, point.warm, point.offset, point.scores
            )
        )
    return _answer(symbol, buckets, replace(asked, after=0), log=None)


def _answer(
    symbol: str, buckets: Buckets, asked: Asked, *, log: SymbolLog | None
) -> SeriesResponse:
    first_s = buckets.newest_s - asked.seconds + 1
    known = list(buckets.since(first_s - first_s % asked.step_s))
    return SeriesResponse(
        symbol=symbol,
        target=asked.target,
        kind=asked.kind,
        step_s=asked.step_s,
        source="redis" if log is None else "kafka",
        complete=log is None or log.complete,
        skipped=0 if log is None else log.skipped,
        revision=0 if log is None else buckets.revision,
        oldest_s=known[0].second if known else None,
        newest_s=buckets.newest_s if known else None,
        threshold=asked.threshold,
        columns=columns(known, asked.target, asked.step_s, asked.after),
        marks=marks(known, asked.target),
        swaps=swaps(known, asked.target),
    )
