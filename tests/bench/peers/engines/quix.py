"""Quix Streams: a StreamingDataFrame with state per key.

Exactly once where ``processing_guarantee`` says so, by Kafka's transactions. State lies in RocksDB
and in a changelog topic within the same transaction. Its windows offer aggregates over one column
each, and a sliding one updates every window that a tick falls into, so the ring of terms is kept in
the state by hand.

Settings: a commit each 0.5 s instead of each 5 s, since nothing is seen before it; a transactional
id of its own instead of a new one at each start, so that a transaction which a kill left open ends
at once and does not hide all later outputs for a minute. Rows are scored one by one, as the
interface hands them over. To be tried: ``commit_s`` and ``guarantee``.
"""

from pathlib import Path
from typing import Any

from quixstreams import Application, State, message_context

from tests.bench.peers.stored import push_stored
from tests.bench.peers.task import Task
from tests.bench.peers.work import Scorer, Tick, prediction, values_of

COMMIT_S = "0.5"
GUARANTEE = "exactly-once"


def main() -> None:
    """Score until killed."""
    task = Task.from_environment()
    score = Scorer(task.model)
    app = Application(
        broker_address=task.bootstrap,
        consumer_group=task.group,
        auto_offset_reset="earliest",
        processing_guarantee=task.tuned("guarantee", GUARANTEE),
        commit_interval=float(task.tuned("commit_s", COMMIT_S)),
        state_dir=str(Path(task.state) / "state"),
        loglevel="WARNING",
        consumer_extra_config={"session.timeout.ms": 6_000, "fetch.wait.max.ms": 50},
        producer_extra_config={
            "linger.ms": 2,
            "compression.type": "lz4",
            "retry.backoff.ms": 2,
            "transactional.id": task.group,
        },
    )

    def predict(tick: Tick, state: State) -> dict[str, Any]:
        row = push_stored(state.get, state.set, state.delete, *values_of(tick))
        offset = message_context().offset
        told = prediction(tick["symbol"], tick["ts_event_ns"], score([row])[0], offset)
        return {**told, "features": row} if task.features else told

    ticks = app.topic(task.source, value_deserializer="json", key_deserializer="str")
    predictions = app.topic(task.target, value_serializer="json", key_serializer="str")
    frame = app.dataframe(ticks)
    frame = frame.apply(predict, stateful=True)
    frame.to_topic(predictions)
    app.run()


if __name__ == "__main__":
    main()
