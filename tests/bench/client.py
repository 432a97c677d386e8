"""What writing by the Kafka client costs the thread that calls it, beside a broker that is free.

The broker is the mock cluster within librdkafka itself. Only the processor time of the calling
thread counts: what it does with the GIL held, or to take it again, the flow's other threads wait
for.
"""

import time
from typing import Any

import confluent_kafka
from confluent_kafka import Producer

from schemas import topics
from tests.bench.passthrough import WRITING

BATCH = 4096
WARMING = 10
VALUE = b"x" * 444
"""As long as a prediction with one target."""

CLUSTER: dict[str, Any] = {
    "test.mock.num.brokers": 1,
    "bootstrap.servers": "replaced by the mock cluster",
    "log_level": 0,
}


def run(batches: int) -> dict[str, Any]:
    """Measure and return everything as one JSON-able object, nanoseconds per message."""
    failures: list[str] = []
    producer = Producer(
        {
            **WRITING,
            **CLUSTER,
            "on_delivery": lambda error, _message: failures.append(str(error)),
        }
    )
    _produce(producer, WARMING)
    produced_ns, reported_ns = _produce(producer, batches)
    if failures:
        message = f"the mock cluster refused a message: {failures[0]}"
        raise RuntimeError(message)
    return {
        "bench": "client",
        "confluent_kafka": confluent_kafka.version(),
        "librdkafka": confluent_kafka.libversion()[0],
        "messages": batches * BATCH,
        "produce_batch_ns": round(produced_ns, 1),
        "delivery_reports_ns": round(reported_ns, 1),
    }


def _produce(producer: Producer, batches: int) -> tuple[float, float]:
    """Return what ``produce_batch`` and the reports of delivery cost, nanoseconds per message."""
    produced_ns = reported_ns = 0
    for _ in range(batches):
        messages = [{"value": VALUE, "key": b"BTC-USD"} for _ in range(BATCH)]
        start_ns = time.thread_time_ns()
        producer.produce_batch(topics.PREDICTIONS, messages, 0)
        written_ns = time.thread_time_ns()
        producer.flush()
        produced_ns += written_ns - start_ns
        reported_ns += time.thread_time_ns() - written_ns
    return produced_ns / (batches * BATCH), reported_ns / (batches * BATCH)
