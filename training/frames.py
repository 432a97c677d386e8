"""Topics, and Parquet files that this project writes, as pandas DataFrames."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flows.connectors.kafka.reader import read_topic
from flows.errors import TrainingError
from flows.settings import Settings
from schemas.features import FEATURE_SET, NAMES
from schemas.predictions import FeatureRow
from schemas.topics import TICKS_FEATURES


def topic_frame(
    settings: Settings, topic: str, from_ms: int | None = None, to_ms: int | None = None
) -> pd.DataFrame:
    """Read a topic, one row per message, nested objects as dotted columns.

    Of ``ticks.features`` every feature is a column of its own, float32, NaN where undefined.

    Parameters
    ----------
    from_ms, to_ms
        Bounds of the messages' Kafka timestamps, milliseconds.

    Raises
    ------
    BrokerError
        The topic or the broker is not there.
    """
    values = [
        value
        for raw in read_topic(settings.kafka_config(), topic, from_ms, to_ms)
        for value in raw.values
    ]
    if topic == TICKS_FEATURES:
        return feature_frame(values)
    decode = msgspec.json.Decoder().decode
    return pd.json_normalize([decode(value) for value in values])


def feature_frame(values: list[bytes]) -> pd.DataFrame:
    """Return messages of ``ticks.features`` with named columns.

    Raises
    ------
    TrainingError
        A message is of another FEATURE_SET, whose names this code does not know.
    """
    decode = msgspec.json.Decoder(FeatureRow).decode
    rows = [decode(value) for value in values]
    foreign = {row.feature_set for row in rows} - {FEATURE_SET}
    if foreign:
        msg = f"the topic holds FEATURE_SET {sorted(foreign)}, this code knows {FEATURE_SET}"
        raise TrainingError(msg)
    frame = pd.DataFrame(
        {
            "symbol": [row.symbol for row in rows],
            "venue": [row.venue for row in rows],
            "ts_event_ns": [row.ts_event_ns for row in rows],
            "warm": [row.warm for row in rows],
            "partition": [row.partition for row in rows],
            "offset": [row.offset for row in rows],
        }
    )
    matrix = np.array([row.values for row in rows], np.float32).reshape(len(rows), len(NAMES))
    return pd.concat([frame, pd.DataFrame(matrix, columns=list(NAMES))], axis=1)


def parquet_frame(path: Path | str) -> pd.DataFrame:
    """Read a Parquet file, or all of a folder in order of name."""
    path = Path(path)
    files = [path] if path.is_file() else sorted(path.rglob("*.parquet"))
    if not files:
        msg = f"{path} holds no Parquet file"
        raise TrainingError(msg)
    tables = [pq.ParquetFile(file).read() for file in files]
    frame: Any = pa.concat_tables(tables, promote_options="default").to_pandas()
    return pd.DataFrame(frame)
