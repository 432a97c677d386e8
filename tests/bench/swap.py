"""How soon a moved alias shows in the predictions of a loaded flow, and that it does so cleanly.

The champion goes back and forth between two published versions under a steady load. A switch takes
from just before the alias is moved (the store proves the version and syncs its files meanwhile)
until a reader of committed messages has the first prediction, by offset, that names the version.
"""

import gc
import random
import statistics
import sys
import threading
import time
from itertools import islice
from typing import Any

import numpy as np

from flows.numeric.time import NS_PER_S
from flows.scoring.registry import ModelStore
from flows.scoring.scorer import POLL_INTERVAL_S
from schemas import topics
from tests.bench.load import endless_messages
from tests.bench.models import MODELS, publish
from tests.bench.pacing import SteadyFeeder
from tests.bench.percentiles import Ints, ratio
from tests.bench.reading import Arrived, Reader, follow, input_of
from tests.bench.servers import TARGET, Servers, end, servers
from tests.bench.switches import Seen, defects, switch_offsets
from tests.support.polling import pause

SYMBOLS = 4
WARM_UP_S = 3.0
PAUSE_S = (0.4, 1.2)
START_LIMIT_S = 60.0
SWITCH_LIMIT_S = 20.0
# What the product promises; a switch that takes longer is waited for, and is a defect.
PROMISED_S = 2.0
ARRIVAL_LIMIT_S = 30.0
SEED = 5
SHOWN = 5


class _Mover(threading.Thread):
    """Moves the alias, waits until the move shows, pauses for a seeded while, and so on.

    Aside, because a move takes milliseconds during which the reader must go on.
    """

    def __init__(self, store: ModelStore, refs: list[str], swaps: int) -> None:
        super().__init__(name="mover", daemon=True)
        self.ordered = [refs[number % 2] for number in range(swaps + 1)]
        self.moved_ns: list[int] = []
        self.took_s: list[float] = []
        self.shown = threading.Event()
        self.failure: str | None = None
        self._store = store

    def run(self) -> None:
        """Move until all is done, or a move does not show."""
        # Seeded pauses: the flow looks at the store at a fixed pace, which is to be met anywhere.
        chance = random.Random(SEED)  # noqa: S311 - repeatable by seed
        try:
            for ref in self.ordered[1:]:
                pause(chance.uniform(*PAUSE_S))
                self.shown.clear()
                before = time.monotonic_ns()
                self.moved_ns.append(before)
                self._store.move(TARGET, champion=ref, by="bench")
                self.took_s.append((time.monotonic_ns() - before) / NS_PER_S)
                if not self.shown.wait(SWITCH_LIMIT_S):
                    self.failure = f"no prediction by {ref} within {SWITCH_LIMIT_S:g} s"
                    return
        except Exception as error:  # the reader reports it
            self.failure = repr(error)


class _Record:
    """Every prediction seen: input, version, moment."""

    def __init__(self, refs: list[str]) -> None:
        self._marks = {ref: b'"version":"%b"' % ref.partition("@")[2].encode() for ref in refs}
        self.seen: list[Seen] = []
        self.at_ns: list[int] = []
        self.current = ""
        self.switched = threading.Event()

    def note(self, arrived: Arrived) -> None:
        """Take what came."""
        for value in arrived.values:
            name = self._version_of(value)
            self.seen.append((input_of(value)[0], name))
            self.at_ns.append(arrived.at_ns)
            if name != self.current:
                self.current = name
                self.switched.set()

    def _version_of(self, value: bytes) -> str:
        for ref, mark in self._marks.items():
            if mark in value:
                return ref
        return "a foreign version"


def run(rate_hz: float, swaps: int, brokers: list[str]) -> dict[str, Any]:
    """Measure and return everything as one JSON-able object; ``ok`` tells whether it was clean."""
    result: dict[str, Any] = {"bench": "swap", "rate": rate_hz, "swaps": swaps}
    for kind in brokers:
        with servers(kind) as place:
            result[kind] = _on_broker(place, rate_hz, swaps)
            sys.stderr.write(f"{kind}: {result[kind]}\n")
    result["ok"] = all(result[kind]["ok"] for kind in brokers)
    return result


