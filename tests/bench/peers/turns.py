"""What a contestant is put through in one turn; each returns its figures as a JSON-able object."""

import gc
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

from flows.numeric.arrays import Int64
from flows.numeric.time import NS_PER_MS, NS_PER_S
from tests.bench.load import fill
from tests.bench.pacing import SteadyFeeder
from tests.bench.peers.catalogue import LIMIT, OURS
from tests.bench.peers.contest import Entry
from tests.bench.peers.outputs import (
    OutputTopic,
    account_of,
    features_of,
    input_offset,
    slope_of,
)
from tests.bench.peers.process import PeerProcess
from tests.bench.peers.reference import rows_of, worst_difference
from tests.bench.reading import Arrived, Reader, follow
from tests.support.polling import pause

START_LIMIT_S = 120.0
DRAIN_LIMIT_S = 30.0
CHECKED = 3_000
PRIMER = 200
QUANTILES = (50.0, 95.0, 99.0, 99.9)


class PeerFailedError(Exception):
    """A contestant did not do its work; the message is what it said."""


def throughput(entry: Entry, count: int, seconds: float) -> dict[str, Any]:
    """Let it work off the contest's log for some seconds and tell its steady rate.

    Parameters
    ----------
    count
        How many ticks the log holds.
    seconds
        Measured from the first output on, at most.
    """
    topic = OutputTopic(entry.contest.config, entry.target)
    try:
        with entry.process(count) as process:
            _await(lambda: topic.end() > topic.begin, process, "a first output", START_LIMIT_S)
            first_ns = time.time_ns()
            _work_off(topic, process, count, first_ns + int(seconds * NS_PER_S))
            process.stop()
        outputs = topic.read()
    finally:
        topic.close()
    slope = slope_of(outputs.appended_ms)
    cpu_s = process.cpu_between_s(slope.begin_ns, slope.end_ns)
    return {
        "ticks_per_s": round(slope.ticks_per_s, 1),
        "cpu_us_per_tick": round(1e6 * cpu_s / slope.count, 3),
        "outputs": len(outputs),
        "peak_rss_mb": round(process.peak_rss_bytes / 1e6),
        "first_output_s": round((first_ns - process.started_ns) / NS_PER_S, 2),
    }


def check(entry: Entry) -> dict[str, Any]:
    """Compare its features and scores with ours on a few thousand ticks."""
    values = _feed(entry, CHECKED)
    topic = OutputTopic(entry.contest.config, entry.target)

    def whole() -> bool:
        # Marks of transactions count as messages do, so the end alone does not tell.
        some = topic.end() - topic.begin >= len(values)
        return some and len(np.unique(topic.read().inputs)) == len(values)

    try:
        with entry.process(features=True) as process:
            _await(whole, process, f"{len(values)} outputs", START_LIMIT_S)
            outputs = topic.read()
            process.stop()
    finally:
        topic.close()
    account = account_of(outputs, entry.contest.reference.scores_of(values))
    figures: dict[str, Any] = {"scores_different": account.different, "of": len(values)}
    if entry.peer.name != OURS:
        found = np.empty((len(values), len(features_of(outputs.values[0]))))
        found[outputs.inputs] = [features_of(value) for value in outputs.values]
        figures["features_off_by"] = worst_difference(found, rows_of(values))
    return figures


def latency(entry: Entry, rates_hz: list[float], warm_s: float, seconds: float) -> dict[str, Any]:
    """Feed it at one rate after the other; milliseconds from a tick's due time to its output.

    It ends at the first rate that it cannot follow.

    Parameters
    ----------
    warm_s, seconds
        At each rate: not counted, and counted.
    """
    received: dict[int, int] = {}
    by_position = entry.peer.name == LIMIT

    def note(arrived: Arrived) -> None:
        for value, position in zip(arrived.values, arrived.offsets, strict=True):
            received[position if by_position else input_offset(value)] = arrived.at_ns

    reader = Reader(entry.contest.config, entry.target)
    at = entry.contest.fed_before(entry)
    figures: dict[str, Any] = {}
    with entry.process() as process:
        at += len(_feed(entry, PRIMER))
        follow(
            reader, process, note, lambda _: (at - 1) in received, START_LIMIT_S, "a first output"
        )
        for rate_hz in sorted(rates_hz):
            load = list(islice(entry.contest.ticks, int(rate_hz * (warm_s + seconds + 1.0))))
            gc.collect()
            feeder = SteadyFeeder(entry.contest.config, entry.source, load, rate_hz)
            begin_ns = time.monotonic_ns()
            feeder.start()
            end_ns = begin_ns + int((warm_s + seconds) * NS_PER_S)
            limit_s = warm_s + seconds + DRAIN_LIMIT_S
            follow(reader, process, note, lambda now, end=end_ns: now >= end, limit_s, "time")
            feeder.stop()
            entry.contest.fed(entry, [each["value"] for each in load[: feeder.count]])
            last = at + feeder.count - 1
            deadline_ns = time.monotonic_ns() + int(DRAIN_LIMIT_S * NS_PER_S)
            follow(
                reader,
                process,
                note,
                lambda now, last=last, until=deadline_ns: last in received or now > until,
                2 * DRAIN_LIMIT_S,
                "the last output",
            )
            came = [received.get(each, 0) for each in range(at, last + 1)]
            if not all(came):
                figures[f"{rate_hz:g}"] = None
                break
            took = np.array(came, np.int64) - feeder.intended_ns
            counted = feeder.intended_ns >= begin_ns + int(warm_s * NS_PER_S)
            figures[f"{rate_hz:g}"] = _quantiles(took[counted])
            at = last + 1
        process.stop()
    reader.close()
    return figures


