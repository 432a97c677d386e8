"""What another member of the group, or another worker of the process, adds on this machine.

Each contestant works off the same log of several partitions, by turns: one process, two processes
that share the partitions, one process of two workers. A rate counts from when every member has its
share and commits, up to the first partition's end, so that neither joining counts nor the last
partition, which one member finishes alone. Broker and contestants share the machine: what it has
no room for, no member adds.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.features import warm_up
from schemas import topics
from tests.bench.load import fill, simulated_messages
from tests.bench.models import set_champion
from tests.bench.percentiles import ratio
from tests.bench.servers import Servers, servers
from tests.bench.waiting import wait_while_running
from tests.bench.written import Written
from tests.proof.progress import Progress
from tests.support.answers import answer_of
from tests.support.kafka.tools import create_topics
from tests.support.polling import free_ports
from tests.support.processes import Process

FINISH_LIMIT_S = 300.0


@dataclass(frozen=True)
class Contestant:
    """So many processes, of so many workers each."""

    processes: int
    workers: int

    @property
    def options(self) -> list[str]:
        """Those of ``bytewax.run``."""
        return ["-w", str(self.workers)] if self.workers > 1 else []


CONTESTANTS = {
    "one": Contestant(1, 1),
    "two_members": Contestant(2, 1),
    "two_workers": Contestant(1, 2),
}


def run(tick_count: int, partitions: int, rounds: int, symbols: int) -> dict[str, Any]:
    """Measure on Apache Kafka and return everything as one JSON-able object.

    Parameters
    ----------
    tick_count
        In all partitions together.
    """
    warm_up()  # compiled once per machine; its cache is what every contestant meets
    each = tick_count // partitions
    rates: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    with servers("apache") as place:
        create_topics(place.config, partitions, names=topics.ALL)
        for partition in range(partitions):
            fill(place.config, simulated_messages(each, symbols), partition=partition)
        store = set_champion("logreg", place.folder / "store")
        for number in range(rounds):
            for name, contestant in CONTESTANTS.items():
                rate = _rate(place, store, contestant, f"{name}-{number}", [each] * partitions)
                rates[name].append(rate)
                sys.stderr.write(f"round {number + 1}: {name} {rate:,.0f} ticks/s\n")
    medians = {name: statistics.median(found) for name, found in rates.items()}
    return {
        "bench": "members",
        "ticks": each * partitions,
        "partitions": partitions,
        "rounds": rounds,
        "symbols": symbols,
        **{f"{name}_ticks_per_s": round(median) for name, median in medians.items()},
        **{
            f"{name}_of_one": ratio(median, medians["one"])
            for name, median in medians.items()
            if name != "one"
        },
    }


def _rate(
    place: Servers, store: Path, contestant: Contestant, group: str, ends: Sequence[int]
) -> float:
    """Return ticks per second of all members together, while each has something to do."""
    ports = free_ports(contestant.processes)
    progress = Progress(place.config, group, len(ends))
    with ExitStack() as stack:
        stack.callback(progress.close)
        running = [
            stack.enter_context(
                place.flow(
                    store,
                    group,
                    f"{group}-{port}",
                    options=contestant.options,
                    **Written.PREDICTIONS.settings,
                    VOLTICK_ASSIGNMENT="group",
                    VOLTICK_PARTITIONS=str(len(ends)),
                    VOLTICK_START="beginning",  # although another contestant's group has written
                    VOLTICK_METRICS_PORT=str(port),
                )
            )
            for port in ports
        ]
        share = len(ends) // contestant.processes
        _await(lambda: all(_streams(port, share) for port in ports), "shares", running)
        first, first_s = progress.offsets(), time.perf_counter()
        _await(
            lambda: any(at >= ends[part] for part, at in progress.offsets().items()),
            "the end of a partition",
            running,
        )
        last, last_s = progress.offsets(), time.perf_counter()
    return throughput(first, last, last_s - first_s, sum(ends))


def throughput(
    first: dict[int, int], last: dict[int, int], seconds: float, tick_count: int
) -> float:
    """Return ticks per second between two looks.

    Raises
    ------
    RuntimeError
        Too little lies between them to tell.
    """
    done = sum(last.values()) - sum(first.values())
    if done < tick_count // 4:
        message = f"only {done} of {tick_count} ticks lay between two looks; give more ticks"
        raise RuntimeError(message)
    return done / seconds


def _streams(port: int, share: int) -> bool:
    """Whether a process has its share of the partitions, and rebuilds none."""
    health = answer_of(port, "/health")
    return len(health.get("assigned", ())) == share and not health["rebuilding"]


def _await(done: Callable[[], bool], what: str, running: Sequence[Process]) -> None:
    wait_while_running(done, what, running, FINISH_LIMIT_S)
