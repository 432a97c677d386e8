"""``python -m tests.proof.soak``: load for an hour, then a judgement in one JSON line."""

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tests.proof.feeder import Rhythm
from tests.proof.needs import require_apache
from tests.proof.soak import judge
from tests.proof.soak.run import FLOWS, Findings, Plan, require_disk, soak
from tests.support.kafka.apache import ApacheKafka


class Kind(StrEnum):
    """Which broker: the embedded one keeps all it gets in memory and misreports its end."""

    APACHE = "apache"


EXAMPLE = "Example: python -m tests.proof.soak --minutes 5"

app = typer.Typer(add_completion=False)


@app.command(epilog=EXAMPLE)
def main(
    minutes: Annotated[float, typer.Option(min=0.5, help="How long the load goes on.")] = 60.0,
    rate: Annotated[float, typer.Option(min=1, help="Ticks per second.")] = 2_500.0,
    burst: Annotated[float, typer.Option(min=1, help="Ticks per second in a burst.")] = 10_000.0,
    burst_every: Annotated[float, typer.Option(min=5, help="Seconds.")] = 60.0,
    burst_length: Annotated[float, typer.Option(min=0, help="Seconds.")] = 10.0,
    broker: Annotated[Kind, typer.Option(help="Only this one.")] = Kind.APACHE,
    seed: Annotated[int, typer.Option(help="Of the market.")] = 1,
    partitions: Annotated[int, typer.Option(min=1, max=12)] = 4,
    symbols: Annotated[int, typer.Option(min=1, max=500)] = 20,
    rss_slope: Annotated[float, typer.Option(help="Growth allowed to a flow, MB/h.")] = 20.0,
) -> None:
    """Run pipeline and outcomes under load; exit code 1 where a judgement fails.

    Judged: memory, files and threads of both flows in the second half (a linear fit of the memory
    may rise by --rss-slope, in short runs by 6 MB); their lag, which must be back at what a second
    brings before the next burst, and 0 at the end; every input's prediction, once and in order; no
    error in their logs. Event time runs so fast that their state is full at half time.
    """
    begin = time.monotonic()

    def say(what: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - begin:7.1f} s] {what}\n")

    if burst_length >= burst_every:
        message = "a burst must be shorter than --burst-every"
        raise typer.BadParameter(message)
    rhythm = Rhythm(rate, burst, burst_every, burst_length)
    plan = Plan(seed, minutes, rhythm, partitions, symbols, rss_limit_per_h=rss_slope)
    folder = Path(tempfile.mkdtemp(prefix="voltick-soak-"))
    require_apache()
    try:
        require_disk(folder, plan)
    except RuntimeError as reason:
        sys.stderr.write(f"{reason}\n")
        raise typer.Exit(2) from None
    (folder / "broker").mkdir()
    with ApacheKafka(folder / "broker") as kafka:
        say(
            f"seed {seed}: {minutes:g} min, {rhythm.mean_hz:,.0f} ticks/s on average on {broker};"
            f" about {plan.disk_bytes / 1e9:.1f} GB of disk; logs and samples are in {folder}"
        )
        found = soak(kafka, plan, folder, say)
    for wrong in found.wrong:
        say(wrong)
    sys.stdout.write(json.dumps(_line(plan, found)) + "\n")
    raise typer.Exit(1 if found.wrong else 0)


def _line(plan: Plan, found: Findings) -> dict[str, object]:
    counts = {
        "seed": plan.seed,
        "minutes": plan.minutes,
        "inputs": found.inputs,
        "predictions": found.predictions,
        "missing": found.missing,
        "twice": found.twice,
    }
    figures = _figures(plan, found) if found.samples else {}
    return {**counts, **figures, "verdict": "failed" if found.wrong else "passed"}


def _figures(plan: Plan, found: Findings) -> dict[str, object]:
    samples, late = found.samples, judge.second_half(found.samples)
    first, last = samples[0], samples[-1]
    limit = judge.slope_limit_per_h(late, plan.rss_limit_per_h)
    recoveries = {
        name: judge.recoveries_s(samples, name, plan.rhythm, plan.at_rest) for name in FLOWS
    }
    return {
        "rss_mb_start": {name: round(size, 1) for name, size in first.rss_mb.items()},
        "rss_mb_end": {name: round(size, 1) for name, size in last.rss_mb.items()},
        "rss_mb_slope_per_h": {
            name: round(judge.slope_per_h(late, name), 1) for name in last.rss_mb
        },
        "rss_mb_slope_limit_per_h": round(limit, 1),
        "files_end": dict(last.files),
        "threads_end": dict(last.threads),
        "lag_max": {name: max(sample.lag[name] for sample in samples) for name in FLOWS},
        "lag_end": dict(last.lag),
        "lag_recovery_s_max": {
            name: max((round(s, 1) for s in each if s is not None), default=None)
            for name, each in recoveries.items()
        },
        "commit_ms": _quantiles(found.commit),
        "tick_to_commit_ms": _quantiles(found.latency),
    }


def _quantiles(buckets: Mapping[float, float]) -> dict[str, float | None]:
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    found = {name: judge.quantile(buckets, share) for name, share in shares.items()}
    return {name: None if s is None else round(s * 1000, 1) for name, s in found.items()}


if __name__ == "__main__":
    app()