def recovery(entry: Entry, rate_hz: float, kills: int, seconds: float) -> dict[str, Any]:
    """Kill it under a steady load and tell what became of the ticks.

    Parameters
    ----------
    kills
        How often all of its processes are killed at once and started again.
    seconds
        How long each incarnation works before it is killed.
    """
    contest = entry.contest
    before = contest.fed_before(entry)
    topic = OutputTopic(contest.config, entry.target)
    reader = Reader(contest.config, entry.target)
    seen: set[int] = set()
    last_ns = 0

    def note(arrived: Arrived) -> None:
        nonlocal last_ns
        fresh = {input_offset(value) for value in arrived.values} - seen
        if fresh:
            last_ns = arrived.at_ns
            seen.update(fresh)

    recovered_s: list[float] = []
    load = list(islice(contest.ticks, int(rate_hz * (kills + 1) * (seconds + START_LIMIT_S))))
    feeder = SteadyFeeder(contest.config, entry.source, load, rate_hz)
    try:
        primer = _feed(entry, PRIMER)
        with entry.process() as process:
            begin = before + len(primer)
            follow(
                reader,
                process,
                note,
                lambda _: (begin - 1) in seen,
                START_LIMIT_S,
                "a first output",
            )
            feeder.start()
            _watch(reader, process, note, seconds)
            process.kill()
        for _ in range(kills):
            killed_ns = time.monotonic_ns()
            known = max(seen)
            with entry.process() as process:
                follow(
                    reader,
                    process,
                    note,
                    lambda _, known=known: max(seen) > known,
                    START_LIMIT_S,
                    "an output after a kill",
                )
                recovered_s.append((time.monotonic_ns() - killed_ns) / NS_PER_S)
                _watch(reader, process, note, seconds)
                if len(recovered_s) == kills:
                    feeder.stop()
                    _drain(reader, process, note, lambda: last_ns, begin + feeder.count, seen)
                    process.stop()
                else:
                    process.kill()
        values = [*primer, *(each["value"] for each in load[: feeder.count])]
        contest.fed(entry, values[len(primer) :])
        outputs = topic.read()
    finally:
        reader.close()
        topic.close()
    everything = contest.values_of(entry, values)
    account = account_of(outputs, contest.reference.scores_of(everything), first=before)
    return {
        "recovered_s": [round(each, 2) for each in recovered_s],
        "ticks": len(values),
        "lost": account.lost,
        "twice": account.twice,
        "different": account.different,
    }


def _drain(
    reader: Reader,
    process: PeerProcess,
    note: Callable[[Arrived], None],
    last_ns: Callable[[], int],
    end: int,
    seen: set[int],
) -> None:
    """Read until the newest input has an output, or nothing new has come for long."""
    limit_ns = int(DRAIN_LIMIT_S * NS_PER_S)
    begin_ns = time.monotonic_ns()
    follow(
        reader,
        process,
        note,
        lambda now: end - 1 in seen or now - max(last_ns(), begin_ns) > limit_ns,
        10 * DRAIN_LIMIT_S,
        "the last outputs",
    )


def _watch(
    reader: Reader, process: PeerProcess, note: Callable[[Arrived], None], seconds: float
) -> None:
    end_ns = time.monotonic_ns() + int(seconds * NS_PER_S)
    follow(reader, process, note, lambda now: now >= end_ns, 2 * seconds + 10.0, "time to pass")


def _feed(entry: Entry, count: int) -> list[bytes]:
    """Write the next ticks to a contestant's input and return them."""
    load = list(islice(entry.contest.ticks, count))
    values = [each["value"] for each in load]
    fill(entry.contest.config, [load], entry.source)
    entry.contest.fed(entry, values)
    return values


def _await(done: Callable[[], bool], process: PeerProcess, what: str, limit_s: float) -> None:
    """Wait until it is done, as long as the peer lives.

    Raises
    ------
    PeerFailedError
        It has ended, or it took too long.
    """
    deadline_s = time.monotonic() + limit_s
    while not done():
        if not process.running or time.monotonic() > deadline_s:
            state = "it took too long" if process.running else "it has ended"
            message = f"waited for {what} in vain, {state}:\n{process.tail()}"
            raise PeerFailedError(message)
        pause(0.02)


def _work_off(topic: OutputTopic, process: PeerProcess, count: int, end_ns: int) -> None:
    """Wait until everything is out or the time is up."""
    seen, since_ns = 0, time.time_ns()
    while time.time_ns() < end_ns:
        # Asked in this order: what has ended has written all that the end tells.
        running = process.running
        end = topic.end()
        if end != seen:
            seen, since_ns = end, time.time_ns()
        if seen - topic.begin >= count:
            if not running or time.time_ns() - since_ns > NS_PER_S:
                return
        elif not running:
            message = f"it ended at {seen - topic.begin} of {count} outputs:\n{process.tail()}"
            raise PeerFailedError(message)
        pause(0.2)


def _quantiles(took_ns: Int64) -> dict[str, float]:
    found = np.percentile(took_ns, QUANTILES, method="inverted_cdf") / NS_PER_MS
    return {f"p{q:g}": round(float(ms), 2) for q, ms in zip(QUANTILES, found, strict=True)}
