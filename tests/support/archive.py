"""What an archive holds, held against its topics."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from flows.connectors.parquet.catalog import archived_files, read_state, unreadable_files
from flows.connectors.parquet.places import open_storage
from flows.connectors.parquet.reading import open_parquet
from flows.connectors.parquet.storage import LocalStorage, Storage
from schemas import topics
from schemas.predictions import FeatureRow, Outcome, OutcomeScore, Prediction, TargetScore
from schemas.ticks import Candle, Tick
from tests.support.kafka.tools import Message

KINDS: dict[str, type[msgspec.Struct]] = {
    topics.TICKS_RAW: Tick,
    topics.TICKS_FEATURES: FeatureRow,
    topics.PREDICTIONS: Prediction,
    topics.OUTCOMES: Outcome,
    topics.CANDLES: Candle,
}
_MOST_BYTES = 64 * 1024

Place = tuple[int, int]
"""Partition and offset."""


@dataclass
class Comparison:
    """What differs between a topic and its archive.

    Attributes
    ----------
    stray
        Files that lie in the archive and do not count.
    """

    topic: str
    messages: int = 0
    unreadable: int = 0
    files: int = 0
    missing: list[Place] = field(default_factory=list)
    twice: list[Place] = field(default_factory=list)
    different: list[Place] = field(default_factory=list)
    foreign: list[Place] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)

    @property
    def is_equal(self) -> bool:
        """Whether each message is there once, as it was, and nothing else."""
        return not (self.missing or self.twice or self.different or self.foreign or self.stray)


def archived_until(place: Path | str, topic: str, partitions: int) -> dict[int, int]:
    """Return by partition the offset before which all is archived; 0 where nothing is."""
    storage = open_storage(place)
    states = {at: read_state(storage, topic, at) for at in range(partitions)}
    return {at: 0 if state is None else state.next_offset for at, state in states.items()}


def rows_of(storage: Storage, topic: str) -> list[dict[str, Any]]:
    """Return all rows that count of a topic, read whole, in order of partition and offset.

    Those of an earlier log of the same name come with the others.
    """
    rows: list[dict[str, Any]] = []
    for file in (*archived_files(storage, topic), *unreadable_files(storage, topic)):
        rows += _rows(storage, file.path)
    return sorted(rows, key=lambda row: (row["log_partition"], row["log_offset"], repr(row)))


def _rows(storage: Storage, path: str) -> list[dict[str, Any]]:
    content = storage.read(path)
    assert content is not None, path
    rows: list[dict[str, Any]] = open_parquet(content).read().to_pylist()
    return rows


def compare(place: Path | str, topic: str, messages: Iterable[Message]) -> Comparison:
    """Hold all rows of a topic's archive against its messages; every file is read."""
    storage = open_storage(place)
    found = Comparison(topic)
    rows: dict[Place, Any] = {}
    counts: Counter[Place] = Counter()
    files = archived_files(storage, topic)
    foreign = unreadable_files(storage, topic)
    for file in (*files, *foreign):
        for row in _rows(storage, file.path):
            assert file.run.first <= row["log_offset"] < file.run.following
            place = row["log_partition"], row["log_offset"]
            assert place[0] == file.run.partition
            counts[place] += 1
            rows[place] = row
    found.files = len(files)
    found.unreadable = sum("payload" in row for row in rows.values())
    on_disk = {
        path
        for top in (f"topic={topic}/", f"unreadable/topic={topic}/")
        for path, _size in storage.files(top)
    }
    if isinstance(storage, LocalStorage):  # what a kill has left of a file has a hidden name
        hidden = Path(storage.name).rglob(".*")
        on_disk |= {str(path) for path in hidden if f"topic={topic}/" in path.as_posix()}
    found.stray = sorted(on_disk - {file.path for file in (*files, *foreign)})
    found.twice = [place for place, count in counts.items() if count > 1]
    for message in messages:
        found.messages += 1
        place = message.partition, message.offset
        row = rows.pop(place, None)
        if row is None:
            found.missing.append(place)
        elif expected_row(topic, message) != row:
            found.different.append(place)
    found.foreign = list(rows)
    return found


def expected_row(topic: str, message: Message) -> dict[str, Any]:
    """Return the row that a message leads to, said once more in plain words."""
    place = {
        "log_partition": message.partition,
        "log_offset": message.offset,
        "log_ts_ms": message.timestamp_ms,
    }
    try:
        if topic == topics.TICKS_RAW and len(message.value) > _MOST_BYTES:
            return {"payload": message.value, **place}
        content = msgspec.json.decode(message.value, type=KINDS[topic])
    except (msgspec.DecodeError, UnicodeError, RecursionError, OverflowError):
        return {"payload": message.value, **place}
    row = {name: getattr(content, name) for name in content.__struct_fields__}
    if isinstance(content, FeatureRow):  # the pipeline computes and the archive keeps 32 bits
        del row["values_f32"]  # another form of the same
        row["values"] = [None if v is None else float(np.float32(v)) for v in content.values]
    if isinstance(content, Prediction | Outcome):
        row["scores"] = [_score(target, one) for target, one in content.scores.items()]
    return {**row, **place}


def _score(target: str, one: TargetScore | OutcomeScore) -> dict[str, Any]:
    row = {name: getattr(one, name) for name in one.__struct_fields__}
    shadow = [{"model": model, "score": score} for model, score in one.shadow.items()]
    return {"target": target, **row, "shadow": shadow}
