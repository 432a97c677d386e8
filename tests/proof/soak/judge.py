"""What a soak's samples say: pure functions from figures to sentences about what is wrong."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.proof.feeder import Rhythm
from tests.proof.soak.account import Account

HOUR_S = 3600.0
# Below this the allocator's own coming and going cannot be told from growth.
NOISE_MB = 6.0
# Connections and threads that come and go.
SPARE_HANDLES = 4


@dataclass(frozen=True)
class Sample:
    """One look at everything.

    Attributes
    ----------
    at_s
        Since the load began, seconds.
    rss_mb, files, threads
        Resident memory, open file descriptors and threads, by process.
    lag
        Messages that are not committed yet, by flow.
    """

    at_s: float
    rss_mb: Mapping[str, float]
    files: Mapping[str, int]
    threads: Mapping[str, int]
    lag: Mapping[str, int]


def second_half(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples of the second half of the time; by then the state is as large as it gets.

    The soak's event time runs so fast that the hour which the state remembers is full by then.
    """
    middle_s = (samples[0].at_s + samples[-1].at_s) / 2
    return [sample for sample in samples if sample.at_s >= middle_s]


def slope_per_h(samples: Sequence[Sample], process: str) -> float:
    """Return the growth of a process's memory by a linear fit, MB per hour."""
    if len(samples) < 2:
        return 0.0
    times = [sample.at_s for sample in samples]
    sizes = [sample.rss_mb[process] for sample in samples]
    return statistics.linear_regression(times, sizes).slope * HOUR_S


def slope_limit_per_h(samples: Sequence[Sample], limit: float) -> float:
    """Return what growth is allowed, MB per hour: in short runs at least the noise."""
    span_s = samples[-1].at_s - samples[0].at_s
    return max(limit, NOISE_MB * HOUR_S / max(span_s, 1.0))


def growth(samples: Sequence[Sample], processes: Iterable[str], limit: float) -> list[str]:
    """Say which processes take more and more memory, files or threads in these samples.

    Parameters
    ----------
    limit
        Memory that a process may gain, MB per hour.
    """
    found = []
    allowed = slope_limit_per_h(samples, limit)
    quarter = len(samples) // 4 + 1
    for process in processes:
        slope = slope_per_h(samples, process)
        if slope > allowed:
            found.append(f"{process} grows by {slope:.0f} MB/h, more than {allowed:.0f} MB/h")
        for name in ("files", "threads"):
            counts = [getattr(sample, name)[process] for sample in samples]
            early, late = counts[:quarter], counts[-quarter:]
            if min(late) > max(early) + SPARE_HANDLES:
                found.append(f"{process} has {min(late)} {name} now, {max(early)} before")
    return found


def recoveries_s(
    samples: Sequence[Sample], flow: str, rhythm: Rhythm, at_rest: int
) -> list[float | None]:
    """Return how long after each burst the lag was at rest again; none: not before the next one.

    Parameters
    ----------
    at_rest
        Largest lag, in messages, that the load alone makes.
    """
    found: list[float | None] = []
    calm_s = rhythm.every_s - rhythm.burst_s
    end_s = rhythm.every_s
    while end_s + calm_s <= samples[-1].at_s:
        calm = [sample for sample in samples if 0 <= sample.at_s - end_s < calm_s]
        rested = (sample.at_s - end_s for sample in calm if sample.lag[flow] <= at_rest)
        found.append(next(rested, None))
        end_s += rhythm.every_s
    return found


def lags(samples: Sequence[Sample], flow: str, rhythm: Rhythm, at_rest: int) -> list[str]:
    """Say after which bursts a flow's lag did not come back, and what is left at the end."""
    recoveries = recoveries_s(samples, flow, rhythm, at_rest)
    found = [
        f"{flow}: after burst {number} the lag stayed above {at_rest} until the next one"
        for number, seconds in enumerate(recoveries, 1)
        if seconds is None
    ]
    if samples[-1].lag[flow]:
        found.append(f"{flow}: a lag of {samples[-1].lag[flow]} is left at the end")
    return found


def delivery(account: Account, inputs: int) -> list[str]:
    """Say what is wrong with the predictions, each input having one."""
    found = [
        f"{count} predictions {what}"
        for what, count in (
            ("are missing", account.missing),
            ("are there twice", account.twice),
            ("are in the wrong partition", account.misplaced),
        )
        if count
    ]
    if account.predictions != inputs:
        found.append(f"{account.predictions} predictions for {inputs} inputs")
    return found


def complaints(lines: Iterable[str]) -> list[str]:
    """Return the lines of a JSON log that tell of an error, and all that are not JSON."""
    found = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            found.append(line)
            continue
        if not isinstance(event, dict) or event.get("level") in {"error", "critical"}:
            found.append(line)
    return found


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Return a quantile of a histogram, as far as its buckets tell; none where it is empty.

    Parameters
    ----------
    buckets
        Observations up to each bound, cumulative; the last bound is infinity.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if not total:
        return None
    below, low = 0.0, 0.0
    for bound in bounds[:-1]:
        if buckets[bound] >= share * total:
            inside = (share * total - below) / (buckets[bound] - below)
            return low + (bound - low) * inside
        below, low = buckets[bound], bound
    return low  # beyond the last finite bound: at least this
