"""The API's own Prometheus metrics."""

from collections.abc import Iterable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from flows.numeric.time import NS_PER_S
from schemas.predictions import Prediction

_LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}
)

OTHER: Final = "other"
"""The label of what is beyond a bound: no client and no feed makes labels without end."""

MAX_SYMBOLS: Final = 200
"""Symbols with a label of their own."""


class ApiMetrics:
    """All metrics of one application in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "voltick_http_requests_total",
            "Requests by method, route template and status; a method that HTTP does not know is"
            f" `{OTHER}`.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.latency = Histogram(
            "voltick_http_request_seconds",
            "Time to the first byte of the answer, by route template.",
            ("route",),
            buckets=_LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.score_age = Gauge(
            "voltick_score_age_seconds",
            "Time since a symbol's latest score, at the moment of the scrape; negative where it is"
            f" dated ahead of this host's clock. Beyond {MAX_SYMBOLS} symbols, `{OTHER}` is the"
            " newest of the rest.",
            ("symbol",),
            registry=self.registry,
        )
        self.redis_up = Gauge(
            "voltick_api_redis_up", "1 where Redis answered this scrape.", registry=self.registry
        )
        self.foreign_entries = Counter(
            "voltick_api_foreign_entries_total",
            "Entries in Redis that are no message, passed over, by place.",
            ("place",),
            registry=self.registry,
        )
        self.stream_clients = Gauge(
            "voltick_stream_clients", "Open event streams.", registry=self.registry
        )
        self.stream_dropped = Counter(
            "voltick_stream_dropped_chunks_total",
            "Chunks that slow stream clients did not get.",
            registry=self.registry,
        )
        self.stream_evicted = Counter(
            "voltick_stream_evicted_clients_total",
            "Stream clients dropped because they did not read.",
            registry=self.registry,
        )
        self.predicted_rows = Counter(
            "voltick_predict_rows_total",
            "Rows scored on request, by target.",
            ("target",),
            registry=self.registry,
        )
        self.alias_moves = Counter(
            "voltick_alias_moves_total",
            "Moves of a model alias, by target and kind.",
            ("target", "move"),
            registry=self.registry,
        )

        self._of_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request and the time to the first byte of its answer.

        The metrics of each kind of request are kept at hand: to look one up by its labels takes
        longer than to count.
        """
        kind = (method if method in _METHODS else OTHER, route, status)
        found = self._of_request.get(kind)
        if found is None:
            found = self.requests.labels(*kind), self.latency.labels(route)
            self._of_request[kind] = found
        requests, latency = found
        requests.inc()
        latency.observe(seconds)

    def set_score_ages(self, predictions: Iterable[Prediction], now_ns: int) -> None:
        """Show the age of each symbol's latest score, of those beyond the bound the least."""
        ages_s = {each.symbol: (now_ns - each.ts_scored_ns) / NS_PER_S for each in predictions}
        symbols = sorted(ages_s)
        shown_s = {symbol: ages_s[symbol] for symbol in symbols[:MAX_SYMBOLS]}
        if len(symbols) > MAX_SYMBOLS:
            shown_s[OTHER] = min(ages_s[symbol] for symbol in symbols[MAX_SYMBOLS:])
        self.score_age.clear()
        for symbol, age_s in shown_s.items():
            self.score_age.labels(symbol).set(age_s)

    def render(self) -> bytes:
        """Return the registry in Prometheus' text format."""
        return generate_latest(self.registry)
