"""One market on one page: candles, volume, spread, coverage and gaps over one axis of time."""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from flows.store.console import duration
from flows.store.report import style
from flows.store.report.series import MarketSeries
from flows.store.report.style import write

_HEIGHTS = (4.2, 1.3, 1.3, 0.8)
_SOURCES = {"ticks_raw": "ticks", "candles": "candles", "bars": "bars"}


def market_page(series: MarketSeries, footer: str) -> Figure:
    """Return the page of a market."""
    figure = style.page()
    _head(figure, series)
    write(figure, 0.06, 0.025, footer, 0.91, fontsize=7.5, color=style.FAINT)
    grid = figure.add_gridspec(
        4, 1, left=0.085, right=0.97, bottom=0.085, top=0.80, hspace=0.14, height_ratios=_HEIGHTS
    )
    prices = figure.add_subplot(grid[0])
    panels = [prices, *(figure.add_subplot(grid[at], sharex=prices) for at in (1, 2, 3))]
    base, quote = style.currencies(series.symbol)
    _candles(panels[0], series, f"price ({quote})" if quote else "price")
    _volume(panels[1], series, f"volume ({base})" if base else "volume")
    _spread(panels[2], series)
    _coverage(panels[3], series)
    for panel in panels:
        _frame(panel, series)
    for panel in panels[:-1]:
        panel.tick_params(labelbottom=False)
    _time_axis(panels[-1], series)
    figure.align_ylabels(panels)
    return figure


def source_name(series: MarketSeries) -> str:
    """Return what a market's prices come from, for people."""
    name = _SOURCES[series.source]
    return name if series.interval_s is None else f"{name} of {style.span(series.interval_s)}"


def median_spread_bps(series: MarketSeries) -> float:
    """Return the median over the spans of their median spreads; NaN without quotes."""
    return float(np.median(series.spread_bps[:, 1])) if len(series.spread_bps) else np.nan


def change(series: MarketSeries) -> float:
    """Return the change of the price from the first to the last row, as a share; inf if beyond."""
    with np.errstate(over="ignore"):
        return float(series.close[-1] / series.open[0] - 1)


def volume(series: MarketSeries) -> float:
    """Return the whole known volume; NaN where none is known, inf if beyond any number."""
    known = series.volume[np.isfinite(series.volume)]
    with np.errstate(over="ignore"):
        return float(known.sum()) if len(known) else np.nan


def _head(figure: Figure, series: MarketSeries) -> None:
    facts = series.facts
    title = f"{series.symbol} on {series.venue}"
    write(figure, 0.06, 0.935, title, 0.91, fontsize=17, weight="bold")
    write(
        figure,
        0.06,
        0.905,
        f"{style.moment(facts.first_ns)} to {style.moment(facts.last_ns)} UTC,"
        f" drawn in spans of {style.span(series.span_s)}, from {source_name(series)}",
        fontsize=10,
        color=style.FAINT,
    )
    gaps = "-" if facts.gaps is None else f"{facts.gaps:,}"
    shown = {
        "last": style.price(float(series.close[-1])),
        "change": style.share(change(series)),
        "high": style.price(float(series.high.max())),
        "low": style.price(float(series.low.min())),
        "volume": style.quantity(volume(series)),
        "median spread": _bps(median_spread_bps(series)),
        "rows": f"{facts.rows:,}",
        "gaps": gaps,
        "holes": f"{facts.holes:,}",
        "longest hole": duration(facts.longest_hole_s) if facts.holes else "-",
        "coverage": f"{series.whole:.1%}",
    }
    # Each figure gets room for its letters; the page is filled to its right edge.
    widths = [max(len(name), 1.25 * len(value)) + 1 for name, value in shown.items()]
    room = min(0.0085, 0.92 / sum(widths))
    x = 0.06
    for (name, value), width in zip(shown.items(), widths, strict=True):
        write(figure, x, 0.865, name, fontsize=8, color=style.FAINT)
        write(figure, x, 0.84, value, fontsize=10)
        x += room * width
    figure.legend(
        handles=_signs(),
        loc="lower right",
        bbox_to_anchor=(0.975, 0.795),
        ncols=4,
        fontsize=8,
        frameon=False,
    )


def _signs() -> list[Artist]:
    hole = Patch(facecolor=style.HOLE, edgecolor=style.HATCH, hatch="////", label="hole: no row")
    return [
        Patch(facecolor="white", edgecolor=style.UP, label="rising (hollow)"),
        Patch(facecolor=style.DOWN, edgecolor=style.DOWN, label="falling (filled)"),
        hole,
        Line2D([], [], linestyle="none", marker="v", color=style.GAP, label="gap: ticks were lost"),
    ]


def _bps(value: float) -> str:
    return f"{value:.3g} bps" if np.isfinite(value) else "-"


def _middle(series: MarketSeries, slots: Any) -> Any:
    return style.days((slots + 0.5) * series.span_ns)


