"""A run as a picture: rates as bars, the 99th percentile of latency as lines."""

import statistics
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tests.bench.peers.catalogue import LIMIT, OURS, PEERS
from tests.bench.peers.ledger import Ledger

_OURS, _OTHERS, _LIMIT = "#1668b3", "#9aa3ad", "#d5d9de"
_MARKS = "osD^v<>ph*"


def draw(ledger: Ledger, path: Path) -> None:
    """Write the picture as a PNG."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    rates = {
        name: rate
        for name in PEERS
        if (rate := ledger.median(name, "throughput", "ticks_per_s", 4)) is not None
    }
    names = sorted(rates, key=lambda name: rates[name])
    colours = [{OURS: _OURS, LIMIT: _LIMIT}.get(name, _OTHERS) for name in names]
    bars = left.barh(
        [PEERS[name].title for name in names], [rates[n] for n in names], color=colours
    )
    left.bar_label(bars, labels=[f"{rates[name]:,.0f}" for name in names], padding=3, fontsize=8)
    left.set_xscale("log")
    left.set_xlabel("ticks/s, 4 symbols, one partition (logarithmic)")
    left.margins(x=0.2)
    left.tick_params(axis="y", labelsize=8)
    for mark, name in zip(_MARKS, PEERS, strict=False):
        line = _p99(ledger, name)
        if line:
            right.plot(
                list(line),
                list(line.values()),
                marker=mark,
                label=PEERS[name].title,
                linewidth=2.5 if name == OURS else 1.0,
                color=_OURS if name == OURS else None,
            )
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xlabel("offered ticks/s")
    right.set_ylabel("p99, ms, read committed")
    right.grid(visible=True, alpha=0.3)
    if right.lines:
        right.legend(fontsize=7)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _p99(ledger: Ledger, name: str) -> dict[float, float]:
    """Return the 99th percentile of a contestant by rate, ms, where it kept up."""
    turns = ledger.of(name, "latency")
    rates = sorted({float(rate) for done in turns for rate, told in done.figures.items() if told})
    return {
        rate: statistics.median(
            done.figures[f"{rate:g}"]["p99"] for done in turns if done.figures.get(f"{rate:g}")
        )
        for rate in rates
    }
