"""How long a flow takes to its first prediction, and how fast it rebuilds its state.

*Start*: from the start of the process until a reader has the first committed prediction, for a
group that is new on a log of a few ticks; beside it a bare pass-through's first message. The parts
come from runs whose start is timed from within (:mod:`tests.bench.staged`).

*Rebuild*: the flow scores a long log, ends, and starts again behind it; until its first new
prediction it has to read all of the log that its state depends on. The rate counts from when the
flow says that it is ready, which leaves out the start measured before; beside it the rate at which
a bare consumer reads the same messages.
"""

import gc
import statistics
import sys
import time
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from flows.connectors.kafka.client import reader_config
from flows.features import warm_up
from flows.numeric.time import NS_PER_S
from schemas import topics
from tests.bench.clock import wall_minus_monotonic_ns
from tests.bench.load import batches, endless_messages, fill
from tests.bench.models import set_champion
from tests.bench.percentiles import ratio
from tests.bench.reading import Arrived, Reader, follow, input_of
from tests.bench.servers import PIPELINE, Servers, end, servers
from tests.bench.starts import Start, start_of

STAGED = "tests.bench.staged"
SYMBOLS = 4
SMALL_LOG = 1_000
NEW_TICKS = 100
BATCH = 4096
START_LIMIT_S = 120.0
SCORING_LIMIT_S = 600.0


def run(ticks: int, rounds: int, brokers: list[str]) -> dict[str, Any]:
    """Measure and return everything as one JSON-able object."""
    warm_up()  # compiled once per machine; its cache is what every later start meets
    result: dict[str, Any] = {"bench": "recovery", "ticks": ticks, "rounds": rounds}
    for kind in brokers:
        with servers(kind) as place:
            result[kind] = _Bench(place).run(ticks, rounds)
            sys.stderr.write(f"{kind}: {result[kind]}\n")
    return result


class _Bench:
    """One broker's measurements."""

    def __init__(self, place: Servers) -> None:
        self._place = place
        self._ticks = endless_messages(SYMBOLS)
        self._written = 0
        place.topics(*topics.ALL)
        self._store = set_champion("logreg", place.folder / "store")
        self._reader = Reader(place.config, topics.PREDICTIONS)

    def run(self, ticks: int, rounds: int) -> dict[str, Any]:
        self._write(SMALL_LOG)
        starts, parts, copies = [], [], []
        for number in range(rounds):
            copies.append(self._copy_start(number))
            starts.append(self._run(f"new-{number}", PIPELINE, 0))
            parts.append(self._run(f"parts-{number}", STAGED, 0))
        self._write(ticks)
        self._run("rebuild", PIPELINE, 0)
        rebuilds, readings = [], []
        for _ in range(rounds):
            readings.append(self._reading_rate())
            behind = self._written
            self._write(NEW_TICKS)
            rebuilds.append(self._run("rebuild", PIPELINE, behind))
        self._reader.close()
        return {
            "start": _start_figures(starts, parts, copies),
            "rebuild": _rebuild_figures(rebuilds, readings),
        }

    def _write(self, count: int) -> None:
        fill(self._place.config, batches(self._ticks, count))
        self._written += count

    def _run(self, group: str, module: str, behind: int) -> Start:
        """Start the flow, time its first prediction from offset ``behind`` on, and end it.

        It ends once it has scored the whole log and committed that.
        """
        seen: dict[int, int] = {}

        def note(arrived: Arrived) -> None:
            for value in arrived.values:
                seen.setdefault(input_of(value)[0], arrived.at_ns)

        flow = self._place.flow(
            self._store, group, f"{group}-{behind}", module, VOLTICK_PUBLISH_FEATURES="0"
        )
        with flow as process:
            follow(self._reader, process, note, lambda _: bool(seen), START_LIMIT_S, "a prediction")
            follow(
                self._reader,
                process,
                note,
                lambda _: len(seen) >= self._written - behind,
                SCORING_LIMIT_S,
                f"{self._written - behind} predictions",
            )
            end(process)
        return start_of(
            process.stderr, process.started_at, min(seen.values()), wall_minus_monotonic_ns()
        )

    def _copy_start(self, number: int) -> float:
        target = f"bench.copy.{number}"
        self._place.topics(target)
        reader = Reader(self._place.config, target)
        came: list[int] = []
        with self._place.passthrough(topics.TICKS_RAW, target) as process:
            follow(
                reader,
                process,
                lambda arrived: came.append(arrived.at_ns),
                lambda _: bool(came),
                START_LIMIT_S,
                "a copy",
            )
        reader.close()
        return came[0] / NS_PER_S - process.started_at

    def _reading_rate(self) -> float:
        """Return at how many messages a second a consumer set up as the flow's reads the log."""
        consumer = Consumer(reader_config(self._place.config, "bench-limit"))
        consumer.assign([TopicPartition(topics.TICKS_RAW, 0, OFFSET_BEGINNING)])
        count, first, begin = 0, 0, 0.0
        limit = time.monotonic() + SCORING_LIMIT_S
        # As in the flow, no looking for cycles where there are none.
        gc.disable()
        try:
            while count < self._written:
                found = [m.value() for m in consumer.consume(BATCH, 0.01) if m.error() is None]
                count += len(found)
                if found and not first:
                    first, begin = count, time.monotonic()
                if time.monotonic() > limit:
                    message = f"only {count} of {self._written} messages could be read"
                    raise RuntimeError(message)
        finally:
            gc.enable()
        rate = (count - first) / (time.monotonic() - begin)
        consumer.close()
        return rate


def _start_figures(starts: list[Start], parts: list[Start], copies: list[float]) -> dict[str, Any]:
    told = [{**run.stages, "rest": run.first_s - sum(run.stages.values())} for run in parts]
    names = dict.fromkeys(name for each in told for name in each)
    return {
        "first_prediction": _spread([run.first_s for run in starts]),
        "ready_to_first": _spread([run.after_ready_s for run in starts]),
        "parts_s": {
            name: round(statistics.median(each.get(name, 0.0) for each in told), 3)
            for name in names
        },
        "passthrough_first_copy": _spread(copies),
        "of_passthrough": ratio(
            statistics.median(run.first_s for run in starts), statistics.median(copies)
        ),
    }


def _rebuild_figures(rebuilds: list[Start], readings: list[float]) -> dict[str, Any]:
    rates = [run.rebuilt_per_s for run in rebuilds]
    return {
        "ticks": rebuilds[0].rebuilt,
        "first_prediction": _spread([run.first_s for run in rebuilds]),
        "ready_to_first": _spread([run.after_ready_s for run in rebuilds]),
        "ticks_per_s": round(statistics.median(rates)),
        "ticks_per_s_min": round(min(rates)),
        "ticks_per_s_max": round(max(rates)),
        "reading_ticks_per_s": round(statistics.median(readings)),
        "of_reading": ratio(statistics.median(rates), statistics.median(readings)),
    }


def _spread(seconds: list[float]) -> dict[str, float]:
    return {
        "s": round(statistics.median(seconds), 3),
        "s_min": round(min(seconds), 3),
        "s_max": round(max(seconds), 3),
    }
