"""How long a tick takes from its sending to its prediction in a reader's hand.

At each rate the flow, a bare pass-through (no transactions, no work) and one in transactions take
turns under the same steady load on the same broker, read by the same kind of reader in this
process, so that one clock tells both ends. What counts is the time from when a tick was to be sent:
a load that is held up by the machine must not hide how long ticks waited.
"""

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import numpy as np

from flows.numeric.time import NS_PER_S
from schemas import topics
from tests.bench.clock import wall_minus_monotonic_ns
from tests.bench.load import Message, endless_messages
from tests.bench.memory import peak_mb
from tests.bench.models import set_champion
from tests.bench.pacing import SteadyFeeder
from tests.bench.passthrough import IN_TRANSACTIONS
from tests.bench.percentiles import Ints, ratio, summary_ms
from tests.bench.reading import Arrived, Reader, follow, input_of
from tests.bench.servers import Servers, end, servers
from tests.support.processes import Process

WARM_UP_S = 5.0
BROKER_WARM_UP_S = 20.0
START_LIMIT_S = 60.0
ARRIVAL_LIMIT_S = 30.0

Identify = Callable[[bytes, int], tuple[int, int]]
"""From a message's value and offset to its input's, and when it was scored (wall clock, ns)."""


@dataclass(frozen=True)
class Plan:
    """What is measured: messages per second, and for how many seconds at each rate."""

    rates_hz: list[float]
    seconds: float
    symbols: int
    model: str
    features: bool


@dataclass(frozen=True)
class Turn:
    """The times of one contestant's measured ticks, monotonic ns, each of shape (n,).

    ``scored_ns`` is 0 where nothing was scored.
    """

    intended_ns: Ints
    sent_ns: Ints
    scored_ns: Ints
    received_ns: Ints


def run(plan: Plan, brokers: list[str]) -> dict[str, Any]:
    """Measure and return everything as one JSON-able object."""
    result: dict[str, Any] = {
        "bench": "latency",
        "seconds": plan.seconds,
        "symbols": plan.symbols,
        "model": plan.model,
        "features": plan.features,
    }
    for kind in brokers:
        with servers(kind) as place:
            bench = _Bench(place, plan)
            # Not counted: a broker in Java is slow until it has compiled what is used most.
            bench.measure(max(plan.rates_hz), min(plan.seconds, BROKER_WARM_UP_S))
            figures = {f"{rate:g}": bench.measure(rate, plan.seconds) for rate in plan.rates_hz}
            bench.close()
        _say(kind, figures)
        result[kind] = figures
    return result


class _Bench:
    """One broker's contestants, one turn after the other."""

    def __init__(self, place: Servers, plan: Plan) -> None:
        self._place = place
        self._features = plan.features
        self._ticks = endless_messages(plan.symbols)
        place.topics(*topics.ALL)
        self._store = set_champion(plan.model, place.folder / "store")
        self._predictions = Reader(place.config, topics.PREDICTIONS)
        # Offset on ticks.raw from where the flow's group goes on in its next turn.
        self._done = 0
        self._turns = 0

    def measure(self, rate_hz: float, seconds: float) -> dict[str, Any]:
        """Let the flow and both kinds of pass-through take a turn each; return their figures."""
        load = list(islice(self._ticks, int(rate_hz * (seconds + WARM_UP_S + START_LIMIT_S))))
        # What is held for the load is not to be walked over while times are taken.
        gc.collect()
        gc.freeze()
        try:
            turn, peak = self._flow_turn(load, rate_hz, seconds)
            copy = self._copy_turn(load, rate_hz, seconds)
            committed = self._copy_turn(load, rate_hz, seconds, IN_TRANSACTIONS)
            return _figures(turn, copy, committed, peak)
        finally:
            gc.unfreeze()

    def close(self) -> None:
        """Leave the broker."""
        self._predictions.close()

    def _flow_turn(self, load: list[Message], rate_hz: float, seconds: float) -> tuple[Turn, float]:
        """Measure the flow: its turn, and its peak memory in MB."""
        peaks: list[float] = []

        def stop(process: Process) -> None:
            peaks.append(peak_mb(process.pid))
            end(process)

        features = {"VOLTICK_PUBLISH_FEATURES": str(int(self._features))}
        flow = self._place.flow(self._store, "latency", "flow", **features)
        feeder = SteadyFeeder(self._place.config, topics.TICKS_RAW, load, rate_hz)
        turn = _turn(flow, feeder, self._predictions, _scored_input, self._done, seconds, stop)
        self._done += feeder.count
        return turn, peaks[0]

    def _copy_turn(
        self, load: list[Message], rate_hz: float, seconds: float, how: str | None = None
    ) -> Turn:
        """Measure the pass-through between two topics of its own."""
        self._turns += 1
        source, target = f"bench.{self._turns}.in", f"bench.{self._turns}.out"
        self._place.topics(source, target)
        reader = Reader(self._place.config, target)
        process = self._place.passthrough(source, target, how)
        feeder = SteadyFeeder(self._place.config, source, load, rate_hz)
        turn = _turn(process, feeder, reader, _copies_in_order(), 0, seconds)
        reader.close()
        return turn


