"""How the feeds are, by ingest's own metrics."""

from prometheus_client import generate_latest

from flows.monitoring import ingest_metrics
from flows.monitoring.ingest_metrics import IngestMetrics
from serving.monitoring.feeds import FeedFigures, FeedWatch, figures_of


def test_what_ingest_tells_is_what_is_read() -> None:
    told = [
        ingest_metrics.FeedFigures("binance", "binance", connections=1, dropped=7),
        ingest_metrics.FeedFigures("coinbase-exchange", "coinbase-exchange", connections=4),
    ]
    text = generate_latest(IngestMetrics(lambda: told).registry).decode()
    assert figures_of(text) == [
        FeedFigures("binance", "binance", reconnects=0, dropped_frames=7),
        FeedFigures("coinbase-exchange", "coinbase-exchange", reconnects=3),
    ]


def test_an_ingest_that_cannot_be_asked_tells_nothing() -> None:
    assert FeedWatch("127.0.0.1", 0).current() == []
    assert FeedWatch("127.0.0.1", 1).current() == []
