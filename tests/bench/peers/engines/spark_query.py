"""Spark Structured Streaming: ``transformWithStateInPandas`` over the topic, keyed by symbol.

At least once: state and offsets are in the checkpoint, exactly once between them, but its Kafka
sink writes a micro-batch again where that was not finished before a kill. State is one value of
bytes per symbol in RocksDB.

Settings: at most 20,000 ticks in a micro-batch, two partitions of the shuffle on two cores. To be
tried: ``most``, ``partitions``, ``master`` and ``real_time`` (how long a batch of that mode is). By
its documentation the real-time mode of 4.2 takes queries without state alone. With it this one
wrote nothing within two minutes (``local[2]``), or ended with an exception (``local[4]``).
"""

import os
import sys
from collections.abc import Iterator
from typing import Any

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812 (as every Spark document has it)
from pyspark.sql.streaming import StatefulProcessor, StatefulProcessorHandle

from tests.bench.peers.task import Task
from tests.bench.peers.work import FIELDS, Scorer, Window

MOST_PER_BATCH = "20000"
PARTITIONS = "2"
TICK = (
    "symbol STRING, ts_event_ns BIGINT, price DOUBLE, size DOUBLE, side INT, bid DOUBLE,"
    " ask DOUBLE, bid_size DOUBLE, ask_size DOUBLE"
)
OUTPUT = "symbol STRING, ts_event_ns BIGINT, score DOUBLE, offset BIGINT, features ARRAY<DOUBLE>"
ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"


class Predict(StatefulProcessor):
    """Keeps a symbol's window and scores its ticks, a micro-batch at a time."""

    def __init__(self, model: str, features: bool) -> None:
        self._model = model
        self._features = features

    def init(self, handle: StatefulProcessorHandle) -> None:
        self._score = Scorer(self._model)
        self._window = handle.getValueState("window", "state BINARY")

    def handleInputRows(  # noqa: N802 (Spark's name)
        self, key: tuple[str], rows: Iterator[pd.DataFrame], timer: Any
    ) -> Iterator[pd.DataFrame]:
        raw = self._window.get()
        window = Window() if raw is None else Window.from_bytes(raw[0])
        ticks = pd.concat(list(rows), ignore_index=True).sort_values("offset")
        columns = (ticks[name].tolist() for name in FIELDS)
        found = [window.push(*values) for values in zip(*columns, strict=True)]
        self._window.update((window.to_bytes(),))
        yield pd.DataFrame(
            {
                "symbol": key[0],
                "ts_event_ns": ticks["ts_event_ns"].to_numpy(),
                "score": self._score(found),
                "offset": ticks["offset"].to_numpy(),
                "features": found if self._features else None,
            }
        )

    def close(self) -> None:
        """There is nothing to be given back."""


def session(task: Task) -> SparkSession:
    """Return a local session that keeps everything in the folder of state."""
    place = task.folder
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    settings = {
        "spark.jars": ",".join(map(str, task.jar_files())),
        "spark.driver.memory": "2g",
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(place / "local"),
        "spark.sql.warehouse.dir": str(place / "warehouse"),
        "spark.sql.shuffle.partitions": task.tuned("partitions", PARTITIONS),
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.streaming.stateStore.providerClass": ROCKSDB,
        "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    }
    builder = SparkSession.builder.master(task.tuned("master", "local[2]")).appName("peer")
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def main() -> None:
    """Score until killed."""
    task = Task.from_environment()
    source = (
        session(task)
        .readStream.format("kafka")
        .option("kafka.bootstrap.servers", task.bootstrap)
        .option("subscribe", task.source)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", task.tuned("most", MOST_PER_BATCH))
        .load()
    )
    ticks = source.select(
        F.from_json(F.col("value").cast("string"), TICK).alias("tick"), "offset"
    ).select("tick.*", "offset")
    predictions = ticks.groupBy("symbol").transformWithStateInPandas(
        statefulProcessor=Predict(task.model, task.features),
        outputStructType=OUTPUT,
        outputMode="Update" if task.tuned("real_time", "") else "Append",
        timeMode="None",
    )
    told = F.to_json(F.struct("symbol", "ts_event_ns", "score", "features", "offset"))
    writer = (
        predictions.select(F.col("symbol").alias("key"), told.alias("value"))
        .writeStream.format("kafka")
        .option("kafka.bootstrap.servers", task.bootstrap)
        .option("topic", task.target)
        .option("checkpointLocation", str(task.folder / "checkpoint"))
    )
    real_time = task.tuned("real_time", "")
    if real_time:
        query = writer.outputMode("update").trigger(realTime=real_time).start()
    else:
        query = writer.outputMode("append").start()
    query.awaitTermination()


if __name__ == "__main__":
    main()
