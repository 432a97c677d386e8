"""The tables of the store: one for each archived topic, and the backfilled bars.

A table is named like its topic, with underscores for dots.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args, get_type_hints

import msgspec
import pyarrow as pa

from flows.connectors.parquet.tables import KINDS
from schemas import topics
from schemas.predictions import FeatureRow, Outcome, Prediction
from schemas.ticks import Candle, Tick

TICKS = "ticks_raw"
FEATURES = "ticks_features"
PREDICTIONS = "predictions"
OUTCOMES = "outcomes"
CANDLES = "candles"
BARS = "bars"

LOG_ORDER = ("log_partition", "log_offset")

_MESSAGES: Mapping[str, type[msgspec.Struct]] = {
    topics.TICKS_RAW: Tick,
    topics.TICKS_FEATURES: FeatureRow,
    topics.PREDICTIONS: Prediction,
    topics.OUTCOMES: Outcome,
    topics.CANDLES: Candle,
}
_PLACE = (
    pa.field("log_partition", pa.int32(), nullable=False),
    pa.field("log_offset", pa.int64(), nullable=False),
    pa.field("log_ts_ms", pa.int64(), nullable=False),
)
_BAR = (
    pa.field("symbol", pa.string(), nullable=False),
    pa.field("venue", pa.string(), nullable=False),
    pa.field("ts_open_ns", pa.int64(), nullable=False),
    pa.field("interval_s", pa.int32(), nullable=False),
    *(pa.field(name, pa.float64(), nullable=False) for name in ("open", "high", "low", "close")),
    pa.field("volume", pa.float64()),
    pa.field("quote_volume", pa.float64()),
    pa.field("trade_count", pa.int64()),
    pa.field("taker_buy_volume", pa.float64()),
    pa.field("taker_buy_quote_volume", pa.float64()),
)


@dataclass(frozen=True, slots=True)
class StoreTable:
    """One table.

    Attributes
    ----------
    topic
        None for bars, which come from no topic.
    time
        The column of a row's time, int64 nanoseconds since the UNIX epoch.
    schema
        The columns that are always there, their types, and whether the contract allows null.
    order
        Columns by which rows stand in the order of their log; of time where there is no log.
    """

    name: str
    topic: str | None
    time: str
    schema: pa.Schema
    order: tuple[str, ...]

    @property
    def has_intervals(self) -> bool:
        """Whether a row is a candle, which lasts ``interval_s``."""
        return "interval_s" in self.schema.names

    @property
    def has_gaps(self) -> bool:
        """Whether a row says that ticks were lost before it."""
        return "gap" in self.schema.names


def _of_topic(topic: str) -> StoreTable:
    columns = [
        pa.field(name, kind, nullable=_allows_null(_MESSAGES[topic], name))
        for name, (kind, _read) in KINDS[topic].columns.items()
    ]
    return StoreTable(
        name=topic.replace(".", "_"),
        topic=topic,
        time="ts_open_ns" if topic == topics.CANDLES else "ts_event_ns",
        schema=pa.schema([*columns, *_PLACE]),
        order=LOG_ORDER,
    )


def _allows_null(message: type[msgspec.Struct], name: str) -> bool:
    return type(None) in get_args(get_type_hints(message)[name])


TABLES: Mapping[str, StoreTable] = {
    **{table.name: table for table in map(_of_topic, KINDS)},
    BARS: StoreTable(
        BARS,
        None,
        "ts_open_ns",
        pa.schema(_BAR),
        ("venue", "symbol", "interval_s", "ts_open_ns"),
    ),
}
"""Every table by its name."""
