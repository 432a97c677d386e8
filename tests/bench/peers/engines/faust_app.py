"""Faust (faust-streaming): an agent over a topic, state in a table with a changelog.

``processing_guarantee="exactly_once"`` puts outputs, changelog and offsets into transactions of
Kafka's. A table's value is written to the changelog whenever it is set, so the window is a ring of
small values, under keys of symbol and number.

Settings: events are taken in batches, to be scored together; a commit each 0.5 s; the table in
memory, as the documentation has it to begin with. To be tried: ``guarantee``, ``batch`` and
``within``.
"""

from functools import partial
from typing import Any

import faust
from faust.worker import Worker
from orjson import dumps, loads

from tests.bench.peers.stored import push_stored
from tests.bench.peers.task import Task
from tests.bench.peers.work import Scorer, message, values_of

BATCH = "500"
WITHIN_S = "0.05"
GUARANTEE = "exactly_once"


def app_of(task: Task) -> faust.App:
    """Return the application."""
    app = faust.App(
        task.group,
        broker=f"kafka://{task.bootstrap}",
        datadir=task.folder / "faust",
        store="memory://",
        topic_partitions=1,
        topic_replication_factor=1,
        processing_guarantee=task.tuned("guarantee", GUARANTEE),
        broker_commit_interval=0.5,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=3.0,
        broker_max_poll_records=1_000,
        stream_buffer_maxsize=8_192,
        web_enabled=False,
    )
    ticks = app.topic(task.source, key_serializer="raw", value_serializer="raw")
    predictions = app.topic(task.target, key_serializer="raw", value_serializer="raw")
    # A batch has no current event whose partition a key could take.
    table = app.Table("windows", key_type=str, value_type=bytes, partitions=1, use_partitioner=True)
    score = Scorer(task.model)

    def get(symbol: str, name: str) -> Any:
        found = table.get(f"{symbol} {name}")
        return None if found is None else loads(found)

    def put(symbol: str, name: str, value: Any) -> None:
        table[f"{symbol} {name}"] = dumps(value)

    def drop(symbol: str, name: str) -> None:
        table.pop(f"{symbol} {name}")

    async def predict(stream: faust.Stream[bytes]) -> None:
        batches = stream.take_events(
            int(task.tuned("batch", BATCH)), within=float(task.tuned("within", WITHIN_S))
        )
        async for events in batches:
            ticks_now = [loads(event.value) for event in events]
            rows = []
            for tick in ticks_now:
                own = (partial(each, tick["symbol"]) for each in (get, put, drop))
                rows.append(push_stored(*own, *values_of(tick)))
            for event, tick, found, row in zip(events, ticks_now, score(rows), rows, strict=True):
                value = message(tick, found, event.message.offset, row if task.features else None)
                await predictions.send(key=event.message.key, value=value)

    app.agent(ticks, name="predict")(predict)
    return app


if __name__ == "__main__":
    Worker(app_of(Task.from_environment()), loglevel="warn").execute_from_commandline()
