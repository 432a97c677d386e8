"""The report's pictures, as PNG bytes; drawn without a display and without global state."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flows.numeric.arrays import Bool, Float64, Int64
from flows.numeric.time import NS_PER_HOUR
from training.evaluation.metrics import rank, reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture."""

    caption: str
    png: bytes


def _draw(caption: str, width: float = 5.2, height: float = 3.4) -> "tuple[Figure, Axes]":
    # Here, not above: a run without plots does not wait for half a second of imports, nor for a
    # search of the machine's fonts.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    # Fixed margins: measuring every label to fit them takes longer than the drawing.
    figure.subplots_adjust(left=0.13, right=0.97, bottom=0.15, top=0.9)
    axes = figure.add_subplot()
    axes.set_title(caption, fontsize=10)
    axes.grid(alpha=0.25)
    return figure, axes


def _plot(caption: str, figure: "Figure") -> Plot:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100, pil_kwargs={"compress_level": 3})
    return Plot(caption, buffer.getvalue())


def precision_recall(truth: Bool, scores: Mapping[str, Float64]) -> Plot:
    """Precision over recall of some variants, with the prevalence as floor."""
    caption = "Precision and recall"
    figure, axes = _draw(caption)
    for name, score in scores.items():
        ranking = rank(truth, score)
        hits = np.cumsum(ranking.truth)[ranking.ends]
        recall = hits / max(hits[-1], 1)
        axes.plot(recall, hits / (ranking.ends + 1), label=name, linewidth=1.3)
    axes.axhline(float(truth.mean()), color="grey", linestyle=":", label="prevalence")
    axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1))
    axes.legend(fontsize=8)
    return _plot(caption, figure)


def reliability_diagram(truth: Bool, scores: Mapping[str, Float64]) -> Plot:
    """Frequency of the event over mean score in bins of equal count."""
    caption = "Reliability"
    figure, axes = _draw(caption)
    top = 0.0
    for name, score in scores.items():
        bins = reliability(truth, score)
        axes.plot(bins.mean_score, bins.frequency, marker="o", markersize=3, label=name)
        top = max(top, *bins.mean_score, *bins.frequency)
    axes.plot([0, top], [0, top], color="grey", linestyle=":")
    axes.set(xlabel="mean score", ylabel="frequency of the event")
    axes.legend(fontsize=8)
    return _plot(caption, figure)


def score_distribution(truth: Bool, score: Float64, threshold: float | None) -> Plot:
    """Histograms of the score with and without the event."""
    caption = "Score distribution"
    figure, axes = _draw(caption)
    edges = np.linspace(float(score.min()), float(score.max()) + 1e-9, 40)
    for label, part in (("no event", score[~truth]), ("event", score[truth])):
        heights = np.histogram(part, edges, density=True)[0]
        axes.stairs(np.nan_to_num(heights), edges, fill=True, alpha=0.6, label=label)
    if threshold is not None:
        axes.axvline(threshold, color="black", linestyle="--", label="threshold")
    axes.set(xlabel="score", ylabel="density")
    axes.legend(fontsize=8)
    return _plot(caption, figure)


def importances(values: Mapping[str, float], unit: str) -> Plot:
    """Permutation importances, largest first."""
    caption = "Permutation importances"
    chosen = sorted(values.items(), key=lambda pair: pair[1])[-20:]
    figure, axes = _draw(caption, height=max(3.4, 0.22 * len(chosen)))
    figure.subplots_adjust(left=0.36)
    axes.barh([name for name, _ in chosen], [value for _, value in chosen])
    axes.set(xlabel=unit)
    axes.tick_params(labelsize=8)
    return _plot(caption, figure)


def label_rate(truth: Bool, ts_ns: Int64) -> Plot:
    """Share of events per hour of the tested time; holes are left out."""
    caption = "Label rate over time (one point an hour)"
    figure, axes = _draw(caption)
    hours, inverse = np.unique(ts_ns // NS_PER_HOUR, return_inverse=True)
    rate = np.bincount(inverse, weights=truth.astype(float)) / np.bincount(inverse)
    axes.plot(np.arange(len(hours)), rate, marker=".", linewidth=1)
    axes.axhline(float(truth.mean()), color="grey", linestyle=":")
    axes.set(xlabel="tested hour", ylabel="share of events", ylim=(0, None))
    return _plot(caption, figure)


def forecast_scatter(truth: Float64, forecast: Float64) -> Plot:
    """Realized over forecast return, in basis points."""
    caption = "Forecast and realized return"
    figure, axes = _draw(caption)
    step = max(1, len(truth) // 5_000)
    axes.scatter(1e4 * forecast[::step], 1e4 * truth[::step], s=3, alpha=0.3)
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(xlabel="forecast, bps", ylabel="realized, bps")
    return _plot(caption, figure)


def distribution(name: str, values: Float64, marks: Mapping[str, float]) -> Plot:
    """Histogram of a quantity between its 0.1 and 99.9 percentiles, with marked levels."""
    figure, axes = _draw(name)
    low, high = np.quantile(values, [0.001, 0.999])
    heights, edges = np.histogram(values[(values >= low) & (values <= high)], 80)
    axes.stairs(heights, edges, fill=True)
    for label, at in marks.items():
        axes.axvline(at, linestyle="--", linewidth=1, label=f"{label}: {at:.4g}", color="black")
    axes.legend(fontsize=8)
    return _plot(name, figure)
