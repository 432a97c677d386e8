"""A turn on a log that is full: the steady rate, and whether features and scores are ours."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from flows.numeric.time import NS_PER_S
from tests.bench.peers.catalogue import OURS
from tests.bench.peers.contest import Entry
from tests.bench.peers.outputs import (
    OutputTopic,
    account_of,
    features_of,
    slope_of,
)
from tests.bench.peers.process import PeerProcess
from tests.bench.peers.reference import rows_of, worst_difference
from tests.bench.waiting import wait_while_running
from tests.support.polling import pause

START_LIMIT_S = 120.0
CHECKED = 3_000


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
            _await(lambda: topic.end() > topic.begin, "a first output", process)
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
    values = entry.feed(CHECKED)
    topic = OutputTopic(entry.contest.config, entry.target)

    def whole() -> bool:
        # Marks of transactions count as messages do, so the end alone does not tell.
        some = topic.end() - topic.begin >= len(values)
        return some and len(np.unique(topic.read().inputs)) == len(values)

    try:
        with entry.process(features=True) as process:
            _await(whole, f"{len(values)} outputs", process)
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


def _await(done: Callable[[], bool], what: str, process: PeerProcess) -> None:
    wait_while_running(done, what, [process], START_LIMIT_S, PeerFailedError)


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
