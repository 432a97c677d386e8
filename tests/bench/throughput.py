"""How fast the running flow is, beside the limit of the same broker, messages and machine.

Every round runs each contestant once, so that what the machine does meanwhile hits all alike; the
result is the median of the rounds with its spread, and the ratio to the pass-through. A rate is
taken from the group's committed offsets between the first commit and the last, so that start-up,
compiling and the loading of models do not count.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from flows.connectors.kafka_admin import ensure_topics
from schemas import topics
from tests.bench.load import simulated_messages
from tests.bench.models import publish
from tests.support.apache_kafka import ApacheKafka
from tests.support.embedded import EmbeddedBroker, Valkey
from tests.support.polling import die_with_parent, pause

COPY_TOPIC = "bench.copy"
FINISH_LIMIT_S = 300.0


@dataclass(frozen=True)
class Rate:
    """One contestant in one round."""

    ticks_per_s: float
    cpu_us_per_tick: float


@contextmanager
def _broker(kind: str, folder: Path) -> Iterator[ApacheKafka | EmbeddedBroker]:
    if kind == "apache":
        (folder / "apache").mkdir()
        with ApacheKafka(folder / "apache") as broker:
            yield broker
    else:
        with EmbeddedBroker(folder / "embedded") as broker:
            yield broker


def run(
    tick_count: int, rounds: int, brokers: list[str], models: list[str], symbol_count: int
) -> dict[str, Any]:
    """Measure and return everything as one JSON-able object."""
    result: dict[str, Any] = {"ticks": tick_count, "rounds": rounds, "symbols": symbol_count}
    for kind in brokers:
        with (
            tempfile.TemporaryDirectory(prefix="voltick-bench-") as name,
            _broker(kind, Path(name)) as broker,
            Valkey(Path(name) / "valkey") as valkey,
        ):
            result[kind] = _on_broker(
                Path(name), broker, valkey.url, tick_count, rounds, models, symbol_count
            )
    return result


def _on_broker(
    folder: Path,
    broker: ApacheKafka | EmbeddedBroker,
    redis_url: str,
    tick_count: int,
    rounds: int,
    models: list[str],
    symbol_count: int,
) -> dict[str, Any]:
    _load(broker, tick_count, symbol_count)
    stores = {model: publish(model, folder / f"store-{model}") for model in models}
    rates: dict[str, list[Rate]] = {}
    for number in range(rounds):
        rates.setdefault("passthrough", []).append(_passthrough(broker.bootstrap, tick_count))
        for model, store in stores.items():
            for with_features in (False, True):
                name = f"{model}{'_features' if with_features else ''}"
                environment = {
                    **os.environ,
                    **broker.environment(),
                    "REDIS_URL": redis_url,
                    "VOLTICK_MODEL_STORE": str(store),
                    "VOLTICK_TARGETS": "volatility_spike",
                    "VOLTICK_PARTITIONS": "1",
                    "VOLTICK_GROUP": f"bench-{name}-{number}",
                    "VOLTICK_PUBLISH_FEATURES": str(int(with_features)),
                    "VOLTICK_LOG_LEVEL": "warning",
                }
                rates.setdefault(name, []).append(_flow(broker, environment, tick_count))
                _say(f"round {number + 1}: {name} {rates[name][-1].ticks_per_s:,.0f} ticks/s")
    limit = statistics.median(rate.ticks_per_s for rate in rates["passthrough"])
    return {name: _summary(each, limit) for name, each in rates.items()}


def _summary(rates: list[Rate], limit: float) -> dict[str, float]:
    per_s = [rate.ticks_per_s for rate in rates]
    median = statistics.median(per_s)
    return {
        "ticks_per_s": round(median),
        "ticks_per_s_min": round(min(per_s)),
        "ticks_per_s_max": round(max(per_s)),
        "cpu_us_per_tick": round(statistics.median(rate.cpu_us_per_tick for rate in rates), 3),
        "of_passthrough": round(median / limit, 3),
    }


def _load(broker: ApacheKafka | EmbeddedBroker, tick_count: int, symbol_count: int) -> None:
    ensure_topics(broker.client_config(), topics.ALL, partitions=1)
    producer = Producer(
        {
            **broker.client_config(),
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for batch in simulated_messages(tick_count, symbol_count):
        while len(producer) > 500_000:
            producer.poll(0.05)
        producer.produce_batch(topics.TICKS_RAW, batch, partition=0)
    if producer.flush(120):
        message = "the broker did not take the ticks"
        raise RuntimeError(message)
    admin = AdminClient(broker.client_config())
    for future in admin.create_topics([NewTopic(COPY_TOPIC, 1, 1)]).values():
        future.result(30)


def _passthrough(bootstrap: str, count: int) -> Rate:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.bench.passthrough"),
            *(bootstrap, topics.TICKS_RAW, COPY_TOPIC, str(count)),
        ],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=FINISH_LIMIT_S,
    )
    rate = Rate(**json.loads(done.stdout.splitlines()[-1]))
    _say(f"pass-through {rate.ticks_per_s:,.0f} ticks/s")
    return rate


def _flow(
    broker: ApacheKafka | EmbeddedBroker, environment: dict[str, str], tick_count: int
) -> Rate:
    """Run the flow over the whole topic and time it between its first and last commit."""
    group = environment["VOLTICK_GROUP"]
    watcher = Consumer({**broker.client_config(), "group.id": group, "enable.auto.commit": False})
    where = [TopicPartition(topics.TICKS_RAW, 0)]
    process = subprocess.Popen(
        [sys.executable, "-m", "bytewax.run", "flows.pipeline"],
        env=environment,
        preexec_fn=die_with_parent,
    )
    watched = psutil.Process(process.pid)
    try:
        deadline = time.monotonic() + FINISH_LIMIT_S
        first: tuple[float, float, int] | None = None
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                message = f"the flow ended or stalled: {group}, exit {process.returncode}"
                raise RuntimeError(message)
            committed = watcher.committed(where, timeout=10)[0].offset
            now, cpu_s = time.perf_counter(), sum(watched.cpu_times()[:2])
            if first is None and committed > 0:
                first = (now, cpu_s, committed)
            if first is not None and committed >= tick_count:
                break
            pause(0.005)
    finally:
        process.kill()
        process.wait()
        watcher.close()
    timed = committed - first[2]
    if timed < tick_count // 2:
        message = f"only {timed} of {tick_count} ticks lay between two looks; give more ticks"
        raise RuntimeError(message)
    return Rate(timed / (now - first[0]), 1e6 * (cpu_s - first[1]) / timed)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
