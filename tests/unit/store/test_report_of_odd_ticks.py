"""A report has the ticks that the flow takes, whatever else its topic holds."""

import dataclasses
import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flows.codec.decode import decode
from flows.codec.symbols import SymbolTable
from flows.errors import ArchiveError
from flows.numeric.time import NS_PER_DAY, NS_PER_MINUTE, NS_PER_MS
from flows.store import contract
from flows.store.database import connect
from flows.store.report import write_report
from flows.store.report.market_page import change, market_page, volume
from flows.store.report.series import count_unusable, read_series
from flows.store.report.style import price, quantity, share
from flows.store.report.summary_page import summary_pages
from flows.store.report.usable import USABLE_TICK
from flows.store.selection import Selection
from flows.store.snapshot import open_archive, take_snapshot
from schemas import topics
from schemas.ticks import EARLIEST_NS, LATEST_NS, Tick
from tests.support.archives import archive, open_writer, raw_batch

START_NS = 20_000 * NS_PER_DAY
LARGEST = 1.7976931348623157e308
NOW = datetime(2026, 2, 1, tzinfo=UTC)


def tick(number: int, **changes: Any) -> Tick:
    made = Tick(
        symbol="A-B", venue="v", ts_event_ns=START_NS + number * NS_PER_MINUTE, price=10.0 + number
    )
    return msgspec.structs.replace(made, **changes)


def variants() -> list[Tick]:
    odd: dict[str, list[Any]] = {
        "price": [0.0, -0.0, -1.0, 5e-324, LARGEST],
        "bid": [0.0, -1.0, 9.0, 10.0, LARGEST],
        "ask": [0.0, -1.0, 9.0, 10.0, LARGEST],
        "size": [0.0, -0.5, LARGEST],
        "bid_size": [0.0, -0.5],
        "ask_size": [0.0, -0.5],
    }
    one = [tick(0, **{name: value}) for name, values in odd.items() for value in values]
    quotes = [tick(0, bid=b, ask=a) for b, a in itertools.product(odd["bid"], odd["ask"])]
    received = [None, 0, EARLIEST_NS - 1, EARLIEST_NS, START_NS, LATEST_NS, 2**63 - 1]
    steps = [5 * NS_PER_MINUTE, NS_PER_DAY]
    events = [0, -1, EARLIEST_NS - 1, EARLIEST_NS, START_NS, LATEST_NS, LATEST_NS + 1, 2**63 - 1]
    events += [START_NS + step + more for step in steps for more in (0, 1)]
    events += [EARLIEST_NS + 5 * NS_PER_MINUTE + more for more in (0, 1)]
    times = [
        tick(0, ts_event_ns=event, ts_recv_ns=one)
        for event, one in itertools.product(events, received)
    ]
    return [*one, *quotes, *times]


@pytest.mark.parametrize(
    "timestamp_ms",
    [-1, 0, EARLIEST_NS // NS_PER_MS, START_NS // NS_PER_MS, LATEST_NS // NS_PER_MS, 2**62],
)
def test_the_ticks_that_count_are_those_that_the_flow_decodes(
    timestamp_ms: int, tmp_path: Path
) -> None:
    made = variants()
    raw = dataclasses.replace(raw_batch(made, 0), timestamps_ms=[timestamp_ms] * len(made))
    taken, dead = decode(raw, SymbolTable(), topics.TICKS_RAW, frozenset())
    assert 0 < len(dead) < len(made)
    writer = open_writer(tmp_path, topics.TICKS_RAW)
    writer.write(raw)
    writer.commit()
    writer.close()
    snapshot = take_snapshot(open_archive(tmp_path))
    with connect(snapshot, (contract.TICKS,)) as connection:
        rows = connection.table(contract.TICKS).filter(USABLE_TICK).order("log_offset")
        found = [offset for (offset,) in rows.project("log_offset").fetchall()]
    assert found == taken.offset.tolist()
    assert count_unusable(snapshot, Selection()) == len(dead)


def test_what_the_flow_refuses_moves_no_figure_of_a_report(tmp_path: Path) -> None:
    good = [tick(number, bid=9.0 + number, ask=11.0 + number, size=1.0) for number in range(4)]
    bad = [
        tick(4, price=0.0),
        tick(4, price=-4.0),
        tick(5, bid=0.0, ask=0.0),
        tick(6, bid=3.0, ask=1.0, price=1e9),
        tick(7, size=-1e6),
        tick(8, ts_event_ns=2**63 - 1),
        tick(9, ts_event_ns=1),
    ]
    archive(tmp_path / "clean", topics.TICKS_RAW, good)
    archive(tmp_path / "mixed", topics.TICKS_RAW, [*good[:2], *bad, *good[2:]])
    pages = []
    for name in ("clean", "mixed"):
        (series,) = read_series(take_snapshot(open_archive(tmp_path / name)), Selection())
        pages.append([each.get_text() for each in market_page(series, "f").texts])
    assert pages[0] == pages[1]
    made = write_report(tmp_path / "mixed", tmp_path / "r.pdf", now=NOW)
    assert made.markets == 1


def test_that_ticks_are_left_out_is_said(tmp_path: Path) -> None:
    archive(tmp_path, topics.TICKS_RAW, [tick(0, price=0.0), tick(1, size=-1.0)])
    with pytest.raises(ArchiveError, match="but 2 ticks that the flow refuses"):
        write_report(tmp_path, tmp_path / "r.pdf", now=NOW)


@pytest.mark.parametrize(
    "prices",
    [[5e-324, 1e-323], [LARGEST, LARGEST], [LARGEST, LARGEST / 3], [1e-300, 1e300], [1e-12]],
    ids=["least", "most", "most and less", "both", "one"],
)
def test_prices_of_any_size_are_drawn(prices: list[float], tmp_path: Path) -> None:
    archive(
        tmp_path / "a",
        topics.TICKS_RAW,
        [
            tick(at, price=value, size=value, bid=value, ask=value)
            for at, value in enumerate(prices)
        ],
    )
    made = write_report(tmp_path / "a", tmp_path / "r.pdf", now=NOW)
    assert len(made.images) == 2


def test_a_figure_beyond_any_number_is_unknown(tmp_path: Path) -> None:
    made = [tick(0, price=1e-300, size=LARGEST), tick(1, price=1e300, size=LARGEST)]
    archive(tmp_path, topics.TICKS_RAW, made)
    (series,) = read_series(take_snapshot(open_archive(tmp_path)), Selection())
    assert share(change(series)) == quantity(volume(series)) == "-"


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.5e-9, "2.5e-09"), (5e-324, "4.94066e-324"), (1.5e300, "1.5e+300"), (-1e-20, "-1e-20")],
)
def test_no_price_but_zero_is_written_as_zero(value: float, text: str) -> None:
    assert price(value) == text


def test_a_control_character_of_a_symbol_reaches_no_page(tmp_path: Path) -> None:
    odd = "A\nB\x1b[31m\x00"
    archive(tmp_path, topics.TICKS_RAW, [tick(0, symbol=odd)])
    (series,) = read_series(take_snapshot(open_archive(tmp_path)), Selection())
    (page,) = summary_pages([series], "t", [], "f")
    shown = [each.get_text() for each in page.texts]
    assert "A\ufffdB\ufffd[31m\ufffd" in shown
