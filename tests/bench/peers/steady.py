"""A turn under a steady load: latency at one rate after the other, and what kills do."""

import gc
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import islice
from typing import Any

import numpy as np

from flows.numeric.arrays import Int64
from flows.numeric.time import NS_PER_MS, NS_PER_S
from tests.bench.load import Message
from tests.bench.pacing import SteadyFeeder
from tests.bench.peers.catalogue import LIMIT
from tests.bench.peers.contest import Entry
from tests.bench.peers.outputs import OutputTopic, account_of, input_offset
from tests.bench.peers.process import PeerProcess
from tests.bench.reading import Arrived, Reader, follow

START_LIMIT_S = 120.0
DRAIN_LIMIT_S = 30.0
# Who needs longer for what is left when a load ends has fallen behind: how long its ticks waited
# tells how long the load was.
BEHIND_S = 10.0
# For which a load has messages, should its end be noticed late.
SLACK_S = 5.0
LEFT_BEHIND_S = 0.3
PRIMER = 200
QUANTILES = (50.0, 95.0, 99.0, 99.9)


class _Watch:
    """Notes when each input's first output was in hand.

    Attributes
    ----------
    received
        ``time.monotonic_ns()`` by the input's offset.
    newest
        The greatest of these offsets; -1 before the first.
    """

    def __init__(self, entry: Entry) -> None:
        self.received: dict[int, int] = {}
        self.newest = -1
        self._reader = Reader(entry.contest.config, entry.target)
        # A copy tells no input; it lies where that lay.
        self._by_position = entry.peer.name == LIMIT
        self._newest_ns = 0

    def until(
        self, process: PeerProcess, done: Callable[[int], bool], limit_s: float, what: str
    ) -> None:
        """Read until it is done, as ``tests.bench.reading.follow`` does."""
        follow(self._reader, process, self._note, done, limit_s, what)

    def for_s(self, process: PeerProcess, seconds: float) -> None:
        """Read for some seconds."""
        end_ns = time.monotonic_ns() + int(seconds * NS_PER_S)
        self.until(process, lambda now: now >= end_ns, seconds + DRAIN_LIMIT_S, "time to pass")

    def drain(self, process: PeerProcess, end: int, limit_s: float = 10 * DRAIN_LIMIT_S) -> None:
        """Read until all inputs before ``end`` have outputs, or nothing new comes for long.

        Parameters
        ----------
        limit_s
            After which it is given up, whatever comes.
        """
        begin_ns = time.monotonic_ns()
        silence_ns, limit_ns = int(DRAIN_LIMIT_S * NS_PER_S), int(limit_s * NS_PER_S)
        self.until(
            process,
            lambda now: (
                len(self.received) >= end
                or now - begin_ns > limit_ns
                or now - max(self._newest_ns, begin_ns) > silence_ns
            ),
            limit_s + DRAIN_LIMIT_S,
            "the last outputs",
        )

    def catch_up(self) -> None:
        """Read what a process that is gone has left behind."""
        while (arrived := self._reader.take(LEFT_BEHIND_S)).values:
            self._note(arrived)

    def close(self) -> None:
        """Leave the broker."""
        self._reader.close()

    def _note(self, arrived: Arrived) -> None:
        known = len(self.received)
        for value, position in zip(arrived.values, arrived.offsets, strict=True):
            at = position if self._by_position else input_offset(value)
            self.received.setdefault(at, arrived.at_ns)
            self.newest = max(self.newest, at)
        if len(self.received) > known:
            self._newest_ns = arrived.at_ns


def latency(entry: Entry, rates_hz: list[float], warm_s: float, seconds: float) -> dict[str, Any]:
    """Feed it at one rate after the other; milliseconds from a tick's due time to its output.

    It ends at the first rate that it cannot follow, which has no figures.

    Parameters
    ----------
    warm_s, seconds
        At each rate: not counted, and counted.
    """
    contest = entry.contest
    at = contest.fed_before(entry)
    figures: dict[str, Any] = {}
    with ExitStack() as stack:
        watch = _Watch(entry)
        stack.callback(watch.close)
        process = stack.enter_context(entry.process())
        at += len(entry.feed(PRIMER))
        watch.until(process, lambda _: at - 1 in watch.received, START_LIMIT_S, "a first output")
        for rate_hz in sorted(rates_hz):
            load = list(islice(contest.ticks, int(rate_hz * (warm_s + seconds + SLACK_S))))
            gc.collect()
            feeder = SteadyFeeder(contest.config, entry.source, load, rate_hz)
            begin_ns = time.monotonic_ns()
            _start(feeder, stack)
            watch.for_s(process, warm_s + seconds)
            feeder.stop()
            contest.fed(entry, _values(load[: feeder.count]))
            end = at + feeder.count
            watch.drain(process, end, BEHIND_S)
            came = [watch.received.get(each, 0) for each in range(at, end)]
            if not all(came):
                figures[f"{rate_hz:g}"] = None
                break
            took_ns = np.array(came, np.int64) - feeder.intended_ns
            counted = feeder.intended_ns >= begin_ns + int(warm_s * NS_PER_S)
            figures[f"{rate_hz:g}"] = _quantiles(took_ns[counted])
            at = end
        process.stop()
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
    recovered_s: list[float] = []
    # First, so that event time never jumps back.
    primer = entry.feed(PRIMER)
    load = list(islice(contest.ticks, int(rate_hz * (kills + 1) * (seconds + START_LIMIT_S / 2))))
    with ExitStack() as stack:
        topic = OutputTopic(contest.config, entry.target)
        stack.callback(topic.close)
        watch = _Watch(entry)
        stack.callback(watch.close)
        feeder = SteadyFeeder(contest.config, entry.source, load, rate_hz)
        begin = before + len(primer)
        with entry.process() as process:
            first = begin - 1
            watch.until(process, lambda _: first in watch.received, START_LIMIT_S, "an output")
            _start(feeder, stack)
            watch.for_s(process, seconds)
        for _ in range(kills):
            watch.catch_up()
            again_ns = time.monotonic_ns()
            with entry.process() as process:
                _await_newer(watch, process)
                recovered_s.append((time.monotonic_ns() - again_ns) / NS_PER_S)
                watch.for_s(process, seconds)
                if len(recovered_s) == kills:
                    feeder.stop()
                    watch.drain(process, begin + feeder.count)
                    process.stop()
        sent = _values(load[: feeder.count])
        contest.fed(entry, sent)
        outputs = topic.read()
    everything = contest.values_of(entry, [*primer, *sent])
    account = account_of(outputs, contest.reference.scores_of(everything), first=before)
    return {
        "recovered_s": [round(each, 2) for each in recovered_s],
        "ticks": len(primer) + len(sent),
        "lost": account.lost,
        "twice": account.twice,
        "different": account.different,
    }


def _await_newer(watch: _Watch, process: PeerProcess) -> None:
    """Wait for an output of an input that is newer than all before."""
    known = watch.newest
    watch.until(process, lambda _: watch.newest > known, START_LIMIT_S, "an output after a kill")


def _start(feeder: SteadyFeeder, stack: ExitStack) -> None:
    """Start a load that ends with the turn, whatever becomes of it."""
    feeder.start()
    stack.callback(feeder.stop)


def _values(load: list[Message]) -> list[bytes]:
    return [each["value"] for each in load]


def _quantiles(took_ns: Int64) -> dict[str, float]:
    found = np.percentile(took_ns, QUANTILES, method="inverted_cdf") / NS_PER_MS
    return {f"p{q:g}": round(float(ms), 2) for q, ms in zip(QUANTILES, found, strict=True)}