def _turn(
    process: Process,
    feeder: SteadyFeeder,
    reader: Reader,
    identify: Identify,
    first: int,
    seconds: float,
    stop: Callable[[Process], None] | None = None,
) -> Turn:
    """Start the process under load, let it warm up, and time ``seconds`` of the load.

    Parameters
    ----------
    first
        Offset of the load's first message.
    stop
        Ends the process; it is killed without one.
    """
    received: dict[int, int] = {}
    scored_wall: dict[int, int] = {}

    def note(arrived: Arrived) -> None:
        for value, offset in zip(arrived.values, arrived.offsets, strict=True):
            at, wall_ns = identify(value, offset)
            received[at] = arrived.at_ns
            scored_wall[at] = wall_ns

    with process:
        feeder.start()
        begin_ns = follow(
            reader, process, note, lambda _: bool(received), START_LIMIT_S, "a first message"
        )
        begin_ns += int(WARM_UP_S * NS_PER_S)
        end_ns = begin_ns + int(seconds * NS_PER_S)
        limit_s = WARM_UP_S + seconds + ARRIVAL_LIMIT_S
        follow(reader, process, note, lambda now: now >= end_ns, limit_s, "the time to pass")
        feeder.stop()
        follow(
            reader,
            process,
            note,
            lambda _: len(received) >= feeder.count,
            ARRIVAL_LIMIT_S,
            f"all of {feeder.count} ticks",
        )
        if stop is not None:
            stop(process)
    inputs = range(first, first + feeder.count)
    measured = (feeder.intended_ns >= begin_ns) & (feeder.intended_ns < end_ns)
    wall_ns = np.array([scored_wall[each] for each in inputs], np.int64)
    scored_ns = np.where(wall_ns > 0, wall_ns - wall_minus_monotonic_ns(), 0)
    received_ns = np.array([received[each] for each in inputs], np.int64)
    if (received_ns < feeder.sent_ns).any():
        message = "a message arrived before it was sent: the wrong one was looked at"
        raise RuntimeError(message)
    columns = (feeder.intended_ns, feeder.sent_ns, scored_ns, received_ns)
    return Turn(*(column[measured] for column in columns))


def _scored_input(prediction: bytes, _offset: int) -> tuple[int, int]:
    return input_of(prediction)


def _copies_in_order() -> Identify:
    # By their order, not by their offsets: marks of transactions have offsets, too.
    numbers = count()
    return lambda _copy, _offset: (next(numbers), 0)


def _figures(flow: Turn, copy: Turn, committed: Turn, peak: float) -> dict[str, Any]:
    ours = {**_summary(flow), "peak_mb": peak}
    limit, transactional = _summary(copy), _summary(committed)
    ours["sent_to_scored"] = summary_ms(flow.scored_ns - flow.sent_ns)
    ours["scored_to_hand"] = summary_ms(flow.received_ns - flow.scored_ns)
    return {
        "flow": ours,
        "passthrough": limit,
        "transactional": transactional,
        "p50_of_passthrough": ratio(ours["p50_ms"], limit["p50_ms"]),
        "p99_of_passthrough": ratio(ours["p99_ms"], limit["p99_ms"]),
        "p50_of_transactional": ratio(ours["p50_ms"], transactional["p50_ms"]),
        "p99_of_transactional": ratio(ours["p99_ms"], transactional["p99_ms"]),
    }


def _summary(turn: Turn) -> dict[str, Any]:
    return {
        "messages": len(turn.sent_ns),
        **summary_ms(turn.received_ns - turn.intended_ns),
        "from_sending": summary_ms(turn.received_ns - turn.sent_ns),
        "sent_late": summary_ms(turn.sent_ns - turn.intended_ns),
    }


def _say(kind: str, figures: dict[str, Any]) -> None:
    for rate, contestants in figures.items():
        for name in ("flow", "passthrough", "transactional"):
            found = contestants[name]
            sys.stderr.write(
                f"{kind}, {rate} ticks/s, {name}: p50 {found['p50_ms']:.1f} ms,"
                f" p95 {found['p95_ms']:.1f}, p99 {found['p99_ms']:.1f},"
                f" max {found['max_ms']:.1f}"
                + (f", {found['peak_mb']:.0f} MB\n" if "peak_mb" in found else "\n")
            )
