"""The newest feature rows on ``ticks.features``: the one behind a score, and many for drift."""

from collections.abc import Iterable

import msgspec
import numpy as np

from flows.numeric.arrays import Float64
from schemas import topics
from schemas.decoding import decode_or_none
from schemas.features import FEATURE_SET, NAMES
from schemas.predictions import FeatureRow
from serving.log.reader import LogReader, Part, Record

LOOK_AT = 600
"""Messages to look for a symbol's newest row in."""

SLICES = 16
SLICE = 60
DRIFT_OVER = 40_000
"""The rows for drift come from slices of so many of the newest messages."""

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


def drift_rows(reader: LogReader, partition: int) -> Float64:
    """Return warm rows from slices over the newest messages, all symbols of a partition.

    Returns
    -------
    float64, shape (n, len(NAMES)); undefined is NaN.
    """
    place = (topics.TICKS_FEATURES, partition)
    low, high = reader.bounds(place)
    first = max(low, high - DRIFT_OVER)
    starts = np.unique(np.linspace(first, max(first, high - SLICE), SLICES).astype(np.int64))
    rows: list[FeatureRow] = []
    for start in starts.tolist():
        records = reader.read([Part(place, start, min(start + SLICE, high))], 0.2)[place].records
        rows += [row for row in _decoded(records) if row.warm]
    values = [[np.nan if value is None else value for value in row.values] for row in rows]
    return np.array(values, np.float64).reshape(len(values), len(NAMES))


def _decoded(records: Iterable[Record]) -> Iterable[FeatureRow]:
    return (row for row in map(_usable, records) if row is not None)


def _usable(record: Record) -> FeatureRow | None:
    row = decode_or_none(_decode, record.value)
    fits = row is not None and row.feature_set == FEATURE_SET and len(row.values) == len(NAMES)
    return row if fits else None
