"""What a report draws equals a plain computation, and its pages are whole."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from flows.errors import ArchiveError, ConfigurationError
from flows.numeric.time import NS_PER_S
from flows.store.report import style, write_report
from flows.store.report.market_page import market_page
from flows.store.report.series import MOST_SPANS, MarketSeries, read_series, span_of
from flows.store.report.summary_page import ROWS_A_PAGE, summary_pages
from flows.store.selection import Selection
from flows.store.snapshot import open_archive, take_snapshot
from schemas import topics
from schemas.ticks import Candle, Tick
from tests.support.archives import archive

START_NS = 20_000 * 86_400 * NS_PER_S
MINUTE_NS = 60 * NS_PER_S
NOW = datetime(2026, 2, 1, tzinfo=UTC)


def ticks(symbol: str = "BTC-USD", count: int = 400, hole: range = range(100, 160)) -> list[Tick]:
    rng = np.random.default_rng(7)
    prices = 100 + np.cumsum(rng.normal(0, 0.1, count))
    return [
        Tick(
            symbol=symbol,
            venue="test",
            ts_event_ns=START_NS + number * MINUTE_NS + number,
            price=float(prices[number]),
            size=None if number % 5 == 0 else 0.5,
            bid=None if number % 3 == 0 else float(prices[number]) - 0.01 * (number % 7),
            ask=float(prices[number]) + 0.02,
            gap=number == hole.stop,
        )
        for number in range(count)
        if number not in hole
    ]


def series_of(folder: Path, chosen: Selection | None = None) -> list[MarketSeries]:
    return read_series(take_snapshot(open_archive(folder)), chosen or Selection())


def texts(figure: Figure) -> list[str]:
    return [each.get_text() for each in figure.texts]


def test_spans_of_ticks_are_what_a_loop_finds(tmp_path: Path) -> None:
    made = ticks()
    archive(tmp_path, topics.TICKS_RAW, made)
    (found,) = series_of(tmp_path)
    assert (found.source, found.span_s) == ("ticks_raw", 300)
    for at, slot in enumerate(found.slots):
        some = [tick for tick in made if tick.ts_event_ns // found.span_ns == slot]
        prices = [tick.price for tick in some]
        assert found.open[at] == prices[0]
        assert found.close[at] == prices[-1]
        assert found.high[at] == max(prices)
        assert found.low[at] == min(prices)
        known = [tick.size for tick in some if tick.size is not None]
        np.testing.assert_allclose(found.volume[at], sum(known) if known else np.nan)
        minutes = {tick.ts_event_ns // MINUTE_NS for tick in some}
        assert found.coverage[at] == pytest.approx(len(minutes) / 5)
        quotes = [2e4 * (tick.ask - tick.bid) / (tick.ask + tick.bid) for tick in some if tick.bid]
        (row,) = np.flatnonzero(found.spread_slots == slot)
        np.testing.assert_allclose(found.spread_bps[row], np.quantile(quotes, [0.1, 0.5, 0.9]))
    assert set(found.slots) == {tick.ts_event_ns // found.span_ns for tick in made}
    assert found.holes() == [(START_NS + 100 * MINUTE_NS, START_NS + 160 * MINUTE_NS)]
    assert found.gap_slots.tolist() == [(START_NS + 160 * MINUTE_NS) // found.span_ns]
    assert (found.facts.gaps, found.facts.holes) == (1, 1)
    assert found.whole == pytest.approx(340 / 400)


def test_prices_come_from_candles_of_a_minute_where_there_are_some(tmp_path: Path) -> None:
    archive(tmp_path, topics.TICKS_RAW, ticks())
    archive(
        tmp_path,
        topics.CANDLES,
        [
            Candle(
                symbol="BTC-USD",
                venue="test",
                ts_open_ns=START_NS + number * MINUTE_NS,
                interval_s=interval_s,
                open=1.0,
                high=3.0,
                low=0.5,
                close=2.0,
                tick_count=1,
            )
            for number in range(10)
            for interval_s in (1, 60)
        ],
    )
    (found,) = series_of(tmp_path)
    assert (found.source, found.interval_s, found.facts.rows) == ("candles", 60, 10)
    assert found.close.tolist() == [2.0] * 10
    assert len(found.spread_slots) > 0
    assert found.facts.gaps == 1
    assert np.isnan(found.volume).all()


def test_only_the_chosen_time_and_markets_are_drawn(tmp_path: Path) -> None:
    archive(tmp_path, topics.TICKS_RAW, [*ticks(), *ticks("ETH-USD")])
    chosen = Selection(
        symbols=("ETH-USD",),
        start_ns=START_NS + 10 * MINUTE_NS,
        end_ns=START_NS + 20 * MINUTE_NS,
    )
    (found,) = series_of(tmp_path, chosen)
    assert (found.symbol, found.facts.rows, found.span_s) == ("ETH-USD", 10, 60)
    assert len(found.slots) == 10


@pytest.mark.parametrize("minutes", [0, 1, 239, 240, 5_000, 100_000, 5_000_000], ids=str)
def test_a_span_is_the_shortest_that_fits_on_a_page(minutes: int) -> None:
    last_ns = START_NS + minutes * MINUTE_NS
    span_s = span_of(START_NS, last_ns)
    assert last_ns // (span_s * NS_PER_S) - START_NS // (span_s * NS_PER_S) < MOST_SPANS
    assert span_s >= 60
    assert span_of(START_NS, last_ns, 86_400) >= 86_400


def test_a_report_has_a_table_and_a_page_for_each_market_with_an_image_of_each(
    tmp_path: Path,
) -> None:
    odd = Tick(symbol="$A$/B_%", venue="x$y", ts_event_ns=START_NS, price=0.00001234)
    archive(tmp_path / "a", topics.TICKS_RAW, [*ticks(), odd])
    out = tmp_path / "out" / "r.pdf"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "r-009.png").write_bytes(b"of an older report")
    made = write_report(tmp_path / "a", out, now=NOW)
    assert made.markets == 2
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "r-001.png",
        "r-002.png",
        "r-003.png",
        "r.pdf",
    ]
    assert [path.name for path in made.images] == ["r-001.png", "r-002.png", "r-003.png"]
    assert b"/Count 3 " in out.read_bytes()
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made.images)


def test_a_page_names_market_time_units_and_what_is_not_known(tmp_path: Path) -> None:
    bare = [
        Tick(symbol="A-B", venue="v", ts_event_ns=START_NS + at * MINUTE_NS, price=1.0 + at)
        for at in range(3)
    ]
    archive(tmp_path, topics.TICKS_RAW, [*ticks(), *bare])
    empty, full = (market_page(each, "foot") for each in series_of(tmp_path)[::-1])
    if "A-B on v" not in texts(empty):
        empty, full = full, empty
    assert {"A-B on v", "foot", "coverage", "100.0%"} <= set(texts(empty))
    labels = [axes.get_ylabel() for axes in full.axes]
    assert labels == ["price (USD)", "volume (BTC)", "spread (bps)", "coverage (%)"]
    assert full.axes[-1].get_xlabel() == "time (UTC)"
    said = [each.get_text() for axes in empty.axes for each in axes.texts]
    assert said == ["no sizes are known", "no quotes are known"]


def test_no_text_of_a_page_leaves_it_or_covers_another(tmp_path: Path) -> None:
    wide = [
        Tick(symbol="X" * 64, venue="v" * 64, ts_event_ns=START_NS + at, price=123_456.789 + at)
        for at in range(3)
    ]
    archive(tmp_path, topics.TICKS_RAW, [*ticks(), *wide])
    markets = series_of(tmp_path)
    pages = [*summary_pages(markets, "t" * 200, ["l" * 300, "m"], "f"), market_page(markets[1], "")]
    for figure in pages:
        renderer = figure.canvas.get_renderer()
        boxes = [each.get_window_extent(renderer) for each in figure.texts if each.get_text()]
        for at, box in enumerate(boxes):
            assert box.x0 >= 0
            assert box.x1 <= figure.bbox.x1
            assert not any(box.overlaps(other) for other in boxes[:at]), figure.texts[at]


def test_many_markets_make_several_tables(tmp_path: Path) -> None:
    some = [
        Tick(symbol=f"S{at}-USD", venue="v", ts_event_ns=START_NS, price=1.0)
        for at in range(ROWS_A_PAGE + 1)
    ]
    archive(tmp_path, topics.TICKS_RAW, some)
    assert len(list(summary_pages(series_of(tmp_path), "t", [], "f"))) == 2


def test_what_cannot_be_reported_or_written_is_named(tmp_path: Path) -> None:
    archive(tmp_path / "a", topics.TICKS_RAW, ticks(count=5))
    with pytest.raises(ArchiveError, match="no ticks, candles or bars"):
        write_report(tmp_path / "a", tmp_path / "r.pdf", Selection(symbols=("other",)))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigurationError, match="cannot write the report"):
        write_report(tmp_path / "a", tmp_path / "file" / "r.pdf", now=NOW)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (65_866.354, "65,866.35"),
        (17.24914, "17.2491"),
        (0.00001234, "0.00001234"),
        (1_000_099.0, "1,000,099.00"),
        (0.0, "0"),
        (float("nan"), "-"),
    ],
    ids=["large", "some", "small", "whole", "zero", "unknown"],
)
def test_prices_are_written_in_six_digits_and_cents(value: float, text: str) -> None:
    assert style.price(value) == text


@pytest.mark.parametrize("most_bytes", [10, 700, 20_000])
def test_a_disk_that_is_full_is_one_error_and_leaves_the_report_before(
    most_bytes: int, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource", reason="Windows has no limit of files' sizes")
    archive(tmp_path / "a", topics.TICKS_RAW, ticks())
    write_report(tmp_path / "a", tmp_path / "r.pdf", now=NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("r*")}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, limits[1]))
    try:
        with pytest.raises(ConfigurationError, match=r"cannot write the report .*File too large"):
            write_report(tmp_path / "a", tmp_path / "r.pdf", now=NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
