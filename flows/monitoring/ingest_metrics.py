"""The metrics of ``flows.ingest``, read from its feeds when Prometheus asks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from flows.monitoring.served import Health, ServedMetrics

MAX_SYMBOLS = 200
"""Of one feed: those beyond are counted together, as ``other``, so that no recording and no venue
can make labels without end."""

OTHER = "other"

_FEED = ("feed", "venue")


@dataclass(frozen=True, slots=True)
class SymbolFigures:
    """What a feed has brought of one symbol.

    Attributes
    ----------
    lag_s
        How far its newest tick's event was behind its arrival; None where one is unknown.
    """

    ticks: int = 0
    gaps: int = 0
    lag_s: float | None = None


@dataclass(frozen=True, slots=True)
class FeedFigures:
    """What a feed has brought so far, and how it is.

    Attributes
    ----------
    dead
        Dead letters by reason.
    connections
        How often it has connected.
    queued, dropped
        Frames that wait, and those that a full queue did not take.
    clock_offset_s
        By how much this host's clock is ahead of the venue's; None if not measured.
    frame_age_s
        Time since the newest frame, or since the feed was opened; None for a recording.
    refused
        How many symbols the venue refuses; None where nothing is asked for.
    symbols
        By name.
    """

    feed: str
    venue: str
    frames: int = 0
    control: int = 0
    repeats: int = 0
    dead: Mapping[str, int] = field(default_factory=dict)
    connections: int = 0
    queued: int = 0
    dropped: int = 0
    clock_offset_s: float | None = None
    frame_age_s: float | None = None
    refused: int | None = None
    symbols: Mapping[str, SymbolFigures] = field(default_factory=dict)


ReadFeeds = Callable[[], Sequence[FeedFigures]]


class IngestMetrics(ServedMetrics):
    """All metrics of ingest, in a registry of its own.

    Parameters
    ----------
    read
        Returns the present figures; called by the thread that answers.
    """

    def __init__(self, read: ReadFeeds = tuple) -> None:
        super().__init__()
        self.registry.register(_Feeds(read))


class _Feeds(Collector):
    def __init__(self, read: ReadFeeds) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        feeds = self._read()
        yield from _counters(feeds)
        yield from _gauges(feeds)
        yield from _by_symbol(feeds)


def _counters(feeds: Sequence[FeedFigures]) -> Iterator[Metric]:
    """Yield what a feed counts."""
    plain: Sequence[tuple[str, str, Callable[[FeedFigures], int]]] = (
        ("frames", "Messages received from a venue.", lambda each: each.frames),
        ("control_frames", "Messages that gave no tick.", lambda each: each.control),
        ("repeats", "Trades that came again and were dropped.", lambda each: each.repeats),
        ("reconnects", "Connections after the first.", lambda each: max(each.connections - 1, 0)),
        (
            "dropped_frames",
            "Messages that a full queue did not take; a gap is marked.",
            lambda each: each.dropped,
        ),
    )
    for name, text, value in plain:
        family = CounterMetricFamily(f"voltick_ingest_{name}", text, labels=_FEED)
        for each in feeds:
            family.add_metric((each.feed, each.venue), value(each))
        yield family
    dead = CounterMetricFamily(
        "voltick_ingest_dead_letters", "Dead letters by reason.", labels=(*_FEED, "reason")
    )
    for each in feeds:
        for reason, count in sorted(each.dead.items()):
            dead.add_metric((each.feed, each.venue, reason), count)
    yield dead


def _gauges(feeds: Sequence[FeedFigures]) -> Iterator[Metric]:
    """Yield how a feed is now; what is not known is left out."""
    plain: Sequence[tuple[str, str, Callable[[FeedFigures], float | None]]] = (
        ("queued_frames", "Messages that wait to be read.", lambda each: each.queued),
        (
            "frame_age_seconds",
            "Time since a live feed's newest message.",
            lambda each: each.frame_age_s,
        ),
        (
            "clock_offset_seconds",
            "How far this host's clock is ahead of the venue's, with the time under way.",
            lambda each: each.clock_offset_s,
        ),
        (
            "refused_symbols",
            "Symbols that the venue refuses and that are left out; the log names them.",
            lambda each: each.refused,
        ),
    )
    for name, text, value in plain:
        family = GaugeMetricFamily(f"voltick_ingest_{name}", text, labels=_FEED)
        for each in feeds:
            number = value(each)
            if number is not None:
                family.add_metric((each.feed, each.venue), number)
        yield family


def _by_symbol(feeds: Sequence[FeedFigures]) -> Iterator[Metric]:
    """Yield what there is of each symbol."""
    labels = (*_FEED, "symbol")
    ticks = CounterMetricFamily("voltick_ingest_ticks", "Ticks sent to ticks.raw.", labels=labels)
    gaps = CounterMetricFamily(
        "voltick_ingest_gaps", "Ticks before which others were lost.", labels=labels
    )
    lag = GaugeMetricFamily(
        "voltick_ingest_event_lag_seconds",
        "How far the newest tick's event was behind its arrival.",
        labels=labels,
    )
    for each in feeds:
        for symbol, figures in bounded(each.symbols).items():
            at = (each.feed, each.venue, symbol)
            ticks.add_metric(at, figures.ticks)
            gaps.add_metric(at, figures.gaps)
            if figures.lag_s is not None:
                lag.add_metric(at, figures.lag_s)
    yield from (ticks, gaps, lag)


def bounded(symbols: Mapping[str, SymbolFigures]) -> dict[str, SymbolFigures]:
    """Return at most ``MAX_SYMBOLS`` symbols in the order given; the others added up."""
    names = list(symbols)
    kept = {name: symbols[name] for name in names[:MAX_SYMBOLS]}
    rest = [symbols[name] for name in names[MAX_SYMBOLS:]]
    if rest:
        lags = [each.lag_s for each in rest if each.lag_s is not None]
        kept[OTHER] = SymbolFigures(
            sum(each.ticks for each in rest),
            sum(each.gaps for each in rest),
            max(lags, default=None),
        )
    return kept


def health_of(feeds: Sequence[FeedFigures], stale_after_s: float) -> Health:
    """Return whether there are feeds, and every live one has brought a message lately."""
    details = {
        each.feed: {
            "venue": each.venue,
            "frame_age_s": None if each.frame_age_s is None else round(each.frame_age_s, 3),
            "stale": each.frame_age_s is not None and each.frame_age_s > stale_after_s,
            "connections": each.connections,
            "queued": each.queued,
            "dropped": each.dropped,
            "clock_offset_s": each.clock_offset_s,
        }
        for each in feeds
    }
    is_well = bool(feeds) and not any(each["stale"] for each in details.values())
    return Health(is_well, {"feeds": details})
