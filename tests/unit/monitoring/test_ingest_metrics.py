"""Ingest's metrics and health, from figures and over HTTP."""

import httpx
import pytest
from prometheus_client import generate_latest

from flows.monitoring.ingest_metrics import (
    MAX_SYMBOLS,
    OTHER,
    FeedFigures,
    IngestMetrics,
    SymbolFigures,
    bounded,
    health_of,
)
from tests.support.polling import free_ports

FIGURES = FeedFigures(
    feed="binance",
    venue="binance",
    frames=10,
    control=3,
    repeats=1,
    dead={"bad_price": 2},
    connections=4,
    queued=5,
    dropped=6,
    clock_offset_s=-1.5,
    frame_age_s=0.25,
    refused=1,
    symbols={"BTC-USDT": SymbolFigures(7, 2, 0.125), "ETH-USDT": SymbolFigures(1)},
)


def lines(*feeds: FeedFigures) -> set[str]:
    text = generate_latest(IngestMetrics(lambda: feeds).registry).decode()
    return {line for line in text.splitlines() if line.startswith("voltick_ingest_")}


def test_every_figure_has_its_line() -> None:
    feed = 'feed="binance",venue="binance"'
    assert lines(FIGURES) == {
        f"voltick_ingest_frames_total{{{feed}}} 10.0",
        f"voltick_ingest_control_frames_total{{{feed}}} 3.0",
        f"voltick_ingest_repeats_total{{{feed}}} 1.0",
        f"voltick_ingest_reconnects_total{{{feed}}} 3.0",
        f"voltick_ingest_dropped_frames_total{{{feed}}} 6.0",
        'voltick_ingest_dead_letters_total{feed="binance",reason="bad_price",venue="binance"} 2.0',
        f"voltick_ingest_queued_frames{{{feed}}} 5.0",
        f"voltick_ingest_frame_age_seconds{{{feed}}} 0.25",
        f"voltick_ingest_clock_offset_seconds{{{feed}}} -1.5",
        f"voltick_ingest_refused_symbols{{{feed}}} 1.0",
        'voltick_ingest_ticks_total{feed="binance",symbol="BTC-USDT",venue="binance"} 7.0',
        'voltick_ingest_ticks_total{feed="binance",symbol="ETH-USDT",venue="binance"} 1.0',
        'voltick_ingest_gaps_total{feed="binance",symbol="BTC-USDT",venue="binance"} 2.0',
        'voltick_ingest_gaps_total{feed="binance",symbol="ETH-USDT",venue="binance"} 0.0',
        'voltick_ingest_event_lag_seconds{feed="binance",symbol="BTC-USDT",venue="binance"} 0.125',
    }


def test_what_is_not_known_has_no_line() -> None:
    found = lines(FeedFigures("replay:x", "binance"))
    assert not any(word in line for word in ("age", "offset", "refused") for line in found)


def test_symbols_beyond_the_limit_are_counted_together() -> None:
    symbols = {f"S{number}": SymbolFigures(1, 1, float(number)) for number in range(1_000)}
    found = bounded(symbols)
    assert len(found) == MAX_SYMBOLS + 1
    assert found[OTHER] == SymbolFigures(1_000 - MAX_SYMBOLS, 1_000 - MAX_SYMBOLS, 999.0)
    assert sum(each.ticks for each in found.values()) == 1_000


@pytest.mark.parametrize(
    ("feeds", "is_well"),
    [
        ([], False),
        ([FIGURES], True),
        ([FeedFigures("replay:x", "binance")], True),
        ([FIGURES, FeedFigures("b", "binance", frame_age_s=31.0)], False),
    ],
    ids=["none is open", "fresh", "recording", "one is stale"],
)
def test_health_is_whether_every_live_feed_brings_messages(
    feeds: list[FeedFigures], is_well: bool
) -> None:
    assert health_of(feeds, 30.0).is_well is is_well


def test_metrics_and_health_are_answered_at_one_port() -> None:
    feeds = [FIGURES]
    [port] = free_ports(1)
    IngestMetrics(lambda: feeds).serve(port, lambda: health_of(feeds, 30.0))
    address = f"http://127.0.0.1:{port}"
    assert "voltick_ingest_frames_total" in httpx.get(f"{address}/metrics", timeout=10).text
    answer = httpx.get(f"{address}/health", timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert answer.json()["feeds"]["binance"]["frame_age_s"] == 0.25
    feeds[:] = [FeedFigures("b", "binance", frame_age_s=31.0)]
    answer = httpx.get(f"{address}/health", timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (503, "failing")
    assert answer.json()["feeds"]["b"]["stale"] is True
