"""How long a killed member's partitions give nothing, with and without a warm standby.

Two members share a log of which the state needs everything. Both have scored it to its end, a
trickle of new ticks goes to every partition, and one gets SIGKILL. Counted is from there to the
first commit of each of its partitions by the other one, and beside it for how long the other's own
partitions stood still. All of it contains the group's session: before it is over, nobody knows that
the member is dead.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from flows.features import warm_up
from schemas import topics
from tests.bench.load import Message, batches, endless_messages, fill
from tests.bench.models import set_champion
from tests.bench.servers import Servers, end, servers
from tests.bench.waiting import wait_while_running
from tests.bench.written import Written
from tests.proof.feeder import Feeder, Rhythm
from tests.proof.progress import Progress
from tests.proof.standstill import Standstill
from tests.support.answers import answer_of
from tests.support.kafka.tools import Outgoing, create_topics, end_offsets
from tests.support.polling import free_ports
from tests.support.processes import Process

SYMBOLS = 4
GROUP = "takeover"
LIMIT_S = 300.0
TRICKLE_HZ = 25.0
"""Of each partition: nobody waits for its next tick, and reading them costs nothing."""

_ASSIGNED, _TAKEN = "partitions assigned", "partition taken over"
MODES = {"rebuilt": "false", "standby": "true"}


@dataclass(frozen=True)
class Parts:
    """What a takeover consists of; the rest is reading, scoring and committing.

    Attributes
    ----------
    assigned_s
        Seconds from the kill until the group has assigned the partitions: its session, and a
        rebalance.
    fencing_s, planning_s
        How long fencing the former owner took, and asking where to begin; of several partitions,
        which are taken over side by side, the longest.
    """

    assigned_s: float
    fencing_s: float
    planning_s: float


@dataclass(frozen=True)
class Takeover:
    """Seconds from a member's SIGKILL.

    Attributes
    ----------
    first_s, last_s
        To the first commit of its first partition, and of its last.
    others_s
        For how long a partition of the other member stood still meanwhile, at most.
    parts
        Of ``last_s``, what the log tells of.
    """

    first_s: float
    last_s: float
    others_s: float
    parts: Parts


def parts_of(stderr: str, killed_at: datetime) -> Parts:
    """Read them from the log, in JSON, of the member that took over.

    Raises
    ------
    ValueError
        It does not tell of a takeover.
    """
    lines = [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]
    since = [line for line in lines if datetime.fromisoformat(line["timestamp"]) > killed_at]
    assigned = [line for line in since if line["event"] == _ASSIGNED and line["partitions"]]
    taken = [line for line in since if line["event"] == _TAKEN]
    if not assigned or not taken:
        message = f"the member did not tell of a takeover:\n{stderr[-2000:]}"
        raise ValueError(message)
    waited = datetime.fromisoformat(assigned[0]["timestamp"]) - killed_at
    return Parts(
        waited.total_seconds(),
        max(line["fencing_s"] for line in taken),
        max(line["planning_s"] for line in taken),
    )


def run(tick_count: int, partitions: int, rounds: int, session_ms: int) -> dict[str, Any]:
    """Measure on Apache Kafka and return everything as one JSON-able object.

    Parameters
    ----------
    tick_count
        In each partition, ten minutes of event time and less: all of it is in the state.
    """
    warm_up()  # compiled once per machine; its cache is what every later start meets
    found: dict[str, list[Takeover]] = {mode: [] for mode in MODES}
    with servers("apache") as place:
        create_topics(place.config, partitions, names=topics.ALL)
        ticks = [endless_messages(SYMBOLS) for _ in range(partitions)]
        for partition, messages in enumerate(ticks):
            fill(place.config, batches(messages, tick_count), partition=partition)
        store = set_champion("logreg", place.folder / "store")
        bench = _Bench(place, store, partitions, session_ms, _trickle(ticks))
        for number in range(rounds):
            for mode in MODES:
                takeover = bench.kill_one(mode, number)
                found[mode].append(takeover)
                sys.stderr.write(f"round {number + 1}: {mode} {takeover}\n")
    return {
        "bench": "takeover",
        "ticks_per_partition": tick_count,
        "partitions": partitions,
        "rounds": rounds,
        "session_s": session_ms / 1000,
        **{mode: _figures(takeovers) for mode, takeovers in found.items()},
    }


def _figures(takeovers: list[Takeover]) -> dict[str, float]:
    return {
        "first_s": round(statistics.median(each.first_s for each in takeovers), 2),
        "last_s": round(statistics.median(each.last_s for each in takeovers), 2),
        "last_s_max": round(max(each.last_s for each in takeovers), 2),
        "others_stood_s_max": round(max(each.others_s for each in takeovers), 2),
        **{
            name: round(statistics.median(getattr(each.parts, name) for each in takeovers), 2)
            for name in ("assigned_s", "fencing_s", "planning_s")
        },
    }


def _trickle(ticks: list[Iterator[Message]]) -> Iterator[Outgoing]:
    """Yield what follows on each partition, by turns, without end."""
    while True:
        for partition, messages in enumerate(ticks):
            [message] = islice(messages, 1)
            now_ms = time.time_ns() // 1_000_000
            yield Outgoing(partition, message["key"], message["value"], now_ms)


class _Bench:
    """Members on a log that is there already."""

    def __init__(
        self,
        place: Servers,
        store: Path,
        partitions: int,
        session_ms: int,
        trickle: Iterator[Outgoing],
    ) -> None:
        self._place = place
        self._store = store
        self._partitions = partitions
        self._session_ms = session_ms
        self._trickle = trickle

    def kill_one(self, mode: str, number: int) -> Takeover:
        """Start two members; once both have nothing to do, kill one under a trickle of ticks."""
        ports = free_ports(2)
        progress = Progress(self._place.config, GROUP, self._partitions)
        rate_hz = TRICKLE_HZ * self._partitions
        feeder = Feeder(self._place.config, self._trickle, Rhythm(rate_hz, rate_hz, 1.0, 0.0))
        with ExitStack() as stack:
            stack.callback(progress.close)
            heir, victim = members = [
                stack.enter_context(self._member(f"{mode}-{number}-{port}", mode, port))
                for port in ports
            ]
            self._wait("a share for each", lambda: self._shared(ports), members)
            ends = self._ends()
            self._wait("the log's end", lambda: progress.reached(ends), members)
            if mode == "standby":
                self._wait("all to be followed", lambda: self._followed(ports), members)
            left = set(answer_of(ports[1], "/health")["assigned"])
            feeder.start()
            stack.callback(feeder.close)
            stack.callback(feeder.stop)
            moved = {partition: end + 1 for partition, end in ends.items()}
            self._wait("the trickle", lambda: progress.reached(moved), members)
            victim.kill()
            takeover = self._watch(progress, left, heir)
            feeder.stop()
            end(heir)
        return takeover

    def _watch(self, progress: Progress, left: Collection[int], heir: Process) -> Takeover:
        killed_s, killed_at = time.monotonic(), datetime.now(UTC)
        before = progress.offsets()
        standstill = Standstill()
        came_s: dict[int, float] = {}

        def all_came() -> bool:
            offsets, now_s = progress.offsets(), time.monotonic()
            standstill.look(now_s, offsets)
            for partition in left:
                if offsets[partition] > before[partition]:
                    came_s.setdefault(partition, now_s - killed_s)
            return len(came_s) == len(left)

        self._wait("the takeover", all_came, [heir])
        stood_s = standstill.by_partition_s
        others_s = max(stood_s[each] for each in range(self._partitions) if each not in left)
        parts = parts_of(heir.stderr, killed_at)
        return Takeover(min(came_s.values()), max(came_s.values()), others_s, parts)

    def _member(self, name: str, mode: str, port: int) -> Process:
        return self._place.flow(
            self._store,
            GROUP,
            name,
            **Written.PREDICTIONS.settings,
            VOLTICK_ASSIGNMENT="group",
            VOLTICK_PARTITIONS=str(self._partitions),
            VOLTICK_SESSION_TIMEOUT_MS=str(self._session_ms),
            VOLTICK_STANDBY=MODES[mode],
            VOLTICK_METRICS_PORT=str(port),
        )

    def _shared(self, ports: list[int]) -> bool:
        """Tell whether each has half of the partitions, and has rebuilt them."""
        healths = [answer_of(port, "/health") for port in ports]
        return all(
            len(health.get("assigned", ())) == self._partitions // 2 and not health["rebuilding"]
            for health in healths
        )

    def _followed(self, ports: list[int]) -> bool:
        """Tell whether each follows the other's half, and is not behind."""
        lags = [answer_of(port, "/health").get("standby_lag_messages", {}) for port in ports]
        half = self._partitions // 2
        return all(len(each) == half and not any(each.values()) for each in lags)

    def _ends(self) -> dict[int, int]:
        written = end_offsets(self._place.config, topics.TICKS_RAW, self._partitions)
        return {partition: high for partition, (_low, high) in written.items()}

    def _wait(self, what: str, done: Callable[[], bool], running: list[Process]) -> None:
        wait_while_running(done, what, running, LIMIT_S)
