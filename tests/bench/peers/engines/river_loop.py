"""river's rolling statistics in a plain confluent-kafka loop: river has no streams of its own.

What fits is river's: sums, means, the deviation and the count of a minute, each a ``TimeRolling``
of one statistic. Ratios and what refers to the tick before are left to plain code. At least once:
offsets are committed behind what was delivered. The windows are in memory alone: after a kill they
begin empty, so that every score of the next minute of event time differs.

Settings: as the plain loop's, but for transactions.
"""

import datetime as dt
import math
from typing import Any

from confluent_kafka import Consumer, Producer
from orjson import loads
from river import stats, utils

from tests.bench.peers.task import Task
from tests.bench.peers.work import Scorer, Tick, message, terms_of, values_of

BATCH = 2_000
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 (river compares with a naive time)
PERIOD = dt.timedelta(seconds=60)
_R, _SQUARE, _MONEY, _SIGNED, _SIZE, _SPREAD, _TILT, _FLOW, _CHURN, _MOVED = range(1, 11)
_SUMMED = (_R, _SQUARE, _MONEY, _SIGNED, _SIZE, _FLOW, _CHURN, _MOVED)


class Rolling:
    """One symbol's statistics."""

    def __init__(self) -> None:
        self._last: tuple[float, ...] | None = None
        self._sums = {name: utils.TimeRolling(stats.Sum, period=PERIOD) for name in _SUMMED}
        self._means = {
            name: utils.TimeRolling(stats.Mean, period=PERIOD) for name in (_SPREAD, _TILT)
        }
        # river's own count cannot forget, so ones are summed.
        self._count = utils.TimeRolling(stats.Sum, period=PERIOD)
        self._returned = utils.TimeRolling(stats.Sum, period=PERIOD)
        self._deviation = utils.TimeRolling(stats.Var, period=PERIOD, ddof=1)

    def push_tick(self, tick: Tick) -> list[float]:
        """Add a tick and return its features."""
        ts_ns, *values = values_of(tick)
        at = EPOCH + dt.timedelta(microseconds=ts_ns / 1_000)
        self._last, terms = terms_of(self._last, *values)
        for kept in (self._sums, self._means):
            for name, rolling in kept.items():
                rolling.update(terms[name], t=at)
        self._count.update(1, t=at)
        self._returned.update(terms[0], t=at)
        if terms[0]:
            self._deviation.update(terms[_R], t=at)
        mid, bid, ask, bid_size, ask_size = self._last
        micro = (bid * ask_size + ask * bid_size) / (bid_size + ask_size)
        sums = {name: rolling.get() for name, rolling in self._sums.items()}
        returns = self._returned.get()
        nan = math.nan
        return [
            sums[_R] if returns else nan,
            math.sqrt(max(sums[_SQUARE], 0.0)) if returns else nan,
            sums[_R] / returns if returns else nan,
            math.sqrt(max(self._deviation.get(), 0.0)) if returns > 1 else nan,
            float(self._count.get()),
            sums[_MONEY],
            sums[_SIGNED],
            sums[_SIGNED] / sums[_MONEY],
            1e4 * (mid * sums[_SIZE] / sums[_MONEY] - 1),
            terms[_SPREAD],
            self._means[_SPREAD].get(),
            terms[_TILT],
            self._means[_TILT].get(),
            1e4 * (micro / mid - 1),
            sums[_FLOW] if returns else nan,
            sums[_FLOW] / sums[_CHURN] if sums[_MOVED] else nan,
        ]


def main() -> None:
    """Score until killed."""
    task = Task.from_environment()
    consumer = Consumer(
        {
            "bootstrap.servers": task.bootstrap,
            "group.id": task.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 50,
            "session.timeout.ms": 6_000,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": task.bootstrap,
            "linger.ms": 2,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 500_000,
        }
    )
    score = Scorer(task.model)
    symbols: dict[str, Rolling] = {}
    consumer.subscribe([task.source])
    while True:
        came: list[Any] = [m for m in consumer.consume(BATCH, 0.005) if m.error() is None]
        if not came:
            continue
        ticks = [loads(m.value()) for m in came]
        rows = [symbols.setdefault(t["symbol"], Rolling()).push_tick(t) for t in ticks]
        told = rows if task.features else [None] * len(rows)
        outputs = [
            {"key": m.key(), "value": message(t, s, m.offset(), f)}
            for m, t, s, f in zip(came, ticks, score(rows), told, strict=True)
        ]
        producer.produce_batch(task.target, outputs, partition=0)
        producer.flush()
        consumer.commit(asynchronous=True)


if __name__ == "__main__":
    main()
