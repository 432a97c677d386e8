"""How a report looks, and how it writes numbers, times and names."""

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from flows.numeric.arrays import Int64

# Okabe and Ito (2008): told apart with any colour vision. Rising candles are hollow besides.
UP = "#0072B2"
DOWN = "#D55E00"
SPREAD = "#009E73"
GAP = "#CC79A7"
INK = "#222222"
FAINT = "#777777"
LINE = "#CCCCCC"
HOLE = "#E6E6E6"
HATCH = "#BBBBBB"
STRIPE = "#F4F4F4"

PAGE_INCHES = (11.69, 8.27)
"""A4, landscape."""

LEAST_WRITTEN_OUT, MOST_WRITTEN_OUT = 1e-7, 1e13
"""Numbers beyond these have too many digits to be written without an exponent."""

MOST_DRAWN = 1e150
"""Axes reach no further: their arithmetic would overflow."""

_SEPARATORS = "-/_"
_UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"


def page() -> Figure:
    """Return an empty page, which needs no display."""
    figure = Figure(figsize=PAGE_INCHES, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def write(
    figure: Figure, x: float, y: float, text: str, room: float | None = None, **style: Any
) -> None:
    """Write a text, of which nothing is taken for a formula or a control, in shares of the page.

    Parameters
    ----------
    room
        Share of the page's width that the text may take; a longer one is made smaller.
    """
    text = "".join(sign if sign.isprintable() else _UNPRINTABLE for sign in text)
    made = figure.text(x, y, text, parse_math=False, **{"color": INK, "va": "baseline", **style})
    if room is not None:
        width = made.get_window_extent().width / figure.bbox.width
        made.set_fontsize(float(made.get_fontsize()) * min(1.0, room / max(width, room)))


def days(ts_ns: Int64) -> Any:
    """Return times as matplotlib has them: days since the UNIX epoch, float64."""
    return np.asarray(ts_ns, np.float64) / 86_400e9


def moment(ts_ns: int) -> str:
    """Return a time to the minute; UTC is said beside it."""
    return str(np.datetime64(ts_ns, "ns").astype("datetime64[m]")).replace("T", " ")


def span(seconds: int) -> str:
    """Return the length of a candle."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def currencies(symbol: str) -> tuple[str, str]:
    """Return base and quote currency of a pair; empty where a symbol is none."""
    for separator in _SEPARATORS:
        base, found, quote = symbol.partition(separator)
        if found and base and quote:
            return clipped(base, 10), clipped(quote, 10)
    return "", ""


def price(value: float) -> str:
    """Return a price in six digits, and with at least two decimals; a dash where it is unknown."""
    if not np.isfinite(value) or value == 0:
        return "-" if value else "0"
    if not LEAST_WRITTEN_OUT <= abs(value) < MOST_WRITTEN_OUT:
        return f"{value:.6g}"
    digits = int(np.clip(5 - np.floor(np.log10(abs(value))), 2, 12))
    whole, _, decimals = f"{value:,.{digits}f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def share(value: float) -> str:
    """Return a change in per cent; a dash where it is unknown."""
    if not np.isfinite(value):
        return "-"
    return f"{value:+.2%}" if abs(value) < MOST_WRITTEN_OUT else f"{100 * value:+.3g}%"


def quantity(value: float) -> str:
    """Return a volume in three digits; a dash where it is unknown."""
    if not np.isfinite(value):
        return "-"
    if abs(value) >= MOST_WRITTEN_OUT:
        return f"{value:.3g}"
    for unit, size in (("bn", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size:
            return f"{value / size:,.3g} {unit}" if value / size < 1_000 else f"{value:.3g}"
    return f"{value:.3g}"


def clipped(text: str, most: int) -> str:
    """Return a text that has at most so many characters, cut visibly."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
