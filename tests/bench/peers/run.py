"""The run: every contestant takes a turn in each round, so that what the machine does hits all."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.load import fill
from tests.bench.peers import steady, turns
from tests.bench.peers.catalogue import LIMIT, PEERS, Peer
from tests.bench.peers.contest import Contest, Entry
from tests.bench.peers.environments import PeerUnavailableError
from tests.bench.peers.ledger import Done, Ledger
from tests.bench.peers.reference import make_reference, messages
from tests.bench.peers.warming import warm_broker
from tests.bench.servers import servers
from tests.support.kafka.jars import JarsUnavailableError

SYMBOLS = (4, 500)
RATES_HZ = (100.0, 1_000.0, 5_000.0, 20_000.0)
RECOVERY_RATE_HZ = 1_000.0
KILLS = 2
_FAILURES = (
    turns.PeerFailedError,
    PeerUnavailableError,
    JarsUnavailableError,
    RuntimeError,
    TimeoutError,
    ValueError,
)


@dataclass(frozen=True)
class Plan:
    """What is measured, and for how long.

    Attributes
    ----------
    ticks
        In the log that is worked off.
    seconds
        Of each measurement, at most.
    warm_s, broker_warm_s
        At each rate, and of each new broker: not counted.
    minutes
        After which no turn is begun; the ledger tells the next run where to go on.
    tuning
        What is tried instead of the peers' own settings.
    """

    peers: tuple[str, ...] = tuple(PEERS)
    rounds: int = 3
    ticks: int = 1_000_000
    seconds: float = 15.0
    rates_hz: tuple[float, ...] = RATES_HZ
    symbols: tuple[int, ...] = SYMBOLS
    measures: tuple[str, ...] = ("check", "throughput", "latency", "recovery")
    minutes: float = float("inf")
    tuning: str = ""
    warm_s: float = 3.0
    broker_warm_s: float = 20.0

    @property
    def chosen(self) -> list[Peer]:
        """The contestants."""
        return [PEERS[name] for name in self.peers]


@dataclass(frozen=True)
class Stage:
    """Turns that share a broker: a measure and how many symbols."""

    measure: str
    symbols: int

    def turns(self, plan: Plan) -> Iterator[tuple[Peer, int]]:
        """Yield who takes part in which round, round by round."""
        rounds = plan.rounds if self.measure in {"throughput", "latency"} else 1
        for number in range(rounds):
            for peer in plan.chosen:
                # It has no features to be checked and no position to go on from.
                if peer.name != LIMIT or self.measure in {"throughput", "latency"}:
                    yield peer, number


def stages(plan: Plan) -> list[Stage]:
    """Return the stages in their order; the rates at which ticks come know four symbols alone."""
    found = []
    for measure in plan.measures:
        few = plan.symbols if measure == "throughput" else plan.symbols[:1]
        found += [Stage(measure, symbols) for symbols in few]
    return found


def run(plan: Plan, ledger: Ledger, cache: Path) -> bool:
    """Take what turns are left and note them; tell whether all were taken."""
    deadline_s = time.monotonic() + 60.0 * plan.minutes
    for stage in stages(plan):
        left = [
            (peer, number)
            for peer, number in stage.turns(plan)
            if not ledger.has((peer.name, stage.measure, stage.symbols, number))
        ]
        if not left:
            continue
        if time.monotonic() > deadline_s:
            return False
        with servers("apache") as place:
            reference = make_reference(place.folder)
            contest = Contest(place, reference, stage.symbols, cache, plan.tuning)
            warm_broker(contest, plan.broker_warm_s)
            if stage.measure == "throughput":
                fill(place.config, messages(plan.ticks, stage.symbols))
            for peer, number in left:
                if time.monotonic() > deadline_s:
                    return False
                done = _turn(contest, stage, plan, peer, number)
                _say(done)
                ledger.add(done)
    return True


def _turn(contest: Contest, stage: Stage, plan: Plan, peer: Peer, number: int) -> Done:
    load = os.getloadavg()[0]
    begin_s = time.monotonic()
    own_input = stage.measure != "throughput"
    entry = contest.turn(peer, own_input=own_input)
    figures: dict[str, Any] = {}
    error = ""
    try:
        figures = _MEASURES[stage.measure](entry, plan)
    except _FAILURES as failure:
        error = str(failure)
    finally:
        entry.close()
    return Done(
        peer=peer.name,
        measure=stage.measure,
        symbols=stage.symbols,
        round=number,
        load=round(load, 1),
        figures=figures,
        error=error,
        took_s=round(time.monotonic() - begin_s, 1),
        tuning=plan.tuning,
    )


_MEASURES: dict[str, Callable[[Entry, Plan], dict[str, Any]]] = {
    "check": lambda entry, _plan: turns.check(entry),
    "throughput": lambda entry, plan: turns.throughput(entry, plan.ticks, plan.seconds),
    "latency": lambda entry, plan: steady.latency(
        entry, list(plan.rates_hz), plan.warm_s, plan.seconds
    ),
    "recovery": lambda entry, plan: steady.recovery(
        entry, RECOVERY_RATE_HZ, KILLS, min(plan.seconds, 6.0)
    ),
}


def _say(done: Done) -> None:
    told = done.figures if not done.error else done.error
    sys.stderr.write(
        f"{done.measure}, {done.symbols} symbols, round {done.round + 1},"
        f" {done.peer} (load {done.load}, {done.took_s:.0f} s): {told}\n"
    )
    sys.stderr.flush()
