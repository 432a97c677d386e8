"""The first pages of a report: what the archive holds, and one line a market."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flows.store.console import duration, size
from flows.store.report import style
from flows.store.report.market_page import (
    change,
    median_spread_bps,
    source_name,
    volume,
)
from flows.store.report.series import MarketSeries
from flows.store.report.style import write

ROWS_A_PAGE = 26

_LEFT, _RIGHT, _TOP, _STEP = 0.06, 0.97, 0.845, 0.0295
_COLUMNS = (
    # Title, left edge of a text or right edge of a number, its room, whether it is text.
    ("symbol", 0.06, 0.098, True),
    ("venue", 0.163, 0.107, True),
    ("from", 0.275, 0.08, True),
    ("first (UTC)", 0.358, 0.092, True),
    ("last (UTC)", 0.454, 0.092, True),
    ("last price", 0.610, 0.06, False),
    ("change", 0.667, 0.052, False),
    ("volume", 0.716, 0.045, False),
    ("spread (bps)", 0.795, 0.075, False),
    ("gaps", 0.832, 0.034, False),
    ("holes", 0.872, 0.037, False),
    ("coverage", 0.931, 0.056, False),
)
_SPARK = (0.938, 0.032)


def summary_pages(
    markets: Sequence[MarketSeries], title: str, lines: Sequence[str], footer: str
) -> Iterator[Figure]:
    """Yield the pages of the table of markets.

    Parameters
    ----------
    lines
        Two lines at most, below the title.
    """
    for begin in range(0, len(markets), ROWS_A_PAGE):
        figure = style.page()
        write(figure, _LEFT, 0.935, title, 0.91, fontsize=17, weight="bold")
        for at, line in enumerate(lines):
            y = 0.908 - 0.02 * at
            write(figure, _LEFT, y, line, 0.91, fontsize=9.5, color=style.FAINT)
        write(figure, _LEFT, 0.025, footer, 0.91, fontsize=7.5, color=style.FAINT)
        _table(figure, markets[begin : begin + ROWS_A_PAGE])
        yield figure


def _table(figure: Figure, markets: Sequence[MarketSeries]) -> None:
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set_axis_off()
    canvas.set(xlim=(0, 1), ylim=(0, 1))
    for name, x, room, is_text in (*_COLUMNS, ("close", *_SPARK, True)):
        _cell(figure, name, x, _TOP, room, is_text, weight="bold")
    canvas.plot([_LEFT, _RIGHT], [_TOP - 0.009] * 2, color=style.INK, linewidth=0.8)
    for at, series in enumerate(markets):
        y = _TOP - _STEP * (at + 1)
        if at % 2 == 0:
            canvas.axhspan(
                y - 0.009, y + _STEP - 0.009, _LEFT - 0.004, _RIGHT + 0.004, color=style.STRIPE
            )
        for (_name, x, room, is_text), value in zip(_COLUMNS, _row(series), strict=True):
            _cell(figure, value, x, y, room, is_text)
        _spark(canvas, series, y)


def _cell(
    figure: Figure,
    text: str,
    x: float,
    y: float,
    room: float,
    is_text: bool,
    weight: str = "normal",
) -> None:
    write(figure, x, y, text, room, fontsize=8, weight=weight, ha="left" if is_text else "right")


def _row(series: MarketSeries) -> Iterator[str]:
    facts = series.facts
    spread = median_spread_bps(series)
    yield style.clipped(series.symbol, 20)
    yield style.clipped(series.venue, 24)
    yield source_name(series)
    yield style.moment(facts.first_ns)
    yield style.moment(facts.last_ns)
    yield style.price(float(series.close[-1]))
    yield style.share(change(series))
    yield style.quantity(volume(series))
    yield f"{spread:.3g}" if np.isfinite(spread) else "-"
    yield "-" if facts.gaps is None else f"{facts.gaps:,}"
    yield f"{facts.holes:,}"
    yield f"{series.whole:.1%}"


def _spark(canvas: Axes, series: MarketSeries, y: float) -> None:
    """Draw the close over the market's own time, broken at holes."""
    slots, close = series.slots.astype(np.float64), series.close
    breaks = np.flatnonzero(np.diff(series.slots) > 1) + 1
    left, room = _SPARK
    x = left + room * (slots - slots[0]) / max(1.0, slots[-1] - slots[0])
    height = float(close.max() - close.min()) or 1.0
    level = y - 0.004 + 0.6 * _STEP * (close - close.min()) / height
    canvas.plot(
        np.insert(x, breaks, np.nan),
        np.insert(level, breaks, np.nan),
        color=style.UP,
        linewidth=0.8,
        marker="." if len(slots) == 1 else None,
        markersize=2,
    )


def archive_line(rows: int, volume_bytes: int, holes_s: int) -> str:
    """Return how much there is, in words."""
    return f"{rows:,} rows in {size(volume_bytes)}; holes of {duration(holes_s)} in all"
