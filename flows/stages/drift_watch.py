"""Look at the newest features and scores now and then, and say how far they have moved.

It reads the ends of ``ticks.features`` and ``predictions`` by a thread of its own, so it takes
nothing from the flow's way, and what it misses of a busy stream is only rows of a sample.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec
import numpy as np
import structlog

from flows.codec.batch import RawBatch
from flows.connectors.kafka.client import ClientConfig
from flows.connectors.kafka.reader import read_tail
from flows.errors import ModelRejectedError, ModelStoreError, VoltickError
from flows.monitoring.drift import DriftMonitor
from flows.numeric.arrays import Float64
from flows.numeric.time import NS_PER_MINUTE, NS_PER_S
from schemas import topics
from schemas.decoding import decode_or_none
from schemas.drift import DriftReport
from schemas.features import FEATURE_SET, LATE_LIMIT_S, NAMES
from schemas.feeds import Venue
from schemas.models import ModelManifest
from schemas.predictions import FeatureRow, Prediction

LOOK_EVERY_S = 20.0
FIRST_LOOK_S = 5.0
TAIL = 2_000
"""Newest messages of each partition that are looked at."""

Row = TypeVar("Row", FeatureRow, Prediction)
Publish = Callable[[DriftReport], None]

_ROW = msgspec.json.Decoder(FeatureRow).decode
_PREDICTION = msgspec.json.Decoder(Prediction).decode


class Sample:
    """What comes of a topic: the first warm row of each symbol and second, each once."""

    def __init__(self) -> None:
        self._next_offset: dict[int, int] = {}
        self._second: dict[tuple[str, str], int] = {}

    def new(
        self, batches: Iterable[RawBatch], decode: Callable[[bytes], Row]
    ) -> dict[int, list[Row]]:
        """Return the rows that were not seen before, by minute of event time."""
        found: dict[int, list[Row]] = defaultdict(list)
        for row in self._fresh(batches, decode):
            place, second = (row.venue, row.symbol), row.ts_event_ns // NS_PER_S
            if row.warm and self._is_next(place, second):
                self._second[place] = second
                found[row.ts_event_ns // NS_PER_MINUTE].append(row)
        return found

    def _is_next(self, place: tuple[str, str], second: int) -> bool:
        """Tell a second that has not counted yet from that of a late tick."""
        known = self._second.get(place)
        return known is None or second > known or second < known - LATE_LIMIT_S

    def _fresh(self, batches: Iterable[RawBatch], decode: Callable[[bytes], Row]) -> Iterator[Row]:
        for batch in batches:
            known = self._next_offset.get(batch.partition, 0)
            if batch.next_offset < known:  # the topic was created anew
                known = 0
            for offset, value in zip(batch.offsets, batch.values, strict=True):
                row = decode_or_none(decode, value) if offset >= known else None
                if row is not None:
                    yield row
            self._next_offset[batch.partition] = batch.next_offset


class DriftWatch:
    """Compares what is served with what the models were trained on.

    Parameters
    ----------
    tail
        Returns the newest messages of a topic, each partition in order.
    manifest_of
        A model's manifest; None where it is not known.
    publish
        Called with each target's report; must be quick.
    """

    def __init__(
        self,
        tail: Callable[[str], Iterable[RawBatch]],
        manifest_of: Callable[[str], ModelManifest | None],
        publish: Publish,
    ) -> None:
        self._tail = tail
        self._manifest_of = manifest_of
        self._publish = publish
        self._monitor = DriftMonitor()
        self._rows, self._predictions = Sample(), Sample()
        self._simulated = False

    def restore(self, reports: Iterable[DriftReport]) -> None:
        """Take over from an earlier run which references fitted once."""
        for report in reports:
            self._monitor.restore(report)

    def look(self) -> None:
        """Read what is new and publish a report of each target.

        Raises
        ------
        VoltickError
            The broker does not answer.
        """
        predictions = self._predictions.new(self._tail(topics.PREDICTIONS), _PREDICTION)
        rows = self._rows.new(self._tail(topics.TICKS_FEATURES), _ROW)
        if predictions or rows:
            self._monitor.move_to(max([*predictions, *rows]))
        models = self._observe_scores(predictions)
        for minute, found in rows.items():
            values = _matrix(found)
            columns = {name: values[:, at] for at, name in enumerate(NAMES)}
            for manifest in models:
                self._monitor.observe(manifest, minute, columns, np.empty(0))
        for target in sorted(self._monitor.targets):
            report = self._monitor.report(target, simulated=self._simulated)
            if report is not None:
                self._publish(report)

    def _observe_scores(self, predictions: dict[int, list[Prediction]]) -> list[ModelManifest]:
        """Add the scores; return the manifests of the models that made them."""
        manifests: dict[str, ModelManifest] = {}
        for minute, found in predictions.items():
            self._simulated = found[-1].venue == Venue.SIMULATOR
            scores: dict[str, list[float]] = defaultdict(list)
            for prediction in found:
                for own in prediction.scores.values():
                    scores[f"{own.model}@{own.version}"].append(own.score)
                    for ref, score in own.shadow.items():
                        scores[ref].append(score)
            for ref, values in scores.items():
                manifest = manifests.get(ref) or self._manifest_of(ref)
                if manifest is not None:
                    manifests[ref] = manifest
                    self._monitor.observe(manifest, minute, {}, np.array(values))
        return list(manifests.values())


def _matrix(rows: list[FeatureRow]) -> Float64:
    """Return float64, shape (n, len(NAMES)); undefined, and rows of another contract, are NaN."""
    nothing = [None] * len(NAMES)
    usable = [
        row.values if row.feature_set == FEATURE_SET and len(row.values) == len(NAMES) else nothing
        for row in rows
    ]
    return np.array(usable, np.float64).reshape(len(rows), len(NAMES))


class KnownManifests:
    """Manifests by ``name@version``, each read from the store once.

    Parameters
    ----------
    read
        As ``ModelStore.manifest``.
    """

    def __init__(self, read: Callable[[str], ModelManifest]) -> None:
        self._read = read
        self._known: dict[str, ModelManifest] = {}

    def __call__(self, ref: str) -> ModelManifest | None:
        """Return the manifest; None where the store has none that can be read."""
        if ref not in self._known:
            try:
                self._known[ref] = self._read(ref)
            except (ModelRejectedError, ModelStoreError):
                return None
        return self._known[ref]


def watch_drift(
    watch: DriftWatch, restore: Callable[[], Iterable[DriftReport]], stop: threading.Event
) -> None:
    """Start the thread that looks, until ``stop`` is set.

    Parameters
    ----------
    restore
        Returns the reports that an earlier run left.
    """

    def run() -> None:
        log, said = structlog.get_logger(), ""
        watch.restore(restore())
        wait_s = FIRST_LOOK_S
        while not stop.wait(wait_s):
            began_s = time.monotonic()
            try:
                watch.look()
                said = ""
            except VoltickError as error:
                if str(error) != said:
                    log.warning("drift is not known for now", cause=str(error))
                said = str(error)
            # Never more than a twentieth of a core.
            wait_s = max(LOOK_EVERY_S, 20 * (time.monotonic() - began_s))

    threading.Thread(target=run, name="drift", daemon=True).start()


def tail_of(config: ClientConfig) -> Callable[[str], Iterable[RawBatch]]:
    """Return what reads the newest messages of a topic."""
    return lambda topic: read_tail(config, topic, TAIL)