def _on_broker(place: Servers, rate_hz: float, swaps: int) -> dict[str, Any]:
    place.topics(*topics.ALL)
    folder = place.folder / "store"
    store = ModelStore(folder)
    refs = [publish(kind, store) for kind in MODELS]
    store.move(TARGET, champion=refs[0], by="bench")
    longest_s = START_LIMIT_S + WARM_UP_S + swaps * (PAUSE_S[1] + SWITCH_LIMIT_S / 4)
    load = list(islice(endless_messages(SYMBOLS), int(rate_hz * longest_s)))
    gc.collect()
    gc.freeze()
    feeder = SteadyFeeder(place.config, topics.TICKS_RAW, load, rate_hz)
    reader = Reader(place.config, topics.PREDICTIONS)
    mover = _Mover(store, refs, swaps)
    record = _Record(refs)

    def note(arrived: Arrived) -> None:
        record.note(arrived)
        if record.switched.is_set():
            record.switched.clear()
            mover.shown.set()

    with place.flow(folder, "swap", "flow") as process:
        feeder.start()
        follow(reader, process, note, lambda _: bool(record.seen), START_LIMIT_S, "a first message")
        warm_ns = time.monotonic_ns() + int(WARM_UP_S * NS_PER_S)
        follow(reader, process, note, lambda now: now >= warm_ns, 2 * WARM_UP_S, "the warm-up")
        mover.start()
        limit_s = swaps * (PAUSE_S[1] + SWITCH_LIMIT_S)
        follow(reader, process, note, lambda _: not mover.is_alive(), limit_s, "all moves")
        feeder.stop()
        # What does not come by then is missing, which is a result and no accident.
        limit_ns = time.monotonic_ns() + int(ARRIVAL_LIMIT_S * NS_PER_S)
        follow(
            reader,
            process,
            note,
            lambda now: len(record.seen) >= feeder.count or now >= limit_ns,
            2 * ARRIVAL_LIMIT_S,
            "the last predictions",
        )
        end(process)
    while (more := reader.take(wait_s=1.0)).values:
        note(more)
    reader.close()
    gc.unfreeze()
    return _figures(record, mover, feeder.count)


def _figures(record: _Record, mover: _Mover, count: int) -> dict[str, Any]:
    wrong = defects(record.seen, mover.ordered, count)
    if mover.failure is not None:
        wrong.append(mover.failure)
    at_of = dict(zip((offset for offset, _ in record.seen), record.at_ns, strict=True))
    switched_ns = [at_of[offset] for offset in switch_offsets(record.seen)]
    # As many as came: a switch that did not is among the defects.
    pairs = zip(mover.moved_ns, switched_ns, strict=False)
    took_s = [(after - before) / NS_PER_S for before, after in pairs]
    figures: dict[str, Any] = {"ok": not wrong, "predictions": len(record.seen)}
    if took_s:
        if max(took_s) > PROMISED_S:
            wrong.append(f"a switch took {max(took_s):.2f} s, more than {PROMISED_S:g} s")
            figures["ok"] = False
        figures["seconds_p50"] = round(statistics.median(took_s), 3)
        figures["seconds_max"] = round(max(took_s), 3)
        figures["p50_of_poll_interval"] = ratio(statistics.median(took_s), POLL_INTERVAL_S)
        figures["move_itself_s_p50"] = round(statistics.median(mover.took_s), 4)
        figures |= _silences(np.array(record.at_ns, np.int64), mover.moved_ns[0])
    figures["defects"] = wrong[:SHOWN]
    return figures


def _silences(at_ns: Ints, first_move_ns: int) -> dict[str, Any]:
    """Compare the longest time without a prediction, while swapping and before it."""
    warm = at_ns[at_ns >= first_move_ns - int(WARM_UP_S * NS_PER_S)]
    gaps_ms = np.diff(warm) / 1e6
    swapping = warm[1:] >= first_move_ns
    return {
        "longest_silence_ms": round(float(gaps_ms[swapping].max(initial=0.0)), 1),
        "longest_silence_before_ms": round(float(gaps_ms[~swapping].max(initial=0.0)), 1),
    }
