"""How the feeds of ingest are: asked of its own metrics, where these can be reached from here."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S = 0.5
FRESH_S = 2.0
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared, not listened on
_RECONNECTS = "voltick_ingest_reconnects_total"
_DROPPED = "voltick_ingest_dropped_frames_total"


@dataclass(frozen=True, slots=True)
class FeedFigures:
    """What one connection to a venue has gone through since ingest began."""

    feed: str
    venue: str
    reconnects: int = 0
    dropped_frames: int = 0


class FeedWatch:
    """Asks ingest now and then.

    Parameters
    ----------
    host, port
        ``VOLTICK_METRICS_HOST`` and ``VOLTICK_INGEST_METRICS_PORT``; 0 where ingest answers none.
    clock
        Monotonic seconds.
    """

    def __init__(self, host: str, port: int, clock: Callable[[], float] = time.monotonic) -> None:
        shown = "127.0.0.1" if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
        self._address = f"http://{shown}:{port}/metrics" if port else None
        self._clock = clock
        self._known: list[FeedFigures] = []
        self._due_s = float("-inf")

    def current(self) -> list[FeedFigures]:
        """Return the figures by feed, some seconds old at most; empty where ingest cannot be asked.

        Blocks for up to half a second.
        """
        if self._address is not None and self._clock() >= self._due_s:
            try:
                answer = httpx.get(self._address, timeout=TIMEOUT_S)
                self._known = figures_of(answer.text) if answer.is_success else []
            except (httpx.HTTPError, ValueError):  # away, elsewhere, or no metrics
                self._known = []
            self._due_s = self._clock() + FRESH_S
        return self._known


def figures_of(text: str) -> list[FeedFigures]:
    """Return the figures by feed from ingest's metrics in Prometheus' text format.

    Raises
    ------
    ValueError
        The text is none of that format.
    """
    found: dict[tuple[str, str], dict[str, int]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in (_RECONNECTS, _DROPPED):
                place = sample.labels.get("feed", ""), sample.labels.get("venue", "")
                found.setdefault(place, {})[sample.name] = int(sample.value)
    return [
        FeedFigures(feed, venue, counted.get(_RECONNECTS, 0), counted.get(_DROPPED, 0))
        for (feed, venue), counted in sorted(found.items())
    ]
