"""The feeds that a process has open, with what each has brought so far."""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from flows.feeds.base import Feed
from flows.feeds.plan import OpenFeed
from flows.feeds.processor import FrameProcessor
from flows.monitoring.ingest_metrics import FeedFigures, SymbolFigures
from flows.numeric.time import NS_PER_S


@dataclass(slots=True)
class _Open:
    feed: Feed
    processor: FrameProcessor
    since_s: float
    newest_s: float | None = None


class OpenFeeds:
    """Opens feeds and reads their figures. Safe for use by several threads.

    Parameters
    ----------
    loops
        Whether recordings start over, with shifted times and ids.
    told
        Whether the log already says that the market is simulated.
    clock
        Seconds, monotonic.
    """

    def __init__(
        self,
        *,
        loops: bool = False,
        told: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loops = loops
        self._told = told
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}

    def open(self, name: str, open_feed: OpenFeed) -> Feed:
        """Open a feed and say which it is.

        Raises
        ------
        FeedError, CaptureError
            It cannot be opened.
        """
        feed = open_feed()
        log = structlog.get_logger()
        if feed.simulated and self._told:
            log.debug("feed opened", feed=feed.name)
        elif feed.simulated:
            log.warning("SIMULATED: these ticks are made up", feed=feed.name)
        else:
            log.info("feed opened", feed=feed.name)
        processor = FrameProcessor.of(feed)
        if self._loops:
            processor.track_loops()
        with self._lock:
            self._open[name] = _Open(feed, processor, self._clock())
        return feed

    def processor(self, name: str, *, frames: int) -> FrameProcessor:
        """Return the processor of an open feed's frames, and note that so many have come."""
        opened = self._open[name]
        if frames:
            opened.newest_s = self._clock()
        return opened.processor

    def counts(self) -> dict[str, dict[str, float]]:
        """Return, for the log, the counts and the clock's offset of each feed with frames."""
        found: dict[str, dict[str, float]] = {}
        for name, opened in self._snapshot():
            processor = opened.processor
            if opened.newest_s is not None:
                offset_s = processor.clock_offset_s
                clock = {} if offset_s is None else {"clock_offset_s": offset_s}
                found[name] = {**dataclasses.asdict(processor.counts), **clock}
        return found

    def figures(self) -> list[FeedFigures]:
        """Return the figures of each feed."""
        return [_figures(name, opened, self._clock()) for name, opened in self._snapshot()]

    def _snapshot(self) -> list[tuple[str, _Open]]:
        with self._lock:
            return list(self._open.items())


def _figures(name: str, opened: _Open, now_s: float) -> FeedFigures:
    feed, processor = opened.feed, opened.processor
    counts = processor.counts
    newest_s = opened.since_s if opened.newest_s is None else opened.newest_s
    age_s = now_s - newest_s if feed.live else None
    refused: Mapping[str, str] | None = getattr(feed, "refused", None)
    return FeedFigures(
        feed=name,
        venue=feed.venue,
        frames=counts.frames,
        control=counts.control,
        repeats=counts.repeats,
        dead=dict(processor.dead_by_reason),
        connections=getattr(feed, "connections", 0),
        queued=getattr(feed, "queued", 0),
        dropped=getattr(feed, "dropped", 0),
        clock_offset_s=processor.clock_offset_s,
        frame_age_s=age_s,
        refused=None if refused is None else len(refused),
        symbols=_symbols(processor),
    )


def _symbols(processor: FrameProcessor) -> dict[str, SymbolFigures]:
    ticks, gaps, newest = processor.ticks_by_symbol, processor.gaps_by_symbol, processor.newest
    found = {}
    for symbol, count in ticks.items():
        tick = newest.get(symbol)
        lag_s = None
        if tick is not None and tick.ts_recv_ns is not None:
            lag_s = (tick.ts_recv_ns - tick.ts_event_ns) / NS_PER_S
        found[symbol] = SymbolFigures(count, gaps.get(symbol, 0), lag_s)
    return found
