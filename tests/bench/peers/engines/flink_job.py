"""PyFlink: a keyed process function with state per symbol, from Kafka to Kafka.

Exactly once: windows and offsets are in the checkpoints, and the sink's transactions are committed
with them, so that committed outputs are seen once per checkpoint and no sooner. After a kill the
job is started from its newest checkpoint. The source is that of the Table API, which alone tells
Python a record's offset.

Settings: Python works in a process of its own, as on a cluster, on bundles of up to 5,000 ticks or
100 ms; a checkpoint each second. To be tried: ``mode``, ``bundle``, ``bundle_ms`` and
``checkpoint_ms``.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyflink.common import Configuration, Row, SimpleStringSchema, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import KafkaRecordSerializationSchema, KafkaSink
from pyflink.datastream.state import ValueStateDescriptor
from pyflink.table import StreamTableEnvironment

from tests.bench.peers.task import Task
from tests.bench.peers.work import Scorer, Window, message

BUNDLE = "5000"
BUNDLE_MS = "100"
CHECKPOINT_MS = "1000"
TRANSACTION_MS = "60000"


class Predict(KeyedProcessFunction):
    """Keeps a symbol's window and scores its ticks."""

    def __init__(self, model: str, features: bool) -> None:
        self._model = model
        self._features = features

    def open(self, context: RuntimeContext) -> None:
        from orjson import loads

        self._loads = loads
        self._score = Scorer(self._model)
        described = ValueStateDescriptor("window", Types.PICKLED_BYTE_ARRAY())
        self._window = context.get_state(described)

    def process_element(self, row: Row, _context: Any) -> Iterator[str]:
        tick = self._loads(row[1])
        window = self._window.value() or Window()
        found = window.push_tick(tick)
        self._window.update(window)
        told = found if self._features else None
        yield message(tick, self._score([found])[0], row[2], told).decode()


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest whole checkpoint; None where there is none."""
    whole = [path.parent for path in folder.glob("*/chk-*/_metadata")]
    return max(whole, key=lambda path: path.stat().st_mtime) if whole else None


def settings(task: Task) -> Configuration:
    """Return the job's configuration."""
    checkpoints = task.folder / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    given = {
        "pipeline.jars": ";".join(path.as_uri() for path in task.jar_files()),
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.execution-mode": task.tuned("mode", "process"),
        "python.fn-execution.bundle.size": task.tuned("bundle", BUNDLE),
        "python.fn-execution.bundle.time": task.tuned("bundle_ms", BUNDLE_MS),
        "taskmanager.memory.managed.size": "512m",
        "rest.port": "0",
        "rest.bind-port": "0",
        "execution.checkpointing.interval": f"{task.tuned('checkpoint_ms', CHECKPOINT_MS)} ms",
        "execution.checkpointing.dir": checkpoints.as_uri(),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
    }
    start = newest_checkpoint(checkpoints)
    if start is not None:
        given["execution.state-recovery.path"] = start.as_uri()
    configuration = Configuration()
    for name, value in given.items():
        configuration.set_string(name, value)
    return configuration


def main() -> None:
    """Score until killed."""
    # By default a local run keeps its functions in this very process; on a cluster they are not.
    os.environ["_python_worker_execution_mode"] = "process"  # noqa: SIM112 (PyFlink's name)
    task = Task.from_environment()
    environment = StreamExecutionEnvironment.get_execution_environment(settings(task))
    environment.set_parallelism(1)
    tables = StreamTableEnvironment.create(environment)
    tables.execute_sql(
        f"""
        CREATE TABLE ticks (k STRING, v STRING, o BIGINT METADATA FROM 'offset' VIRTUAL) WITH (
          'connector' = 'kafka',
          'topic' = '{task.source}',
          'properties.bootstrap.servers' = '{task.bootstrap}',
          'properties.group.id' = '{task.group}',
          'scan.startup.mode' = 'earliest-offset',
          'key.format' = 'raw',
          'key.fields' = 'k',
          'value.format' = 'raw',
          'value.fields-include' = 'EXCEPT_KEY'
        )"""
    )
    ticks = tables.to_data_stream(tables.from_path("ticks"))
    predict = Predict(task.model, task.features)
    keyed = ticks.key_by(lambda row: row[0], key_type=Types.STRING())
    serializer = (
        KafkaRecordSerializationSchema.builder()
        .set_topic(task.target)
        .set_value_serialization_schema(SimpleStringSchema())
        .build()
    )
    sink = (
        KafkaSink.builder()
        .set_bootstrap_servers(task.bootstrap)
        .set_record_serializer(serializer)
        .set_delivery_guarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .set_transactional_id_prefix(task.group)
        .set_property("transaction.timeout.ms", TRANSACTION_MS)
        .set_property("linger.ms", "5")
        .build()
    )
    keyed.process(predict, output_type=Types.STRING()).sink_to(sink)
    environment.execute("peer")


if __name__ == "__main__":
    main()
