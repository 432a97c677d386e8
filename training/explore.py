"""Show how the targets are distributed: ``python -m training.explore --from SOURCE``."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import typer
from rich.table import Table

from flows import logs
from flows.host.command import on_this_machine
from flows.host.terminal import plain_console
from flows.host.whole_files import whole_file
from flows.settings import load_settings
from schemas.models import TargetSpec
from training.console import command, progress, say
from training.data.build import build_dataset
from training.data.dataset import Dataset
from training.data.sources import parse_time, read_sources
from training.reporting import plots
from training.reporting.encoding import encode_json
from training.reporting.pages import embedded, render
from training.reporting.report import when

PERCENTILES = (50, 75, 80, 85, 90, 95, 97.5, 99, 99.9)
PARTS = 8

EXAMPLE = "Example: python -m training.explore --from btc.frames.ndjson.gz --report explore.html"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def explore_target(dataset: Dataset, percentile: float) -> dict[str, Any]:
    """Return percentiles of the label's quantity, and how far its event's rate moves.

    The level is the percentile of the first half; the rate above it is then counted in eight parts
    of equal row count: a target whose rate swings is a hard one to set a threshold for.
    """
    values = dataset.quantity
    level = float(np.quantile(values[: len(values) // 2], percentile / 100))
    parts = np.array_split(np.arange(len(values)), min(PARTS, len(values)))
    return {
        "rows": len(values),
        "mean": float(values.mean()),
        "deviation": float(values.std()),
        "percentiles": {
            f"{share:g}": float(np.quantile(values, share / 100)) for share in PERCENTILES
        },
        "level": level,
        "rate_by_part": [
            {
                "from": when(int(dataset.ts_ns[part[0]])),
                "to": when(int(dataset.ts_ns[part[-1]])),
                "rate": float((values[part] > level).mean()),
            }
            for part in parts
        ],
    }


@app.command(epilog=EXAMPLE)
def explore(
    source: Annotated[list[str], typer.Option("--from", help="A source; repeatable.")],
    percentile: Annotated[float, typer.Option(min=1, max=99.9, help="Sets the level.")] = 90.0,
    horizon_s: Annotated[int, typer.Option(min=1, max=86_400, help="How far ahead, seconds.")] = 60,
    report: Annotated[
        Path | None, typer.Option(callback=on_this_machine, help="Also write a page with plots.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Earliest tick, ISO time.")] = None,
    until: Annotated[str | None, typer.Option(help="End of the ticks, ISO time.")] = None,
) -> None:
    """Print distributions and percentiles of every target's quantity, one row a second."""
    settings = load_settings()
    logs.configure(settings.log_format, settings.log_level)
    found: dict[str, Any] = {}
    drawn: list[plots.Plot] = []
    with progress() as bars:
        task = bars.add_task("ticks, features, labels", total=4)
        ticks = read_sources(
            source,
            settings,
            from_ns=None if since is None else parse_time(since),
            to_ns=None if until is None else parse_time(until),
        )
        bars.advance(task)
        for name, spec in _specs(horizon_s).items():
            dataset = build_dataset(ticks, spec)
            found[name] = explore_target(dataset, percentile)
            marks = {f"p{percentile:g} of the first half": found[name]["level"]}
            drawn.append(plots.distribution(name, dataset.quantity, marks))
            drawn.append(plots.label_rate(dataset.quantity > found[name]["level"], dataset.ts_ns))
            bars.advance(task)
    _print(found)
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(report) as partial:
            partial.write_text(_page(", ".join(source), found, drawn), encoding="utf-8")
    say(encode_json(found).decode())


def _specs(horizon_s: int) -> dict[str, TargetSpec]:
    spike = TargetSpec(
        name="volatility_spike", kind="classification", definition="relative", horizon_s=horizon_s
    )
    replace = msgspec.structs.replace
    return {
        "volatility ratio (relative)": spike,
        "volatility (absolute)": replace(spike, definition="absolute"),
        "forward return": replace(
            spike, name="forward_return", kind="regression", definition="return"
        ),
    }


def _print(found: dict[str, Any]) -> None:
    console = plain_console(
        stderr=True, width=None if plain_console(stderr=True).is_terminal else 160
    )
    table = Table("quantity", "rows", *(f"p{share:g}" for share in PERCENTILES))
    rates = Table("quantity above its level", *(str(number + 1) for number in range(PARTS)))
    for name, one in found.items():
        table.add_row(name, str(one["rows"]), *(f"{v:.4g}" for v in one["percentiles"].values()))
        rates.add_row(name, *(f"{part['rate']:.3f}" for part in one["rate_by_part"]))
    console.print(table)
    console.print(rates)


def _page(title: str, found: dict[str, Any], drawn: list[plots.Plot]) -> str:
    return render(
        "explore.html.j2",
        title=f"Targets of {title}",
        found=found,
        shares=[f"p{share:g}" for share in PERCENTILES],
        plots=embedded(drawn),
    )


if __name__ == "__main__":
    command(app)