def _candles(axes: Axes, series: MarketSeries, label: str) -> None:
    x = _middle(series, series.slots)
    width = 0.72 * series.span_ns / 86_400e9
    first, highest, lowest, last = (
        np.minimum(column, style.MOST_DRAWN)
        for column in (series.open, series.high, series.low, series.close)
    )
    rising = series.close >= series.open
    for chosen, color, face in ((rising, style.UP, "white"), (~rising, style.DOWN, style.DOWN)):
        axes.vlines(x[chosen], lowest[chosen], highest[chosen], color=color, linewidth=0.7)
        bottom = np.minimum(first, last)[chosen]
        height = np.abs(last - first)[chosen]
        axes.bar(
            x[chosen],
            height,
            width,
            bottom,
            color=face,
            edgecolor=color,
            linewidth=0.7,
            zorder=3,
        )
    low, high = float(lowest.min()), float(highest.max())
    margin = 0.05 * (high - low) or 0.001 * high
    axes.set_ylim(low - margin, high + margin)
    axes.set_ylabel(label, parse_math=False)
    axes.yaxis.set_major_formatter(FuncFormatter(_price_tick(high - low + 2 * margin)))


def _price_tick(height: float) -> Any:
    if not style.LEAST_WRITTEN_OUT <= height < style.MOST_WRITTEN_OUT:
        return lambda value, _at: f"{value:.6g}"
    digits = int(np.clip(2 - np.floor(np.log10(height)), 0, 10))
    return lambda value, _at: f"{value:,.{digits}f}"


def _volume(axes: Axes, series: MarketSeries, label: str) -> None:
    axes.set_ylabel(label, parse_math=False)
    known = np.isfinite(series.volume)
    if not known.any():
        _say(axes, "no sizes are known")
        return
    x = _middle(series, series.slots[known])
    color = np.where(series.close >= series.open, style.UP, style.DOWN)[known]
    height = np.minimum(series.volume[known], style.MOST_DRAWN)
    axes.bar(x, height, 0.72 * series.span_ns / 86_400e9, color=color)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _at: style.quantity(value)))
    axes.set_ylim(0, None)


def _spread(axes: Axes, series: MarketSeries) -> None:
    axes.set_ylabel("spread (bps)")
    if not len(series.spread_slots):
        _say(axes, "no quotes are known")
        return
    # A NaN between two spans that do not follow each other breaks the line.
    breaks = np.flatnonzero(np.diff(series.spread_slots) > 1) + 1
    slots = np.insert(series.spread_slots.astype(np.float64), breaks, np.nan)
    low, middle, high = (np.insert(column, breaks, np.nan) for column in series.spread_bps.T)
    x = _middle(series, slots)
    axes.fill_between(x, low, high, color=style.SPREAD, alpha=0.25, linewidth=0)
    lonely = len(series.spread_slots) < 3
    axes.plot(x, middle, color=style.SPREAD, linewidth=1.1, marker="o" if lonely else None)
    axes.set_ylim(0, 1.35 * float(series.spread_bps.max()) or 1.0)
    axes.text(
        0.995,
        0.93,
        "median, 10th to 90th percentile",
        transform=axes.transAxes,
        ha="right",
        va="top",
        fontsize=7.5,
        color=style.FAINT,
    )


def _coverage(axes: Axes, series: MarketSeries) -> None:
    x = _middle(series, series.slots)
    width = series.span_ns / 86_400e9
    axes.bar(x, 100 * series.coverage, width, color=style.LINE, linewidth=0)
    marks = _middle(series, series.gap_slots)
    if len(marks):
        axes.plot(
            marks,
            np.full(len(marks), 114.0),
            linestyle="none",
            marker="v",
            markersize=4,
            color=style.GAP,
            clip_on=False,
        )
    axes.set_ylim(0, 125)
    axes.set_yticks([0, 50, 100])
    axes.set_ylabel("coverage (%)")


def _say(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", color=style.FAINT)
    axes.set_yticks([])


def _frame(axes: Axes, series: MarketSeries) -> None:
    for first_ns, end_ns in series.holes():
        axes.axvspan(
            *style.days(np.array([first_ns, end_ns])),
            facecolor=style.HOLE,
            edgecolor=style.HATCH,
            hatch="////",
            linewidth=0,
            zorder=0,
        )
    axes.grid(axis="y", color=style.LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8, color=style.LINE)
    axes.yaxis.label.set_fontsize(8.5)
    if axes.get_yticks().size > 5:
        axes.yaxis.set_major_locator(MaxNLocator(4 if axes.get_position().height < 0.15 else 7))
    for side in axes.spines.values():
        side.set_color(style.LINE)


def _time_axis(axes: Axes, series: MarketSeries) -> None:
    first, last = series.slots[0] - 1, series.slots[-1] + 2
    axes.set_xlim(*style.days(np.array([first, last]) * series.span_ns))
    locator: Any = AutoDateLocator(tz="UTC", minticks=4, maxticks=10)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter: Any = ConciseDateFormatter(locator, tz="UTC")  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.set_xlabel("time (UTC)", fontsize=8.5)
    axes.xaxis.get_offset_text().set_fontsize(8.5)
