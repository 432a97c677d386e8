"""The newest feature rows on ``ticks.features``: the one behind a score, and many for drift."""

import time
from collections.abc import Callable, Iterable, Mapping

import msgspec
import numpy as np

from flows.numeric.time import NS_PER_MS, NS_PER_S
from schemas import topics
from schemas.decoding import decode_or_none
from schemas.features import FEATURE_SET, NAMES
from schemas.predictions import FeatureRow
from serving.explaining.drift import Sample
from serving.log.reader import LogReader, Part, Record

LOOK_AT = 600
"""Messages to look for a symbol's newest row in."""

DRIFT_OVER_S = 7_200
DRIFT_MOST = 40_000
"""The rows for drift are of the last two hours, and of no more than so many messages."""

_CHUNK = 2_000
_DRIFT_LIMIT_S = 2.0
_LIMIT_S = 1.0
_decode = msgspec.json.Decoder(FeatureRow).decode


def newest_row(reader: LogReader, symbol: str, partition: int, offset: int) -> FeatureRow | None:
    """Return the row of this tick, else the symbol's newest one among the newest messages."""
    if partition >= reader.partitions().get(topics.TICKS_FEATURES, 0):
        return None
    key = symbol.encode()
    records = reader.tail((topics.TICKS_FEATURES, partition), LOOK_AT, _LIMIT_S)
    newest: FeatureRow | None = None
    for record in reversed(records):
        row = _usable(record) if record.key == key else None
        if row is None:
            continue
        if row.offset == offset:
            return row
        newest = newest or row
    return newest


def drift_sample(
    reader: LogReader,
    partition: int,
    now_ms: Callable[[], int] = lambda: time.time_ns() // NS_PER_MS,
    clock: Callable[[], float] = time.monotonic,
) -> Sample:
    """Return the first warm row of each symbol and second of the last two hours of a partition.

    As training takes them: of all ticks, the busy moments would have more than their share.

    Parameters
    ----------
    now_ms
        Milliseconds since the UNIX epoch.
    clock
        Monotonic seconds.
    """
    place = (topics.TICKS_FEATURES, partition)
    high = reader.bounds(place)[1]
    first = max(reader.offset_at(place, now_ms() - 1_000 * DRIFT_OVER_S), high - DRIFT_MOST)
    numbers: dict[tuple[str, str], int] = {}
    seen: set[tuple[int, int]] = set()
    samples = [_sample([], numbers)]
    deadline_s = clock() + _DRIFT_LIMIT_S
    for start in range(first, high, _CHUNK):
        left_s = deadline_s - clock()
        if left_s <= 0:
            break
        part = Part(place, start, min(start + _CHUNK, high))
        rows = []
        for row in _decoded(reader.read([part], left_s)[place].records):
            series = numbers.setdefault((row.venue, row.symbol), len(numbers))
            moment = series, row.ts_event_ns // NS_PER_S
            if row.warm and moment not in seen:
                seen.add(moment)
                rows.append(row)
        samples.append(_sample(rows, numbers))
    return Sample(
        np.concatenate([each.values for each in samples]),
        np.concatenate([each.ts_event_ns for each in samples]),
        np.concatenate([each.series for each in samples]),
    )


def _sample(rows: list[FeatureRow], numbers: Mapping[tuple[str, str], int]) -> Sample:
    values = [[np.nan if value is None else value for value in row.values] for row in rows]
    return Sample(
        values=np.array(values, np.float64).reshape(len(values), len(NAMES)),
        ts_event_ns=np.array([row.ts_event_ns for row in rows], np.int64),
        series=np.array([numbers[row.venue, row.symbol] for row in rows], np.int64),
    )


def _decoded(records: Iterable[Record]) -> Iterable[FeatureRow]:
    return (row for row in map(_usable, records) if row is not None)


def _usable(record: Record) -> FeatureRow | None:
    row = decode_or_none(_decode, record.value)
    fits = row is not None and row.feature_set == FEATURE_SET and len(row.values) == len(NAMES)
    return row if fits else None
