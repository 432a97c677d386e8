"""The newest feature rows on ``ticks.features``: the one behind a score, and many for drift."""

import time
from collections.abc import Callable, Iterable

import msgspec
import numpy as np

from flows.numeric.time import NS_PER_MS
from schemas import topics
from schemas.decoding import decode_or_none
from schemas.features import FEATURE_SET, NAMES
from schemas.predictions import FeatureRow
from serving.explaining.drift import Sample
from serving.log.reader import LogReader, Part, Place, Record

LOOK_AT = 600
"""Messages to look for a symbol's newest row in."""

DRIFT_OVER_S = 7_200
PLACES = 100
ROWS_EACH = 10
"""The rows for drift come from so many places of the last two hours, some of each."""

SHORT = 50_000
"""So many messages are read through, for that takes less than seeking a hundred places."""

_CHUNK = 2_000
_PLACE_LIMIT_S = 0.2
_PLACES_LIMIT_S = 2.0
_TURNS = 4
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
    """Return warm rows from many places of the last two hours, all symbols of a partition.

    Parameters
    ----------
    now_ms
        Milliseconds since the UNIX epoch.
    clock
        Monotonic seconds.
    """
    place = (topics.TICKS_FEATURES, partition)
    _low, high = reader.bounds(place)
    first = reader.offset_at(place, now_ms() - 1_000 * DRIFT_OVER_S)
    parts, every = _parts(place, first, high)
    rows: list[FeatureRow] = []
    deadline_s = clock() + _PLACES_LIMIT_S
    for part in parts:
        if clock() >= deadline_s:
            break
        records = reader.read([part], _PLACE_LIMIT_S)[place].records
        chosen = (record for record in records if (record.offset - first) % every == 0)
        rows += [row for row in _decoded(chosen) if row.warm]
    return _sample(rows)


def _parts(place: Place, first: int, high: int) -> tuple[list[Part], int]:
    """Return parts of the offsets [first, high), and how many of a part's there are for each row.

    Places spread over all of them; what is short is read whole.
    """
    if high - first <= SHORT:
        starts = range(first, high, _CHUNK)
        every = max(1, (high - first) // (PLACES * ROWS_EACH))
        return [Part(place, start, min(start + _CHUNK, high)) for start in starts], every
    spread = np.linspace(first, high - ROWS_EACH, PLACES).astype(np.int64).tolist()
    # In turns over all of it: where the time is up, what is left out is spread, too.
    ordered = [start for turn in range(_TURNS) for start in spread[turn::_TURNS]]
    return [Part(place, start, start + ROWS_EACH) for start in ordered], 1


def _sample(rows: list[FeatureRow]) -> Sample:
    values = [[np.nan if value is None else value for value in row.values] for row in rows]
    numbers: dict[tuple[str, str], int] = {}
    return Sample(
        values=np.array(values, np.float64).reshape(len(values), len(NAMES)),
        ts_event_ns=np.array([row.ts_event_ns for row in rows], np.int64),
        series=np.array(
            [numbers.setdefault((row.venue, row.symbol), len(numbers)) for row in rows], np.int64
        ),
    )


def _decoded(records: Iterable[Record]) -> Iterable[FeatureRow]:
    return (row for row in map(_usable, records) if row is not None)


def _usable(record: Record) -> FeatureRow | None:
    row = decode_or_none(_decode, record.value)
    fits = row is not None and row.feature_set == FEATURE_SET and len(row.values) == len(NAMES)
    return row if fits else None
